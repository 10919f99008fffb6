"""What each event loop has of its own: connections, which are bound to the loop in which they were opened.

They are closed with the adapter, or with their loop, whichever ends first. A loop that ends (`asyncio.run`)
closes the asynchronous generators that were begun in it: one of them stands guard here. A loop that was
closed without that is noticed when another asks for connections.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import UnitClosedError
from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.interfaces.database.postgresql.farewell import disown, dispose
from library.infrastructure.interfaces.database.postgresql.pools import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from library.infrastructure.interfaces.database.postgresql.settings import Settings

_PATIENCE_S: Final = 15.0
"""How long closing waits for other loops."""


class Home:
    """The pools of one event loop."""

    def __init__(self, settings: Settings, replicas: Sequence[Settings]) -> None:
        """Prepare for the running loop."""
        self.loop = asyncio.get_running_loop()
        self.primary = Pool(settings)
        self.replicas = [Pool(each) for each in replicas]
        self._guard: AsyncGenerator[None, None] | None = None

    async def stand_guard(self) -> None:
        """Have the loop close the connections when it ends."""
        self._guard = self._until_the_end()
        await anext(self._guard)

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._close_pools()

    async def _close_pools(self) -> None:
        for pool in (self.primary, *self.replicas):
            await pool.close()

    async def close(self) -> None:
        """Close all; called in the loop."""
        await self._close_pools()
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()

    def abandon(self, part: Callable[[Any], None] = dispose) -> None:
        """Close all at once, each by `part`."""
        for pool in (self.primary, *self.replicas):
            pool.abandon(part)


class Homes:
    """The homes of all event loops that use one engine."""

    def __init__(self, settings: Settings, replicas: Sequence[Settings]) -> None:
        """Prepare."""
        self._settings = settings
        self._replicas = replicas
        self._guard = threading.Lock()
        self._homes: dict[asyncio.AbstractEventLoop, Home] = {}
        self._is_closed = False
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent; this process opens its own when it needs some."""
        self._guard = threading.Lock()
        homes, self._homes = self._homes, {}
        for home in homes.values():
            home.abandon(disown)

    async def here(self) -> Home:
        """Return the home of the running loop.

        Raises:
            UnitClosedError: all was closed.

        """
        loop = asyncio.get_running_loop()
        home = self._homes.get(loop)
        if home is None:
            with self._guard:
                if self._is_closed:
                    raise UnitClosedError(f"the database {self._settings.url} was shut down")
                ended = [each for each in self._homes if each.is_closed()]
                left = [self._homes.pop(each) for each in ended]
                home = self._homes[loop] = Home(self._settings, self._replicas)
            for each in left:
                each.abandon()
            await home.stand_guard()
        return home

    def all(self) -> list[Home]:
        """Return the homes of all loops."""
        with self._guard:
            return list(self._homes.values())

    def _take_all(self) -> list[Home]:
        with self._guard:
            self._is_closed = True
            homes, self._homes = list(self._homes.values()), {}
            return homes

    async def close(self) -> None:
        """Close all connections, each in its own loop where that runs."""
        here = asyncio.get_running_loop()
        elsewhere = []
        for home in self._take_all():
            if home.loop is here:
                await home.close()
            elif home.loop.is_running():
                elsewhere.append(asyncio.run_coroutine_threadsafe(home.close(), home.loop))
            else:
                home.abandon()
        if elsewhere:
            await asyncio.wait([asyncio.wrap_future(each) for each in elsewhere], timeout=_PATIENCE_S)

    def abandon(self) -> None:
        """Close all connections at once; called from anywhere."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for home in self._take_all():
            if home.loop.is_running() and home.loop is not here:
                home.loop.call_soon_threadsafe(home.abandon)
            else:
                home.abandon()
