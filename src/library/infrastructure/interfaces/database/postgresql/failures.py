"""From the driver's exceptions to the project's errors, and what may be tried again.

Texts are made of what the server says, and of the URL without its password: no error tells a password.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import asyncpg

from library.infrastructure.data.errors import (
    DataUnitError,
    InvalidValueError,
    LockTimeoutError,
    ReadOnlyStorageError,
    StorageError,
    StorageFullError,
)

DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises; `TimeoutError` is an `OSError`."""

_AGAIN: Final = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, a lock that was not to be had: the transaction was rolled back."""

_LOST: Final = frozenset(
    {"08000", "08001", "08003", "08004", "08006", "57P01", "57P02", "57P03", "57P05", "25P03"}
)
"""The connection is gone, or the server is starting or stopping."""

_ADVICE: Final[dict[str, tuple[type[DataUnitError], str]]] = {
    "28P01": (StorageError, "the server refuses the user or the password: check both"),
    "28000": (
        StorageError,
        "the server refuses this user from here: check user, database, ssl and its pg_hba.conf",
    ),
    "3D000": (
        StorageError,
        "the server has no such database: make it with CREATE DATABASE, or check the name",
    ),
    "3F000": (StorageError, "the database has no such schema: make it with CREATE SCHEMA, or check the name"),
    "42501": (StorageError, "the user may not do that: GRANT it the rights, or name a schema of its own"),
    "42P01": (
        StorageError,
        "a table is not there: if it was dropped, open the adapter again, which makes it anew",
    ),
    "25006": (ReadOnlyStorageError, "the server may only be read, as a replica: name the primary"),
    "40001": (LockTimeoutError, "others changed the same all the time: retry"),
    "40P01": (LockTimeoutError, "others waited for it crosswise: retry"),
    "55P03": (LockTimeoutError, "others kept it locked for too long: retry"),
    "53100": (StorageFullError, "the server has no space left: free some, and retry"),
    "53200": (StorageError, "the server has no memory left: see to it, and retry"),
    "53300": (
        StorageError,
        "the server takes no more connections: lower max_size, or raise its max_connections",
    ),
    "54000": (InvalidValueError, "that is more than the server can hold"),
    "57014": (
        StorageError,
        "it took longer than the server's statement_timeout allows: ask for less, or raise it",
    ),
    "57P01": (StorageError, "the server is shutting down: retry when it is back"),
    "57P02": (StorageError, "the server crashed: retry when it is back"),
    "57P03": (StorageError, "the server is starting or stopping: retry in a moment"),
}


def is_of_driver(error: BaseException, connection: Any) -> bool:
    """Tell whether an error that went past a connection came from it, and not from who used it.

    The system's errors come from anywhere. Those of a connection close it, or leave it with a statement to be
    given up.
    """
    if isinstance(error, OSError):
        return connection.is_closed() or bool(connection._cancellations)
    return isinstance(error, DRIVER_ERRORS)


def is_conflict(error: BaseException | None) -> bool:
    """Tell whether others were in the way, and the same may be tried again."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _AGAIN


def is_lost(error: BaseException | None) -> bool:
    """Tell whether the connection is gone; a new one may work."""
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate in _LOST
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError) and "clos" in str(error)
    if isinstance(error, asyncpg.InternalClientError):  # the server's farewell came first: nothing was sent
        return "cannot switch to state" in str(error)
    return isinstance(error, ConnectionError) and not _is_without_tls(error)


def is_no_server(error: BaseException) -> bool:
    """Tell whether it is worth trying to connect again: the server may just be starting."""
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate in _LOST or error.sqlstate == "53300"
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and not _is_without_tls(error)


def _is_without_tls(error: BaseException) -> bool:
    """Tell whether asyncpg gave up because the server knows no TLS: it says so by the plainest class."""
    return type(error) is ConnectionError


def is_read_only(error: BaseException) -> bool:
    """Tell whether this server has become, or always was, one that may only be read."""
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)


def translate(error: Exception, attempted: str, where: str) -> DataUnitError:
    """Build the error for one of the driver's, which becomes its cause.

    Args:
        error: what the driver raised; an error of this library is given back.
        attempted: what was being done, as in "cannot ...".
        where: the database, by its URL without the password.

    """
    if isinstance(error, DataUnitError):
        return error
    kind, advice = _explain(error)
    shown = getattr(error, "message", None) or str(error) or type(error).__name__
    message = (
        f"cannot {attempted} {where}: {advice} ({shown})"
        if advice
        else f"cannot {attempted} {where}: {shown}"
    )
    translated = kind(message, path=where) if issubclass(kind, StorageError) else kind(message)
    translated.__cause__ = error
    return translated


def _explain(error: Exception) -> tuple[type[DataUnitError], str]:
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        if sqlstate in _ADVICE:
            return _ADVICE[sqlstate]
        return StorageError, "the connection was lost: retry" if sqlstate in _LOST else ""
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return ReadOnlyStorageError, "none of the servers may be written: name the primary"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            StorageError,
            "its certificate cannot be verified: check ssl, sslrootcert and the name of the host",
        )
    if isinstance(error, ssl.SSLError) or _is_without_tls(error):
        return StorageError, "TLS failed: check ssl, and what the server offers"
    if isinstance(error, TimeoutError):
        return StorageError, "the server did not answer in time: check that it is well, or raise the timeout"
    if isinstance(error, ConnectionRefusedError):
        return StorageError, "nothing listens there: check host and port, and that the server runs"
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return StorageError, "the server cannot be reached: check host, port and the network"
    if is_lost(error):
        return StorageError, "the connection was lost: retry"
    return StorageError, ""
