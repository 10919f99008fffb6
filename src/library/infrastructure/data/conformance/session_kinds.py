"""`SessionKind`: a kind of session store under the contract of sessions, and what it can do."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DatabaseAdapter, SessionStore

TestT = TypeVar("TestT", bound=Callable[..., object])


class SessionAbility(Flag):
    """What a kind of store can do beyond what all can."""

    NONE = 0
    """Nothing more."""
    DURABLE = auto()
    """Sessions are there when the home is opened again, by the same adapter or by another one."""
    SHARED = auto()
    """Several homes of one place may be open at once, and are about the same sessions."""
    COUNTED = auto()
    """The adapter's `stats()` tell how many `commits` there were."""
    DATABASE = auto()
    """Homes have an adapter, and any number of tables."""


@dataclass(frozen=True)
class Home:
    """Where managers keep their sessions: an adapter, or a store."""

    adapter: DatabaseAdapter | None = None
    store: SessionStore | None = None


async def nothing_to_remove(_: Path) -> None:
    """Leave it to pytest to remove the folder."""


@dataclass(frozen=True, kw_only=True)
class SessionKind:
    """A kind of session store: all that the contract needs to know of it."""

    name: str
    """Names the tests."""
    make: Callable[[Path], Awaitable[Home]] = field(repr=False)
    """Makes a home that is not open yet. Its sessions are those of the place, a folder that is empty at
    first: homes made for one place have the same sessions, if the kind is durable or shared. All managers of
    one home always do."""
    can: SessionAbility = SessionAbility.NONE
    """What it can do."""
    remove: Callable[[Path], Awaitable[None]] = field(default=nothing_to_remove, repr=False)
    """Removes what the place has outside of its folder; nothing has it open then."""


def needs_of_sessions(ability: SessionAbility) -> Callable[[TestT], TestT]:
    """Run a test for those kinds only that can do all of this."""

    def note(test: TestT) -> TestT:
        test.needs_of_sessions = ability  # type: ignore[attr-defined]  # functions take attributes
        return test

    return note


def needed_of_sessions(test: Callable[..., object]) -> SessionAbility:
    """Return what a test needs."""
    ability: SessionAbility = getattr(inspect.unwrap(test), "needs_of_sessions", SessionAbility.NONE)
    return ability
