"""Single flight: of all who ask for the same missing thing, one makes it, and the others wait."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.errors import ReentrantUpdateError
from library.infrastructure.data.fork_safety import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

_leading: ContextVar[tuple[Flight, ...]] = ContextVar("nanobrain_data_flights", default=())


class LeaderCancelledError(Exception):
    """The one who made the thing was cancelled: somebody else must."""


class Flight:
    """One thing that is being made; what costs time is made only when somebody waits for it."""

    __slots__ = ("landing",)

    def __init__(self) -> None:
        self.landing: Future[Any] | None = None


class SingleFlight:
    """The things of one unit that are being made now, by key; for tasks of any loop.

    Whoever gets a flight from `begin` makes the thing, and calls `land` or `crash`. All others `wait`.
    """

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget the flights of the parent."""
        self._guard = threading.RLock()
        self._flights: dict[Hashable, Flight] = {}

    def begin(self, key: Hashable) -> Flight | None:
        """Return a flight of the caller's own, if nobody makes the thing yet."""
        flight = Flight()
        return flight if self._flights.setdefault(key, flight) is flight else None

    def land(self, key: Hashable, flight: Flight, value: Any, keep: Callable[[], None]) -> None:
        """Give `value` to those who wait, and `keep` it, unless `forget` was called meanwhile."""
        guard = self._guard
        guard.acquire()  # without `with`, which takes as long as what it guards
        try:
            if self._flights.get(key) is flight:
                keep()
                del self._flights[key]
            landing = flight.landing
        finally:
            guard.release()
        if landing is not None:
            landing.set_result(value)

    def crash(self, key: Hashable, flight: Flight, error: BaseException) -> None:
        """Give an error to those who wait; after a cancellation, one of them makes the thing."""
        with self._guard:
            if self._flights.get(key) is flight:
                del self._flights[key]
            landing = flight.landing
        if landing is not None:
            landing.set_exception(error if isinstance(error, Exception) else LeaderCancelledError())

    async def lead(self, flight: Flight, making: Awaitable[Any]) -> Any:
        """Wait for what the holder of `flight` makes; within that, `wait` for the same flight is refused."""
        former = _leading.get()
        _leading.set((*former, flight))
        try:
            return await making
        finally:
            _leading.set(former)

    async def wait(self, key: Hashable) -> Any:
        """Wait for what somebody else makes.

        Raises:
            LeaderCancelledError: they were cancelled, or have finished just now: look again.
            ReentrantUpdateError: the caller is the one who makes it.

        """
        with self._guard:
            flight = self._flights.get(key)
            if flight is None:
                raise LeaderCancelledError
            if flight in _leading.get():
                message = f"the factory of key {key!r} asked for that key itself"
                raise ReentrantUpdateError(message)
            if flight.landing is None:
                flight.landing = Future()
                flight.landing.set_running_or_notify_cancel()
            landing = flight.landing
        return await asyncio.wrap_future(landing)

    def forget(self, key: Hashable) -> None:
        """Let what is being made for `key` reach those who wait, but not be kept: it is out of date."""
        with self._guard:
            self._flights.pop(key, None)

    def forget_all(self) -> None:
        """Do so for every key."""
        with self._guard:
            self._flights.clear()
