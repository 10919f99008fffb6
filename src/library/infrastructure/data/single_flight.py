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

_leading: ContextVar[tuple[Future[Any], ...]] = ContextVar("nanobrain_data_flights", default=())


class _LeaderCancelledError(Exception):
    """The one who made the thing was cancelled: somebody else must."""


class SingleFlight:
    """The things of one unit that are being made now, by key; for tasks of any loop."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget the flights of the parent."""
        self._guard = threading.RLock()
        self._flights: dict[Hashable, Future[Any]] = {}

    async def run(
        self, key: Hashable, make: Callable[[], Awaitable[Any]], keep: Callable[[Any], None]
    ) -> Any:
        """Return what `make` returns, or what another caller's `make` for the same key returns.

        Args:
            key: names the thing.
            make: makes it; an error reaches all who wait. Of a cancelled one nobody hears: the next in line
                makes it.
            keep: stores what was made, unless `forget` was called meanwhile.

        Raises:
            ReentrantUpdateError: `make` asks for the very thing that it is making.

        """
        while True:
            flight, is_mine = self._join(key)
            if is_mine:
                return await self._lead(key, flight, make, keep)
            if flight in _leading.get():
                message = f"the factory of key {key!r} asked for that key itself"
                raise ReentrantUpdateError(message)
            try:
                return await asyncio.wrap_future(flight)
            except _LeaderCancelledError:
                continue

    def _join(self, key: Hashable) -> tuple[Future[Any], bool]:
        """Return the flight for `key`, and whether it begins with this call."""
        with self._guard:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Future()
            flight.set_running_or_notify_cancel()
            return flight, True

    def forget(self, key: Hashable) -> None:
        """Let what is being made for `key` reach those who wait, but not be kept: it is out of date."""
        with self._guard:
            self._flights.pop(key, None)

    def forget_all(self) -> None:
        """Do so for every key."""
        with self._guard:
            self._flights.clear()

    async def _lead(
        self,
        key: Hashable,
        flight: Future[Any],
        make: Callable[[], Awaitable[Any]],
        keep: Callable[[Any], None],
    ) -> Any:
        former = _leading.get()
        _leading.set((*former, flight))
        try:
            value = await make()
            with self._guard:
                if self._flights.get(key) is flight:
                    keep(value)
        except Exception as error:
            self._land(key, flight)
            flight.set_exception(error)
            raise
        except BaseException:
            self._land(key, flight)
            flight.set_exception(_LeaderCancelledError())
            raise
        finally:
            _leading.set(former)
        self._land(key, flight)
        flight.set_result(value)
        return value

    def _land(self, key: Hashable, flight: Future[Any]) -> None:
        with self._guard:
            if self._flights.get(key) is flight:
                del self._flights[key]
