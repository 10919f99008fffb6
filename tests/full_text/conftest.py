"""A full-text table as databases build it, and the ways to ask it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.interfaces.database.full_text.fts5_match import match_all, match_any
from library.infrastructure.interfaces.database.full_text.index_terms import index_texts, scope_mark
from library.infrastructure.interfaces.database.full_text.search_query import parse_query

if TYPE_CHECKING:
    from collections.abc import Iterator


class Table:
    """Exchanges in an index of their own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE VIRTUAL TABLE found USING fts5("
            "user_input, agent_response, marks, tokenize='ascii', content='')"
        )

    def add(self, user_input: str, agent_response: str = "", conversation_id: str = "c") -> int:
        texts = index_texts(user_input, agent_response, scope_mark(conversation_id))
        row = self._connection.execute("INSERT INTO found VALUES (?, ?, ?)", texts).lastrowid
        assert row is not None
        return row

    def match(self, expression: str | None) -> list[int]:
        if expression is None:
            return []
        rows = self._connection.execute(
            "SELECT rowid FROM found WHERE found MATCH ? ORDER BY rowid", (expression,)
        )
        return [row for (row,) in rows]

    def find(self, text: str, conversation_id: str | None = None) -> list[int]:
        scope = None if conversation_id is None else scope_mark(conversation_id)
        return self.match(match_all(parse_query(text), scope))

    def find_any(self, text: str) -> list[int]:
        return self.match(match_any(parse_query(text)))


@pytest.fixture
def table() -> Iterator[Table]:
    """An empty index."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        yield Table(connection)


@pytest.fixture(scope="module")
def filled() -> Iterator[Table]:
    """An index that property tests ask again and again."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        table = Table(connection)
        table.add("some text", "C++ and 日本語テスト 🎉")
        yield table
