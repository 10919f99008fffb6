"""What a session manager does in the background: cleaning up, and writing activity that is held in memory."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from library.infrastructure.data.session_manager import SessionManager

logger = logging.getLogger(__name__)

_A_LITTLE_LATER: Final = 1.1
"""So that a session in use has been written again by then, by a touch, and need not be now."""


class SessionKeeper:
    """Tasks on the event loop that was running when it was made.

    They do not keep their manager alive: one that was forgotten can be collected.
    """

    def __init__(self, manager: SessionManager) -> None:
        """Start to clean up every `cleanup_interval`, and to flush in good time after each `wake()`."""
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._manager = weakref.ref(manager)
        self._held_s = manager.config.held_for.total_seconds()
        self._is_stopped = False
        self._must_flush = False
        self._flushing: asyncio.Task[None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        if manager.config.cleanup_interval is not None:
            job = _clean_up(self._manager, manager.config.cleanup_interval.total_seconds())
            self._cleaning = self._loop.create_task(job, name="nanobrain-session-cleanup")

    def wake(self) -> None:
        """Have activity written soon that is held in memory; may be called in any thread."""
        try:
            self._loop.call_soon_threadsafe(self._flush_soon)
        except RuntimeError:
            logger.debug("the event loop of a session manager was closed: `shutdown` writes what is held")

    def _flush_soon(self) -> None:
        if self._is_stopped:
            return
        self._must_flush = True
        if self._flushing is None or self._flushing.done():
            self._flushing = self._loop.create_task(self._flush(), name="nanobrain-session-flush")

    async def _flush(self) -> None:
        """Write what is held in memory after a while, and again as long as there is more."""
        while self._must_flush:
            self._must_flush = False
            await asyncio.sleep(_A_LITTLE_LATER * self._held_s)
            manager = self._manager()
            if manager is None or not manager.is_open:
                return
            try:
                self._must_flush = await manager.flush_quiet() or self._must_flush
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone the next time
                self._must_flush = True
                _warn(manager, "writing the activity of sessions", error)
            del manager

    async def stop(self) -> None:
        """End the tasks, and wait for their end; may be called on any event loop."""
        if os.getpid() != self._process:  # a child: nobody runs that loop here, nor those tasks
            return
        if asyncio.get_running_loop() is self._loop:
            await self._end()
        elif self._loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))
        else:
            self.abandon()

    async def _end(self) -> None:
        tasks = self._cancel()
        if tasks:
            await asyncio.wait(tasks)

    def abandon(self) -> None:
        """End the tasks without waiting."""
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            logger.debug("the event loop of a session manager was closed, and its tasks with it")

    def _cancel(self) -> list[asyncio.Task[None]]:
        """Cancel the tasks, but not one that shuts the manager down itself, from within `on_expired`."""
        self._is_stopped = True
        self._must_flush = False
        tasks = [task for task in (self._cleaning, self._flushing) if task and not _is_current(task)]
        for task in tasks:
            task.cancel()
        return tasks


def _is_current(task: asyncio.Task[None]) -> bool:
    return task is asyncio.current_task(task.get_loop())


async def _clean_up(reference: weakref.ref[SessionManager], interval_s: float) -> None:
    """Clean up again and again, whatever goes wrong."""
    while True:
        await asyncio.sleep(interval_s)
        manager = reference()
        if manager is None or not manager.is_open:
            return
        try:
            await manager.cleanup_expired_sessions()
        except Exception as error:  # noqa: BLE001 - as above
            _warn(manager, "cleaning up sessions", error)
        if not manager.is_open:  # `on_expired` shut it down
            return
        del manager


def _warn(manager: SessionManager, attempted: str, error: Exception) -> None:
    if manager.is_open:
        logger.warning("%s failed, and will be tried again: %s", attempted, error)
