"""Every version of the schema that ever was opens with this one, and comes out as if it had been made new."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite import migrations

STORED = sorted((Path(__file__).parent / "stored").glob("sqlite_*.sql"))
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
TABLES = ("conversations", "Notes_2")
METADATA: list[dict[str, Any]] = [{}, {"model": "m", "tokens": [1, 2**70], "\u00e9": None}, {"pi": 3.25}]

each_stored = pytest.mark.parametrize("dump", STORED, ids=[each.stem for each in STORED])


def expected_messages(table: str) -> list[ConversationMessage]:
    """Build what every stored database holds; see `store_database.py`."""
    return [
        ConversationMessage(
            f"conversation {number // 3}",
            f"Question {number}: what is a caf\u00e9 \u732b\u306e\u672c?\x00",
            f"Answer {number} of {table}, learning.",
            NOON + timedelta(microseconds=number * 1001),
            number * 1.5,
            number,
            METADATA[number % 3],
            number - 1 if number % 3 and number > 1 else None,
        )
        for number in range(1, 6)
    ]


def restore(dump: Path, folder: Path) -> Path:
    """Make a file of what was stored as SQL."""
    path = folder / "restored.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(dump.read_text(encoding="utf-8")).fetchall()
    connection.close()
    return path


def schema_of(path: Path) -> dict[str, Any]:
    """Read the schema of a closed database, and its versions."""
    connection = apsw.Connection(str(path))
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    tables = connection.execute("SELECT name, kind, schema_version FROM nanobrain_tables")
    found = {
        "objects": sorted(map(repr, rows.fetchall())),
        "tables": sorted(map(repr, tables.fetchall())),
        "user_version": connection.pragma("user_version"),
        "application_id": connection.pragma("application_id"),
    }
    connection.close()
    return found


async def open_tables(path: Path) -> None:
    """Open both tables, which makes or migrates them."""
    async with SQLiteAdapter(path) as adapter:
        for table in TABLES:
            async with ConversationHistoryUnit(adapter, table_name=table):
                pass


def test_every_version_is_stored() -> None:
    """A migration comes with a database of its version; that of the version before is there already.

    `python tests/migrations/store_database.py` stores one.
    """
    versions = [re.fullmatch(r"sqlite_(\d+)_(\d+)", each.stem) for each in STORED]
    found = [(int(each[1]), int(each[2])) for each in versions if each]

    assert len(found) == len(STORED)
    assert set(range(1, len(migrations._DATABASE) + 1)) == {database for database, _ in found}
    assert set(range(1, len(migrations._TABLES["conversations"]) + 1)) == {table for _, table in found}


@each_stored
def test_a_stored_database_is_indexed_in_part(dump: Path, tmp_path: Path) -> None:
    """What a full-text index holds is stored too, and so is that it does not reach the end."""
    connection = apsw.Connection(str(restore(dump, tmp_path)))
    reach = connection.execute("SELECT name, indexed_id, last_id FROM nanobrain_tables").fetchall()
    connection.close()

    assert sorted((table, 3, 6) for table in TABLES) == sorted(reach)


@each_stored
async def test_a_stored_database_keeps_what_it_holds(dump: Path, tmp_path: Path) -> None:
    """All rows are there, exact, and found by their texts; ids go on where they ended."""
    path = restore(dump, tmp_path)
    async with SQLiteAdapter(path) as adapter:
        for table in TABLES:
            async with ConversationHistoryUnit(adapter, table_name=table) as unit:
                assert expected_messages(table) == [each async for each in unit.stream_conversations()]
                for query in ("caf\u00e9", "learn", "\u732b\u306e", '"Answer 3"'):
                    found = await unit.search_conversations(query)
                    assert 3 in {each.message_id for each in found}
                new = ConversationMessage("new", "new", "", NOON, 1.0)
                assert 7 == await unit.save_message(new)
        assert [] == await adapter.check()


@each_stored
async def test_a_migrated_schema_equals_a_new_one(dump: Path, tmp_path: Path) -> None:
    """Whether a database was made by this version or by an earlier one makes no difference."""
    path = restore(dump, tmp_path)
    fresh = tmp_path / "fresh.db"

    for each in (path, fresh):
        await open_tables(each)

    assert schema_of(fresh) == schema_of(path)


@each_stored
async def test_opening_again_changes_nothing(dump: Path, tmp_path: Path) -> None:
    """What was migrated once is left as it is."""
    path = restore(dump, tmp_path)
    await open_tables(path)
    schema = schema_of(path)
    connection = apsw.Connection(str(path))
    version = connection.pragma("data_version")

    await open_tables(path)

    assert version == connection.pragma("data_version")
    connection.close()
    assert schema == schema_of(path)


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All migrations of a table happen in one transaction, or none."""
    path = tmp_path / "conversations.db"
    await open_tables(path)
    before = schema_of(path)
    steps = migrations._TABLES["conversations"]
    broken = (
        'ALTER TABLE "{table}" ADD COLUMN new TEXT; CREATE TABLE "{table}_new" (a);',
        "SELECT x FROM nowhere;",
    )
    with monkeypatch.context() as patch:
        patch.setitem(migrations._TABLES, "conversations", (*steps, *broken))
        with pytest.raises(Exception, match="nowhere"):
            await open_tables(path)

    assert before == schema_of(path)
    await open_tables(path)


async def test_a_migration_is_applied_to_each_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that another process, or an earlier version, made is brought to the new schema when opened."""
    path = tmp_path / "conversations.db"
    await open_tables(path)
    steps = migrations._TABLES["conversations"]
    monkeypatch.setitem(
        migrations._TABLES,
        "conversations",
        (*steps, 'CREATE INDEX "nanobrain:{table}:new" ON "{table}" (metadata);'),
    )

    await open_tables(path)

    fresh = tmp_path / "fresh.db"
    await open_tables(fresh)
    assert schema_of(fresh) == schema_of(path)
    assert any("nanobrain:Notes_2:new" in each for each in schema_of(path)["objects"])
