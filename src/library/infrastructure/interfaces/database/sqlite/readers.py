"""The threads that read, each with its own connection: they wait neither for writes nor for each other."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import apsw

from library.infrastructure.data.errors import UnitClosedError
from library.infrastructure.interfaces.database.sqlite.answers import deliver
from library.infrastructure.interfaces.database.sqlite.failures import translate
from library.infrastructure.interfaces.database.sqlite.latency import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ReadJob = tuple["Callable[[apsw.Connection], Any]", "asyncio.Future[Any]", float]


class Readers:
    """Up to `size` threads, started as they are needed."""

    def __init__(self, connect: Callable[[], apsw.Connection], path: str, size: int) -> None:
        """Prepare.

        Args:
            connect: opens a connection that only reads.
            path: what errors call the database.
            size: the most threads.

        """
        self._connect = connect
        self._path = path
        self._size = size
        self._queue: queue.SimpleQueue[ReadJob | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._idle = 0
        self._is_closed = False
        self._threads: list[threading.Thread] = []
        self.connections: list[apsw.Connection] = []
        self.latencies = Latencies()

    async def read(
        self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `fn(connection, *args)` in a thread, and wait for its result.

        Raises:
            UnitClosedError: the database is closed or closing.
            DataUnitError: whatever went wrong.

        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._guard:
            if self._is_closed:
                raise UnitClosedError(f"cannot read {self._path}: the database was shut down")
            self._queue.put((lambda connection: fn(connection, *args, **kwargs), answer, time.perf_counter()))
            if self._queue.qsize() > self._idle and len(self._threads) < self._size:
                thread = threading.Thread(target=self._work, name="nanobrain-sqlite-reader", daemon=True)
                self._threads.append(thread)
                thread.start()
        return await answer

    def close(self) -> None:
        """Let the threads finish what is queued, and then close their connections; returns at once."""
        with self._guard:
            if not self._is_closed:
                self._is_closed = True
                for _ in self._threads:
                    self._queue.put(None)

    def join(self) -> None:
        """Wait for the threads' end."""
        for thread in self._threads:
            thread.join()

    # -- in a thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        connection: apsw.Connection | None = None
        while (job := self._next()) is not None:
            fn, answer, queued_at = job
            if answer.cancelled():
                continue
            result: Any
            try:
                if connection is None:
                    connection = self._connect()
                    self.connections.append(connection)
                result = fn(connection)
            except apsw.Error as error:
                result = translate(error, "read", self._path)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
                result = error
            if connection is not None and connection.in_transaction:
                connection = self._roll_back(connection)
            self.latencies.add(time.perf_counter() - queued_at)
            deliver([(answer, result)])
            del job, fn, answer, result
        if connection is not None:
            self._close(connection)

    def _roll_back(self, connection: apsw.Connection) -> apsw.Connection | None:
        """End a transaction that was left open; a connection that cannot do that is given up."""
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            logger.exception("cannot end a transaction on %s", self._path)
            self._close(connection)
            return None
        return connection

    def _close(self, connection: apsw.Connection) -> None:
        self.connections.remove(connection)
        connection.close()

    def _next(self) -> ReadJob | None:
        with self._guard:
            self._idle += 1
        try:
            return self._queue.get()
        finally:
            with self._guard:
                self._idle -= 1
