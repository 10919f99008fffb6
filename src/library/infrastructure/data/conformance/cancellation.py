"""The contract, part six: cancellation, at every point where an operation waits."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitError
from library.infrastructure.data.conformance.foundation import PATIENCE_S, Foundation, Gate, other_tasks
from library.infrastructure.data.conformance.kinds import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind

_LIMIT = 60
"""More often than this no operation waits."""

late = pytest.mark.parametrize("is_late", [False, True], ids=["waiting", "woken"])
"""Cancelled while it waits, or when what it waits for has just come."""


class CancellationContract(Foundation):
    """Cancellation, at every point where an operation waits."""

    @late
    async def test_a_cancelled_change_happens_whole_or_not_at_all(
        self, kind: UnitKind, unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """The unit holds the former value or the new one, with its version, and goes on working."""
        async with asyncio.timeout(PATIENCE_S):
            for name, change in kind.changes.items():
                for step in range(_LIMIT):
                    await unit.set(kind.value(1))
                    before = await unit.entry()
                    ended = await end_at(step, partial(change.call, unit, kind.value(2)), is_late=is_late)

                    after = (change.result(kind.value(1), kind.value(2)), before.version + 1)
                    expected = (after,) if ended else (before[:2], after)
                    assert (await unit.entry())[:2] in expected, (name, step)
                    version = await unit.set(kind.value(3))
                    assert version - before.version in ((2,) if ended else (1, 2)), (name, step)
                    assert (kind.value(3), version) == (await unit.entry())[:2], (name, step)
                    if ended:
                        break
                else:
                    pytest.fail(f"{name} never ends")
        assert [] == other_tasks()

    @late
    async def test_a_change_cancelled_in_the_line_leaves_the_line(
        self, kind: UnitKind, unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """The same while others wait before it and behind it: each of them has its turn."""
        async with asyncio.timeout(PATIENCE_S):
            for name, change in kind.changes.items():
                for step in range(_LIMIT):
                    await unit.set(kind.value(1))
                    version = (await unit.entry()).version
                    gate = Gate()
                    async with gate.held(unit, kind.value(2)):
                        tasks = [asyncio.create_task(unit.update(kind.increment))]
                        await asyncio.sleep(0)
                        cancelled = asyncio.create_task(
                            end_at(
                                step,
                                partial(change.call, unit, kind.value(10)),
                                is_late=is_late,
                                on_suspension=gate.may_leave.set,
                            )
                        )
                        await asyncio.sleep(0)
                        tasks.append(asyncio.create_task(unit.update(lambda _: kind.value(20))))
                    try:
                        ended = await cancelled
                    except DataUnitError:  # `if_version` comes too late here
                        ended = True
                    await asyncio.gather(*tasks)

                    entry = await unit.entry()
                    assert kind.value(20) == entry.value, (name, step)
                    assert entry.version - version in (3, 4), (name, step)
                    if ended:
                        break
                else:
                    pytest.fail(f"{name} never ends")
        assert [] == other_tasks()

    @late
    async def test_a_cancelled_operation_changes_nothing(
        self, kind: UnitKind, unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """Nor does it keep others from working."""
        await unit.set(kind.value(1))
        entry = await unit.entry()
        async with asyncio.timeout(PATIENCE_S):
            for name, operation in kind.operations.items():
                for step in range(_LIMIT):
                    ended = await end_at(step, partial(operation, unit), is_late=is_late)

                    await operation(unit)
                    assert entry == await unit.entry(), (name, step)
                    if ended:
                        break
                else:
                    pytest.fail(f"{name} never ends")
            await unit.set(kind.value(2))
        assert [] == other_tasks()

    @late
    async def test_an_update_cancelled_in_fn_has_not_happened(
        self, kind: UnitKind, unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """Whatever `fn` was waiting for, the value stays and the next in line has its turn."""
        async with asyncio.timeout(PATIENCE_S):
            for step in range(_LIMIT):
                await unit.set(kind.value(1))
                begun_to_write = False

                async def fn(value: Any) -> Any:
                    nonlocal begun_to_write
                    for _ in range(3):
                        await asyncio.sleep(0)
                    begun_to_write = True
                    return kind.increment(value)

                cancelled = asyncio.create_task(end_at(step, partial(unit.update, fn), is_late=is_late))
                await asyncio.sleep(0)
                next_one = asyncio.create_task(unit.update(kind.increment))
                ended = await cancelled
                result = await next_one

                allowed = {2, 3} if begun_to_write else {2}
                assert kind.number(result) in ({3} if ended else allowed), step
                if ended:
                    break
            else:
                pytest.fail("update never ends")

    @late
    async def test_initialize_can_be_cancelled(
        self, kind: UnitKind, closed_unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """The unit is open or not; either way the next call opens it."""
        async with asyncio.timeout(PATIENCE_S):
            for step in range(_LIMIT):
                ended = await end_at(step, closed_unit.initialize, is_late=is_late)

                assert closed_unit.is_open or not ended
                await closed_unit.initialize()
                await closed_unit.set(kind.value(step))
                assert kind.value(step) == await closed_unit.get()
                await closed_unit.shutdown()
                if ended:
                    break
            else:
                pytest.fail("initialize never ends")
        assert [] == other_tasks()

    @late
    async def test_shutdown_can_be_cancelled(
        self, kind: UnitKind, closed_unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """The unit is open or not; either way the next call closes it, and it can be opened again."""
        async with asyncio.timeout(PATIENCE_S):
            for step in range(_LIMIT):
                await closed_unit.initialize()
                await closed_unit.set(kind.value(step))
                ended = await end_at(step, closed_unit.shutdown, is_late=is_late)

                if closed_unit.is_open:
                    assert not ended
                    await closed_unit.set(kind.value(step))
                await closed_unit.shutdown()
                assert not closed_unit.is_open
                if ended:
                    break
            else:
                pytest.fail("shutdown never ends")
        assert [] == other_tasks()

    @late
    async def test_lifecycle_calls_cancelled_in_the_line_leave_the_line(
        self, kind: UnitKind, closed_unit: DataUnitBase, *, is_late: bool
    ) -> None:
        """`shutdown` that waits for an update and is cancelled: the unit is closed later, or stays open."""
        async with asyncio.timeout(PATIENCE_S):
            for step in range(_LIMIT):
                await closed_unit.initialize()
                gate = Gate()
                async with gate.held(closed_unit, kind.value(1)):
                    cancelled = asyncio.create_task(
                        end_at(step, closed_unit.shutdown, is_late=is_late, on_suspension=gate.may_leave.set)
                    )
                    await asyncio.sleep(0)
                ended = await cancelled

                assert closed_unit.is_open is False or not ended
                await closed_unit.initialize()
                await closed_unit.update(kind.increment)
                if ended:
                    break
            else:
                pytest.fail("shutdown never ends")
        assert [] == other_tasks()

    @needs(Capability.DURABLE)
    @late
    async def test_what_cancelled_changes_leave_is_whole_for_the_next_unit(
        self, kind: UnitKind, place: Path, *, is_late: bool
    ) -> None:
        """A second unit finds the former value or the new one, whichever the first one had."""
        async with asyncio.timeout(PATIENCE_S):
            for name, change in kind.changes.items():
                for step in range(_LIMIT):
                    async with kind.make(place) as unit:
                        await unit.set(kind.value(1))
                        ended = await end_at(
                            step,
                            partial(change.call, unit, kind.value(2)),
                            is_late=is_late,
                        )
                    async with kind.make(place) as heir:
                        found = (await heir.entry()).value
                        after = change.result(kind.value(1), kind.value(2))
                        expected = (after,) if ended else (kind.value(1), after)
                        assert found in expected, (name, step)
                    if ended:
                        break
                else:
                    pytest.fail(f"{name} never ends")


class _CancelledAt:
    """Awaits an operation, and has its task cancelled where it suspends for the `step`-th time."""

    def __init__(
        self, step: int, operation: Awaitable[Any], on_suspension: Callable[[], object], *, is_late: bool
    ) -> None:
        self._left = step
        self._operation = operation
        self._on_suspension = on_suspension
        self._is_late = is_late

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        running = self._operation.__await__()
        resume: Callable[[], Any] = partial(running.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            asyncio.get_running_loop().call_soon(self._on_suspension)
            if self._left == 0:
                if self._is_late and awaited is not None:
                    # This comes before the task's own wake-up, which then finds itself cancelled.
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            self._left -= 1
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - all of it is the operation's
                resume = partial(running.throw, error)
            else:
                resume = partial(running.send, None)


async def end_at(
    step: int,
    start: Callable[[], Awaitable[Any]],
    *,
    is_late: bool,
    on_suspension: Callable[[], object] = lambda: None,
) -> bool:
    """Run an operation in a task, which is cancelled where it suspends for the `step`-th time (from 0).

    Args:
        step: where.
        start: calls the operation.
        is_late: cancel it when what it waits for there has just come, rather than before.
        on_suspension: called soon after each suspension.

    Returns:
        Whether the operation ended before it was cancelled.

    """

    async def drive() -> None:
        await _CancelledAt(step, start(), on_suspension, is_late=is_late)

    task = asyncio.create_task(drive())
    await asyncio.wait((task,))
    if task.cancelled():
        return False
    task.result()
    return True
