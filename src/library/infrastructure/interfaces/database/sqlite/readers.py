"""The threads that read, each with its own connection: they wait neither for writes nor for each other."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import apsw

from library.infrastructure.data.errors import UnitClosedError
from library.infrastructure.interfaces.database.sqlite.answers import deliver
from library.infrastructure.interfaces.database.sqlite.failures import damaged, translate
from library.infrastructure.interfaces.database.sqlite.latency import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ReadJob = tuple["Callable[[apsw.Connection], Any]", "asyncio.Future[Any]", float]


class Readers:
    """Up to `size` threads, started as they are needed; a job goes to the one that was busy last.

    One task that reads again and again so stays with one connection, whose cache knows what it reads.
    """

    def __init__(self, connect: Callable[[], apsw.Connection], path: str, size: int) -> None:
        """Prepare.

        Args:
            connect: opens a connection that only reads.
            path: what errors call the database.
            size: the most threads.

        """
        self.connect = connect
        self.path = path
        self._size = size
        self._guard = threading.Lock()
        self._readers: list[_Reader] = []
        self._idle: list[_Reader] = []
        self._waiting: deque[ReadJob] = deque()
        self._is_closed = False
        self.latencies = Latencies()

    @property
    def connections(self) -> list[apsw.Connection]:
        """The connections that are open."""
        return [reader.connection for reader in self._readers if reader.connection is not None]

    async def read(
        self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `fn(connection, *args)` in a thread, and wait for its result.

        Raises:
            UnitClosedError: the database is closed or closing.
            DataUnitError: whatever went wrong.

        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit((lambda connection: fn(connection, *args, **kwargs), answer, time.perf_counter()))
        return await answer

    def _submit(self, job: ReadJob) -> None:
        with self._guard:
            if self._is_closed:
                raise UnitClosedError(f"cannot read {self.path}: the database was shut down")
            if self._idle:
                reader = self._idle.pop()
            elif len(self._readers) < self._size:
                reader = _Reader(self)
                self._readers.append(reader)
            else:
                self._waiting.append(job)
                return
        reader.jobs.put(job)

    def next_job(self, reader: _Reader) -> ReadJob | None:
        """Return what waits longest; if nothing does, take note that a reader has nothing to do."""
        with self._guard:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(reader)
            if self._is_closed:
                reader.jobs.put(None)
            return None

    def close(self) -> None:
        """Let the threads finish what is queued, and then close their connections; returns at once."""
        with self._guard:
            if not self._is_closed:
                self._is_closed = True
                for reader in self._idle:
                    reader.jobs.put(None)

    def join(self) -> None:
        """Wait for the threads' end."""
        for reader in self._readers:
            reader.thread.join()


class _Reader:
    """One thread and its connection."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.jobs: queue.SimpleQueue[ReadJob | None] = queue.SimpleQueue()
        self.connection: apsw.Connection | None = None
        self.thread = threading.Thread(target=self._work, name="nanobrain-sqlite-reader", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        job = self.jobs.get()
        while job is not None:
            result = self._do(job)
            following = self._readers.next_job(self)  # before the answer is delivered, or another would start
            self._readers.latencies.add(time.perf_counter() - job[2])
            deliver([(job[1], result)])
            del job, result
            job = following or self.jobs.get()
        self._close()

    def _do(self, job: ReadJob) -> Any:
        fn, answer, _ = job
        if answer.cancelled():
            return None
        try:
            if self.connection is None:
                self.connection = self._readers.connect()
            result = fn(self.connection)
        except apsw.Error as error:
            result = translate(error, "read", self._readers.path)
        except ValueError as error:
            result = damaged(error, "read", self._readers.path)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
            result = error
        if self.connection is not None and self.connection.in_transaction:
            self._roll_back(self.connection)
        return result

    def _roll_back(self, connection: apsw.Connection) -> None:
        """End a transaction that was left open; a connection that cannot do that is given up."""
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            logger.exception("cannot end a transaction on %s", self._readers.path)
            self._close()

    def _close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
