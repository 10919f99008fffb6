"""The one thread that writes: it takes all that waits into one transaction, so that many share one fsync.

Jobs of any task, thread and loop queue up. While one batch is on its way to the disk, the next gathers. No
savepoint stands between the jobs of a batch, for FTS5 would flush its index at each: when a job fails, the
whole batch is rolled back and each job done alone, so that the bad one fails alone.

*Upkeep* is work that may be put off, such as bringing the full-text index up to date: it is done when it is
due, or when nothing else waits, in transactions of its own that do not wait for the disk. What of it a power
failure takes back is simply due again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import apsw

from library.infrastructure.data.errors import UnitClosedError
from library.infrastructure.interfaces.database.sqlite.answers import deliver
from library.infrastructure.interfaces.database.sqlite.connection import Synchronous, set_synchronous
from library.infrastructure.interfaces.database.sqlite.failures import HOPELESS, damaged, translate
from library.infrastructure.interfaces.database.sqlite.latency import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from library.infrastructure.interfaces.database.sqlite.answers import Answer

logger = logging.getLogger(__name__)

_BATCH_JOBS: Final = 1000
_REST_S: Final = 2.0
"""How long upkeep rests that could not be done."""
_IDLE_S: Final = 0.2
"""How long nothing may be asked for before upkeep is done that is not due yet."""
_CHECKPOINT_PAGES: Final = 4000
"""From so many pages on, the write-ahead log is copied into the database: as many as one table of the log's
index holds. Four times SQLite's default: pages that are written again and again are copied once."""
_RETRY_PAGES: Final = 1000
"""After so many more it is tried again, when a reader was in the way."""
_WORRYING_PAGES: Final = 16_384


class Upkeep(Protocol):
    """Work that may be put off."""

    in_transaction: bool
    """Whether it is done within a transaction."""

    def is_pending(self) -> bool:
        """Tell whether there is something to do."""

    def is_due(self) -> bool:
        """Tell whether it should be done now, though others wait."""

    def is_overdue(self) -> bool:
        """Tell whether nothing else should be done before."""

    def run(self, connection: apsw.Connection) -> bool:
        """Do a part of it that takes some tens of milliseconds; tell whether that was possible."""


@dataclass(slots=True)
class Job:
    """Something to be written, and who waits for it."""

    run: Callable[[apsw.Connection, Sequence[Any]], Sequence[Any]]
    """Does several jobs of its kind at once: takes their payloads, returns an answer for each."""
    payload: Any
    answer: asyncio.Future[Any]
    attempted: str
    """What errors call it."""
    in_transaction: bool = True
    queued_at: float = field(default_factory=time.perf_counter)


class Writer:
    """Owns the connection that writes, and the thread in which it does."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        synchronous: Synchronous,
        wait_for_others: Callable[[], None],
        when_closed: Callable[[], None],
        check_place: Callable[[], None],
    ) -> None:
        """Take over an open connection, and start.

        Args:
            connection: used by nobody else from now on.
            path: what errors call the database.
            synchronous: how the connection is set.
            wait_for_others: returns when all others have closed their connections; called in the end.
            when_closed: called when this one is closed, too.
            check_place: raises if the file is not there any more.

        """
        self._check_place = check_place
        self._wait_for_others = wait_for_others
        self._when_closed = when_closed
        self._connection = connection
        self._path = path
        self._synchronous: Synchronous = synchronous
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._is_closed = False
        self._upkeep: list[Upkeep] = []
        self._log_pages = 0
        self._checkpoint_at = _CHECKPOINT_PAGES
        self._worried = False
        self._rests_until = 0.0
        self.commits = 0
        self.jobs = 0
        self.largest_batch = 0
        self.latencies = Latencies()
        connection.set_wal_hook(self._on_log)
        self._thread = threading.Thread(target=self._work, name="nanobrain-sqlite-writer", daemon=True)
        self._thread.start()

    def add_upkeep(self, upkeep: Upkeep) -> None:
        """Look after some upkeep from now on."""
        self._upkeep.append(upkeep)

    @property
    def queue_depth(self) -> int:
        """How many jobs wait."""
        return self._queue.qsize()

    @property
    def log_bytes(self) -> int:
        """The size of the write-ahead log at the last commit of this writer."""
        return self._log_pages * 4096

    async def submit(
        self,
        run: Callable[[apsw.Connection, Sequence[Any]], Sequence[Any]],
        payload: Any,
        attempted: str,
        *,
        in_transaction: bool = True,
    ) -> Any:
        """Have a job done, and wait for its answer.

        Cancelled before it is taken up, a job is dropped; after that it is completed, though nobody waits.

        Args:
            run: see `Job`.
            payload: what `run` is given for this job.
            attempted: what errors call it, as in "cannot ...".
            in_transaction: whether it shares a transaction with others; else it is done alone, outside one.

        Raises:
            UnitClosedError: the database is closed or closing.
            DataUnitError: whatever went wrong.

        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        job = Job(run, payload, answer, attempted, in_transaction)
        with self._guard:
            if self._is_closed:
                raise UnitClosedError(f"cannot {attempted} {self._path}: the database was shut down")
            self._queue.put(job)
        return await answer

    def close(self) -> None:
        """Let the thread finish what is queued, and then close the connection; returns at once."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            self._queue.put(None)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    # -- in the thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        ended = False
        idle_s = _IDLE_S
        while not ended:
            batch, ended = self._next_batch(idle_s)
            idle_s = _IDLE_S
            if batch:
                self._do(batch)
                self._do_upkeep(lambda each: each.is_due())
            elif not ended:
                idle_s = 0.0 if self._do_upkeep(lambda each: each.is_pending()) else _REST_S
            self._checkpoint_if_due()
        self._close_connection()

    def _next_batch(self, idle_s: float) -> tuple[list[Job], bool]:
        """Wait for a job, and take all others that wait; also tell whether this is the end.

        Where there is upkeep to be done, the wait ends without a job after `idle_s` seconds.
        """
        is_pending = any(upkeep.is_pending() for upkeep in self._upkeep)
        try:
            first = self._queue.get(timeout=idle_s if is_pending else None)
        except queue.Empty:
            return [], False
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < _BATCH_JOBS:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _do(self, batch: list[Job]) -> None:
        """Do jobs in their order, those that follow each other within a transaction in one."""
        together: list[Job] = []
        for job in batch:
            if job.answer.cancelled():
                continue
            if job.in_transaction:
                together.append(job)
                continue
            self._commit(together)
            together = []
            deliver([(job.answer, self._run_alone(job))])
        self._commit(together)

    def _commit(self, jobs: list[Job]) -> None:
        """Do jobs in one transaction, and answer them; when that fails, do each in one of its own."""
        if not jobs:
            return
        try:
            answers = self._transact(jobs)
        except apsw.Error as error:
            if len(jobs) == 1 or isinstance(error, HOPELESS):
                answers = [(job.answer, translate(error, job.attempted, self._path)) for job in jobs]
            else:
                answers = [answer for job in jobs for answer in self._transact_alone(job)]
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
            if len(jobs) == 1:
                answers = [(jobs[0].answer, error)]
            else:
                answers = [answer for job in jobs for answer in self._transact_alone(job)]
        deliver(answers)
        now = time.perf_counter()
        self.latencies.add(*[now - job.queued_at for job in jobs])

    def _transact_alone(self, job: Job) -> list[Answer]:
        try:
            return self._transact([job])
        except apsw.Error as error:
            return [(job.answer, translate(error, job.attempted, self._path))]
        except BaseException as error:  # noqa: BLE001 - as above
            return [(job.answer, error)]

    def _transact(self, jobs: list[Job]) -> list[Answer]:
        """Do jobs in one transaction; raises when one of them fails, and then nothing has changed."""
        self._check_place()
        connection = self._connection
        answers: list[Answer] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            start = 0
            while start < len(jobs):
                end = start + 1
                while end < len(jobs) and jobs[end].run == jobs[start].run:
                    end += 1
                alike = jobs[start:end]
                results = alike[0].run(connection, [job.payload for job in alike])
                answers += [(job.answer, result) for job, result in zip(alike, results, strict=True)]
                start = end
            connection.execute("COMMIT")
        except ValueError as error:
            self._roll_back()
            raise damaged(error, jobs[0].attempted, self._path) from error
        except BaseException:
            self._roll_back()
            raise
        self.commits += 1
        self.jobs += len(jobs)
        self.largest_batch = max(self.largest_batch, len(jobs))
        return answers

    def _roll_back(self) -> None:
        """End a transaction that failed; SQLite has ended it itself after some errors."""
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except apsw.Error:
                logger.exception("cannot roll back a transaction on %s", self._path)

    def _run_alone(self, job: Job) -> Any:
        try:
            return job.run(self._connection, [job.payload])[0]
        except apsw.Error as error:
            self._roll_back()
            return translate(error, job.attempted, self._path)
        except ValueError as error:
            self._roll_back()
            return damaged(error, job.attempted, self._path)
        except BaseException as error:  # noqa: BLE001 - as above
            self._roll_back()
            return error

    # -- upkeep ----------------------------------------------------------------------------------------------

    def _do_upkeep(self, wanted: Callable[[Upkeep], bool]) -> bool:
        """Do one part of each upkeep that is wanted, and all of what is overdue.

        Returns:
            Whether all of it was possible. What was not is left alone for a while, and then tried again.

        """
        if time.monotonic() < self._rests_until:
            return False
        is_done = True
        for upkeep in tuple(self._upkeep):
            try:
                if wanted(upkeep):
                    is_done = self.run_upkeep(self._connection, upkeep) and is_done
                while upkeep.is_overdue():
                    self.run_upkeep(self._connection, upkeep)
            except Exception as error:  # noqa: BLE001 - whatever it is, this thread has to go on writing
                is_done = False
                self._rests_until = time.monotonic() + _REST_S
                logger.warning("upkeep of %s failed, and will be tried again: %s", self._path, error)
        return is_done

    def run_upkeep(self, connection: apsw.Connection, upkeep: Upkeep) -> bool:
        """Do one part of some upkeep, without waiting for the disk; called in the writer's thread."""
        if not upkeep.in_transaction:
            return upkeep.run(connection)
        set_synchronous(connection, "normal")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                is_done = upkeep.run(connection)
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        finally:
            set_synchronous(connection, self._synchronous)
        return is_done

    # -- the write-ahead log ---------------------------------------------------------------------------------

    def _on_log(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._log_pages = pages
        return 0

    def _checkpoint_if_due(self) -> None:
        """Copy the log into the database once it is long; warn when a reader keeps it from ending."""
        if self._log_pages < self._checkpoint_at:
            if self._log_pages < _CHECKPOINT_PAGES:
                self._checkpoint_at = _CHECKPOINT_PAGES
                self._worried = False
            return
        try:
            pages, copied = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another process is at it
            pages, copied = self._log_pages, 0
        except apsw.Error as error:
            logger.warning("cannot checkpoint %s, and will try again: %s", self._path, error)
            pages, copied = self._log_pages, 0
        self._checkpoint_at = _CHECKPOINT_PAGES if copied == pages else self._log_pages + _RETRY_PAGES
        if copied < pages and pages >= _WORRYING_PAGES and not self._worried:
            self._worried = True
            logger.warning(
                "the write-ahead log of %s has %d MB, and grows: a reader in some process keeps a "
                "transaction open",
                self._path,
                pages * 4096 >> 20,
            )

    def _close_connection(self) -> None:
        self._wait_for_others()
        try:
            self._connection.set_wal_hook(None)
            self._connection.close()
        except apsw.Error as error:
            logger.warning("closing %s: %s", self._path, error)
        self._when_closed()
