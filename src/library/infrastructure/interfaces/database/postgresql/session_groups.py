"""Orders that are given at the same time, and share a transaction.

On each event loop, one group of a kind of orders is under way at a time; while it is, the next one gathers.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import asyncpg

from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.interfaces.database.postgresql.failures import is_conflict, is_lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

OrderT = TypeVar("OrderT")

_MOST: Final = 200
"""Orders of a group, so that a transaction is short."""


class Busy(Enum):
    """The answer to an order that was left out, since others work on the same session: it is done alone."""

    BUSY = "busy"


BUSY: Final = Busy.BUSY


@dataclass(slots=True, eq=False)
class _Entry(Generic[OrderT]):
    order: OrderT
    answer: asyncio.Future[Any]


@dataclass(slots=True, eq=False)
class _Queue(Generic[OrderT]):
    """What is under way on one event loop."""

    waiting: deque[_Entry[OrderT]] = field(default_factory=deque)
    flight: asyncio.Task[None] | None = None


class Groups(Generic[OrderT]):
    """Does orders of one kind in groups."""

    def __init__(self, run: Callable[[Sequence[OrderT]], Awaitable[Sequence[Any]]], name: str) -> None:
        """Prepare.

        Args:
            run: does orders in one transaction. It returns an answer for each: a result, `BUSY`, or an
                exception for that order alone. When it raises, nothing was done.
            name: of its tasks.

        """
        self._run = run
        self._name = f"nanobrain-{name}"
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Forget the orders of the parent, which does them itself."""
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[OrderT]] = (
            weakref.WeakKeyDictionary()
        )

    async def submit(self, order: OrderT) -> Any:
        """Have an order done, and return its answer.

        Cancelled before its group is under way, it is dropped. After that it is completed first, so that
        nothing goes on unseen.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._add_queue(loop)
        entry = _Entry(order, loop.create_future())
        queue.waiting.append(entry)
        if queue.flight is None:
            queue.flight = loop.create_task(self._fly(queue), name=self._name)
        cancelled: asyncio.CancelledError | None = None
        while not entry.answer.done():
            try:
                await asyncio.wait((entry.answer,))
            except asyncio.CancelledError as error:
                cancelled = error
                if entry in queue.waiting:
                    queue.waiting.remove(entry)
                    raise
        if cancelled is not None:
            if not entry.answer.cancelled():
                entry.answer.exception()
            raise cancelled
        return entry.answer.result()

    def _add_queue(self, loop: asyncio.AbstractEventLoop) -> _Queue[OrderT]:
        for each in [known for known in self._queues if known.is_closed()]:
            del self._queues[each]  # its orders will never be answered, nor does anybody wait
        return self._queues.setdefault(loop, _Queue())

    async def _fly(self, queue: _Queue[OrderT]) -> None:
        """Do group after group, until none has gathered."""
        while queue.waiting:
            group = [queue.waiting.popleft() for _ in range(min(_MOST, len(queue.waiting)))]
            try:
                await self._do(group)
            except asyncio.CancelledError:
                for entry in (*group, *queue.waiting):
                    entry.answer.cancel()
                queue.waiting.clear()
                queue.flight = None
                raise
        queue.flight = None

    async def _do(self, group: Sequence[_Entry[OrderT]]) -> None:
        """Do a group; what fails as a whole, or meets others, is done one by one."""
        rest = group
        if len(group) > 1:
            try:
                answers = await self._run([entry.order for entry in group])
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
                if not _may_be_due_to_one(error):
                    for entry in group:
                        _answer(entry, error)
                    return
            else:
                for entry, given in zip(group, answers, strict=True):
                    _answer(entry, given)
                rest = [entry for entry in group if not entry.answer.done()]
        for entry in rest:
            try:
                (given,) = await self._run([entry.order])
            except Exception as error:  # noqa: BLE001 - as above
                given = error
            _answer(entry, given)


def _may_be_due_to_one(error: Exception) -> bool:
    """Tell whether the server, or the driver, refused what was sent, and not because of the others there."""
    cause = error.__cause__
    is_refusal = isinstance(cause, asyncpg.PostgresError | ValueError)
    return is_refusal and not is_lost(cause) and not is_conflict(cause)


def _answer(entry: _Entry[Any], given: Any) -> None:
    if given is BUSY or entry.answer.done():
        return
    if isinstance(given, Exception):
        entry.answer.set_exception(given)
    else:
        entry.answer.set_result(given)
