"""`UnitKind`: a kind of data unit under the contract, and what it can do."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from library.infrastructure.data import EMPTY, DataUnitBase

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

TestT = TypeVar("TestT", bound=Callable[..., object])


class Capability(Flag):
    """What a kind of unit can do beyond what all can."""

    NONE = 0
    """Nothing more."""
    HOLDS_NONE = auto()
    """`None` is among the values that it holds."""
    COPIES = auto()
    """What callers do to a container that they gave or got does not reach the unit; `UnitKind.value` makes
    dicts that hold the list `items`."""
    DURABLE = auto()
    """A second unit, made for the same place, finds the value of the first one."""
    DURABLE_VERSIONS = auto()
    """It finds its version and its time as well."""
    SHARED = auto()
    """Several units may have the same place open at once."""
    EXCLUSIVE = auto()
    """One unit at a time has the place open; the others, and children of a fork, are refused."""
    FORKABLE = auto()
    """An open unit works in a forked child."""
    UNCOUNTED_READS = auto()
    """It is so quick to read that its statistics leave reads out."""
    CAN_FAIL_TO_OPEN = auto()
    """`UnitKind.obstruct` keeps a unit from being opened."""


class Make(Protocol):
    """Makes a unit that is not open yet."""

    def __call__(self, place: Path, /, **options: Any) -> DataUnitBase:
        """Make a unit that is not open yet.

        Args:
            place: a folder of the test's own, empty at first.
            options: those of `DataUnitConfig`.

        """


class Change(NamedTuple):
    """A way to change a unit."""

    call: Callable[[Any, Any], Awaitable[object]]
    """Takes the unit and a value, changes the unit once, by one version."""
    result: Callable[[Any, Any], Any] = lambda _, value: value
    """Takes the former value and the value given to `call`; returns what the unit holds afterwards."""


def numbered_document(number: int) -> Any:
    """Make a value that tells its number."""
    return {"number": number, "items": [number]}


def number_of_document(value: Any) -> int:
    """Return the number of such a value."""
    number: int = value["number"]
    if value["items"] != [number]:
        message = f"the value is torn: {value}"
        raise AssertionError(message)
    return number


@dataclass(frozen=True, kw_only=True)
class UnitKind:
    """A kind of data unit: all that the contract needs to know of it."""

    name: str
    """Names the tests."""
    make: Make = field(repr=False)
    """Makes a unit; two made for one place are about the same data, if the kind is durable."""
    can: Capability = Capability.NONE
    """What it can do."""
    value: Callable[[int], Any] = field(default=numbered_document, repr=False)
    """Makes values that it can hold, a different one for each number."""
    number: Callable[[Any], int] = field(default=number_of_document, repr=False)
    """Returns the number of such a value."""
    samples: tuple[Any, ...] = field(default=(), repr=False)
    """Other values, which come back equal and of the same type."""
    refused: tuple[Any, ...] = field(default=(), repr=False)
    """Values that it cannot hold."""
    more_changes: Mapping[str, Change] = field(default_factory=dict, repr=False)
    """Ways to change it beyond those that every unit has."""
    more_operations: Mapping[str, Callable[[Any], Awaitable[object]]] = field(
        default_factory=dict, repr=False
    )
    """Calls of its own that leave the value as it is."""
    obstruct: Callable[[Path], AbstractContextManager[object]] | None = field(default=None, repr=False)
    """While the context lasts, a unit for that place cannot be opened."""

    def increment(self, value: Any) -> Any:
        """Return the value whose number is one higher; `None` counts as zero."""
        return self.value(1 + (0 if value is None else self.number(value)))

    @property
    def changes(self) -> Mapping[str, Change]:
        """All ways to change it, by name."""

        async def set_if_version(unit: DataUnitBase, value: Any) -> None:
            await unit.set(value, if_version=unit.metadata["version"])

        async def later(value: Any) -> Any:
            return value

        return {
            "set": Change(lambda unit, value: unit.set(value)),
            "set, if_version": Change(set_if_version),
            "update": Change(lambda unit, value: unit.update(lambda _: value)),
            "async update": Change(lambda unit, value: unit.update(lambda _: later(value))),
            "clear": Change(lambda unit, _: unit.clear(), lambda *_: EMPTY),
            **self.more_changes,
        }

    @property
    def operations(self) -> Mapping[str, Callable[[Any], Awaitable[object]]]:
        """All calls that need an open unit and leave the value as it is, by name."""

        async def watch(unit: DataUnitBase) -> None:
            unit.watch()

        return {
            "get": lambda unit: unit.get(),
            "exists": lambda unit: unit.exists(),
            "entry": lambda unit: unit.entry(),
            "stats": lambda unit: unit.stats(),
            "watch": watch,
            **self.more_operations,
        }


def needs(capability: Capability) -> Callable[[TestT], TestT]:
    """Run a test for those kinds only that can do all of this."""

    def note(test: TestT) -> TestT:
        test.needs = capability  # type: ignore[attr-defined]  # functions take attributes
        return test

    return note


def needed_by(test: Callable[..., object]) -> Capability:
    """Return what a test needs."""
    capability: Capability = getattr(inspect.unwrap(test), "needs", Capability.NONE)
    return capability
