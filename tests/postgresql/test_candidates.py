"""Which exchanges a search on PostgreSQL looks at: the newest that match, however rare or common that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from postgresql_server import shared_server

from library.infrastructure.data import ConversationMessage
from library.infrastructure.data.conformance.conversation_foundation import NOON
from library.infrastructure.interfaces.database import PostgreSQLAdapter
from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.tsquery import match_all
from library.infrastructure.interfaces.database.postgresql import candidates
from library.infrastructure.interfaces.database.postgresql.candidates import Candidates, search_statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from library.infrastructure.data import ConversationStore

DIVISORS = {"all": 1, "half": 2, "tenth": 10, "some": 97, "rare": 301, "once": 999}
ROWS = 1000


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncIterator[PostgreSQLAdapter]:
    """An adapter of a database of the test's own."""
    server = shared_server()
    async with PostgreSQLAdapter(server.url(await server.database_of(tmp_path))) as adapter:
        yield adapter
    await server.drop_database_of(tmp_path)


@pytest.fixture
async def store(adapter: PostgreSQLAdapter) -> ConversationStore:
    """A table that is empty."""
    store = adapter.conversations()
    await store.open()
    return store


async def fill(store: ConversationStore, ids: list[int]) -> dict[str, list[int]]:
    """Save exchanges in two conversations; return which hold each word, newest first."""
    texts = {
        message_id: " ".join(word for word, divisor in DIVISORS.items() if number % divisor == 0)
        for number, message_id in enumerate(ids)
    }
    await store.save(
        [
            ConversationMessage(str(message_id % 2), text, "next all", NOON, 1, message_id=message_id)
            for message_id, text in texts.items()
        ]
    )
    return {
        word: sorted((each for each, text in texts.items() if word in text.split()), reverse=True)
        for word in DIVISORS
    } | {'"next all"': sorted(ids, reverse=True), '"all next"': [], "absent": []}


async def newest(
    adapter: PostgreSQLAdapter, words: list[str], count: int, conversation_id: str | None = None
) -> dict[str, list[int]]:
    """Look for the candidates of each word."""
    scope = None if conversation_id is None else scope_mark(conversation_id)
    queries = {word: match_all(parse_query(word), scope) or "" for word in words}

    async def look(connection: Any) -> dict[str, list[int]]:
        search = Candidates(connection, search_statements("public", "conversations"), count)
        trails, _ = await search.begin(queries.values(), is_scoped=scope is not None)
        await search.complete(trails.values())
        return {word: trails[query].found for word, query in queries.items()}

    return await adapter.engine.read("search", look)


@pytest.mark.parametrize("few", [5000, 3], ids=["looked up", "stretch by stretch"])
@pytest.mark.parametrize("gap", [1, 7, 300_000], ids=["dense", "with gaps", "far apart"])
async def test_the_newest_that_match(
    adapter: PostgreSQLAdapter,
    store: ConversationStore,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    gap: int,
):
    """Exactly those, in their order; of all exchanges, and of one conversation."""
    monkeypatch.setattr(candidates, "_RARE_MATCHES", few)
    monkeypatch.setattr(candidates, "_FIRST_SPAN", 1)
    holding = await fill(store, [1 + number * gap for number in range(ROWS)])

    for count in (1, 30, 200):
        expected = {word: ids[:count] for word, ids in holding.items()}
        assert expected == await newest(adapter, list(holding), count)
        odd = {word: [each for each in ids if each % 2][:count] for word, ids in holding.items()}
        assert odd == await newest(adapter, list(holding), count, "1")


async def test_an_empty_table(adapter: PostgreSQLAdapter, store: ConversationStore):
    """There is nothing to be found."""
    del store
    assert {"all": []} == await newest(adapter, ["all"], 10)


async def test_the_index_is_what_is_asked(
    adapter: PostgreSQLAdapter, store: ConversationStore, tmp_path: Path
):
    """The expression in `search.sql` is that of the index, which leads to what is common and rare alike."""
    await fill(store, list(range(1, 6001)))
    server = shared_server()
    database = await server.database_of(tmp_path)
    await server.execute("VACUUM ANALYZE conversations", database)
    statements = search_statements("public", "conversations")
    for name, arguments in (
        ("look_through", (["'ᵇ1' & 'half'"], [None], [0], [9000], 300)),
        ("look_up", (["'rare'"], [None], 300)),
    ):
        rows = await server.fetch(f"EXPLAIN {statements[name]}", *arguments, database=database)
        plan = "\n".join(row[0] for row in rows)
        assert '"nb:conversations:by_text"' in plan
        assert "Seq Scan" not in plan
