"""What an import left behind, and what others make of it: hostile names, cut files, full disks, races."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ExportManager,
    ImportManager,
    StorageFullError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEGABYTE = 1 << 20
ROWS = 12_000
"""More than are stored in one transaction."""

pytestmark = pytest.mark.slow


def write_file(path: Path, rows: int = ROWS) -> Path:
    """Write exchanges of ten conversations as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, rows + 1):
            record = {"message_id": number, "conversation_id": f"c{number % 10}", "timestamp": number}
            file.write(
                json.dumps({**record, "user_input": f"text {number} " * 20, "agent_response": ""}) + "\n"
            )
    return path


async def count(path: Path) -> int:
    """Count the exchanges of a database, which is whole."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        return sum(each.message_count for each in await unit.list_conversations(None))


@pytest.fixture
async def interrupted(tmp_path: Path, start: Callable[..., Any]) -> Path:
    """Make a database whose import was killed while it was being stored."""
    path = tmp_path / "conversations.db"
    child = start("import_file", path, write_file(tmp_path / "a.jsonl"), "append")
    while child.line() != "saving":
        continue
    child.kill()
    assert 1 == len(list(tmp_path.glob("*-import-*")))
    return path


async def test_what_was_killed_is_completed(interrupted: Path) -> None:
    """By whoever opens the database next."""
    assert ROWS <= await count(interrupted) <= ROWS + 2000
    assert [] == list(interrupted.parent.glob("*-import-*"))


@pytest.mark.parametrize("place", ["../victim", "/{folder}/victim", "victim", "a/../victim", ""])
async def test_a_database_from_a_stranger_names_any_file(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is neither read nor removed; the import is given up with a warning."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "gift.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter):
        pass
    victims = [tmp_path / "victim", folder / "victim"]
    for victim in victims:
        victim.write_text('[[1,"c",0,"stolen","",1.0,null,"{}"]]\n')
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO nanobrain_loads "
        "VALUES (1, 'conversations', ?, 0, 1, 'append', 0, 0, 0, 0, 0, 'inserting', 0, 0, 0, 0, 0)",
        (place.format(folder=tmp_path),),
    ).fetchall()
    connection.close()

    with caplog.at_level(logging.WARNING):
        assert 0 == await count(path)

    assert all(victim.exists() for victim in victims)
    assert "stays incomplete" in caplog.text
    caplog.clear()
    assert 0 == await count(path)
    assert "stays incomplete" not in caplog.text


@pytest.mark.parametrize("left", [0, 1, 100_000])
async def test_a_file_that_was_cut_is_given_up(
    left: int, interrupted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning that says how to go on; the database opens, and the import can be made good."""
    (spool,) = interrupted.parent.glob("*-import-*")
    with spool.open("r+b") as file:
        file.truncate(left)

    with caplog.at_level(logging.WARNING):
        assert await count(interrupted) < ROWS

    assert 'merge_strategy="skip_duplicates"' in caplog.text
    assert [] == list(interrupted.parent.glob("*-import-*"))
    importer = ImportManager(SQLiteAdapter(interrupted))
    await importer.import_conversations(interrupted.parent / "a.jsonl", merge_strategy="skip_duplicates")
    assert ROWS <= await count(interrupted) <= ROWS + 2000


async def test_a_full_disk_keeps_nobody_from_reading(
    disk_of: Callable[[int], Path],
    tmp_path: Path,
    use_up: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An import that cannot be completed for want of room waits; what is there can be read and exported."""
    disk = disk_of(40 * MEGABYTE)
    path, ballast = disk / "conversations.db", disk / "ballast"
    file = write_file(tmp_path / "a.jsonl")

    def fill(progress: Any) -> None:
        if progress.phase == "saving" and not ballast.exists():
            use_up(ballast)

    with pytest.raises(StorageFullError):
        await ImportManager(SQLiteAdapter(path)).import_conversations(file, progress=fill)
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert await unit.list_conversations()
        await ExportManager(adapter).export_conversations(output_file=tmp_path / "b.jsonl")
        assert any("interrupted" in problem for problem in await adapter.check())
    assert "stays incomplete for now" in caplog.text

    ballast.unlink()
    assert ROWS == await count(path)


async def test_a_backup_waits_for_an_import(tmp_path: Path) -> None:
    """It holds all of it, or nothing."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter):
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

    assert ROWS == await count(tmp_path / "backup.db")


@pytest.mark.parametrize("rows", [60, ROWS], ids=["few", "many"])
async def test_two_replacements_at_once(rows: int, tmp_path: Path) -> None:
    """One after the other: what is there in the end is there once; so with two adapters on one file."""
    path, file = tmp_path / "conversations.db", write_file(tmp_path / "a.jsonl", rows)
    async with SQLiteAdapter(path) as first, SQLiteAdapter(path) as second:
        reports = await asyncio.gather(
            *(
                ImportManager(adapter).import_conversations(file, merge_strategy="replace")
                for adapter in (first, second, first)
            )
        )

    assert [0, rows, rows] == sorted(each.replaced for each in reports)
    assert rows == await count(path)
