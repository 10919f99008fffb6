"""Reading by key on the thread of whoever asks: what takes microseconds is not worth handing to another."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import apsw

from library.infrastructure.data.session_store import Delay

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class PointReader:
    """One connection that only reads, used by one thread at a time; nobody ever waits for it."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        """Prepare; `connect` opens a connection."""
        self._connect = connect
        self._guard = threading.Lock()
        self._is_closed = False
        self.connection: apsw.Connection | None = None

    def open(self) -> None:
        """Open the connection, if that was not done and is possible; blocks."""
        with self._guard:
            if self.connection is not None or self._is_closed:
                return
            try:
                self.connection = self._connect()
                self.connection.set_busy_handler(None)
            except apsw.Error as error:
                logger.debug("reading in the threads of readers only: %s", error)

    def read(self, fn: Callable[[apsw.Connection, Any], T], argument: Any) -> T | Delay:
        """Call `fn(connection, argument)`, which must look up a few rows by key at the most.

        Returns:
            Its result; `Delay.NOT_NOW` where another thread reads, the database is locked, or anything goes
            wrong: asked in a reader's thread, the question is answered, or what is wrong explained.

        """
        if not self._guard.acquire(blocking=False):
            return Delay.NOT_NOW
        try:
            return Delay.NOT_NOW if self.connection is None else fn(self.connection, argument)
        except (apsw.Error, ValueError):
            return Delay.NOT_NOW
        finally:
            self._guard.release()

    def close(self) -> None:
        """Close the connection for good."""
        with self._guard:
            self._is_closed = True
            connection, self.connection = self.connection, None
            if connection is not None:
                connection.close()
