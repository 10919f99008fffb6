"""The contract, part four: `watch`."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from library.infrastructure.data import EMPTY
from library.infrastructure.data.conformance.foundation import PATIENCE_S, Foundation, run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from library.infrastructure.data import DataUnitBase, Entry
    from library.infrastructure.data.conformance.kinds import UnitKind


class WatchContract(Foundation):
    """`watch`."""

    async def test_the_present_value_comes_first(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Without `since` a watcher begins with what is there, then gets each change that it waits for."""
        await unit.set(kind.value(1))
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            first = await anext(watcher)
            assert await unit.entry() == first
            for number in range(2, 5):
                waiting = asyncio.ensure_future(anext(watcher))
                await asyncio.sleep(0)
                await unit.set(kind.value(number))
                assert (kind.value(number), number) == (await waiting)[:2]

    async def test_an_empty_unit_has_nothing_to_show(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """The watcher of a unit without a value waits for the first one, also after `clear`."""
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            await unit.set(kind.value(1))
            assert (kind.value(1), 1) == (await waiting)[:2]
        await unit.clear()
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            await unit.set(kind.value(3))
            assert (kind.value(3), 3) == (await waiting)[:2]

    async def test_a_watcher_sees_every_kind_of_change(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Whoever changes the unit in whatever way wakes the watcher; `clear` shows as `EMPTY`."""
        await unit.set(kind.value(1))
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            await anext(watcher)
            for name, change in kind.changes.items():
                await unit.set(kind.value(2))
                await anext(watcher)
                waiting = asyncio.ensure_future(anext(watcher))
                await asyncio.sleep(0)
                await change.call(unit, kind.value(3))
                assert change.result(kind.value(2), kind.value(3)) == (await waiting).value, name

    async def test_a_slow_watcher_skips_to_the_newest(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """A hundred changes that nobody waited for are one entry: the last."""
        await unit.set(kind.value(1))
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            await anext(watcher)
            await asyncio.gather(*(unit.set(kind.value(number)) for number in range(2, 101)))
            assert (kind.value(100), 100) == (await anext(watcher))[:2]

            await unit.clear()
            assert (EMPTY, 101) == (await anext(watcher))[:2]

    async def test_since_says_what_is_known(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """With `since` the first entry is newer than that version: at once, or when there is one."""
        await unit.set(kind.value(1))
        await unit.set(kind.value(2))

        async with asyncio.timeout(PATIENCE_S):
            async with watching(unit, since=1) as watcher:
                assert (kind.value(2), 2) == (await anext(watcher))[:2]
            async with watching(unit, since=2) as watcher:
                waiting = asyncio.ensure_future(anext(watcher))
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not waiting.done()
                await unit.clear()
                assert (EMPTY, 3) == (await waiting)[:2]
            async with watching(unit, since=2) as watcher:
                assert (EMPTY, 3) == (await anext(watcher))[:2]

    async def test_never_old_after_new(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """While another thread writes, versions rise, each with its own value, up to the last."""
        writes = 50
        await unit.set(kind.value(1))

        async def write() -> None:
            for number in range(2, writes + 1):
                await unit.set(kind.value(number))

        writing = asyncio.ensure_future(asyncio.to_thread(run, write))
        seen: list[int] = []
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            async for entry in watcher:
                assert kind.value(entry.version) == entry.value
                seen.append(entry.version)
                if entry.version == writes:
                    break
        await writing

        assert sorted(set(seen)) == seen

    async def test_watching_ends_at_shutdown(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Watchers that wait, those that do not, and those of other loops: their iteration ends."""
        await unit.set(kind.value(1))
        ready = threading.Event()

        async def watch_to_the_end(*, tell: bool = False) -> int:
            count = 0
            async for _ in unit.watch():
                count += 1
                if tell:
                    ready.set()
            return count

        async with asyncio.timeout(PATIENCE_S):
            elsewhere = asyncio.ensure_future(asyncio.to_thread(run, lambda: watch_to_the_end(tell=True)))
            here = [asyncio.create_task(watch_to_the_end()) for _ in range(3)]
            assert await asyncio.to_thread(ready.wait, PATIENCE_S)
            async with watching(unit) as idle:
                await anext(idle)
                await asyncio.sleep(0)

                await unit.shutdown()

                assert [1, 1, 1, 1] == await asyncio.gather(*here, elsewhere)
                with pytest.raises(StopAsyncIteration):
                    await anext(idle)

    async def test_watching_ends_though_the_unit_is_opened_again(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """A watcher belongs to one life of the unit, also when the next one follows at once."""
        await unit.set(kind.value(1))
        async with asyncio.timeout(PATIENCE_S), watching(unit) as waiting, watching(unit) as idle:
            await anext(waiting)
            await anext(idle)
            end = asyncio.ensure_future(anext(waiting, "the end"))
            await asyncio.sleep(0)
            await unit.shutdown()
            await unit.initialize()
            await unit.set(kind.value(2))

            assert ["the end", "the end"] == [await end, await anext(idle, "the end")]

    async def test_a_watcher_that_never_began_ends_too(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Iterating for the first time after the shutdown yields nothing."""
        await unit.set(kind.value(1))
        watcher = unit.watch()
        await unit.shutdown()

        with pytest.raises(StopAsyncIteration):
            await anext(watcher)

    async def test_a_watcher_in_another_loop_is_woken(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Two threads answer each other fifty times: no change waits for a poll to be noticed."""
        rounds = 50
        await unit.set(kind.value(0))

        async def take_turns(*, odd: bool) -> None:
            async with watching(unit) as watcher:
                async for entry in watcher:
                    number = kind.number(entry.value)
                    if number >= rounds:
                        return
                    if number % 2 == odd:
                        await unit.update(kind.increment)

        async with asyncio.timeout(8):
            await asyncio.gather(asyncio.to_thread(run, lambda: take_turns(odd=True)), take_turns(odd=False))

        assert kind.value(rounds) == await unit.get()

    async def test_a_cancelled_watcher_leaves_nothing_behind(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """Nobody waits on for those who left: neither is one counted, nor is its future kept."""
        await unit.set(kind.value(1))

        async def watch() -> None:
            async for _ in unit.watch():
                pass

        async def watch_and_leave() -> None:
            tasks = [asyncio.create_task(watch()) for _ in range(100)]
            for _ in range(10):
                await asyncio.sleep(0)
            assert 100 == (await unit.stats()).watchers
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        async with asyncio.timeout(PATIENCE_S):
            await watch_and_leave()
            before = pending_futures()
            for _ in range(2):
                await watch_and_leave()

        assert 0 == (await unit.stats()).watchers
        assert pending_futures() < before + 50
        await unit.set(kind.value(2))

    async def test_a_watcher_may_change_the_unit(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """The body of the loop holds nothing: it may write, and sees what it wrote."""
        await unit.set(kind.value(1))
        seen = []
        async with asyncio.timeout(PATIENCE_S), watching(unit) as watcher:
            async for entry in watcher:
                seen.append(kind.number(entry.value))
                if len(seen) == 5:
                    break
                await unit.update(kind.increment)

        assert [1, 2, 3, 4, 5] == seen

    async def test_one_watcher_does_not_hold_up_another(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Nor does it hold up a writer, however long it keeps an entry."""
        await unit.set(kind.value(1))
        async with asyncio.timeout(PATIENCE_S), watching(unit) as stalled, watching(unit) as lively:
            await anext(stalled)
            for number in range(2, 20):
                await unit.set(kind.value(number))
                assert kind.value(number) == (await anext(lively)).value
            assert kind.value(19) == (await anext(stalled)).value


def watching(unit: DataUnitBase, since: int | None = None) -> aclosing[AsyncGenerator[Entry, None]]:
    """Watch a unit, and stop at the end of the block."""
    return aclosing(cast("AsyncGenerator[Entry, None]", unit.watch(since)))


def pending_futures() -> int:
    """Count the futures of this process that nobody finished."""
    gc.collect()
    count = 0
    found: list[Any] = [each for each in gc.get_objects() if type(each) is asyncio.Future]
    for future in found:
        with suppress(ReferenceError):
            count += not future.done()
    return count
