"""What a data unit holds at one moment, and what it counted: the values that units hand out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Empty(Enum):
    """The type of `EMPTY`, which stands where there is no value, since `None` is a value like any other."""

    EMPTY = "empty"

    def __repr__(self) -> str:
        """Show the public name."""
        return "EMPTY"

    def __bool__(self) -> bool:
        """Nothing is held, so this is false."""
        return False


EMPTY: Final = Empty.EMPTY
"""The `Entry.value` of a unit that holds no value."""


class Entry(NamedTuple):
    """One version of a unit's value; a reader sees all of it or the one before, never a mixture."""

    value: Any
    """The value, or `EMPTY`."""
    version: int
    """Counts the changes of this unit, `clear()` included; it never goes back while the unit lives."""
    updated_at: datetime
    """When this version was made (UTC, to the microsecond)."""

    @property
    def exists(self) -> bool:
        """Whether there is a value."""
        return self.value is not EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStats:
    """What a unit has counted since it was last opened."""

    reads: int
    """Values read by `get` and `entry`, which memory units with `isolation="share"` do not count;
    for streams, messages that subscribers took, too."""
    writes: int
    """Changes: `set`, `update`, `clear`, appends and published messages."""
    watchers: int
    """Watchers and subscribers that are attached now."""
    bytes: int | None
    """Size in bytes of what is kept as text or on disk; `None` where only Python objects are held."""
    hits: int = 0
    """Reads that a cache answered."""
    misses: int = 0
    """Reads that a cache could not answer."""
    dropped: int = 0
    """Messages that subscribers missed because they fell behind."""
