"""Closing connections, also those of event loops that have ended, and giving up statements."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import asyncpg

_PATIENCE_S: Final = 2.0


async def take_leave(connection: Any) -> None:
    """Tell the server, and close; whatever comes of it, the connection is closed."""
    try:
        await connection.close(timeout=_PATIENCE_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        dispose(connection)


async def settle(connection: Any) -> None:
    """Wait until a statement that was given up has ended on the server; if that takes long, disconnect.

    A server does not notice that somebody left while it computes or waits for a lock: it has to be told,
    which asyncpg does by a task of its own.
    """
    telling = tuple(connection._cancellations)
    if not telling:
        return
    try:
        _, unfinished = await asyncio.wait(telling, timeout=_PATIENCE_S)
    except BaseException:
        dispose(connection)
        raise
    if unfinished:
        dispose(connection)


def dispose(connection: Any) -> None:
    """Close a connection without a word to the server, which rolls back what is not committed."""
    loop = connection._loop
    if loop.is_running():
        connection.terminate()
        return
    raw = _cut(connection)
    if raw is not None:
        if not loop.is_closed():
            loop._remove_reader(raw.fileno())  # `remove_reader` refuses those of transports
        raw.close()


def disown(connection: Any) -> None:
    """Close a connection in a forked child, so that the parent, whose it is, notices nothing.

    Its event loop must not hear of it: parent and child share what it waits with.
    """
    raw = _cut(connection)
    if raw is not None:
        raw.close()


def cut_half_open(loop: Any) -> None:
    """Close the sockets of asyncpg in a loop that was closed while connections were being opened."""
    for transport in list(getattr(loop, "_transports", {}).values()):
        protocol = transport.get_protocol()
        protocol = getattr(protocol, "_app_protocol", protocol)
        if type(protocol).__module__.partition(".")[0] == "asyncpg":
            raw = _part(transport)
            if raw is not None:
                raw.close()


def _cut(connection: Any) -> Any:
    """Part a connection, whose event loop does not run, from its socket, and return that.

    Neither asyncpg nor asyncio close it without the loop, and both warn when they are collected unclosed.
    Other loops close what is theirs.
    """
    connection._aborted = True
    return _part(connection._transport)


def _part(outer: Any) -> Any:
    within_tls = getattr(outer, "_ssl_protocol", None)
    if within_tls is not None:
        outer._closed = True
    transport = outer if within_tls is None else within_tls._transport
    raw = getattr(transport, "_sock", None)
    if raw is not None:
        transport._closing = True
        transport._sock = None
    return raw
