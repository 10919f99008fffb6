"""The connections of one event loop to one server.

They are held: a connection goes from hand to hand as it is, without the round trip by which asyncpg's own
pool resets it, for nothing here leaves anything behind in a session. All of a pool happens in its loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from library.infrastructure.data.errors import StorageError, UnitClosedError
from library.infrastructure.interfaces.database.postgresql.farewell import cut_half_open, dispose, take_leave
from library.infrastructure.interfaces.database.postgresql.keepalive import keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.interfaces.database.postgresql.settings import Settings

_IDLE_S: Final = 300.0
"""A connection that nobody needed for so long is closed, down to `min_size`."""
_PATIENCE_S: Final = 10.0
"""How long closing waits for connections that are in use."""


class Pool:
    """At most `max_size` connections, given out to whoever asks, first come, first served."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for the running event loop; nothing is opened yet."""
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self._idle: list[tuple[Any, float]] = []
        self._used: set[Any] = set()
        self._opening: set[asyncio.Task[Any]] = set()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._returned: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def size(self) -> int:
        """How many connections are open, or being opened."""
        return len(self._idle) + len(self._used) + len(self._opening)

    @property
    def idle_count(self) -> int:
        """How many of them nobody uses."""
        return len(self._idle)

    async def acquire(self, deadline: float) -> Any:
        """Return a connection, which must be given to `release`.

        Args:
            deadline: until when to wait for one, in the loop's time.

        Raises:
            StorageError: all were in use until then.
            UnitClosedError: the pool is closed.

        """
        while True:
            if self._is_closed:
                raise UnitClosedError(f"the database {self.settings.url} was shut down")
            connection = self._take_idle()
            if connection is None and self.size < self.settings.max_size:
                connection = await self._open()
            if connection is None:
                connection = await self._wait(deadline)
            if connection is not None:
                self._used.add(connection)
                return connection

    def _take_idle(self) -> Any:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            dispose(connection)
        return None

    async def _open(self) -> Any:
        # In a task of its own: when the loop is closed meanwhile, what is half open can still be found.
        opening = self._loop.create_task(asyncpg.connect(**self.settings.driver_options()))
        self._opening.add(opening)
        try:
            connection = await opening
        except GeneratorExit:
            raise
        except BaseException:
            self._opening.discard(opening)
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                dispose(opening.result())  # opened in the very moment in which the caller was cancelled
            self._pass_on(None)
            raise
        self._opening.discard(opening)
        keep_alive(connection)
        if self._is_closed:
            dispose(connection)
            raise UnitClosedError(f"the database {self.settings.url} was shut down")
        return connection

    async def _wait(self, deadline: float) -> Any:
        """Stand in line; return a connection, or `None` when there is room for one more."""
        turn: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(turn)
        timer = self._loop.call_at(deadline, self._give_up, turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on(turn.result())
            raise
        finally:
            timer.cancel()

    def _give_up(self, turn: asyncio.Future[Any]) -> None:
        if not turn.done():
            size = self.settings.max_size
            turn.set_exception(
                StorageError(
                    f"all {size} connections to {self.settings.url} were in use for too long: use fewer at a "
                    f"time, or raise max_size, which is {size}",
                    path=self.settings.url,
                )
            )

    def release(self, connection: Any) -> None:
        """Take a connection back; one that is closed, or within a transaction, is done away with."""
        self._used.discard(connection)
        if self._is_closed or connection.is_closed() or connection.is_in_transaction():
            dispose(connection)
            self._pass_on(None)
        else:
            self._pass_on(connection)
        if self._returned is not None and not self._used and not self._returned.done():
            self._returned.set_result(None)

    def _pass_on(self, connection: Any) -> None:
        while self._waiting and not self._loop.is_closed():
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is not None:
            now = self._loop.time()
            self._idle.append((connection, now))
            if self._idle[0][1] < now - _IDLE_S and self.size > self.settings.min_size:
                dispose(self._idle.pop(0)[0])

    async def fill(self) -> None:
        """Open what `min_size` asks for."""
        while self.size < self.settings.min_size:
            self._pass_on(await self._open())

    async def close(self) -> None:
        """Wait for a while until what is in use comes back, and close all."""
        self._is_closed = True
        if self._used:
            self._returned = self._loop.create_future()
            timer = self._loop.call_later(_PATIENCE_S, _set, self._returned)
            try:
                await self._returned
            finally:
                timer.cancel()
        idle, self._idle = self._idle, []
        used, self._used = self._used, set()
        for connection, _ in idle:
            await take_leave(connection)
        for connection in used:
            dispose(connection)
        while self._waiting:
            self._pass_on(None)

    def abandon(self, part: Callable[[Any], None] = dispose) -> None:
        """Close all at once, each by `part`; also when the loop has ended."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        used, self._used = self._used, set()
        for connection in (*(each for each, _ in idle), *used):
            part(connection)
        if self._opening and self._loop.is_closed():
            cut_half_open(self._loop)
            self._opening.clear()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
