"""Finding the newest exchanges that match, though PostgreSQL's index of texts knows nothing of their order.

It lists all that match, and each of them has to be looked at to learn how old it is: nothing for rare words,
seconds for common ones. So the index also holds, with each exchange, which stretch of 4096 ids it lies in, and
is asked for what matches within the newest stretches, then within some before them, as far back as it takes.
What is rare within the first ones is looked up at once, wherever it is.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

STRETCH_SIGN: Final = "\u1d47"
"""What stands before the number of a stretch in the index: ᵇ, which folding maps away. See `search.sql`."""
_STRETCH_BITS: Final = 12
_FIRST_STRETCHES: Final = 2
"""The newest is not full."""
_MOST_STRETCHES: Final = 64
"""Stretches that are asked for at once."""
_RARE_MATCHES: Final = 5000
"""Up to so many that match are looked at, all of them."""
_MARGIN: Final = 1.5
"""How much further back one looks than should be necessary."""
_GROWTH: Final = 4
"""How much more is looked through in the next step."""


@cache
def search_statements(schema: str, table: str) -> dict[str, str]:
    """Return the statements of `search.sql` by name; the names of schema and table were checked."""
    named = read_named("search.sql")
    return {
        name: for_table(
            statement.replace("{indexed}", named["indexed"]).replace("{columns}", COLUMNS), schema, table
        )
        for name, statement in named.items()
    }


class Trail:
    """The newest exchanges that match one query, as far back as they were looked for."""

    def __init__(self, query: str, last_id: int) -> None:
        """Begin at the greatest id."""
        self.query = query
        """The text of a `tsquery`."""
        self.found: list[int] = []
        """Their ids, newest first."""
        self.is_whole = not last_id
        """Whether there are no more."""
        self._last_id = last_id
        self._before = last_id + 1
        self._looked_through = 0
        self._stretches = _FIRST_STRETCHES

    def frequency(self, total: int, count: int) -> int:
        """Tell how many exchanges match, at least about: by how close those lie that were found.

        Args:
            total: how many exchanges there are.
            count: how many were looked for.

        """
        if len(self.found) >= count:
            span = self.found[0] - self.found[-1] + 1
        elif self.is_whole or not self._looked_through:
            return len(self.found)
        else:
            span = self._looked_through
        return min(total, len(self.found) * total // span)

    def is_rare(self) -> bool:
        """Tell whether it seems that all that match can be looked at."""
        return len(self.found) * self._last_id < _RARE_MATCHES / 2 * self._looked_through

    def ask(self, count: int) -> tuple[str, int]:
        """Choose what to look through next: a `tsquery`, and the id where that begins."""
        if self.found and self._looked_through:
            needed = _MARGIN * (count - len(self.found)) * self._looked_through / len(self.found)
            self._stretches = max(self._stretches, math.ceil(needed) >> _STRETCH_BITS)
        self._stretches = min(self._stretches, _MOST_STRETCHES)
        newest = (self._before - 1) >> _STRETCH_BITS
        numbers = range(newest, newest - self._stretches, -1)
        signs = " | ".join([f"'{STRETCH_SIGN}{number}'" for number in numbers])
        return f"({signs}) & ({self.query})", numbers[-1] << _STRETCH_BITS

    def take(self, ids: Iterable[int], next_id: int | None) -> None:
        """Take what was found there, and the greatest id before that, if there is one."""
        self.found += ids
        self._looked_through += self._stretches << _STRETCH_BITS
        self._stretches *= _GROWTH
        if next_id is None:
            self.is_whole = True
        else:
            self._before = next_id + 1

    def take_all(self, ids: Sequence[int], count: int) -> None:
        """Take all that match, in any order; if they are too many, only learn that."""
        if len(ids) <= _RARE_MATCHES:
            self.found = sorted(ids, reverse=True)
            self.is_whole = len(ids) <= count
            del self.found[count:]


class Candidates:
    """Looks for candidates in one table."""

    def __init__(self, connection: Any, statements: Mapping[str, str], count: int) -> None:
        """Prepare to look for so many that match each query."""
        self._connection = connection
        self._sql = statements
        self._count = count

    async def begin(self, queries: Iterable[str], *, is_scoped: bool) -> tuple[dict[str, Trail], int]:
        """Look through the newest exchanges, and everywhere for what is rare; also return the greatest id.

        Args:
            queries: texts of `tsquery`.
            is_scoped: whether all ask for the mark of one conversation: then all seem to be rare.

        """
        last_id = await self._connection.fetchval(self._sql["last_id"])
        trails = {query: Trail(query, last_id) for query in queries}
        if not is_scoped:
            await self._step(self._open(trails.values()))
        rare = [trail for trail in self._open(trails.values()) if is_scoped or trail.is_rare()]
        if rare:
            queries = [trail.query for trail in rare]
            rows = await self._connection.fetch(self._sql["look_up"], queries, _RARE_MATCHES + 1)
            for place, ids in rows:
                rare[place - 1].take_all(ids, self._count)
        return trails, last_id

    async def complete(self, trails: Iterable[Trail]) -> None:
        """Go back until enough is found, or there is no more."""
        trails = list(trails)
        while left := self._open(trails):
            await self._step(left)

    def _open(self, trails: Iterable[Trail]) -> list[Trail]:
        return [trail for trail in trails if not trail.is_whole and len(trail.found) < self._count]

    async def _step(self, trails: list[Trail]) -> None:
        if not trails:
            return
        asked = [trail.ask(self._count) for trail in trails]
        queries, starts = [query for query, _ in asked], [start for _, start in asked]
        rows = await self._connection.fetch(self._sql["look_through"], queries, starts, self._count)
        for place, ids, next_id in rows:
            trail = trails[place - 1]
            trail.take(ids, next_id)
            del trail.found[self._count :]
