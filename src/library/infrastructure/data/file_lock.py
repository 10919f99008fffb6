"""The lock file beside a data file, by which processes take turns."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from filelock import lock_descriptor

from library.infrastructure.data import fork_safety
from library.infrastructure.data.durable_io import explain_os_errors, remove_file, temporary_files
from library.infrastructure.data.errors import LockTimeoutError, StorageError

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)

_POLL_INTERVAL_S: Final = 0.002
"""Waiting processes look at the lock so often: a write takes about a millisecond."""


class ProcessLock:
    """`.<name>.lock`, locked by flock(2), which the system releases when its holder dies; the file stays.

    One object stands for one holder: it may take the lock again while it has it, from whatever thread, and
    must release it as often. It keeps no descriptor open in between.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        """Prepare; `path` is the data file's."""
        folder, name = os.path.split(path)
        self._path = path
        self._lock_path = os.path.join(folder, f".{name}.lock")
        self._timeout_s = timeout_s
        self._descriptor: int | None = None
        self.reset_after_fork()
        fork_safety.reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave the parent's hold to the parent; closing a copy of its descriptor releases nothing."""
        self._guard = threading.Lock()
        self._holds = 0
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._holds > 0

    def try_fresh(self) -> bool:
        """Take the lock if nobody has it, this object neither; tell whether that succeeded.

        Raises:
            StorageError: the lock file cannot be made.

        """
        with explain_os_errors("lock", self._path):
            return self._try(fresh=True)

    def acquire(self, timeout_s: float | None = None) -> None:
        """Wait for the lock.

        Raises:
            LockTimeoutError: another process held it for `timeout_s` seconds.
            StorageError: the lock file cannot be made.

        """
        limit = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit
        with explain_os_errors("lock", self._path):
            while not self._try():
                if time.monotonic() >= deadline:
                    message = (
                        f"{self._path} was locked by another process, or open in another unit, for "
                        f"{limit:g} s: retry later, or use another file"
                    )
                    raise LockTimeoutError(message, path=self._path)
                time.sleep(_POLL_INTERVAL_S)

    def _try(self, *, fresh: bool = False) -> bool:
        with self._guard, fork_safety.no_fork:
            if self._holds and fresh:
                return False
            if not self._holds:
                self._descriptor = self._lock_file()
            self._holds += self._descriptor is not None
            return self._descriptor is not None

    def _lock_file(self) -> int | None:
        """Open and lock the file, unless somebody else has it, or has just deleted it."""
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if lock_descriptor(descriptor, blocking=False) and os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Let the next process in."""
        with self._guard, fork_safety.no_fork:
            self._holds -= 1
            if not self._holds and self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def remove_temporary_files(path: str, lock: ProcessLock) -> None:
    """Remove what killed writers of `path` left behind, if none is at work now, and that is allowed."""
    with explain_os_errors("open", path):
        strays = temporary_files(path)
    if not strays:
        return
    try:
        lock.acquire(timeout_s=0)
    except StorageError as error:
        logger.debug("left the temporary files of %s: %s", path, error)
        return
    try:
        with explain_os_errors("remove the temporary files of", path):
            for stray in strays:
                remove_file(stray)
    finally:
        lock.release()
