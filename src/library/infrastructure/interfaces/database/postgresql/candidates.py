"""Finding the newest exchanges that match, though PostgreSQL's index of texts knows nothing of their order.

It lists all that match, and each of them has to be looked at to learn how old it is: nothing for rare words,
seconds for common ones. So the index also holds, with each exchange, in which stretches of ids it lies: one
of 4096, one of eight times as many, one of sixty-four times. It is asked for what matches within the newest
stretch, then within some before it, as far back as it takes; and at once for all that matches where that is
rare within the first. The longer stretches are for rarer words, so that of both lists the shorter leads.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.database.full_text.tsquery import without_order
from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STRETCH_SIGN: Final = "\u1d47"
"""What stands before the number of a stretch in the index: ᵇ, which folding maps away. See `search.sql`."""
_STRETCH_BITS: Final = (12, 15, 18)
"""How long the stretches are; the signs of the longer ones are repeated."""
_MOST_STRETCHES: Final = 8
"""Stretches that are asked for at once."""
_FIRST_SPAN: Final = 2 << 12
"""The newest stretch is not full."""
_MOST_STEPS: Final = 12
"""So often stretches are looked through, ten million ids in all; more are mostly empty."""
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
        self.whole_query = query
        """The text of a `tsquery`."""
        without = without_order(query)
        self.query = f"({without})"
        """What the index is asked for."""
        self.fits = None if without == query else query
        """What is asked of an exchange that it found, if there is more."""
        self.found: list[int] = []
        """Their ids, newest first."""
        self.is_whole = not last_id
        """Whether there are no more."""
        self._last_id = last_id
        self.steps = 0
        """How often something was looked through."""
        self.before = last_id + 1
        """Before which id it goes on."""
        self._looked_through = 0
        self._span = _FIRST_SPAN

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
        """Tell whether it seems that all that the index finds can be looked at."""
        if self.fits is not None and self.found:
            return False  # the index finds more than what matches
        return len(self.found) * self._last_id < _RARE_MATCHES / 2 * self._looked_through

    def ask(self, count: int) -> tuple[str, str | None, int, int]:
        """Choose what to look through next: the queries, where it begins, and before which id it ends."""
        if self.found and self._looked_through:
            needed = _MARGIN * (count - len(self.found)) * self._looked_through / len(self.found)
            self._span = max(self._span, math.ceil(needed))
        level = sum(self._span > _MOST_STRETCHES << bits for bits in _STRETCH_BITS[:-1])
        bits, sign = _STRETCH_BITS[level], _STRETCH_SIGN * (level + 1)
        newest = (self.before - 1) >> bits
        numbers = range(newest, newest - min(-(-self._span >> bits), _MOST_STRETCHES), -1)
        self._span = len(numbers) << bits
        signs = " | ".join([f"'{sign}{number}'" for number in numbers])
        return f"({signs}) & {self.query}", self.fits, numbers[-1] << bits, self.before

    def take(self, ids: Iterable[int], next_id: int | None) -> None:
        """Take what was found there, and the greatest id before that, if there is one."""
        self.found += ids
        self._looked_through += self._span
        self._span *= _GROWTH
        self.steps += 1
        if next_id is None:
            self.is_whole = True
        else:
            self.before = next_id + 1

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
            asked, fits = [trail.query for trail in rare], [trail.fits for trail in rare]
            rows = await self._connection.fetch(self._sql["look_up"], asked, fits, _RARE_MATCHES + 1)
            for place, ids in rows:
                rare[place - 1].take_all(ids, self._count)
        return trails, last_id

    async def complete(self, trails: Iterable[Trail]) -> None:
        """Go back until enough is found, or there is no more."""
        trails = list(trails)
        while left := self._open(trails):
            for trail in left:
                if trail.steps == _MOST_STEPS:
                    await self._walk(trail)
            await self._step([trail for trail in left if trail.steps < _MOST_STEPS])

    async def _walk(self, trail: Trail) -> None:
        """Look at one exchange after the other."""
        missing = self._count - len(trail.found)
        rows = await self._connection.fetch(self._sql["walk"], trail.whole_query, trail.before, missing)
        trail.found += [row[0] for row in rows]
        trail.is_whole = len(rows) < missing

    def _open(self, trails: Iterable[Trail]) -> list[Trail]:
        return [trail for trail in trails if not trail.is_whole and len(trail.found) < self._count]

    async def _step(self, trails: list[Trail]) -> None:
        if not trails:
            return
        columns = zip(*[trail.ask(self._count) for trail in trails], strict=True)
        rows = await self._connection.fetch(self._sql["look_through"], *columns, self._count)
        for place, ids, next_id in rows:
            trail = trails[place - 1]
            trail.take(ids, next_id)
            del trail.found[self._count :]
