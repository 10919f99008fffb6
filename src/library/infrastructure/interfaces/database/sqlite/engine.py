"""What is open while an adapter is: the writer, the readers, and the watch over forks.

It knows nothing of the adapter, so that an adapter that was forgotten can be collected while threads live.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import apsw

from library.infrastructure.data.errors import (
    ForkedDatabaseError,
    ReadOnlyStorageError,
    StorageError,
)
from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.interfaces.database.sqlite.connection import (
    Synchronous,
    open_immutable,
    open_reader,
    open_writer,
)
from library.infrastructure.interfaces.database.sqlite.failures import translate
from library.infrastructure.interfaces.database.sqlite.point_reader import PointReader
from library.infrastructure.interfaces.database.sqlite.readers import Readers
from library.infrastructure.interfaces.database.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = ":memory:"
"""The path of a database that lives in memory, and ends with its adapter."""

FileIdentity = tuple[int, int]


class _OpenFiles:
    """Which files are open in this process, and which were in its parent when it was forked.

    SQLite keeps its locks on a file in memory of the process. A child inherits that memory, but not the
    locks, so that whatever it opens the file with believes in locks that it does not hold: see "How To
    Corrupt An SQLite Database File", section 2.6, on sqlite.org.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[FileIdentity, int] = {}
        self.inherited: set[FileIdentity] = set()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Take note of what the parent had open."""
        self._guard = threading.Lock()
        self.inherited |= set(self._open)
        self._open = {}

    def add(self, identity: FileIdentity) -> None:
        """Take note of a file that was opened."""
        with self._guard:
            self._open[identity] = self._open.get(identity, 0) + 1

    def remove(self, identity: FileIdentity) -> None:
        """Take note of a file that was closed."""
        with self._guard:
            left = self._open.get(identity, 0) - 1
            if left > 0:
                self._open[identity] = left
            else:
                self._open.pop(identity, None)


_open_files = _OpenFiles()


class Engine:
    """The open connections to one database, and the threads that use them."""

    def __init__(self, path: str, synchronous: Synchronous, busy_timeout_s: float, readers: int) -> None:
        """Open the database; blocks.

        Raises:
            apsw.Error: it cannot be opened.
            ForkedDatabaseError: it was opened before this process was forked.

        """
        self.path = path
        self.is_forked = False
        self._identity: FileIdentity | None = None
        self._refuse_inherited()
        self.writer: Writer | None = None
        self._writing: apsw.Connection | None = None
        self._busy_timeout_s = busy_timeout_s
        log = f"{path}-wal"
        self.has_found_log = path != MEMORY and os.path.exists(log) and os.path.getsize(log) > 0
        """Whether there was a write-ahead log: the last user did not close the database, or still uses it."""
        try:
            self._writing = open_writer(path, synchronous, busy_timeout_s)
        except (apsw.ReadOnlyError, apsw.CantOpenError):
            if path == MEMORY or not os.path.exists(path):
                raise
        self.readers = None if path == MEMORY else Readers(self.connect_reader, path, readers)
        self.point_reader = None if path == MEMORY else PointReader(self.connect_reader)
        if self._writing is not None and self._writing.readonly("main"):
            self._writing.close()
            self._writing = None
        if self._writing is not None:
            # The writer closes last: only who may write can end the write-ahead log.
            self.writer = Writer(
                self._writing,
                path,
                synchronous,
                self._wait_for_readers,
                self._forget_file,
                self._check_place,
            )
        if path != MEMORY:
            self._identity = _identity(path)
            _open_files.add(self._identity)
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Give up: see `_OpenFiles`. Closing a connection here would take the parent's log away."""
        self.is_forked = True
        readers = self.readers.connections if self.readers else []
        point_reading = self.point_reader.connection if self.point_reader else None
        for connection in (self._writing, point_reading, *readers):
            if connection is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def _refuse_inherited(self) -> None:
        if (
            self.path != MEMORY
            and os.path.exists(self.path)
            and _identity(self.path) in _open_files.inherited
        ):
            raise ForkedDatabaseError(self._forked_message(), path=self.path)

    def _forked_message(self) -> str:
        return (
            f"{self.path} was opened before this process was forked, and SQLite does not survive that: open "
            'it after the fork only, or start processes with "spawn" instead of "fork"'
        )

    def check_not_forked(self) -> None:
        """Refuse to work in a child of the process that opened the database.

        Raises:
            ForkedDatabaseError: this is one.

        """
        if self.is_forked:
            raise ForkedDatabaseError(self._forked_message(), path=self.path)

    async def read(
        self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `fn(connection, *args)` off the event loop, and return its result; it must not write."""
        self.check_not_forked()
        if self.readers is not None:
            return await self.readers.read(fn, *args, **kwargs)
        result: T = await self.write(
            lambda connection, _: [fn(connection, *args, **kwargs)], None, "read", in_transaction=False
        )
        return result

    async def write(
        self,
        run: Callable[[apsw.Connection, Sequence[Any]], Sequence[Any]],
        payload: Any,
        attempted: str,
        *,
        in_transaction: bool = True,
    ) -> Any:
        """Have the writer do a job; see `Writer.submit`.

        Raises:
            ReadOnlyStorageError: the database may be read only.

        """
        self.check_not_forked()
        if self.writer is None:
            message = (
                f"cannot {attempted} {self.path}: it may be read only; check the permissions of the file and "
                "its folder"
            )
            raise ReadOnlyStorageError(message, path=self.path)
        return await self.writer.submit(run, payload, attempted, in_transaction=in_transaction)

    def close(self) -> None:
        """Let the threads finish what is queued and close their connections; returns at once."""
        if self.is_forked:
            return
        if self.point_reader is not None:
            self.point_reader.close()
        if self.readers is not None:
            self.readers.close()
        if self.writer is not None:
            self.writer.close()

    def join(self) -> None:
        """Wait until everything is closed."""
        if self.is_forked:
            return
        if self.readers is not None:
            self.readers.join()
        if self.writer is not None:
            self.writer.join()
        self._forget_file()

    def _wait_for_readers(self) -> None:
        if self.readers is not None:
            self.readers.join()

    def _check_place(self) -> None:
        """Refuse to write into a file that was deleted or replaced: what goes there is lost."""
        if self._identity is None:
            return
        try:
            is_there = _identity(self.path) == self._identity
        except OSError:
            is_there = False
        if not is_there:
            message = (
                f"{self.path} was deleted, moved or replaced while it was open: nothing is written; shut the "
                "adapter down, see to the file, and open it again"
            )
            raise StorageError(message, path=self.path)

    def _forget_file(self) -> None:
        identity, self._identity = self._identity, None
        if identity is not None:
            _open_files.remove(identity)

    def connect_reader(self) -> apsw.Connection:
        """Open one more connection that only reads; whoever asks for it closes it."""
        try:
            return open_reader(self.path, self._busy_timeout_s)
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            log = f"{self.path}-wal"
            if self.writer is not None or (os.path.exists(log) and os.path.getsize(log)):
                raise
            return open_immutable(self.path)


def open_engine(path: str, synchronous: Synchronous, busy_timeout_s: float, readers: int) -> Engine:
    """Open a database; blocks.

    Raises:
        StorageError: it cannot be opened.
        CorruptDataError: the file is no database.

    """
    try:
        return Engine(path, synchronous, busy_timeout_s, readers)
    except apsw.Error as error:
        raise translate(error, "open", path) from error


def _identity(path: str) -> FileIdentity:
    status = os.stat(path)
    return status.st_dev, status.st_ino
