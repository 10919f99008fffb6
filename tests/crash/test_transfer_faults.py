"""Disks that are full while an export or an import runs: the error says so, and nothing is half done."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ExportManager,
    ImportManager,
    StorageError,
    StorageFullError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MEGABYTE = 1 << 20
ROWS = 12_000
"""More than are stored in one transaction."""


def write_file(path: Path, rows: int = ROWS) -> Path:
    """Write exchanges of some hundred bytes as JSON lines."""
    line = {"user_input": "hello " * 20, "agent_response": "good day " * 30}
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, rows + 1):
            file.write(json.dumps({**line, "message_id": number, "timestamp": number}) + "\n")
    return path


async def count(path: Path) -> int:
    """Count the exchanges of a database, which is whole."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        return sum(each.message_count for each in await unit.list_conversations(None))


async def test_an_export_onto_a_full_disk(disk_of: Callable[[int], Path], tmp_path: Path) -> None:
    """What was there stays; with room again, it works."""
    disk = disk_of(MEGABYTE)
    target = disk / "export.jsonl"
    target.write_text("former")
    async with SQLiteAdapter(tmp_path / "c.db") as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch(
            [ConversationMessage("c", "x" * 2000, "", NOON, 1.0) for _ in range(1000)]
        )

        with pytest.raises(StorageError, match="free some space"):
            await ExportManager(adapter).export_conversations(output_file=target)

        assert "former" == target.read_text()
        assert [target] == list(disk.iterdir())
        await ExportManager(adapter).export_conversations(output_file=disk / "export.jsonl.gz")


async def test_an_import_that_finds_no_room_to_gather(disk_of: Callable[[int], Path], tmp_path: Path) -> None:
    """Nothing is stored, and nothing is left beside the database."""
    disk = disk_of(3 * MEGABYTE)
    path = disk / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        with pytest.raises(StorageFullError, match="no space"):
            await ImportManager(adapter).import_conversations(write_file(tmp_path / "a.jsonl"))

        assert ["conversations.db"] == [
            each.name for each in disk.iterdir() if "-wal" not in each.name and "-shm" not in each.name
        ]
        await unit.save_message(ConversationMessage("c", "still", "works", NOON, 1.0))
    assert 1 == await count(path)


@pytest.mark.slow
async def test_an_import_that_finds_no_room_to_store(
    disk_of: Callable[[int], Path], tmp_path: Path, use_up: Callable[[Path], None]
) -> None:
    """What is missing of it is stored when there is room: by the next import, or when it is opened again."""
    disk = disk_of(40 * MEGABYTE)
    path, ballast = disk / "conversations.db", disk / "ballast"
    file = write_file(tmp_path / "a.jsonl")

    async def import_onto_full_disk(adapter: SQLiteAdapter) -> None:
        def fill(progress: Any) -> None:
            if progress.phase == "saving" and not ballast.exists():
                use_up(ballast)

        with pytest.raises(StorageFullError, match="when the database is used again"):
            await ImportManager(adapter).import_conversations(file, progress=fill)
        ballast.unlink()

    async with SQLiteAdapter(path) as adapter:
        await import_onto_full_disk(adapter)
        small = write_file(tmp_path / "b.jsonl", 1)
        await ImportManager(adapter).import_conversations(small)
    assert ROWS + 1 == await count(path)

    path.unlink()
    async with SQLiteAdapter(path) as adapter:
        await import_onto_full_disk(adapter)
    assert ROWS == await count(path)
    assert [path] == list(disk.iterdir())


async def test_a_backup_while_an_import_runs_is_whole(tmp_path: Path) -> None:
    """It opens, is undamaged, and holds what was acknowledged before."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(ConversationMessage("c", "before", "", NOON, 1.0))
        begun = asyncio.Event()
        importing = asyncio.create_task(
            ImportManager(adapter).import_conversations(
                write_file(tmp_path / "a.jsonl"),
                progress=lambda each: begun.set() if each.phase == "saving" else None,
            )
        )
        await begun.wait()
        await adapter.backup(tmp_path / "backup.db")
        await importing

    assert 1 <= await count(tmp_path / "backup.db") <= ROWS + 1
    assert ROWS + 1 == await count(path)
