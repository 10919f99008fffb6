"""The contract, part two: values, versions, and what is known of them."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    EMPTY,
    DataUnitError,
    InvalidOptionError,
    InvalidValueError,
    VersionConflictError,
)
from library.infrastructure.data.conformance.foundation import PATIENCE_S, Foundation, run_in_threads
from library.infrastructure.data.conformance.kinds import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind


class ValueContract(Foundation):
    """Values, versions, and what is known of them."""

    async def test_a_new_unit_is_empty(self, unit: DataUnitBase) -> None:
        """It gives `default`, does not exist, and its entry holds `EMPTY`, which is false, at version 0."""
        default = object()

        assert None is await unit.get()
        assert default is await unit.get(default)
        assert not await unit.exists()
        entry = await unit.entry()
        assert (EMPTY, 0, False) == (entry.value, entry.version, entry.exists)
        assert not EMPTY

    async def test_a_value_comes_back(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Each value that the unit can hold comes back equal, of the same type, whatever `default` is."""
        for sample in (*kind.samples, kind.value(1)):
            await unit.set(sample)

            for actual in (await unit.get("default"), (await unit.entry()).value):
                assert sample == actual
                assert type(sample) is type(actual)
            assert await unit.exists()

    @needs(Capability.HOLDS_NONE)
    async def test_none_is_a_value(self, unit: DataUnitBase) -> None:
        """A unit that holds `None` exists, and does not give `default`."""
        await unit.set(None)

        assert None is await unit.get("default")
        assert await unit.exists()
        assert None is (await unit.entry()).value

    async def test_clear_makes_it_empty(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """After `clear` the unit is as if it had never had a value, but for its version."""
        await unit.set(kind.value(1))

        await unit.clear()

        assert "default" == await unit.get("default")
        assert not await unit.exists()
        assert (EMPTY, 2) == (await unit.entry())[:2]

    async def test_what_cannot_be_held_is_refused(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """`set` and `update` raise `InvalidValueError`; the former entry stays."""
        await unit.set(kind.value(1))
        before = await unit.entry()

        for value in (EMPTY, *kind.refused):
            with pytest.raises(InvalidValueError):
                await unit.set(value)
            with pytest.raises(InvalidValueError):
                await unit.update(returning(value))

        assert before == await unit.entry()

    # -- isolation -------------------------------------------------------------------------------------------

    @needs(Capability.COPIES)
    async def test_what_was_given_can_be_changed(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """A caller that goes on with its own object does not change the unit."""
        for name in ("set", "set, if_version", "update", "async update"):
            given = kind.value(1)
            await kind.changes[name].call(unit, given)
            given["items"].append("mine")
            given["mine"] = True

            assert kind.value(1) == await unit.get(), name

    @needs(Capability.COPIES)
    async def test_what_was_returned_can_be_changed(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Whoever gets a value may do with it as they like: the unit, and all others, have their own."""
        await unit.set(kind.value(1))
        first = await anext(aiter(unit.watch()))
        updated = await unit.update(lambda value: value)

        for got in (await unit.get(), (await unit.entry()).value, first.value, updated):
            got["items"].append("mine")
            got["mine"] = True

        assert kind.value(1) == await unit.get()
        assert kind.value(1) == (await unit.entry()).value

    @needs(Capability.COPIES)
    async def test_an_update_that_fails_half_way_changes_nothing(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """`fn` may change what it was given in place; when it raises, nobody sees that."""
        await unit.set(kind.value(1))

        def spoil(value: Any) -> None:
            value["items"].clear()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await unit.update(spoil)

        assert kind.value(1) == await unit.get()

    @needs(Capability.COPIES)
    async def test_the_initial_value_is_copied(self, kind: UnitKind, place: Path) -> None:
        """Two units with one config do not share what it holds."""
        initial = kind.value(1)
        async with kind.make(place, initial_value=initial) as unit:
            (await unit.get())["items"].append("mine")
            await unit.update(lambda value: value["items"].append("mine") or value)

        assert kind.value(1) == initial

    # -- versions --------------------------------------------------------------------------------------------

    async def test_each_change_is_one_version(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Value, version and time change together, whatever the change; reading changes nothing."""
        value, version = EMPTY, 0
        for number, (name, change) in enumerate(kind.changes.items(), 1):
            for round_number in (number, number + 1000):
                before = EMPTY if value is EMPTY else await unit.get()
                await change.call(unit, kind.value(round_number))
                value, version = change.result(before, kind.value(round_number)), version + 1

                entry = await unit.entry()
                assert (value, version) == entry[:2], name
                assert entry == await unit.entry()
                assert version == unit.metadata["version"]

    async def test_the_time_of_a_change_is_utc(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """`updated_at` is aware, in UTC, near the time of the change, and never goes back."""
        await unit.set(kind.value(1))
        first = await unit.entry()
        await unit.set(kind.value(2))
        second = await unit.entry()

        assert timedelta(0) == first.updated_at.utcoffset()
        assert first.updated_at <= second.updated_at
        assert abs(datetime.now(UTC) - second.updated_at) < timedelta(minutes=1)

    async def test_set_returns_the_version(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """The number that `set` returns is that of the entry, also for an equal value and after `clear`."""
        assert 1 == await unit.set(kind.value(1))
        assert 2 == await unit.set(kind.value(1))
        await unit.clear()
        await unit.clear()
        assert 5 == await unit.set(kind.value(1))

    async def test_set_with_the_present_version_succeeds(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """0 is the version of a unit that never had a value; any other is that of its entry."""
        assert 1 == await unit.set(kind.value(1), if_version=0)
        assert 2 == await unit.set(kind.value(2), if_version=1)
        await unit.clear()
        assert 4 == await unit.set(kind.value(4), if_version=(await unit.entry()).version)

    async def test_set_with_another_version_is_refused(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """The error carries the present entry and the version expected; nothing changes."""
        with pytest.raises(VersionConflictError) as caught:
            await unit.set(kind.value(9), if_version=3)
        assert (EMPTY, 0) == caught.value.current[:2]

        await unit.set(kind.value(1))
        await unit.set(kind.value(2))
        before = await unit.entry()
        for wrong in (0, 1, 3, 2**70):
            with pytest.raises(VersionConflictError) as caught:
                await unit.set(kind.value(9), if_version=wrong)
            assert before == caught.value.current
            assert wrong == caught.value.expected
            assert unit.name in str(caught.value)
        assert before == await unit.entry()

    @pytest.mark.parametrize("version", [-1, True, 1.0, "1"])
    async def test_what_is_no_version_is_refused(
        self, kind: UnitKind, unit: DataUnitBase, version: Any
    ) -> None:
        """The error names the option; nothing changes."""
        with pytest.raises(InvalidOptionError) as caught:
            await unit.set(kind.value(1), if_version=version)
        assert "if_version" == caught.value.option

        with pytest.raises(InvalidOptionError) as caught:
            unit.watch(since=version)
        assert "since" == caught.value.option
        assert not await unit.exists()

    async def test_of_those_who_expect_one_version_one_wins(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """All others are told of the winner's entry."""
        answers = await asyncio.gather(
            *(unit.set(kind.value(number), if_version=0) for number in range(20)), return_exceptions=True
        )

        entry = await unit.entry()
        assert [1] == [answer for answer in answers if isinstance(answer, int)]
        conflicts = [answer for answer in answers if isinstance(answer, VersionConflictError)]
        assert [entry[:2]] * 19 == [conflict.current[:2] for conflict in conflicts]

    async def test_compare_and_set_loses_nothing(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Readers that retry with the entry of the conflict all get their turn, in four threads."""
        await unit.set(kind.value(0))

        async def increment() -> None:
            entry = await unit.entry()
            while True:
                try:
                    await unit.set(kind.increment(entry.value), if_version=entry.version)
                except VersionConflictError as conflict:
                    entry = conflict.current
                else:
                    return

        async def increment_thrice() -> None:
            await asyncio.gather(*(increment() for _ in range(3)))

        await asyncio.to_thread(run_in_threads, *[increment_thrice] * 4)

        assert (kind.value(12), 13) == (await unit.entry())[:2]

    async def test_versions_never_go_back(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Neither `clear` nor opening the unit again lowers the version."""
        seen = [await unit.set(kind.value(1))]
        for number in range(3):
            await unit.clear()
            seen.append((await unit.entry()).version)
            await unit.shutdown()
            await unit.initialize()
            seen.append((await unit.entry()).version)
            seen.append(await unit.set(kind.value(number)))
            await unit.shutdown()
            await unit.initialize()
            seen.append((await unit.entry()).version)

        assert sorted(seen) == seen

    async def test_a_version_has_one_value(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Opening a unit again does not put another value under a version that was seen before."""
        seen: dict[int, Any] = {}
        for number in range(4):
            entry = await unit.entry()
            assert entry.value == seen.setdefault(entry.version, entry.value)
            version = await unit.set(kind.value(number))
            seen[version] = kind.value(number)
            if number % 2:
                await unit.clear()
                seen[version + 1] = EMPTY
            await unit.shutdown()
            await unit.initialize()

    async def test_a_reader_sees_one_version_whole(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """While a thread writes, each entry has the value of its version, and none is older than the last."""
        writes = 40
        await unit.set(kind.value(1))

        async def write() -> None:
            for number in range(2, writes + 1):
                await unit.set(kind.value(number))

        async def read() -> None:
            last = 0
            while last < writes:
                entry = await unit.entry()
                assert kind.value(entry.version) == entry.value
                assert last <= entry.version
                last = entry.version
                await asyncio.sleep(0)

        await asyncio.to_thread(run_in_threads, write, read, read)

    # -- the place -------------------------------------------------------------------------------------------

    @needs(Capability.DURABLE)
    async def test_the_value_survives(self, kind: UnitKind, place: Path) -> None:
        """A second unit for the place finds each value that the first one left."""
        for sample in (*kind.samples, kind.value(1)):
            async with kind.make(place) as unit:
                await unit.set(sample)
            async with kind.make(place) as heir:
                if heir_has := await heir.exists():
                    assert sample == await heir.get()
                    assert type(sample) is type(await heir.get())
                assert heir_has or sample == "", "only the empty text may be gone"

    @needs(Capability.DURABLE)
    async def test_clear_survives(self, kind: UnitKind, place: Path) -> None:
        """A second unit for a place that was cleared is empty."""
        async with kind.make(place) as unit:
            await unit.set(kind.value(1))
            await unit.clear()

        async with kind.make(place) as heir:
            assert not await heir.exists()

    @needs(Capability.DURABLE_VERSIONS)
    async def test_the_version_survives(self, kind: UnitKind, place: Path) -> None:
        """A second unit for the place goes on from the entry of the first, also after `clear`."""
        async with kind.make(place) as unit:
            await unit.set(kind.value(1))
            await unit.set(kind.value(2))
            before = await unit.entry()
        async with kind.make(place) as heir:
            assert before == await heir.entry()
            with pytest.raises(VersionConflictError):
                await heir.set(kind.value(3), if_version=1)
            await heir.clear()
        async with kind.make(place) as heir:
            assert (EMPTY, 3) == (await heir.entry())[:2]
            assert 4 == await heir.set(kind.value(4), if_version=3)

    @needs(Capability.SHARED)
    async def test_units_for_one_place_share_the_value(
        self, kind: UnitKind, place: Path, unit: DataUnitBase
    ) -> None:
        """What one writes the other reads, under the same version; a conflict between them is noticed."""
        async with kind.make(place) as other:
            for number in range(1, 6):
                writer, reader = (unit, other) if number % 2 else (other, unit)
                assert number == await writer.set(kind.value(number), if_version=number - 1)
                assert await writer.entry() == await reader.entry()
                with pytest.raises(VersionConflictError):
                    await reader.set(kind.value(0), if_version=number - 1)
            await unit.clear()
            assert not await other.exists()

    @needs(Capability.SHARED)
    async def test_units_for_one_place_take_turns(self, kind: UnitKind, place: Path) -> None:
        """Updates by several units at once lose nothing."""

        async def increment() -> None:
            async with kind.make(place) as unit:
                await asyncio.gather(*(unit.update(kind.increment) for _ in range(5)))

        await asyncio.to_thread(run_in_threads, *[increment] * 4)

        async with kind.make(place) as unit:
            assert (kind.value(20), 20) == (await unit.entry())[:2]

    @needs(Capability.SHARED)
    async def test_units_for_one_place_may_all_set(self, kind: UnitKind, place: Path) -> None:
        """Sets by several units at once all succeed, and a reader never finds the place empty."""
        async with kind.make(place) as unit:
            await unit.set(kind.value(0))

            async def write() -> None:
                async with kind.make(place) as writer:
                    for number in range(25):
                        await writer.set(kind.value(number))
                        assert await writer.exists()

            await asyncio.to_thread(run_in_threads, *[write] * 4)

            assert (kind.value(24), 101) == (await unit.entry())[:2]

    @needs(Capability.SHARED)
    async def test_a_watcher_sees_what_another_unit_writes(
        self, kind: UnitKind, place: Path, unit: DataUnitBase
    ) -> None:
        """`watch` tells of changes to the place, whoever made them."""
        async with asyncio.timeout(PATIENCE_S), kind.make(place) as other:
            watcher = unit.watch()
            for number in range(1, 4):
                await other.set(kind.value(number))
                assert (kind.value(number), number) == (await anext(watcher))[:2]

    # -- what is known of it ---------------------------------------------------------------------------------

    async def test_metadata_holds_what_is_known(self, kind: UnitKind, place: Path) -> None:
        """Name, type, time and version are there, before the unit is opened and after it was closed."""
        unit = kind.make(place, name="the name")
        for number in range(3):
            metadata = unit.metadata
            assert "the name" == metadata["name"]
            assert str(unit.data_type) == metadata["data_type"]
            assert timedelta(0) == metadata["created_at"].utcoffset()
            assert min(number, 1) == metadata["version"]
            if number == 0:
                await unit.initialize()
                await unit.set(kind.value(1))
        await unit.shutdown()
        assert 1 == unit.metadata["version"]

    async def test_metadata_takes_notes(self, unit: DataUnitBase) -> None:
        """`set_metadata` adds a copy of what it is given, and `metadata` returns copies."""
        note = {"tags": ["a"]}
        await unit.set_metadata("note", note)
        note["tags"].append("b")
        unit.metadata["note"]["tags"].append("c")

        assert {"tags": ["a"]} == unit.metadata["note"]
        await unit.set_metadata("note", None)
        assert None is unit.metadata["note"]

    @pytest.mark.parametrize("key", ["name", "data_type", "created_at", "version", 1, None])
    async def test_metadata_of_its_own_cannot_be_set(self, unit: DataUnitBase, key: Any) -> None:
        """The unit's own entries are refused, and so is what is no text."""
        before = unit.metadata

        with pytest.raises(InvalidOptionError, match=repr(key)) as caught:
            await unit.set_metadata(key, "mine")

        assert "key" == caught.value.option
        assert before == unit.metadata

    async def test_stats_count(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Reads, writes and watchers are counted, since the unit was opened."""
        await unit.set(kind.value(1))
        await unit.update(kind.increment)
        await unit.get()
        await unit.entry()
        watcher = unit.watch()
        await anext(watcher)
        stats = await unit.stats()

        assert (2, 1) == (stats.writes, stats.watchers)
        assert Capability.UNCOUNTED_READS in kind.can or stats.reads == 2
        assert stats.bytes is None or stats.bytes > 0
        await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator
        assert 0 == (await unit.stats()).watchers
        await unit.clear()
        assert 3 == (await unit.stats()).writes

        await unit.shutdown()
        await unit.initialize()
        again = await unit.stats()
        assert (0, 0, 0) == (again.reads, again.writes, again.watchers)

    async def test_every_error_is_a_data_unit_error(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """`except DataUnitError` catches whatever the unit raises."""
        with pytest.raises(DataUnitError):
            await unit.set(EMPTY)
        with pytest.raises(DataUnitError):
            await unit.set(kind.value(1), if_version=5)
        with pytest.raises(DataUnitError):
            unit.watch(since=-1)
        await unit.shutdown()
        with pytest.raises(DataUnitError):
            await unit.get()


def returning(value: Any) -> Callable[[Any], Any]:
    """Build an `fn` for `update` that returns `value`, whatever was there."""
    return lambda _: value
