"""Saves that are asked for at the same time, and share one statement, which is their transaction.

On each event loop, one group is under way at a time; while it is, the next one gathers. Whoever comes first
leads: takes a connection at once, so that closing waits for it, and stores what has gathered when its turn
comes. Others only wait for their answer.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.interfaces.database.postgresql.failures import is_conflict, is_lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from library.infrastructure.interfaces.database.postgresql.engine import Engine
    from library.infrastructure.interfaces.database.postgresql.rows import Row

_MOST: Final = 200
"""Orders of a group, so that a statement is short."""


class SaveOrder(NamedTuple):
    """A few exchanges without ids, to be stored together."""

    engine: Engine
    rows: Sequence[Row]
    searches: Sequence[str]
    """By what they are found."""


@dataclass(slots=True, eq=False)
class Entry:
    """An order that waits for its answer."""

    order: SaveOrder
    answer: asyncio.Future[Any]

    def give(self, answer: Any) -> None:
        """Answer, by a result or an exception; who was cancelled does not hear it."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


@dataclass(slots=True, eq=False)
class _Queue:
    """What is under way on one event loop."""

    waiting: deque[Entry] = field(default_factory=deque)
    is_led: bool = False
    """Whether there is somebody who is going to store what waits."""
    under_way: asyncio.Future[None] | None = None
    helper: asyncio.Task[None] | None = None


class Group:
    """The orders of one group, once its turn has come; no more are added then."""

    def __init__(self, queue: _Queue) -> None:
        """Begin with none."""
        self._queue = queue
        self._has_turn = False
        self.is_closed = False
        """Whether it has taken what waited."""
        self.entries: list[Entry] = []

    async def gather(self) -> list[Entry]:
        """Wait for this group's turn, and take what waits; a second time that is the same."""
        queue = self._queue
        if not self.is_closed:
            while queue.under_way is not None:
                await asyncio.wait((queue.under_way,))
            queue.under_way = asyncio.get_running_loop().create_future()
            self._has_turn = True
            self.take()
        return self.entries

    def take(self) -> None:
        """Take what waits; from here on, somebody else leads."""
        waiting = self._queue.waiting
        self._queue.is_led = False
        self.is_closed = True
        taken = [waiting.popleft() for _ in range(min(_MOST, len(waiting)))]
        self.entries = [entry for entry in taken if not entry.answer.done()]

    @property
    def unanswered(self) -> list[Entry]:
        """Those that wait still."""
        return [entry for entry in self.entries if not entry.answer.done()]

    def forget(self) -> None:
        """Give the turn up without telling anybody."""
        self._has_turn = False

    def end(self) -> None:
        """Let the next group have its turn."""
        if self._has_turn and self._queue.under_way is not None:
            self._queue.under_way.set_result(None)
            self._queue.under_way = None


class GroupSaving:
    """Stores orders in groups."""

    def __init__(
        self,
        store: Callable[[Engine, Callable[[], Awaitable[list[Entry]]]], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            store: takes a connection, then asks for the entries, stores them together, and answers them at
                once. Those that it does not answer were not stored, also when it raises.

        """
        self._store = store
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget the orders of the parent, which does them itself."""
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = (
            weakref.WeakKeyDictionary()
        )

    async def submit(self, order: SaveOrder) -> Any:
        """Have an order stored, and return its answer.

        Cancelled before its group is under way, it is dropped. After that it is completed.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues.setdefault(loop, _Queue())
        entry = Entry(order, loop.create_future())
        queue.waiting.append(entry)
        try:
            if not queue.is_led:
                queue.is_led = True
                await self._lead(queue, order.engine)
            return await entry.answer
        except asyncio.CancelledError:
            entry.answer.cancel()
            if entry in queue.waiting:
                queue.waiting.remove(entry)
            raise

    async def _lead(self, queue: _Queue, engine: Engine) -> None:
        """Store one group; who comes meanwhile has somebody to lead, too."""
        group = Group(queue)
        try:
            await self._store_group(engine, group)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            if not group.is_closed:
                group.take()
            for entry in group.unanswered:
                entry.give(error)
        except GeneratorExit:  # the loop is gone, and all that waited in it
            queue.waiting.clear()
            group.forget()
            raise
        except BaseException:
            queue.waiting.extendleft(reversed(group.unanswered))
            if not group.is_closed:
                queue.is_led = False
            raise
        finally:
            group.end()
            if queue.waiting and not queue.is_led:
                queue.is_led = True
                lead = self._lead(queue, queue.waiting[0].order.engine)
                queue.helper = asyncio.get_running_loop().create_task(lead)

    async def _store_group(self, engine: Engine, group: Group) -> None:
        """Store a group; what fails as a whole is stored one by one."""
        try:
            await self._store(engine, group.gather)
        except Exception as error:
            if len(group.entries) < 2 or not _may_be_due_to_one(error):
                raise
        for entry in group.unanswered:
            await self._store_alone(entry)

    async def _store_alone(self, entry: Entry) -> None:
        async def gather() -> list[Entry]:
            return [entry]

        try:
            await self._store(entry.order.engine, gather)
        except Exception as error:  # noqa: BLE001 - as above
            entry.give(error)


def _may_be_due_to_one(error: Exception) -> bool:
    """Tell whether the server, or the driver, refused what was sent, and not because of the others there."""
    cause = error.__cause__
    is_refusal = isinstance(cause, asyncpg.PostgresError | ValueError)
    return is_refusal and not is_lost(cause) and not is_conflict(cause)
