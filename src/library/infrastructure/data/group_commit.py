"""Group commit: writes that are asked for at the same time share one trip to the disk.

Jobs of any task, loop or thread queue up; a worker thread takes all that wait as one batch, applies it under
the unit's mutex, and answers each. While one batch is on its way to the disk the next one gathers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from library.infrastructure.data import worker
from library.infrastructure.data.errors import DataUnitError
from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from library.infrastructure.data.handoff_mutex import HandoffMutex

JobT = TypeVar("JobT")


class GroupCommit(Generic[JobT]):
    """Applies the jobs of many callers in batches."""

    def __init__(
        self,
        mutex: HandoffMutex,
        apply: Callable[[Sequence[JobT]], Sequence[Any]],
        afterwards: Callable[[], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            mutex: held while a batch is applied.
            apply: runs in a worker thread; takes the jobs in the order of their coming and returns an answer
                for each: a result, or an exception for that job alone. When it raises, all jobs of the batch
                get the exception.
            afterwards: runs in the worker thread when a batch was answered and nobody waits; must not raise.

        """
        self._mutex = mutex
        self._apply = apply
        self._afterwards = afterwards
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget the jobs of the parent, which does them itself."""
        self._guard = threading.Lock()
        self._gathering: list[tuple[JobT, Future[Any]]] = []

    async def submit(self, job: JobT) -> Any:
        """Have `job` applied, and wait for its answer.

        Cancelled before its batch is taken up, a job is dropped; after that it is completed, though nobody
        waits.
        """
        return await asyncio.wrap_future(self.submit_from_thread(job))

    def submit_from_thread(self, job: JobT) -> Future[Any]:
        """Have `job` applied; the future has its answer."""
        answer: Future[Any] = Future()
        with self._guard:
            first = not self._gathering
            self._gathering.append((job, answer))
        if first:
            self._mutex.request(self._start)
        return answer

    def _start(self) -> bool:
        """Send the batch to a worker thread, now that the mutex is ours."""
        try:
            worker.submit(self._run)
        except RuntimeError as error:
            for _, answer in self._take():
                answer.set_exception(_shutting_down(error))
            return False
        return True

    def _take(self) -> list[tuple[JobT, Future[Any]]]:
        """Take all that has gathered, less what was cancelled."""
        with self._guard:
            batch, self._gathering = self._gathering, []
        return [(job, answer) for job, answer in batch if answer.set_running_or_notify_cancel()]

    def _run(self) -> None:
        """Apply one batch and answer it."""
        batch = self._take()
        try:
            answers = self._apply([job for job, _ in batch]) if batch else ()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            answers = [error] * len(batch)
        finally:
            self._mutex.release()
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if self._afterwards is not None:
            time.sleep(0)  # let those who were answered go first
            self._afterwards()


def _shutting_down(cause: RuntimeError) -> DataUnitError:
    """Build the error for writes that come too late."""
    error = DataUnitError("the write came while the interpreter was shutting down: nothing was written")
    error.__cause__ = cause
    return error
