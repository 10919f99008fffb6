"""Searching one table: candidates come from the full-text index, their order from their texts.

The index is asked for the newest few hundred exchanges that match, and never to rank: FTS5's bm25 reads all
that match, which takes the longer the more common a word is. Up to `POOL` matches the ranking is exact; of
more, it is over the newest.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.database.full_text.fts5_match import (
    match_all,
    match_all_exact,
    match_term,
)
from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.ranking import Ranker, share_with_neighbours
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.snippet import snippet
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    for_table,
    read_named,
)
from library.infrastructure.interfaces.database.sqlite.rows import COLUMNS, conversation_key, to_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import apsw

    from library.infrastructure.data.conversation_message import SearchResult
    from library.infrastructure.interfaces.database.full_text.ranking import Scored
    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery, Term

POOL: Final = 300
"""How many exchanges are ranked: the newest that hold all, and as many that hold the most telling terms."""
_COUNTED_CONVERSATION: Final = 10_000
_NEIGHBOURS: Final = 2
_SQL: Final = {
    name: statement.replace("{columns}", COLUMNS) for name, statement in read_named("search.sql").items()
}

RowById = dict[int, tuple[Any, ...]]


def search(
    connection: apsw.Connection,
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
    connection.execute("BEGIN")
    try:
        found = _Search(connection, table, query, conversation_id).best(limit)
    finally:
        connection.execute("COMMIT")
    return [
        to_result(row, score, snippet(query, row[3], row[4], highlight, snippet_characters))
        for row, score in found
    ]


class _Search:
    """One search, within a transaction."""

    def __init__(
        self, connection: apsw.Connection, table: str, query: SearchQuery, conversation_id: str | None
    ) -> None:
        self._connection = connection
        self._sql = {name: for_table(statement, table) for name, statement in _SQL.items()}
        self._query = query
        self._conversation_id = conversation_id
        self._scope = None if conversation_id is None else scope_mark(conversation_id)
        self._last_id, self._indexed_id = fetch_known_row(connection, self._sql["reach"], table)
        self._total = self._count()

    def best(self, limit: int) -> list[tuple[tuple[Any, ...], float]]:
        """Return the best rows with their scores, best first."""
        pool = max(POOL, limit)
        holding_all = self._holding_all(pool)
        by_term = {
            term: self._newest(match_term(self._query, term, self._scope), pool)
            for term in dict.fromkeys((*self._query.terms, *self._query.hints))
        }
        fresh = self._not_indexed()
        frequencies = Counter(self._terms_held(fresh))
        for term, ids in by_term.items():
            frequencies[term] += self._frequency(ids, pool)
        ranker = Ranker(self._query, frequencies, self._total)
        rows = self._load(holding_all) | fresh
        scored = _score(ranker, rows)
        if sum(each.holds_all for each in scored.values()) < limit:
            more = self._load(_most_telling(by_term, frequencies, pool, without=rows))
            scored |= _score(ranker, more)
            rows |= more
        lifted = share_with_neighbours(
            {message_id: each.score for message_id, each in scored.items()}, self._neighbours(rows, scored)
        )
        # A word as it was written is never hidden by its inflections, however often these occur.
        order = sorted(
            lifted,
            key=lambda each: (scored[each].holds_all, scored[each].is_exact, lifted[each], each),
            reverse=True,
        )
        return [(rows[message_id], lifted[message_id]) for message_id in order[:limit]]

    def _count(self) -> int:
        """Count the exchanges that are searched, at least about."""
        if self._conversation_id is None:
            return int(self._last_id)
        bindings = (conversation_key(self._conversation_id), _COUNTED_CONVERSATION)
        return int(self._connection.execute(self._sql["count_conversation"], bindings).get)

    def _holding_all(self, pool: int) -> list[int]:
        """Return the newest that hold all terms, first as they are written, then in any form."""
        exact, loose = match_all_exact(self._query, self._scope), match_all(self._query, self._scope)
        found = [] if exact is None else self._newest(exact, pool)
        if loose is None or loose == exact or len(found) >= pool:
            return found
        return list(dict.fromkeys((*found, *self._newest(loose, pool))))

    def _newest(self, match: str, count: int) -> list[int]:
        return [row[0] for row in self._connection.execute(self._sql["newest"], (match, count))]

    def _frequency(self, newest: Sequence[int], pool: int) -> int:
        """Count how many hold a term; where more do than were looked at, by how close those lie."""
        if len(newest) < pool:
            return len(newest)
        return min(self._total, len(newest) * self._total // (newest[0] - newest[-1] + 1))

    def _load(self, message_ids: Iterable[int]) -> RowById:
        """Read rows; one of another conversation, whose mark is the same, is left out."""
        rows = self._connection.execute(self._sql["rows"], (json.dumps(list(message_ids)),))
        wanted = self._conversation_id
        return {row[0]: row for row in rows if wanted is None or row[1] == wanted}

    def _not_indexed(self) -> RowById:
        """Read what was saved since the index was last brought up to date: all of it is looked at."""
        if self._indexed_id >= self._last_id:
            return {}
        name = "not_indexed" if self._conversation_id is None else "not_indexed_of_conversation"
        bindings = {"indexed_id": self._indexed_id, "conversation_id": self._conversation_id}
        rows: list[Any] = self._connection.execute(self._sql[name], bindings).fetchall()
        return {row[0]: row for row in rows}

    def _terms_held(self, rows: RowById) -> Iterator[Term]:
        ranker = Ranker(self._query, {}, 0)
        for row in rows.values():
            yield from ranker.held_terms(row[3], row[4])

    def _neighbours(self, rows: RowById, scored: Mapping[int, Scored]) -> dict[int, list[tuple[int, int]]]:
        """Find what lies around each exchange in its conversation, where there is more than one of it."""
        by_conversation: defaultdict[str, list[int]] = defaultdict(list)
        for message_id in scored:
            by_conversation[rows[message_id][1]].append(message_id)
        found: dict[int, list[tuple[int, int]]] = {}
        for message_ids in by_conversation.values():
            if len(message_ids) > 1:
                found |= {message_id: self._around(rows[message_id]) for message_id in message_ids}
        return found

    def _around(self, row: tuple[Any, ...]) -> list[tuple[int, int]]:
        bindings = (conversation_key(row[1]), row[2], row[0], _NEIGHBOURS)
        return [
            (other, distance)
            for direction in ("before", "behind")
            for distance, (other,) in enumerate(self._connection.execute(self._sql[direction], bindings), 1)
        ]


def _score(ranker: Ranker, rows: RowById) -> dict[int, Scored]:
    """Score rows, and leave out those that are no result after all."""
    scored = {message_id: ranker.score(row[3], row[4]) for message_id, row in rows.items()}
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
