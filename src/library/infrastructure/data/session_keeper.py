"""What a session manager does in the background: cleaning up, and writing activity that is held in memory."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from library.infrastructure.data.session_manager import SessionManager

logger = logging.getLogger(__name__)


class SessionKeeper:
    """Two tasks on the event loop that was running when it was made.

    They do not keep their manager alive: one that was forgotten can be collected.
    """

    def __init__(self, manager: SessionManager) -> None:
        """Start to clean up every `cleanup_interval`, and to flush in good time after each `wake()`."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        config, reference = manager.config, weakref.ref(manager)
        jobs = [_flush(reference, self._woken, config.held_for.total_seconds())]
        if config.cleanup_interval is not None:
            jobs.append(_clean_up(reference, config.cleanup_interval.total_seconds()))
        self._tasks = [self._loop.create_task(job, name="nanobrain-session-keeper") for job in jobs]

    def wake(self) -> None:
        """Have activity written soon that is held in memory; may be called in any thread."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            logger.debug("the event loop of a session manager was closed: `shutdown` writes what is held")

    async def stop(self) -> None:
        """End the tasks, and wait for their end; may be called on any event loop."""
        if asyncio.get_running_loop() is self._loop:
            await self._end()
        elif self._loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))
        else:
            self.abandon()

    async def _end(self) -> None:
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.wait(others)

    def abandon(self) -> None:
        """End the tasks without waiting."""
        for task in self._tasks:
            try:
                self._loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:  # the loop was closed, and its tasks with it
                return


async def _clean_up(reference: weakref.ref[SessionManager], interval_s: float) -> None:
    """Clean up again and again, whatever goes wrong."""
    while True:
        await asyncio.sleep(interval_s)
        manager = reference()
        if manager is None or not manager.is_open:
            return
        try:
            await manager.cleanup_expired_sessions()
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be gone the next time
            if manager.is_open:
                logger.warning("cleaning up sessions failed, and will be tried again: %s", error)
        del manager


async def _flush(reference: weakref.ref[SessionManager], woken: asyncio.Event, held_s: float) -> None:
    """Write what is held in memory a while after it is said that there is something."""
    while True:
        await woken.wait()
        woken.clear()
        await asyncio.sleep(held_s)
        manager = reference()
        if manager is None or not manager.is_open:
            return
        try:
            await manager.flush()
        except Exception as error:  # noqa: BLE001 - as above
            if manager.is_open:
                logger.warning("writing the activity of sessions failed, and will be tried again: %s", error)
                woken.set()
        del manager
