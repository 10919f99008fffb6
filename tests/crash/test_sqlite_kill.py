"""A process that changes a conversation history is killed with SIGKILL, at random moments.

Ten times in an ordinary run; CRASH_KILLS=200 makes it two hundred.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, ConversationQuery
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

KILLS = int(os.environ.get("CRASH_KILLS", "10"))
FEW_KILLS = max(3, KILLS // 4)
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
BATCH = 200

pytestmark = pytest.mark.slow


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[ConversationHistoryUnit]:
    """Open the history that a killed process left; it is whole, and its index fits."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        yield unit


@pytest.fixture
def killed(
    start: Callable[..., Any], chance: random.Random, kill_later: Callable[[Any, float], int]
) -> Callable[..., int]:
    """Start work on a file, kill it soon after it has begun; return the last number that was acknowledged."""

    def killed(path: Path, work: str, first: int, within_s: float) -> int:
        return kill_later(start("sqlite_write_forever", path, work, first), within_s)

    return killed


async def texts_by_id(unit: ConversationHistoryUnit) -> dict[int | None, str]:
    """Read what each exchange begins with."""
    stream = unit.stream_conversations(ConversationQuery().order_by("message_id"))
    return {each.message_id: each.user_input async for each in stream}


async def fill(path: Path, messages: list[ConversationMessage]) -> None:
    """Save exchanges, and bring the index up to date."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch(messages)
        await unit.search_conversations("anything")


async def test_acknowledged_saves_survive(
    tmp_path: Path, start: Callable[..., Any], chance: random.Random
) -> None:
    """32 tasks save: every exchange that was acknowledged is there, and found by its text."""
    path = tmp_path / "conversations.db"
    acknowledged: dict[int, int] = {}
    for kill in range(KILLS):
        child = start("sqlite_write_forever", path, "save", kill * 1_000_000)
        lines = [child.line()]
        # As many as the writer gives: the kill comes at any point of a transaction, a checkpoint, or upkeep.
        lines += [child.line() for _ in range(chance.randrange(2000))] + child.kill()
        numbers = [tuple(map(int, line.split())) for line in lines]
        acknowledged |= {message_id: number for number, message_id in numbers}

        async with opened(path) as unit:
            there = await texts_by_id(unit)
            assert {} == {
                message_id: number
                for message_id, number in acknowledged.items()
                if there.get(message_id) != f"mark{number}"
            }
            for number, message_id in chance.sample(numbers, min(20, len(numbers))):
                found = await unit.search_conversations(f"mark{number}", limit=1)
                assert [message_id] == [each.message_id for each in found]
    async with opened(path) as unit:
        for message_id, number in chance.sample(sorted(acknowledged.items()), min(200, len(acknowledged))):
            found = await unit.search_conversations(f"mark{number}", limit=1)
            assert [message_id] == [each.message_id for each in found]


async def test_a_batch_is_there_whole_or_not_at_all(tmp_path: Path, killed: Callable[..., int]) -> None:
    """A batch that was acknowledged is there; one that was on its way is there whole, or not at all."""
    path = tmp_path / "conversations.db"
    acknowledged: list[int] = []
    for kill in range(FEW_KILLS):
        acknowledged.append(killed(path, "batch", kill * 10_000, 0.3))

        async with opened(path) as unit:
            counts = {
                each.conversation_id: each.message_count for each in await unit.list_conversations(None)
            }
            found = await unit.search_conversations(f"mark{acknowledged[-1]}x{BATCH - 1}", limit=1)
        assert {BATCH} == set(counts.values())
        assert set() == {f"batch{number}" for number in acknowledged} - set(counts)
        assert [f"batch{acknowledged[-1]}"] == [each.conversation_id for each in found]


async def test_a_conversation_is_deleted_whole_or_not_at_all(
    tmp_path: Path, killed: Callable[..., int]
) -> None:
    """What was acknowledged as deleted is gone from the bytes; the next is there whole, or gone."""
    path = tmp_path / "conversations.db"
    messages = [
        ConversationMessage(f"conversation{number}", f"secret{number}end", "yes " * 50, NOON, 1.0)
        for number in range(600)
        for _ in range(5)
    ]
    await fill(path, messages)
    first = 0
    for _ in range(FEW_KILLS):
        last = killed(path, "delete", first, 0.1)

        files = [path, path.with_name(f"{path.name}-wal")]
        content = b"".join(each.read_bytes() for each in files if each.exists())
        assert [] == [number for number in range(last + 1) if b"secret%dend" % number in content]
        async with opened(path) as unit:
            counts = {
                each.conversation_id: each.message_count for each in await unit.list_conversations(None)
            }
            assert [] == await unit.search_conversations(f"secret{last}end")
        expected = {f"conversation{number}": 5 for number in range(last + 1, 600)}
        on_its_way = f"conversation{last + 1}"
        assert expected | {on_its_way: 0} == counts | {on_its_way: 0}
        first = last + 1 + (on_its_way not in counts)


async def test_a_purge_takes_the_oldest_first(tmp_path: Path, killed: Callable[..., int]) -> None:
    """What was acknowledged as purged is gone; of a purge on its way, the oldest exchanges are."""
    path = tmp_path / "conversations.db"
    messages = [
        ConversationMessage(
            f"c{number % 40}", f"text{number}", "yes " * 20, NOON + timedelta(seconds=number), 1
        )
        for number in range(20_000)
    ]
    await fill(path, messages)
    first = 0
    for _ in range(FEW_KILLS):
        first = killed(path, "purge", first, 0.1)

        async with opened(path) as unit:
            left = await texts_by_id(unit)
        expected = [f"text{number}" for number in range(20_000 - len(left), 20_000)]
        assert expected == list(left.values())
        assert len(left) <= 20_000 - first


async def test_an_update_happens_whole_or_not_at_all(tmp_path: Path, killed: Callable[..., int]) -> None:
    """An exchange has its new texts if that was acknowledged, and else the old or the new ones."""
    path = tmp_path / "conversations.db"
    old = [ConversationMessage("a", f"old{number}", "old " * 200, NOON, 1.0) for number in range(1, 3001)]
    await fill(path, old)
    first = 1
    for _ in range(FEW_KILLS):
        last = killed(path, "update", first, 0.1)

        async with opened(path) as unit:
            there = await unit.get_conversation_history("a", None)
            for message_id in range(max(1, last - 5), last + 1):
                assert [] == await unit.search_conversations(f"old{message_id}")
                found = await unit.search_conversations(f"new{message_id}", limit=1)
                assert [message_id] == [each.message_id for each in found]
        texts = {each.message_id: (each.user_input, each.agent_response) for each in there}
        updated = {number: (f"new{number}", "new " * 2000) for number in range(1, last + 2)}
        kept = {number: (f"old{number}", "old " * 200) for number in range(last + 1, 3001)}
        assert texts in (updated | kept, kept | updated)
        first = last + 1


async def test_the_index_catches_up(tmp_path: Path, killed: Callable[..., int]) -> None:
    """A process is killed while it indexes what it saved: the next one finds all of that."""
    path = tmp_path / "conversations.db"
    for kill in range(FEW_KILLS):
        last = killed(path, "index", kill * 1_000_000, 0.3)

        async with opened(path) as unit:
            for number in (last - 2999, last - 1500, last):
                found = await unit.search_conversations(f"mark{number}", limit=1)
                assert [f"mark{number}"] == [each.user_input for each in found]
            assert [] == await unit.database_adapter.check()
