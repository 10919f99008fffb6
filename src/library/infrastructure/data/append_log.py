"""A file that only grows, owned by one unit of one process at a time.

String units and streams keep their data in it.

All of this blocks: it runs in worker threads.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from library.infrastructure.data.durable_io import (
    check_place,
    explain_os_errors,
    replace_file,
    sync_file,
    sync_folder,
    write_all,
)
from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.file_lock import ProcessLock, remove_temporary_files
from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class AppendLog:
    """An append-only file; its lock is held from `open` to `close`."""

    def __init__(self, path: str, *, durable: bool, lock_timeout_s: float) -> None:
        """Prepare; nothing is touched yet.

        Args:
            path: absolute, links followed.
            durable: whether each write waits for the disk (fsync).
            lock_timeout_s: how long `open` waits for whoever has the file open.

        """
        self.path = path
        self.size = 0
        """Bytes that are in the file and were acknowledged."""
        self._durable = durable
        self._lock = ProcessLock(path, lock_timeout_s)
        self._descriptor: int | None = None
        self._unusable = ""
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave the file to the parent."""
        self._reading = threading.RLock()
        """Held while the descriptor is read from, or changed."""
        if self._descriptor is not None:
            self._unusable = "it was opened before this process was forked; open it in one process only"

    def open(self) -> bool:
        """Own the file; return whether it was made just now.

        Raises:
            LockTimeoutError: another unit or process has it open.
            StorageError: it cannot be opened.

        """
        check_place(self.path)
        remove_temporary_files(self.path, self._lock)
        self._lock.acquire()
        try:
            with explain_os_errors("open", self.path):
                is_new = not os.path.exists(self.path)
                self._reopen()
                if is_new and self._durable:
                    sync_folder(os.path.dirname(self.path))
        except BaseException:
            self.close()
            raise
        self._unusable = ""
        return is_new

    def _reopen(self) -> None:
        with self._reading:
            self._close_descriptor()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o666)
            self.size = os.fstat(self._descriptor).st_size

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def close(self) -> None:
        """Give the file up; does nothing if that was done."""
        with self._reading:
            self._close_descriptor()
        if self._lock.is_held:
            self._lock.release()

    def read(self, start: int, count: int) -> bytes:
        """Return up to `count` bytes from `start` on."""
        with explain_os_errors("read", self.path), self._reading:
            return os.pread(self._usable(), count, start)

    def chunks(self, start: int, count: int) -> Iterator[bytes]:
        """Read on from `start`, `count` bytes at a time, to the end."""
        while chunk := self.read(start, count):
            yield chunk
            start += len(chunk)

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write the pieces, in order; on the disk when this returns.

        Raises:
            StorageError: nothing was added.

        """
        descriptor = self._usable()
        with explain_os_errors("append to", self.path):
            if not os.fstat(descriptor).st_nlink:
                message = (
                    f"cannot append to {self.path}: it was deleted while it was open; open the unit again"
                )
                raise StorageError(message, path=self.path)
            try:
                write_all(descriptor, pieces)
            except OSError:
                self._take_back(descriptor)
                raise
            if self._durable:
                self._sync(descriptor)
        self.size += sum(map(len, pieces))

    def cut(self, size: int) -> None:
        """Drop everything after the first `size` bytes."""
        descriptor = self._usable()
        with explain_os_errors("repair", self.path):
            os.ftruncate(descriptor, size)
            if self._durable:
                sync_file(descriptor)
        self.size = size

    def replace(self, pieces: Iterable[bytes]) -> None:
        """Replace the whole content, as one step and durably."""
        self._usable()
        with explain_os_errors("write", self.path):
            replace_file(self.path, list(pieces), os.stat(self.path), durable=self._durable)
            if self._durable:
                sync_folder(os.path.dirname(self.path))
            self._reopen()

    def _usable(self) -> int:
        if self._unusable or self._descriptor is None:
            message = f"cannot use {self.path}: {self._unusable or 'it is not open'}"
            raise StorageError(message, path=self.path)
        return self._descriptor

    def _take_back(self, descriptor: int) -> None:
        """Remove what a failed write left; if even that fails, nothing more is written."""
        try:
            os.ftruncate(descriptor, self.size)
        except OSError as error:
            self._unusable = (
                f"a failed write could not be taken back ({error.strerror}); shut the unit down and open it"
            )

    def _sync(self, descriptor: int) -> None:
        """Wait for the disk.

        After a failure the system may have dropped what it could not write, so the file is trusted no more.
        """
        try:
            sync_file(descriptor)
        except OSError as error:
            self._take_back(descriptor)
            self._unusable = (
                f"the disk did not take the data ({error.strerror}); shut the unit down and open it again"
            )
            raise
