"""Every version of the schema that ever was opens with this one, and comes out as if it had been made new."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ConversationQuery,
    SessionConfig,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
)
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite import migrations
from library.infrastructure.interfaces.database.sqlite.rows import conversation_key

if TYPE_CHECKING:
    from collections.abc import Sequence

STORED = sorted((Path(__file__).parent / "stored").glob("sqlite_*.sql"))
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
TABLES = ("conversations", "Notes_2")
METADATA: list[dict[str, Any]] = [{}, {"model": "m", "tokens": [1, 2**70], "\u00e9": None}, {"pi": 3.25}]

# Before exchanges were indexed by their session.
WITHOUT_SESSIONS = [each for each in STORED if each.stem.endswith("_1")]

each_stored = pytest.mark.parametrize("dump", STORED, ids=[each.stem for each in STORED])
each_without_sessions = pytest.mark.parametrize(
    "dump", WITHOUT_SESSIONS, ids=[each.stem for each in WITHOUT_SESSIONS]
)

each_with_sessions = pytest.mark.parametrize(
    "dump", [each for each in STORED if each not in WITHOUT_SESSIONS], ids=lambda each: each.stem
)


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


def insert_of_old(path: Path, rows: list[tuple[str, str, int | None, str]]) -> None:
    """Put rows into both tables of a restored database of the first version, as that version saved them.

    Args:
        path: the database.
        rows: of each the conversation, the user's text, the parent, and the metadata; ids begin with 7.

    """
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA secure_delete = ON")
    noon = int(NOON.timestamp()) * 1_000_000
    for table in TABLES:
        connection.executemany(
            f'INSERT INTO "{table}" (id, conversation_id, conversation_key, timestamp, user_input, '
            "agent_response, response_time_ms, parent_id, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (number, name, conversation_key(name), noon + number, text, "", 1.5, parent, metadata)
                for number, (name, text, parent, metadata) in enumerate(rows, 7)
            ],
        )
    connection.execute("UPDATE nanobrain_tables SET last_id = ?", (6 + len(rows),))
    connection.close()


def has_split_pages(path: Path) -> set[int]:
    """Tell whether copies of rows may be left in a closed database, in whose tables."""
    connection = apsw.Connection(str(path))
    (found,) = zip(
        *connection.execute("SELECT has_split_pages FROM nanobrain_tables WHERE kind = 'conversations'"),
        strict=True,
    )
    connection.close()
    return set(found)


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
    """Open all tables, which makes or migrates them."""
    async with SQLiteAdapter(path) as adapter, SessionManager(database_adapter=adapter):
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
    reach = connection.execute(
        "SELECT name, indexed_id, last_id FROM nanobrain_tables WHERE kind = 'conversations'"
    ).fetchall()
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


@each_with_sessions
async def test_stored_sessions(dump: Path, tmp_path: Path) -> None:
    """They are what they were, and go on from there."""
    now = NOON + timedelta(hours=2, microseconds=1001)
    config = SessionConfig(session_timeout=timedelta(hours=2), cleanup_policy="deactivate")
    path = restore(dump, tmp_path)
    async with SQLiteAdapter(path) as adapter, SessionManager(config, adapter, clock=lambda: now) as sessions:
        found = {each.user_id: each for each in await sessions.list_sessions()}
        assert [("active", True), ("ended", False), ("expired", False)] == sorted(
            (each.user_id, each.is_active) for each in found.values()
        )
        active = await sessions.get_session(found["active"].session_id)
        assert METADATA[1] == active.metadata
        assert (NOON + timedelta(hours=1), now) == (active.created_at, active.last_activity)
        for user, error in (("ended", SessionEndedError), ("expired", SessionExpiredError)):
            with pytest.raises(error):
                await sessions.get_session(found[user].session_id)
        now += timedelta(hours=2)
        assert 1 == await sessions.cleanup_expired_sessions()
        assert [] == await adapter.check()


@each_without_sessions
async def test_sessions_of_old_exchanges_are_found(dump: Path, tmp_path: Path) -> None:
    """Exchanges that name a session were indexed by it when the table was migrated; all else is as it was."""
    path = restore(dump, tmp_path)
    documents = [
        '{"session_id":"s"}',
        '{"a":[{"session_id":"t"}],\n"session_id":"s","n":1180591620717411303424}',
        '{"session_id":5}',
        '{"session_id":1180591620717411303424}',
        '{"session_id":null}',
        '{"text":"\\"session_id\\":\\"s\\""}',
        '{"session_id":"\\u0000\u732b"}',
        f'{{"session_id":"s","long":"{"x" * 300_000}"}}',
    ]
    texts = [f"old {number}" for number in range(len(documents))]
    insert_of_old(path, [(text, text, None, each) for text, each in zip(texts, documents, strict=True)])

    for _ in range(2):
        async with SQLiteAdapter(path) as adapter:
            for table in TABLES:
                async with ConversationHistoryUnit(adapter, table_name=table) as unit:
                    found = {
                        session_id: [
                            each.conversation_id
                            for each in await unit.list_conversations(session_id=session_id)
                        ]
                        for session_id in ("s", "t", "5", "\x00\u732b")
                    }
                    assert {
                        "s": ["old 7", "old 1", "old 0"],
                        "t": [],
                        "5": [],
                        "\x00\u732b": ["old 6"],
                    } == found
                    by_id = ConversationQuery().order_by("message_id")
                    old = [each async for each in unit.stream_conversations(by_id)]
                    assert expected_messages(table) == old[:5]
                    assert texts == [each.user_input for each in old[5:]]
            assert [] == await adapter.check()


@each_without_sessions
async def test_old_exchanges_change_their_session(dump: Path, tmp_path: Path) -> None:
    """What an earlier version saved is updated and forked like all else."""
    path = restore(dump, tmp_path)
    insert_of_old(path, [("old", "named", None, '{"session_id":"s"}'), ("old", "other", None, "{}")])

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.update_message(8, metadata={"session_id": "t"})
        await unit.update_message(7, metadata={})
        await unit.fork_conversation("old", at=8, new_id="new")

        assert [] == await unit.list_conversations(session_id="s")
        found = await unit.list_conversations(session_id="t")
        assert {"old", "new"} == {each.conversation_id for each in found}


@each_without_sessions
@pytest.mark.parametrize("session", ["", '"session_id":"s",'])
async def test_old_exchanges_are_erased(dump: Path, session: str, tmp_path: Path) -> None:
    """Nothing is left of them in the file, though they were saved without room for what was added since."""
    path = restore(dump, tmp_path)
    secret = "xyzzyplugh"
    insert_of_old(
        path,
        [
            (name, f"{secret if name == 'secret' else 'open'} " * (number % 37), None, f'{{{session}"a":1}}')
            for number in range(1500)
            for name in ("secret", "kept", "secret")
        ],
    )

    async with SQLiteAdapter(path) as adapter:
        for table in TABLES:
            async with ConversationHistoryUnit(adapter, table_name=table) as unit:
                assert 3000 == await unit.delete_conversation("secret")
                assert bool(session) == bool(await unit.list_conversations(session_id="s"))

    assert secret.encode() not in path.read_bytes()


@each_without_sessions
@pytest.mark.parametrize(("document", "expected"), [("{}", {0}), ('{"session_id":"s"}', {1})])
async def test_pages_that_a_migration_may_split(
    dump: Path, document: str, expected: set[int], tmp_path: Path
) -> None:
    """Rows that get longer by it may leave copies: that is remembered until something is erased."""
    path = restore(dump, tmp_path)
    insert_of_old(path, [("old", "text", None, document)])

    await open_tables(path)

    assert expected == has_split_pages(path)


@each_without_sessions
async def test_pages_that_a_change_may_split(dump: Path, tmp_path: Path) -> None:
    """A row of an earlier version gets longer when it is changed, the first time at least."""
    path = restore(dump, tmp_path)
    insert_of_old(path, [("old", "12", parent, "{}") for parent in (None, 7, 8)])
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        store: Any = unit._store

        def may_split(connection: apsw.Connection, jobs: Sequence[Any]) -> list[bool]:
            """Do one job, and tell whether pages may have been split since the one before."""
            run, payload = jobs[0]
            run(connection, [payload])
            found = connection.execute(store._sql["has_split_pages"], ("conversations",)).get
            connection.execute("UPDATE nanobrain_tables SET has_split_pages = 0")
            return [bool(found)]

        async def tell(run: Any, payload: Any) -> Any:
            return await adapter.engine.write(may_split, (run, payload), "change")

        edit = store._changes.update
        assert await tell(edit, (7, {"user_input": "21"}))
        assert not await tell(edit, (7, {"user_input": "12"}))
        assert await tell(edit, (7, {"metadata": {"session_id": ""}, "user_input": ""}))
        assert await tell(store._erasing.delete, 8)
        new = await unit.save_message(ConversationMessage("new", "12", "", NOON, 1.5))
        assert not await tell(edit, (new, {"user_input": "21"}))
        assert not await tell(store._erasing.delete, new)


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
