"""Write a database of the present version as SQL, to be kept in `tests/migrations/stored/`.

Run this before a migration is added: a database of each version that was ever released is kept for ever, and
each one must open with every later version. Usage: python tests/migrations/store_database.py

The name of the file tells the versions of the database and of its tables: `sqlite_1_1.sql`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    SessionConfig,
    SessionManager,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

STORED = Path(__file__).parent / "stored"
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
METADATA: list[dict[str, Any]] = [{}, {"model": "m", "tokens": [1, 2**70], "\u00e9": None}, {"pi": 3.25}]


async def make(path: Path) -> None:
    """Save exchanges of two tables; some are indexed, some are not, one was deleted. And three sessions."""
    async with SQLiteAdapter(path) as adapter:
        for table in ("conversations", "Notes_2"):
            async with ConversationHistoryUnit(adapter, table_name=table) as unit:
                messages = [
                    ConversationMessage(
                        f"conversation {number // 3}",
                        f"Question {number}: what is a caf\u00e9 \u732b\u306e\u672c?\x00",
                        f"Answer {number} of {table}, learning.",
                        NOON + timedelta(microseconds=number * 1001),
                        number * 1.5,
                        metadata=METADATA[number % 3],
                        parent_id=number - 1 if number % 3 and number > 1 else None,
                    )
                    for number in range(1, 7)
                ]
                await unit.save_messages_batch(messages[:3])
                store: Any = unit._store
                await adapter.engine.write(store._catch_up, None, "index", in_transaction=False)
                await unit.save_messages_batch(messages[3:])
                await unit.delete_message(6)
        await make_sessions(adapter)


async def make_sessions(adapter: SQLiteAdapter) -> None:
    """Keep one session that is active, one that was ended, and one that has expired."""
    now = NOON
    config = SessionConfig(session_timeout=timedelta(hours=2), cleanup_policy="deactivate")
    async with SessionManager(config, adapter, clock=lambda: now) as sessions:
        await sessions.create_session("expired", METADATA[0])
        now += timedelta(hours=1)
        ended = await sessions.create_session("ended", METADATA[2])
        active = await sessions.create_session("active", METADATA[1])
        await sessions.end_session(ended)
        now += timedelta(hours=1, microseconds=1001)
        await sessions.cleanup_expired_sessions()
        await sessions.touch(active)


def quoted(value: object) -> str:
    """Write a value as SQL."""
    if isinstance(value, str) and not value.isprintable():
        return f"CAST(x'{value.encode().hex()}' AS TEXT)"
    return str(apsw.format_sql_value(value))


def dump(connection: apsw.Connection) -> str:
    """Write all that a database holds as SQL, its full-text indexes as their tables."""
    lines: list[str] = [
        f"PRAGMA user_version = {connection.pragma('user_version')};",
        f"PRAGMA application_id = {connection.pragma('application_id')};",
        "PRAGMA writable_schema = ON;",
    ]
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    objects: list[Any] = schema.fetchall()
    for _, name, table, sql in objects:
        if sql.startswith("CREATE VIRTUAL TABLE"):
            row = ", ".join(map(apsw.format_sql_value, ("table", name, table, 0, sql)))
            lines.append(f"INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ({row});")
        else:
            lines.append(f"{sql};")
    for kind, name, _, sql in objects:
        if kind == "table" and not sql.startswith("CREATE VIRTUAL TABLE"):
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                values = ", ".join(quoted(value) for value in row)
                lines.append(f'INSERT INTO "{name}" VALUES ({values});')
    return "\n".join([*lines, "PRAGMA writable_schema = RESET;", ""])


def main() -> None:
    """Make a database, and write it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "conversations.db")
        asyncio.run(make(path))
        connection = apsw.Connection(str(path))
        table_version = connection.execute("SELECT max(schema_version) FROM nanobrain_tables").get
        name = f"sqlite_{connection.pragma('user_version')}_{table_version}.sql"
        STORED.mkdir(exist_ok=True)
        if (STORED / name).exists():
            sys.exit(f"{name} is there already: what was stored once is not changed")
        (STORED / name).write_text(dump(connection), encoding="utf-8")
        connection.close()
    print(f"wrote {STORED / name}")


if __name__ == "__main__":
    main()
