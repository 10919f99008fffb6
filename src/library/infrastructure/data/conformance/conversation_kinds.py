"""`DatabaseKind`: a kind of database under the contract of conversations, and what it can do."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DatabaseAdapter

TestT = TypeVar("TestT", bound=Callable[..., object])


class DatabaseAbility(Flag):
    """What a kind of database can do beyond what all can."""

    NONE = 0
    """Nothing more."""
    DURABLE = auto()
    """What was saved is there when the database is opened again, by this adapter or by another one."""
    SHARED = auto()
    """Several adapters may have one database open at once."""


async def nothing_to_remove(_: Path) -> None:
    """Leave it to pytest to remove the folder."""


@dataclass(frozen=True, kw_only=True)
class DatabaseKind:
    """A kind of database: all that the contract needs to know of it."""

    name: str
    """Names the tests."""
    make: Callable[[Path], Awaitable[DatabaseAdapter]] = field(repr=False)
    """Makes an adapter that is not open yet. Its database is that of the place, a folder that is empty at
    first: adapters made for one place are about one database, if the kind is durable or shared."""
    url: Callable[[Path], str] = field(repr=False)
    """Returns the URL of the place's database, passwords included."""
    can: DatabaseAbility = DatabaseAbility.NONE
    """What it can do."""
    remove: Callable[[Path], Awaitable[None]] = field(default=nothing_to_remove, repr=False)
    """Removes the place's database, where the folder is not all there is of it; nothing has it open then."""


def needs_database(ability: DatabaseAbility) -> Callable[[TestT], TestT]:
    """Run a test for those kinds only that can do all of this."""

    def note(test: TestT) -> TestT:
        test.needs_of_database = ability  # type: ignore[attr-defined]  # functions take attributes
        return test

    return note


def needed_of_database(test: Callable[..., object]) -> DatabaseAbility:
    """Return what a test needs."""
    ability: DatabaseAbility = getattr(inspect.unwrap(test), "needs_of_database", DatabaseAbility.NONE)
    return ability
