"""The contract, part seven: any sequence of changes, compared with a plain model."""

# ruff: noqa: S101 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.data import EMPTY, VersionConflictError
from library.infrastructure.data.conformance.foundation import Foundation, run

if TYPE_CHECKING:
    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind


class Call(NamedTuple):
    """One call of a sequence."""

    name: str
    number: int
    """Of the value that it writes."""
    offset: int
    """How far its `if_version` is from the unit's version."""


NAMES = ("set", "update", "increment", "failing update", "clear", "if_version", "change", "get")
CALLS = st.builds(Call, st.sampled_from(NAMES), st.integers(0, 50), st.integers(-2, 1))


class SequenceContract(Foundation):
    """Any sequence of changes, compared with a plain model."""

    @given(calls=st.lists(CALLS, max_size=20))
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_sequence_of_changes(self, kind: UnitKind, place: Path, calls: list[Call]) -> None:
        """After each call the unit has the value and the version of the model."""

        async def main() -> None:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                async with kind.make(Path(folder)) as unit:
                    value, version = EMPTY, 0
                    for call in calls:
                        value, version = await _call(kind, unit, call, value, version)
                        assert (value, version) == (await unit.entry())[:2]
                        assert (value is not EMPTY) is await unit.exists()
                        default = object()
                        assert (default if value is EMPTY else value) == await unit.get(default)

        run(main)


async def _call(kind: UnitKind, unit: DataUnitBase, call: Call, value: Any, version: int) -> tuple[Any, int]:
    """Make one call to the unit, and return what the model then holds."""
    new = kind.value(call.number)
    match call.name:
        case "set":
            assert version + 1 == await unit.set(new)
        case "update":
            assert new == await unit.update(lambda _: new)
        case "increment":
            new = kind.value(call.number)
            await unit.update(lambda _: kind.value(call.number - 1))
            assert new == await unit.update(kind.increment)
            return new, version + 2
        case "failing update":
            with pytest.raises(ZeroDivisionError):
                await unit.update(lambda _: 1 // 0)
            return value, version
        case "clear":
            await unit.clear()
            return EMPTY, version + 1
        case "if_version":
            expected = max(0, version + call.offset)
            if expected != version:
                with pytest.raises(VersionConflictError) as caught:
                    await unit.set(new, if_version=expected)
                assert (value, version) == caught.value.current[:2]
                return value, version
            assert version + 1 == await unit.set(new, if_version=expected)
        case "change":
            change = list(kind.changes.values())[call.number % len(kind.changes)]
            await change.call(unit, new)
            return change.result(value, new), version + 1
        case _:
            return value, version
    return new, version + 1
