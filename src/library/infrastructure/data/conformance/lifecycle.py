"""The contract, part one: how a unit is opened and closed."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import gc
import re
import time
import warnings
from typing import TYPE_CHECKING, NamedTuple

import pytest

from library.infrastructure.data import (
    LockTimeoutError,
    NotInitializedError,
    StorageError,
    UnitClosedError,
)
from library.infrastructure.data.conformance.foundation import (
    PATIENCE_S,
    Foundation,
    Gate,
    run,
    run_in_threads,
)
from library.infrastructure.data.conformance.kinds import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind


class LifecycleContract(Foundation):
    """How a unit is opened and closed."""

    async def test_nothing_works_before_initialize(self, kind: UnitKind, closed_unit: DataUnitBase) -> None:
        """Every operation of a unit that was never opened raises an error that names unit and remedy."""
        for name, operation in kind.operations.items():
            with pytest.raises(NotInitializedError, match="initialize") as caught:
                await operation(closed_unit)
            assert closed_unit.name in str(caught.value), name
        for change in kind.changes.values():
            with pytest.raises(NotInitializedError):
                await change.call(closed_unit, kind.value(1))
        assert not closed_unit.is_open

    async def test_nothing_works_after_shutdown(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Every operation of a unit that was shut down raises `UnitClosedError`, as helpful as the other."""
        await unit.set(kind.value(1))
        await unit.shutdown()

        for name, operation in kind.operations.items():
            with pytest.raises(UnitClosedError, match="initialize") as caught:
                await operation(unit)
            assert unit.name in str(caught.value), name
        for change in kind.changes.values():
            with pytest.raises(UnitClosedError):
                await change.call(unit, kind.value(1))
        assert not unit.is_open

    async def test_initialize_and_shutdown_may_be_called_twice(
        self, kind: UnitKind, closed_unit: DataUnitBase
    ) -> None:
        """A second call does nothing: an open unit keeps its value, a closed one stays closed."""
        await closed_unit.shutdown()
        with pytest.raises(NotInitializedError):
            await closed_unit.get()

        await closed_unit.initialize()
        await closed_unit.set(kind.value(1))
        await closed_unit.initialize()
        assert kind.value(1) == await closed_unit.get()

        await closed_unit.shutdown()
        await closed_unit.shutdown()
        assert not closed_unit.is_open

    async def test_a_unit_can_be_opened_again(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """After `shutdown` comes `initialize`, as often as one likes, and the unit works."""
        for number in range(1, 4):
            await unit.set(kind.value(number))
            assert kind.value(number) == await unit.get()
            await unit.shutdown()
            await unit.initialize()

    async def test_async_with_opens_and_closes(self, kind: UnitKind, closed_unit: DataUnitBase) -> None:
        """The block has the open unit; it is closed behind it, also when the block raises."""
        async with closed_unit as same:
            assert same is closed_unit
            assert closed_unit.is_open
        with pytest.raises(UnitClosedError):
            await closed_unit.get()

        with pytest.raises(ZeroDivisionError):
            async with closed_unit:
                await closed_unit.set(kind.value(1 // 0))
        assert not closed_unit.is_open

    def test_each_call_may_come_from_another_loop(self, kind: UnitKind, place: Path) -> None:
        """A unit is opened in one event loop, used in a second, and closed in a third."""
        unit = kind.make(place)

        run(unit.initialize)
        run(lambda: unit.set(kind.value(1)))
        assert kind.value(1) == run(unit.get)
        run(unit.shutdown)

        assert not unit.is_open

    async def test_many_may_open_and_close_at_once(self, kind: UnitKind, closed_unit: DataUnitBase) -> None:
        """Of many calls at once, from tasks of four threads, one opens, or closes, and all return."""

        async def open_ten_times() -> None:
            await asyncio.gather(*(closed_unit.initialize() for _ in range(10)))

        async def close_ten_times() -> None:
            await asyncio.gather(*(closed_unit.shutdown() for _ in range(10)))

        await asyncio.to_thread(run_in_threads, *[open_ten_times] * 4)
        await closed_unit.set(kind.value(1))
        assert kind.value(1) == await closed_unit.get()

        await asyncio.to_thread(run_in_threads, *[close_ten_times] * 4)
        assert not closed_unit.is_open

    async def test_shutdown_waits_for_an_update_at_work(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """What was begun is finished; what came after `shutdown` is refused."""
        async with asyncio.timeout(PATIENCE_S), Gate().held(unit, kind.value(1)) as update:
            closing = asyncio.create_task(unit.shutdown())
            await asyncio.sleep(0)
            late = asyncio.create_task(unit.set(kind.value(2)))
            await asyncio.sleep(0)
            assert not closing.done()

        await closing
        assert kind.value(1) == await update
        with pytest.raises(UnitClosedError):
            await late

    async def test_an_open_unit_that_is_collected_warns(self, kind: UnitKind, place: Path) -> None:
        """The `ResourceWarning` names the unit and what to do; the place is free at once."""
        (warning,) = await open_and_forget(kind, place)

        assert ResourceWarning is warning.category
        assert re.match(r"forgotten was never shut down: .*shutdown", warning.text)
        async with kind.make(place) as heir:
            await heir.set(kind.value(2))

    @needs(Capability.DURABLE)
    async def test_an_open_unit_that_is_collected_loses_nothing(self, kind: UnitKind, place: Path) -> None:
        """What was acknowledged is found by the next unit."""
        await open_and_forget(kind, place)

        async with kind.make(place) as heir:
            assert kind.value(1) == await heir.get()

    async def test_a_closed_unit_that_is_collected_is_silent(self, kind: UnitKind, place: Path) -> None:
        """Neither a unit that was never opened warns, nor one that was shut down."""
        for _ in range(2):
            unit = kind.make(place)
            del unit
            gc.collect()
            async with kind.make(place) as used:
                await used.set(kind.value(1))
            del used
            gc.collect()

    async def test_repr_shows_type_name_and_phase(self, kind: UnitKind, place: Path) -> None:
        """The text tells three phases apart, and names the unit."""
        unit = kind.make(place, name="the name")
        texts = [repr(unit)]
        await unit.initialize()
        texts.append(repr(unit))
        await unit.shutdown()
        texts.append(repr(unit))

        assert 3 == len(set(texts))
        assert all(type(unit).__name__ in text and "the name" in text for text in texts)

    async def test_the_initial_value_is_that_of_a_new_unit(self, kind: UnitKind, place: Path) -> None:
        """It is there when the unit is opened, as a version of its own, and counts as no write."""
        async with kind.make(place, initial_value=kind.value(7)) as unit:
            entry = await unit.entry()

            assert kind.value(7) == entry.value
            assert 1 == entry.version
            assert 0 == (await unit.stats()).writes

    @needs(Capability.DURABLE)
    async def test_the_initial_value_does_not_replace_data(self, kind: UnitKind, place: Path) -> None:
        """A place that has a value keeps it."""
        async with kind.make(place) as unit:
            await unit.set(kind.value(1))

        async with kind.make(place, initial_value=kind.value(7)) as unit:
            assert kind.value(1) == await unit.get()

    @needs(Capability.CAN_FAIL_TO_OPEN)
    async def test_a_unit_that_fails_to_open_is_not_open(
        self, kind: UnitKind, place: Path, closed_unit: DataUnitBase
    ) -> None:
        """`initialize` raises, nothing stays open, and a later call succeeds."""
        assert kind.obstruct is not None
        with kind.obstruct(place):
            for _ in range(2):
                with pytest.raises(StorageError) as caught:
                    await closed_unit.initialize()
                assert caught.value.path in str(caught.value)
            assert not closed_unit.is_open
            with pytest.raises(NotInitializedError):
                await closed_unit.get()

        await closed_unit.initialize()
        await closed_unit.set(kind.value(1))
        assert kind.value(1) == await closed_unit.get()

    @needs(Capability.EXCLUSIVE)
    async def test_a_place_in_use_is_refused(self, kind: UnitKind, place: Path, unit: DataUnitBase) -> None:
        """A second unit cannot open it, until the first one has shut down."""
        await unit.set(kind.value(1))
        second = kind.make(place, lock_timeout_s=0.0)

        with pytest.raises(LockTimeoutError):
            await second.initialize()
        assert not second.is_open
        await unit.set(kind.value(2))
        await unit.shutdown()

        async with second:
            assert kind.value(2) == await second.get()


class Warned(NamedTuple):
    """A warning, without the object that it is about."""

    category: type[Warning]
    text: str


async def open_and_forget(kind: UnitKind, place: Path) -> list[Warned]:
    """Leave a unit open, have it collected, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        unit = kind.make(place, name="forgotten")
        await unit.initialize()
        await unit.set(kind.value(1))
        del unit
        deadline = time.monotonic() + PATIENCE_S
        while not caught and time.monotonic() < deadline:  # a worker thread may hold it for a moment
            gc.collect()
        return [Warned(each.category, str(each.message)) for each in caught]
