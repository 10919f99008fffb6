"""Searching one table: candidates come from the full-text index, their order from their texts.

As on SQLite the database is asked for the newest few hundred exchanges that match, and never to rank: up to
`POOL` matches the ranking is exact; of more, it is over the newest.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.ranking import Ranker, share_with_neighbours
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.snippet import snippet
from library.infrastructure.interfaces.database.full_text.tsquery import (
    match_all,
    match_all_exact,
    match_term,
)
from library.infrastructure.interfaces.database.keys import conversation_key
from library.infrastructure.interfaces.database.postgresql.candidates import Candidates, search_statements
from library.infrastructure.interfaces.database.postgresql.rows import to_result
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from library.infrastructure.data.conversation_message import SearchResult
    from library.infrastructure.interfaces.database.full_text.ranking import Scored
    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery, Term
    from library.infrastructure.interfaces.database.postgresql.engine import Engine

POOL: Final = 300
"""How many exchanges are ranked: the newest that hold all, and as many that hold the most telling terms."""
_COUNTED_CONVERSATION: Final = 10_000
_NEIGHBOURS: Final = 2

RowById = dict[int, Any]


async def search(
    engine: Engine,
    schema: str,
    table: str,
    text: str,
    limit: int,
    conversation_id: str | None,
    highlight: tuple[str, str],
    snippet_characters: int,
) -> list[SearchResult]:
    """Search a table; see `ConversationStore.search`."""
    query = parse_query(text)
    if not query.groups:
        return []
    statements = search_statements(schema, table)

    async def find(connection: Any) -> list[tuple[Any, float]]:
        return await _Search(connection, statements, query, conversation_id).best(limit)

    found = await engine.read("search", find)
    return await run_in_worker(_show, query, found, highlight, snippet_characters)


class _Search:
    """One search, by one connection."""

    def __init__(
        self,
        connection: Any,
        statements: Mapping[str, str],
        query: SearchQuery,
        conversation_id: str | None,
    ) -> None:
        self._connection = connection
        self._sql = statements
        self._query = query
        self._conversation_id = conversation_id

    async def best(self, limit: int) -> list[tuple[Any, float]]:
        """Return the best rows with their scores, best first."""
        pool = max(POOL, limit)
        query = self._query
        scope = None if self._conversation_id is None else scope_mark(self._conversation_id)
        all_terms = [match_all_exact(query, scope), match_all(query, scope)]
        holding = list(dict.fromkeys(each for each in all_terms if each is not None))
        by_term = {
            term: match_term(query, term, scope) for term in dict.fromkeys((*query.terms, *query.hints))
        }
        candidates = Candidates(self._connection, self._sql, pool)
        trails, last_id = await candidates.begin([*holding, *by_term.values()], is_scoped=scope is not None)
        total = await self._count(last_id)
        frequencies = {term: trails[each].frequency(total, pool) for term, each in by_term.items()}
        ranker = Ranker(query, frequencies, total)
        # Those that hold all terms as they were written come first; in any form, if there is room for them.
        holding_all: dict[int, None] = {}
        for each in holding:
            if len(holding_all) < pool:
                await candidates.complete([trails[each]])
                holding_all |= dict.fromkeys(trails[each].found)
        rows = await self._load(list(holding_all))
        scored = await run_in_worker(_score, ranker, rows)
        if sum(each.holds_all for each in scored.values()) < limit:
            await candidates.complete(trails.values())
            found = {term: trails[each].found for term, each in by_term.items()}
            more = await self._load(_most_telling(found, frequencies, pool, without=rows))
            scored |= await run_in_worker(_score, ranker, more)
            rows |= more
        lifted = share_with_neighbours(
            {message_id: each.score for message_id, each in scored.items()},
            await self._neighbours(rows, scored),
        )
        # A word as it was written is never hidden by its inflections, however often these occur.
        order = sorted(
            lifted,
            key=lambda each: (scored[each].holds_all, scored[each].is_exact, lifted[each], each),
            reverse=True,
        )
        return [(rows[message_id], lifted[message_id]) for message_id in order[:limit]]

    async def _count(self, last_id: int) -> int:
        """Count the exchanges that are searched, at least about."""
        if self._conversation_id is None:
            return last_id
        key = conversation_key(self._conversation_id)
        return int(
            await self._connection.fetchval(self._sql["count_conversation"], key, _COUNTED_CONVERSATION)
        )

    async def _load(self, message_ids: Sequence[int]) -> RowById:
        """Read rows; one of another conversation, whose mark is the same, is left out."""
        if not message_ids:
            return {}
        rows = await self._connection.fetch(self._sql["rows"], message_ids)
        wanted = None if self._conversation_id is None else escape(self._conversation_id)
        return {row[0]: row for row in rows if wanted is None or row[1] == wanted}

    async def _neighbours(
        self, rows: RowById, scored: Mapping[int, Scored]
    ) -> dict[int, list[tuple[int, int]]]:
        """Find what lies around each exchange in its conversation, where there is more than one of it."""
        by_conversation: defaultdict[str, list[int]] = defaultdict(list)
        for message_id in scored:
            by_conversation[rows[message_id][1]].append(message_id)
        placed = [
            (conversation_key(unescape(conversation_id)), rows[message_id][2], message_id)
            for conversation_id, message_ids in by_conversation.items()
            if len(message_ids) > 1
            for message_id in message_ids
        ]
        if not placed:
            return {}
        found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        columns: list[list[Any]] = [list(column) for column in zip(*placed, strict=True)]
        for message_id, behind in await self._connection.fetch(self._sql["behind"], *columns, _NEIGHBOURS):
            for distance, other in enumerate(behind, 1):
                found[message_id].append((other, distance))
                found[other].append((message_id, distance))
        return found


def _score(ranker: Ranker, rows: RowById) -> dict[int, Scored]:
    """Score rows, and leave out those that are no result after all."""
    scored = {
        message_id: ranker.score(unescape(row[3]), unescape(row[4])) for message_id, row in rows.items()
    }
    return {message_id: each for message_id, each in scored.items() if each.score > 0}


def _most_telling(
    by_term: Mapping[Term, Sequence[int]],
    frequencies: Mapping[Term, int],
    pool: int,
    *,
    without: RowById,
) -> list[int]:
    """Return those that hold the most telling terms, as far as the index tells."""
    weights: defaultdict[int, float] = defaultdict(float)
    for term, message_ids in by_term.items():
        for message_id in message_ids:
            weights[message_id] += 1 / (1 + frequencies[term])
    order = sorted(weights, key=lambda message_id: (weights[message_id], message_id), reverse=True)
    return [message_id for message_id in order if message_id not in without][:pool]


def _show(
    query: SearchQuery, found: Iterable[tuple[Any, float]], highlight: tuple[str, str], characters: int
) -> list[SearchResult]:
    return [
        to_result(row, score, snippet(query, unescape(row[3]), unescape(row[4]), highlight, characters))
        for row, score in found
    ]
