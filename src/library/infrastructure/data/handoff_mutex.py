"""A first-come-first-served mutex for tasks of any event loop in any thread.

`asyncio.Lock` binds itself to a loop, and only under contention, so its failures hide from tests. Here the
state is guarded by a thread lock that is held for a few lines at a time, and ownership is handed to the next
in line by calling its callback: a waiting task is woken in its own loop, a batch of writes starts in a worker
thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING

from library.infrastructure.data.errors import ReentrantUpdateError
from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable


class HandoffMutex:
    """A fair mutex that works across event loops and threads; see the module's text."""

    def __init__(self) -> None:
        self.guard = threading.RLock()
        """Guards the mutex, and whatever else must change together with it; never held over an await."""
        self.locked = False
        self._waiting: deque[Callable[[], bool]] = deque()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Be free again: whoever held it, or waited, did so in the parent."""
        self.guard = threading.RLock()
        self.locked = False
        self._waiting = deque()

    def hold(self) -> _Hold:
        """Own the mutex for the length of an `async with` block.

        Raises:
            ReentrantUpdateError: on entering from within such a block, where it would wait for itself for
                ever.

        """
        return _Hold(self)

    def request(self, granted: Callable[[], bool]) -> None:
        """Call `granted` once the mutex is the caller's: at once, or later from the thread that releases it.

        Args:
            granted: returns whether it still wants the mutex; it must not wait, nor raise.

        """
        with self.guard:
            if self.locked:
                self._waiting.append(granted)
                return
            self.locked = True
        if not granted():
            self.release()

    def release(self) -> None:
        """Give the mutex to the next in line who still wants it, if there is one."""
        while True:
            with self.guard:
                if not self._waiting:
                    self.locked = False
                    return
                granted = self._waiting.popleft()
            if granted():
                return

    def check_not_held(self) -> None:
        """Refuse a call from within `hold()` of this mutex.

        Raises:
            ReentrantUpdateError: this task, or the one that started it, holds the mutex.

        """
        holds = _holds.get()
        if holds and any(hold.active and hold.mutex is self for hold in holds):
            raise ReentrantUpdateError


class _Hold:
    """One task's hold on a mutex, known to that task and to those that it starts."""

    __slots__ = ("active", "former", "mutex")

    def __init__(self, mutex: HandoffMutex) -> None:
        self.mutex = mutex
        self.active = False

    async def __aenter__(self) -> None:
        mutex = self.mutex
        mutex.check_not_held()
        with mutex.guard:
            turn = _Turn(mutex) if mutex.locked else None
            if turn is None:
                mutex.locked = True
            else:
                mutex.request(turn.grant)
        if turn is not None:
            await turn.wait()
        self.active = True
        self.former = former = _holds.get()
        _holds.set((*(hold for hold in former if hold.active), self) if former else (self,))

    async def __aexit__(self, *exc_info: object) -> None:
        self.active = False
        _holds.set(self.former)
        self.mutex.release()


_holds: ContextVar[tuple[_Hold, ...]] = ContextVar("nanobrain_data_holds", default=())


class _Turn:
    """A task's place in the line."""

    __slots__ = ("future", "gone", "granted", "loop", "mutex")

    def __init__(self, mutex: HandoffMutex) -> None:
        self.mutex = mutex
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        self.granted = False
        self.gone = False

    async def wait(self) -> None:
        """Wait for the mutex; a waiter that is cancelled when it was just handed over passes it on."""
        try:
            await self.future
        except BaseException:
            with self.mutex.guard:
                self.gone = True
            if self.granted:
                self.mutex.release()
            raise

    def grant(self) -> bool:
        """Take the mutex over; called from any thread."""
        with self.mutex.guard:
            if self.gone:
                return False
            try:
                self.loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                self.gone = True
                return False
            self.granted = True
            return True

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
