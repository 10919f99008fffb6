"""The lock file beside a data file, by which processes take turns."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from library.infrastructure.data.durable_io import explain_os_errors, remove_file, temporary_files
from library.infrastructure.data.errors import LockTimeoutError, StorageError

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)

_POLL_INTERVAL_S: Final = 0.002
"""Waiting processes look at the lock so often: a write takes about a millisecond."""


class ProcessLock:
    """`.<name>.lock`, locked by flock(2), which the system releases when its holder dies."""

    def __init__(self, path: str, timeout_s: float) -> None:
        """Prepare; `path` is the data file's."""
        folder, name = os.path.split(path)
        self._path = path
        self._timeout_s = timeout_s
        # Whoever holds it may change threads in between: a worker acquires, the event loop releases.
        self._lock = FileLock(os.path.join(folder, f".{name}.lock"), thread_local=False)

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock.is_locked

    def acquire(self, timeout_s: float | None = None) -> None:
        """Wait for the lock.

        Raises:
            LockTimeoutError: another process held it for `timeout_s` seconds (default: those of the
                constructor).
            StorageError: the lock file cannot be made.

        """
        limit = self._timeout_s if timeout_s is None else timeout_s
        with explain_os_errors("lock", self._path):
            try:
                self._lock.acquire(timeout=limit, poll_interval=_POLL_INTERVAL_S)
            except Timeout as error:
                message = (
                    f"{self._path} was locked by another process, or open in another unit, for {limit:g} s: "
                    "retry later, or use another file"
                )
                raise LockTimeoutError(message, path=self._path) from error

    def release(self) -> None:
        """Let the next process in."""
        self._lock.release()

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
