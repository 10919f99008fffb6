"""Who gives and takes rows in the contracts of stores: what managers are, without files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from library.infrastructure.data.formats.record_kind import Row


class Taken:
    """Takes the rows of an export; see `RowTarget`."""

    def __init__(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Prepare; `meanwhile` is called before the first rows are taken, in the thread that gives them."""
        self._meanwhile = meanwhile
        self.rows: list[Row] = []
        self.total: int | None = None
        self.missing: list[str] = []

    def begin(self, total: int | None, missing: Sequence[str]) -> None:
        """Note what is going to come."""
        self.total = total
        self.missing = list(missing)
        if self._meanwhile is not None:
            self._meanwhile()

    def take(self, rows: Sequence[Row]) -> None:
        """Keep the rows."""
        assert rows  # noqa: S101 - what is given is never empty
        self.rows += rows


class Given:
    """Gives the rows of an import; see `RowSource`."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        has_own_ids: bool = True,
        at_the_end: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; `at_the_end` is called, in the thread that takes them, when all were given."""
        self.has_own_ids = has_own_ids
        self._rows = rows
        self._given = 0
        self._at_the_end = at_the_end
        self.stored: list[int] = []

    def read(self) -> Sequence[Row]:
        """Give the next few hundred."""
        part = self._rows[self._given : self._given + 300]
        self._given += len(part)
        if not part and self._at_the_end is not None:
            self._at_the_end()
        return part

    def note(self, stored: int) -> None:
        """Note how many are stored."""
        self.stored.append(stored)
