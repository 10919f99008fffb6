"""Waiting for the next change, and waking whoever waits, in whatever event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Iterable

Waiters = dict["asyncio.Future[None]", None]
"""Who waits, in the order of coming; a dict, so that one that gives up leaves at once."""


class Wakeup:
    """The waiters of one unit; its methods are called under the lock that guards the unit's state."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget who waits in the parent."""
        self.waiters: Waiters = {}

    def join(self) -> asyncio.Future[None]:
        """Stand in line; the future is done at the next change."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = None
        return waiter

    def leave(self, waiter: asyncio.Future[None]) -> None:
        """Stop waiting."""
        self.waiters.pop(waiter, None)

    def take(self) -> Waiters:
        """Take all who wait, to be woken with `wake` once the lock is released."""
        waiters, self.waiters = self.waiters, {}
        return waiters


def wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    """Wake the waiters: those of the running loop directly, those of another with one call for each loop."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    elsewhere: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for waiter in waiters:
        loop = waiter.get_loop()
        if loop is not here:
            elsewhere.setdefault(loop, []).append(waiter)
        elif not waiter.done():
            waiter.set_result(None)
    for loop, theirs in elsewhere.items():
        try:
            loop.call_soon_threadsafe(_finish, theirs)
        except RuntimeError:  # that loop was closed, and its tasks with it
            continue


def _finish(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
