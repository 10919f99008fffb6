"""The threads in which all file work happens, shared by all units of a process."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")


class _Workers:
    """A thread pool that is started when first used, and anew in a forked child."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Start over: the parent's threads do not exist here."""
        self.pool = ThreadPoolExecutor(
            max_workers=min(32, (os.cpu_count() or 1) + 4), thread_name_prefix="nanobrain-data"
        )


_workers = _Workers()


def submit(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run `job` in a worker thread.

    Raises:
        RuntimeError: the interpreter is shutting down.

    """
    return _workers.pool.submit(job, *args, **kwargs)


async def run_in_worker(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `job` in a worker thread and wait for its end, also when cancelled, so that no job runs on unseen.

    Returns:
        What `job` returned. A cancelled caller gets its `CancelledError` once the job has ended.

    """
    return await _to_the_end(asyncio.wrap_future(submit(job, *args, **kwargs)))


async def run_in_thread(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `job` as `run_in_worker` does, in a thread of its own: for jobs so long that others cannot wait."""
    with _thread() as thread:
        return await _to_the_end(asyncio.wrap_future(thread.submit(job, *args, **kwargs)))


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nanobrain-data-long")
    try:
        yield thread
    finally:
        thread.shutdown(wait=False)  # it has nothing left to do


async def _to_the_end(running: asyncio.Future[T]) -> T:
    """Wait for a job's end, also when cancelled."""
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()
