"""A database of a test's own, and exchanges that are hard to carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncIterator[SQLiteAdapter]:
    """An open database; whole at the end, with nothing left beside it."""
    folder = tmp_path / "database"
    folder.mkdir()
    async with SQLiteAdapter(folder / "conversations.db") as adapter:
        yield adapter
        assert [] == await adapter.check()
        assert [] == list(folder.glob("*-import-*"))


@pytest.fixture
async def history(adapter: SQLiteAdapter) -> AsyncIterator[ConversationHistoryUnit]:
    """The conversations of the database."""
    async with ConversationHistoryUnit(adapter) as history:
        yield history


@pytest.fixture
async def hard(history: ConversationHistoryUnit) -> list[ConversationMessage]:
    """Exchanges that are saved, and hard to carry: each field at its worst."""
    texts = [
        "",
        "".join(map(chr, range(0x20))) + "\x7f\x85\u2028\ufeff\ufffe\uffff",
        "a\rb\r\nc\nd\te\x00",
        '"quoted", and; more\t<xml attr="&amp;">]]>',
        " leading and trailing ",
        "=1+1",
        "'=already",
        "@cmd|'/c calc'!A0",
        "\U0001f9a6 故宫 \U0010ffff",
        "x" * 200_000,
        "null",
        "\\ud800 \\u0000",
    ]
    metadata: list[dict[str, object]] = [
        {},
        {"": {}, "empty": [], "n": 2**200, "f": 0.1 + 0.2, "e": 1e-308, "none": None, "\x00": "\x00\u2028"},
        {"deep": [[[[{"a": [True, False]}]]]], "1": 1, "one": 1.0, "long": list(range(100))},
        {"source": {"format": "chatgpt"}, "message_id": 5},
    ]
    moments = [
        NOON,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        NOON + timedelta(microseconds=1),
    ]
    times = [0.0, 0.1, 1e15, 5e-324, 1250.0]
    for number, text in enumerate(texts):
        await history.save_message(
            ConversationMessage(
                f"c{number % 3}" if number else "\x00 \n=c",
                text,
                texts[-number],
                moments[number % 5],
                times[number % 5],
                metadata=metadata[number % 4],
                parent_id=number - 2 if number > 4 else None,
            )
        )
    return [each async for each in history.stream_conversations()]
