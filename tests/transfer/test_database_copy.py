"""Copies from one database to another: ids and all, resumable, and compared in the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    SessionManager,
    TransferError,
    TransferProgress,
    copy_database,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MANY = 45_000
"""More than two parts."""


async def fill(adapter: SQLiteAdapter, count: int) -> None:
    """Save exchanges, some with parents, one of which comes behind its child; and sessions."""
    async with ConversationHistoryUnit(adapter) as history:
        for start in range(0, count, 10_000):
            await history.save_messages_batch(
                ConversationMessage(
                    f"c{number % 7}", f"text {number}\x00", "", NOON + timedelta(seconds=number % 100), 1.5
                )
                for number in range(start, min(start + 10_000, count))
            )
        child, *_, parent = await history.get_conversation_history("c0", limit=None)
        child, parent = sorted((child, parent), key=lambda each: each.message_id or 0)
        await history.update_message(
            child.message_id or 0, parent_id=parent.message_id, metadata={"source": {"a": 1}, "n": 2**70}
        )
    async with SessionManager(database_adapter=adapter) as sessions:
        for number in range(20):
            await sessions.create_session(f"user {number}", {"n": number})
        await sessions.end_sessions("user 3")


async def all_of(adapter: SQLiteAdapter) -> tuple[list[Any], list[Any]]:
    """Return all that a database holds."""
    async with (
        ConversationHistoryUnit(adapter) as history,
        SessionManager(database_adapter=adapter) as sessions,
    ):
        exchanges = [each async for each in history.stream_conversations()]
        return exchanges, await sessions.list_sessions(limit=None)


async def test_a_copy_is_equal(tmp_path: Path) -> None:
    """In every field; a second one finds nothing to do, and the same checksum."""
    async with SQLiteAdapter(tmp_path / "a.db") as source, SQLiteAdapter(tmp_path / "b.db") as target:
        await fill(source, 300)

        first = await copy_database(source, target)
        again = await copy_database(source, target)

        assert await all_of(source) == await all_of(target)
        assert [] == await target.check()
    assert (300, 300, 20, 20) == (
        first.exchanges,
        first.copied_exchanges,
        first.sessions,
        first.copied_sessions,
    )
    assert (300, 0, 20, 0) == (again.exchanges, again.copied_exchanges, again.sessions, again.copied_sessions)
    assert first.checksum == again.checksum


async def test_adapters_are_opened_and_closed(tmp_path: Path) -> None:
    """Where they are not open; an empty source makes an empty copy."""
    source, target = SQLiteAdapter(tmp_path / "a.db"), SQLiteAdapter(tmp_path / "b.db")

    report = await copy_database(source, target)

    assert (0, 0) == (report.exchanges, report.sessions)
    assert (False, False) == (source.is_open, target.is_open)


@pytest.mark.slow
async def test_a_copy_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """What was copied before stays, and is not copied again."""
    async with SQLiteAdapter(tmp_path / "a.db") as source, SQLiteAdapter(tmp_path / "b.db") as target:
        await fill(source, MANY)

        def interrupt(progress: TransferProgress) -> None:
            raise RuntimeError(f"enough after {progress.records}")

        with pytest.raises(RuntimeError, match="enough"):
            await copy_database(source, target, progress=interrupt)
        async with ConversationHistoryUnit(target) as history:
            copied = sum(each.message_count for each in await history.list_conversations(None))
        assert 0 < copied < MANY

        report = await copy_database(source, target)

        assert (MANY, MANY - copied) == (report.exchanges, report.copied_exchanges)
        assert await all_of(source) == await all_of(target)


async def test_a_target_that_holds_something_else(tmp_path: Path) -> None:
    """It is told which exchange differs."""
    async with SQLiteAdapter(tmp_path / "a.db") as source, SQLiteAdapter(tmp_path / "b.db") as target:
        await fill(source, 50)
        async with ConversationHistoryUnit(target) as history:
            await history.save_message(ConversationMessage("c", "other", "", NOON, 1.0, message_id=7))

        with pytest.raises(TransferError, match="exchange 1 is in one of them only"):
            await copy_database(source, target)

        async with ConversationHistoryUnit(target) as history:
            await history.clear()
        await copy_database(source, target)
        async with ConversationHistoryUnit(target) as history:
            await history.update_message(9, user_input="changed")
        with pytest.raises(TransferError, match="exchange 9 is not the same"):
            await copy_database(source, target)


async def test_a_copy_that_fails_half_way_says_why(tmp_path: Path) -> None:
    """Whichever side fails; nothing hangs."""
    async with SQLiteAdapter(tmp_path / "a.db") as source, SQLiteAdapter(tmp_path / "b.db") as target:
        await fill(source, 2000)
        copying = asyncio.create_task(copy_database(source, target))
        await asyncio.sleep(0)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying

        await copy_database(source, target)
        assert await all_of(source) == await all_of(target)
