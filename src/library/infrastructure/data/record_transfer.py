"""What stores and managers agree on when many records are moved: rows, and who gives and takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

MergeStrategy = Literal["append", "replace", "skip_duplicates"]
"""What an import does about what is stored already; see `ImportManager`."""


class RowTarget(Protocol):
    """Takes the rows of an export; called in a worker's thread. What it raises ends the export."""

    def begin(self, total: int | None, missing: Sequence[str]) -> None:
        """Learn, once and first, what is going to come.

        Args:
            total: how many rows; `None` if it would take long to count them.
            missing: the ids that were asked for, and are not there.

        """

    def take(self, rows: Sequence[Row]) -> None:
        """Take the next rows, with all fields of their `RecordKind`, in their order."""


class RowSource(Protocol):
    """Gives the rows of an import; called in a worker's thread. What it raises ends the import."""

    has_own_ids: bool
    """Whether ids are what a store of this library gave, and are worth keeping; else they only tell the rows
    of one import apart, from 1 up."""

    def read(self) -> Sequence[Row]:
        """Return the next rows, all checked, with all fields of their `RecordKind`; none at the end."""

    def note(self, stored: int) -> None:
        """Learn how many rows are stored so far."""


class Loaded(NamedTuple):
    """What became of the rows of an import."""

    written: int
    """How many were stored."""
    skipped: int
    """How many were there already."""
    replaced: int
    """How many had to go for them."""
    detached: int
    """How many name a parent that is neither among them nor in their conversation."""
