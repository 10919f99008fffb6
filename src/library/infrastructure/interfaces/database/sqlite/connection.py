"""Opening connections: the pragmas that decide on durability, waiting and erasure stand here alone."""

from __future__ import annotations

import random
import time
from typing import Final, Literal
from urllib.parse import quote

import apsw

from library.infrastructure.interfaces.database.sqlite.functions import register_functions

Synchronous = Literal["full", "normal"]

_LONGEST_NAP_S: Final = 0.01
_WRITER_CACHE_KIB: Final = 32_768
_READER_CACHE_KIB: Final = 8_192
_JOURNAL_LIMIT_BYTES: Final = 64 << 20
"""What is left of the write-ahead log's file after it once grew large."""


def open_writer(path: str, synchronous: Synchronous, busy_timeout_s: float) -> apsw.Connection:
    """Open the connection that writes; makes the file if there is none.

    `secure_delete` overwrites what is deleted. Checkpoints are done by the writer, after it has answered.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = _open(path, flags, busy_timeout_s)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")
        _switch_to_log(connection, time.monotonic() + busy_timeout_s)
        set_synchronous(connection, synchronous)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str, busy_timeout_s: float) -> apsw.Connection:
    """Open a connection that only reads."""
    connection = _open(path, apsw.SQLITE_OPEN_READONLY, busy_timeout_s)
    try:
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except BaseException:
        connection.close()
        raise
    return connection


def set_synchronous(connection: apsw.Connection, synchronous: Synchronous) -> None:
    """Choose whether a commit waits for the disk."""
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")


def open_immutable(path: str) -> apsw.Connection:
    """Open a database that nobody can write, where not even SQLite's shared memory can be made beside it."""
    uri = f"file:{quote(path)}?immutable=1"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    register_functions(connection)
    return connection


def _switch_to_log(connection: apsw.Connection, deadline: float) -> None:
    """Switch to the write-ahead log; SQLite does not wait by itself when several processes do so at once."""
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").get != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, _LONGEST_NAP_S))  # noqa: S311 - no secret
        else:
            return


def _open(path: str, flags: int, busy_timeout_s: float) -> apsw.Connection:
    connection = apsw.Connection(path, flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
    set_patience(connection, busy_timeout_s)
    register_functions(connection)
    return connection


def set_patience(connection: apsw.Connection, timeout_s: float) -> None:
    """Choose for how many seconds a connection waits while another process has the file locked.

    It waits in naps of random length, so that many processes do not march in step; SQLite's own handler
    sleeps up to 100 ms at a time, in the same steps in every process.
    """
    deadline = 0.0

    def wait(attempts: int) -> bool:
        nonlocal deadline
        now = time.monotonic()
        if not attempts:
            deadline = now + timeout_s
        if now >= deadline:
            return False
        time.sleep(random.uniform(0.0002, min(_LONGEST_NAP_S, 0.0005 * (attempts + 1))))  # noqa: S311
        return True

    connection.set_busy_handler(wait)
