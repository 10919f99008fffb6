"""Backups of a database in use, its compaction, its figures, and the search for damage."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    CorruptDataError,
    InvalidOptionError,
    StorageError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
INDEX = "nanobrain:conversations:search"


def exchange(text: str, conversation_id: str = "a") -> ConversationMessage:
    return ConversationMessage(conversation_id, text, "yes " * 100, NOON, 1.0)


async def index_all(unit: ConversationHistoryUnit) -> None:
    """Bring the full-text index up to date now, instead of when there is time."""
    store: Any = unit._store
    await store._adapter.engine.write(store._catch_up, None, "index", in_transaction=False)


async def fill(path: Path, count: int = 500) -> None:
    """Make a database whose exchanges are indexed."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange(f"mark{number}") for number in range(count)])
        await index_all(unit)


# -- backups -------------------------------------------------------------------------------------------------


async def test_a_backup_while_tasks_save(tmp_path: Path) -> None:
    """What was acknowledged before is in the copy, which is whole, alone, and a database like any other."""
    path, copy = tmp_path / "conversations.db", tmp_path / "copy.db"
    acknowledged: list[int] = []
    ended = asyncio.Event()
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:

        async def save(task: int) -> None:
            while not ended.is_set():
                acknowledged.append(await unit.save_message(exchange(f"mark{len(acknowledged)}", f"c{task}")))

        saving = [asyncio.create_task(save(task)) for task in range(16)]
        while len(acknowledged) < 1000:
            await asyncio.sleep(0.01)
        before = set(acknowledged)
        await adapter.backup(copy)
        during = set(acknowledged) - before
        ended.set()
        await asyncio.gather(*saving)
        assert during
        assert {"conversations.db", "copy.db"} == {
            each.name for each in tmp_path.iterdir() if not each.name.endswith(("-wal", "-shm"))
        }

    async with SQLiteAdapter(copy) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        there = {each.message_id or 0 async for each in unit.stream_conversations()}
        assert set() == before - there
        assert there <= set(acknowledged)
        found = await unit.search_conversations("mark500")
        assert ["mark500"] == [each.user_input for each in found[:1]]
        assert max(there) + 1 == await unit.save_message(exchange("new"))


async def test_a_backup_of_a_database_in_memory(tmp_path: Path) -> None:
    """A database that lives in memory can be kept this way."""
    async with SQLiteAdapter(":memory:") as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("kept"))
        await adapter.backup(tmp_path / "copy.db")

    async with SQLiteAdapter(tmp_path / "copy.db") as adapter, ConversationHistoryUnit(adapter) as unit:
        assert ["kept"] == [each.user_input for each in await unit.get_conversation_history("a")]
        assert [] == await adapter.check()


@pytest.mark.parametrize("target", ["conversations.db", "link.db", "taken.db"])
async def test_a_backup_that_would_overwrite(target: str, tmp_path: Path) -> None:
    """A file that is there, and the database itself under any name, are left alone."""
    path = tmp_path / "conversations.db"
    (tmp_path / "taken.db").write_text("taken")
    (tmp_path / "link.db").symlink_to(path)
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("kept"))

        with pytest.raises(InvalidOptionError) as caught:
            await adapter.backup(tmp_path / target)

        assert caught.value.option == "path"
        assert (tmp_path / "taken.db").read_text() == "taken"
        assert 1 == len(await unit.get_conversation_history("a"))


@pytest.mark.parametrize("name", ["conversations.db", "link.db"])
async def test_a_backup_never_overwrites_the_database(name: str, tmp_path: Path) -> None:
    """Even with `overwrite`, the database itself is refused, under any name."""
    path = tmp_path / "conversations.db"
    await fill(path, 3)
    (tmp_path / "link.db").symlink_to(path)
    async with SQLiteAdapter(path) as adapter:
        with pytest.raises(InvalidOptionError):
            await adapter.backup(tmp_path / name, overwrite=True)


async def test_a_backup_takes_the_place_of_another(
    tmp_path: Path, strays: Callable[[Path], list[str]]
) -> None:
    """With `overwrite`, the former copy is replaced, with one rename."""
    path, copy = tmp_path / "conversations.db", tmp_path / "copy.db"
    copy.write_text("former")
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        for number in range(3):
            await unit.save_message(exchange(f"kept{number}"))
            await adapter.backup(copy, overwrite=True)

    async with SQLiteAdapter(copy) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert 3 == len(await unit.get_conversation_history("a"))
    assert [] == strays(tmp_path)


async def test_a_backup_of_an_open_database_is_not_overwritten_by_logs(tmp_path: Path) -> None:
    """A log that a former database of that name left does not become part of the copy."""
    path, copy = tmp_path / "conversations.db", tmp_path / "copy.db"
    async with SQLiteAdapter(copy) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange(f"former{number}") for number in range(10)])
        log = (tmp_path / "copy.db-wal").read_bytes()
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("kept"))
        (tmp_path / "copy.db-wal").write_bytes(log)
        await adapter.backup(copy, overwrite=True)

    async with SQLiteAdapter(copy) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert ["kept"] == [each.user_input for each in await unit.get_conversation_history("a")]
        assert [] == await adapter.check()


@pytest.mark.parametrize("target", ["missing/copy.db", "folder", "file/copy.db"])
async def test_a_backup_that_cannot_be_written(
    target: str, tmp_path: Path, strays: Callable[[Path], list[str]]
) -> None:
    """An error names the place, nothing is left there, and the database goes on."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    async with (
        SQLiteAdapter(tmp_path / "conversations.db") as adapter,
        ConversationHistoryUnit(adapter) as unit,
    ):
        with pytest.raises((StorageError, InvalidOptionError)) as caught:
            await adapter.backup(tmp_path / target, overwrite=True)

        assert str(tmp_path / target.split("/", maxsplit=1)[0]) in str(caught.value)
        assert [] == strays(tmp_path)
        assert 1 == await unit.save_message(exchange("after"))


async def test_backups_at_the_same_time(tmp_path: Path) -> None:
    """Several copies are made at once; each is whole."""
    path = tmp_path / "conversations.db"
    await fill(path, 300)
    async with SQLiteAdapter(path) as adapter:
        await asyncio.gather(*(adapter.backup(tmp_path / f"{number}.db") for number in range(4)))
    for number in range(4):
        async with SQLiteAdapter(tmp_path / f"{number}.db") as adapter:
            assert [] == await adapter.check()


# -- compaction and figures ----------------------------------------------------------------------------------


async def test_vacuum(tmp_path: Path) -> None:
    """After a deletion the file becomes smaller; what is left is there and found, saves go on meanwhile."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange(f"mark{number} " * 50, "large") for number in range(2000)])
        await unit.save_messages_batch([exchange(f"kept{number}", "small") for number in range(100)])
        await unit.search_conversations("mark1")
        await unit.delete_conversation("large")
        before = (await adapter.stats())["file_bytes"]

        await asyncio.gather(adapter.vacuum(), *(unit.save_message(exchange("beside")) for _ in range(20)))
        await unit.save_message(exchange("after"))

        assert [] == await adapter.check()
        assert 100 == len(await unit.get_conversation_history("small"))
        assert ["kept99"] == [each.user_input for each in await unit.search_conversations("kept99")]
    assert path.stat().st_size < before / 5


async def test_stats(tmp_path: Path) -> None:
    """They count commits and jobs, tell how long these took, and can be written as JSON."""
    async with (
        SQLiteAdapter(tmp_path / "conversations.db") as adapter,
        ConversationHistoryUnit(adapter) as unit,
    ):
        before = await adapter.stats()
        await asyncio.gather(*(unit.save_message(exchange("text")) for _ in range(64)))
        await unit.get_conversation_history("a")
        after: dict[str, Any] = dict(await adapter.stats())

        assert 64 == after["jobs"] - before["jobs"]
        assert 1 <= after["commits"] - before["commits"] <= 64
        assert after["largest_batch"] > 1
        assert after["queue_depth"] == 0
        assert after["log_bytes"] > 0
        assert after["file_bytes"] > 0
        assert after["reads"]["count"] > 0
        for each in (after["reads"], after["writes"]):
            assert 0 < each["p50_ms"] <= each["p95_ms"] <= each["max_ms"]
        assert json.dumps(after)


# -- the search for damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM conversations WHERE id = 7", "1 exchanges that are not in the table"),
        (f'DELETE FROM "{INDEX}_docsize" WHERE id IN (3, 4)', "2 exchanges are missing"),
        (f'DELETE FROM "{INDEX}_data" WHERE id > 1000', INDEX),
        (f'UPDATE "{INDEX}_data" SET block = zeroblob(50) WHERE id > 1000', ""),
    ],
)
async def test_damage_to_the_index_is_found(
    damage: str, problem: str, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """What the index and the table do not have in common is told, and so is what no search can read."""
    path = tmp_path / "conversations.db"
    await fill(path)
    assert start("sqlite_damage", path, damage).wait() == 0

    async with SQLiteAdapter(path) as adapter:
        problems = await adapter.check()

    assert problems
    assert problem in " ".join(problems)


async def test_damage_to_an_index_of_sqlite_is_found(tmp_path: Path, start: Callable[..., Any]) -> None:
    """A row that is changed without its index is told."""
    path = tmp_path / "conversations.db"
    await fill(path)
    pages = (path.stat().st_size) // 4096
    found = 0
    for page in range(3, min(pages, 12)):
        copy = tmp_path / f"{page}.db"
        copy.write_bytes(path.read_bytes())
        assert start("sqlite_damage", copy, page).wait() == 0
        try:
            async with SQLiteAdapter(copy) as adapter:
                found += bool(await adapter.check())
        except CorruptDataError:
            found += 1

    assert min(pages, 12) - 3 == found


async def test_a_sound_index_is_not_suspected(tmp_path: Path) -> None:
    """A connection that has searched before others merged the index's parts does not take that for damage."""
    async with SQLiteAdapter(tmp_path / "conversations.db", readers=1) as adapter:
        async with ConversationHistoryUnit(adapter) as unit:
            for part in range(40):
                texts = [" ".join(f"w{part}x{word}x{number}" for word in range(30)) for number in range(100)]
                await unit.save_messages_batch([exchange(text) for text in texts])
                if part == 10:
                    await unit.search_conversations(f"w{part}x1x1")
                await index_all(unit)

            assert [] == await adapter.check()
