"""The contract, part three: `update`, the atomic read-modify-write."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ReentrantUpdateError
from library.infrastructure.data.conformance.foundation import (
    PATIENCE_S,
    Foundation,
    Gate,
    run,
    run_in_threads,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import Change, UnitKind


class UpdateContract(Foundation):
    """`update`, the atomic read-modify-write."""

    async def test_update_takes_a_function(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """`fn` gets the value, `None` if there is none, and its result is stored and returned."""
        given: list[Any] = []

        def change(value: Any) -> Any:
            given.append(value)
            return kind.increment(value)

        assert kind.value(1) == await unit.update(change)
        assert kind.value(2) == await unit.update(change)
        await unit.clear()
        assert kind.value(1) == await unit.update(change)

        assert [None, kind.value(1), None] == given
        assert (kind.value(1), 4) == (await unit.entry())[:2]

    async def test_update_takes_a_coroutine_function(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """`fn` may await; it runs once."""
        calls = 0

        async def change(value: Any) -> Any:
            nonlocal calls
            calls += 1
            for _ in range(3):
                await asyncio.sleep(0)
            return kind.increment(value)

        assert kind.value(1) == await unit.update(change)
        assert kind.value(2) == await unit.update(change)

        assert 2 == calls
        assert (kind.value(2), 2) == (await unit.entry())[:2]

    async def test_what_fn_raises_is_raised(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Nothing changes then, and the next in line has its turn."""
        await unit.set(kind.value(1))
        before = await unit.entry()

        def fail(_: Any) -> Any:
            raise ZeroDivisionError

        async def fail_later(_: Any) -> Any:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        answers = await asyncio.gather(
            *(unit.update(fn) for fn in (fail, fail_later, kind.increment)), return_exceptions=True
        )

        assert [ZeroDivisionError, ZeroDivisionError] == [type(answer) for answer in answers[:2]]
        assert kind.value(2) == answers[2]
        assert before.version + 1 == (await unit.entry()).version

    async def test_fifty_tasks_lose_nothing(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Functions and coroutine functions mixed: each sees the result of the one before."""

        async def increment_later(value: Any) -> Any:
            await asyncio.sleep(0)
            return kind.increment(value)

        results = await asyncio.gather(
            *(unit.update(increment_later if number % 2 else kind.increment) for number in range(50))
        )

        assert [kind.value(number) for number in range(1, 51)] == results
        assert (kind.value(50), 50) == (await unit.entry())[:2]

    async def test_four_threads_lose_nothing(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Each thread has its own loop and several tasks, some of which await within the update."""

        async def increment_later(value: Any) -> Any:
            await asyncio.sleep(0)
            return kind.increment(value)

        async def increment_ten_times() -> None:
            await asyncio.gather(*(unit.update(increment_later) for _ in range(5)))
            await asyncio.gather(*(unit.update(kind.increment) for _ in range(5)))

        await asyncio.to_thread(run_in_threads, *[increment_ten_times] * 4)

        assert (kind.value(40), 40) == (await unit.entry())[:2]

    def test_two_runs_in_a_row_with_contention(self, kind: UnitKind, place: Path) -> None:
        """`asyncio.run` may be called again and again on one unit, with tasks that wait in each."""
        unit = kind.make(place)

        async def increment_later(value: Any) -> Any:
            await asyncio.sleep(0)
            return kind.increment(value)

        async def main() -> Any:
            await unit.initialize()
            watcher = unit.watch(since=unit.metadata["version"])
            next_entry = asyncio.ensure_future(anext(watcher))
            await asyncio.gather(*(unit.update(increment_later) for _ in range(10)))
            await next_entry
            await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator
            return await unit.get()

        assert [kind.value(10), kind.value(20)] == [run(main), run(main)]
        run(unit.shutdown)

    async def test_no_write_comes_in_between(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """While an update awaits, every other change waits; readers see the former value."""
        for name, change in kind.changes.items():
            await unit.set(kind.value(1))
            before = await unit.entry()
            async with asyncio.timeout(PATIENCE_S), Gate().held(unit, kind.value(2)) as update:
                task = asyncio.ensure_future(change.call(unit, kind.value(3)))
                for _ in range(10):
                    await asyncio.sleep(0)

                assert not task.done(), name
                assert before == await unit.entry(), name
            assert kind.value(2) == await update, name

            if name == "set, if_version":
                with pytest.raises(Exception, match="version"):
                    await task
                assert kind.value(2) == await unit.get()
                continue
            await task
            expected = change.result(kind.value(2), kind.value(3))
            assert (expected, before.version + 2) == (await unit.entry())[:2], name

    async def test_changes_wait_in_the_order_of_their_coming(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """The first to come is the first to go on: nobody is passed over for ever."""
        order: list[int] = []

        def note(number: int) -> Callable[[Any], Any]:
            def change(value: Any) -> Any:
                order.append(number)
                return kind.increment(value)

            return change

        async with asyncio.timeout(PATIENCE_S), Gate().held(unit, kind.value(1)):
            tasks = []
            for number in range(10):
                tasks.append(asyncio.create_task(unit.update(note(number))))
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)

        assert list(range(10)) == order

    # -- calling the unit from within ------------------------------------------------------------------------

    async def test_calling_the_unit_from_within_raises(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Whatever is called: `ReentrantUpdateError`, not a deadlock; the value stays."""
        await unit.set(kind.value(1))
        before = await unit.entry()

        async with asyncio.timeout(PATIENCE_S):
            for name, call in calls_from_within(kind).items():

                async def fn(_: Any, call: Callable[[Any], Awaitable[object]] = call) -> Any:
                    await call(unit)
                    return kind.value(2)

                with pytest.raises(ReentrantUpdateError):
                    await unit.update(fn)
                assert before == await unit.entry(), name

    async def test_calling_the_unit_from_a_task_of_fn_raises(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """A task that was started within `fn`, and is awaited there, would wait for itself as well."""
        await unit.set(kind.value(1))

        async with asyncio.timeout(PATIENCE_S):
            for name, call in calls_from_within(kind).items():

                async def fn(_: Any, call: Callable[[Any], Awaitable[object]] = call) -> Any:
                    async def in_task() -> None:
                        await call(unit)

                    await asyncio.create_task(in_task())
                    return kind.value(2)

                with pytest.raises(ReentrantUpdateError):
                    await unit.update(fn)
                assert (kind.value(1), 1) == (await unit.entry())[:2], name

    async def test_fn_may_handle_the_error(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """An `fn` that was refused may return a value all the same."""

        async def fn(_: Any) -> Any:
            with pytest.raises(ReentrantUpdateError):
                await unit.get()
            with pytest.raises(ReentrantUpdateError):
                await unit.update(kind.increment)
            return kind.value(1)

        assert kind.value(1) == await unit.update(fn)

    async def test_a_task_of_fn_may_use_the_unit_later(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """After the update the tasks that `fn` started are tasks like any other."""
        update_is_over = asyncio.Event()
        tasks: list[asyncio.Task[Any]] = []

        async def go_on() -> Any:
            await update_is_over.wait()
            await unit.get()
            return await unit.update(kind.increment)

        async def fn(value: Any) -> Any:
            tasks.append(asyncio.create_task(go_on()))
            return kind.increment(value)

        async with asyncio.timeout(PATIENCE_S):
            await unit.update(fn)
            update_is_over.set()
            assert kind.value(2) == await tasks[0]

    async def test_fn_may_use_another_unit(self, kind: UnitKind, unit: DataUnitBase, place: Path) -> None:
        """Only the unit itself is out of reach: others may be read and updated within `fn`."""
        other_place = place / "other"
        other_place.mkdir()
        async with asyncio.timeout(PATIENCE_S), kind.make(other_place) as other:

            async def fn(value: Any) -> Any:
                await other.update(kind.increment)
                await other.set(kind.increment(await other.get()))
                return kind.increment(value)

            await unit.update(fn)

            assert kind.value(1) == await unit.get()
            assert kind.value(2) == await other.get()


def calls_from_within(kind: UnitKind) -> dict[str, Callable[[Any], Awaitable[object]]]:
    """Return the calls that `fn` must not make."""
    calls: dict[str, Callable[[Any], Awaitable[object]]] = {
        name: kind.operations[name] for name in ("get", "exists", "entry", "watch")
    }
    for name, change in kind.changes.items():
        calls[name] = partial(_change_to_nine, kind, change)
    calls["initialize"] = lambda unit: unit.initialize()
    calls["shutdown"] = lambda unit: unit.shutdown()
    return calls


async def _change_to_nine(kind: UnitKind, change: Change, unit: DataUnitBase) -> None:
    await change.call(unit, kind.value(9))
