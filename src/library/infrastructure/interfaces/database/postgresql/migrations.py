"""Making tables, and bringing those of earlier versions to this version's schema.

A migration is a numbered `.sql` file. All that are missing are applied in one transaction under an advisory
lock, by whichever process comes first; a lock on a table that is in use is waited for only for moments, so
that nobody queues behind it for long. What is newer than this code is refused, and not touched.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import InvalidOptionError, NewerSchemaError, StorageError
from library.infrastructure.data.storage import TableInfo
from library.infrastructure.interfaces.database.postgresql.named_sql import (
    for_table,
    read_migrations,
    read_named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST_SERVER: Final = 14
_DATABASE: Final = "database"
_SCHEMA_ITSELF: Final = ""
"""Stands for the schema in `nanobrain_tables`."""


@cache
def _sql(schema: str) -> dict[str, str]:
    return {name: for_table(text, schema, "") for name, text in read_named("migrations.sql").items()}


@cache
def _steps(kind: str) -> tuple[str, ...]:
    return tuple(read_migrations(kind))


async def check_database(connection: Any, schema: str, where: str) -> None:
    """Refuse a schema that a newer version of this library wrote.

    Raises:
        NewerSchemaError: it did.

    """
    _refuse_newer(await _version(connection, schema), len(_steps(_DATABASE)), where, "")


async def known_tables(connection: Any, schema: str) -> list[TableInfo]:
    """List the tables of this library."""
    sql = _sql(schema)
    if not await connection.fetchval(sql["has_tables"]):
        return []
    rows = await connection.fetch(sql["known_tables"])
    return [TableInfo(name, kind, found, len(_steps(kind))) for name, kind, found in rows]


async def is_current(connection: Any, schema: str, kind: str, table: str) -> bool:
    """Tell whether there is nothing to migrate."""
    if await _version(connection, schema) != len(_steps(_DATABASE)):
        return False
    found = await connection.fetchrow(_sql(schema)["known_table"], table.lower())
    return found is not None and tuple(found) == (kind, len(_steps(kind)))


async def migrate(connection: Any, schema: str, kind: str, table: str, where: str) -> None:
    """Bring the schema and one table to the state of this code; called within a transaction.

    Args:
        connection: one to the primary.
        schema: where the tables are; it is made if it is not there.
        kind: what is kept in the table.
        table: its name, which was checked.
        where: what errors call the database.

    Raises:
        InvalidOptionError: there is a table of this name that this library did not make, or made for
            something else.
        NewerSchemaError: a newer version of this library wrote it.

    """
    sql = _sql(schema)
    await connection.execute(sql["lock"])
    await connection.execute(sql["be_patient"])
    if not await connection.fetchval(sql["has_schema"]):
        await connection.execute(sql["make_schema"])
    steps = _steps(_DATABASE)
    found = await _version(connection, schema)
    _refuse_newer(found, len(steps), where, "")
    if found < len(steps):
        await _apply(connection, steps[found:], schema, "")
        await connection.execute(sql["note_table"], _SCHEMA_ITSELF, schema, _DATABASE, len(steps))
    await _migrate_table(connection, schema, kind, table, where)


async def _migrate_table(connection: Any, schema: str, kind: str, table: str, where: str) -> None:
    sql, steps, name = _sql(schema), _steps(kind), table.lower()
    row = await connection.fetchrow(sql["known_table"], name)
    if row is None:
        if await connection.fetchval(sql["is_taken"], name):
            raise InvalidOptionError(
                f"{where} has a table {table!r} that this library did not make: choose another table_name, "
                "and import what is in it",
                option="table_name",
            )
        found = 0
    else:
        found = row["schema_version"]
        if row["kind"] != kind:
            message = (
                f"the table {table!r} of {where} keeps {row['kind']}, not {kind}: choose another table_name"
            )
            raise InvalidOptionError(message, option="table_name")
        _refuse_newer(found, len(steps), where, f"the table {table!r} of ")
    if found < len(steps):
        await _apply(connection, steps[found:], schema, table)
        await connection.execute(sql["note_table"], name, table, kind, len(steps))


async def _apply(connection: Any, steps: Sequence[str], schema: str, table: str) -> None:
    for step in steps:
        await connection.execute(for_table(step, schema, table))


async def _version(connection: Any, schema: str) -> int:
    """Return how many migrations of the schema itself were applied."""
    sql = _sql(schema)
    if not await connection.fetchval(sql["has_tables"]):
        return 0
    row = await connection.fetchrow(sql["known_table"], _SCHEMA_ITSELF)
    return 0 if row is None else int(row["schema_version"])


def _refuse_newer(found: int, known: int, where: str, what: str) -> None:
    if found > known:
        raise NewerSchemaError(
            f"{what}{where} was written by a newer version of this library (schema {found}, this one knows "
            f"{known}): upgrade nanobrain-data; nothing in it was touched",
            path=where,
        )


async def check_server(connection: Any, where: str) -> None:
    """Refuse a server that is too old, or a database that cannot hold any text.

    Raises:
        StorageError: it is one.

    """
    row = await connection.fetchrow(read_named("migrations.sql")["server"])
    if row["version"] < OLDEST_SERVER * 10_000:
        message = f"{where} is PostgreSQL {row['version'] // 10_000}: upgrade it to {OLDEST_SERVER} or newer"
        raise StorageError(message, path=where)
    if row["encoding"] != "UTF8":
        message = f"{where} is encoded in {row['encoding']}: make it with CREATE DATABASE … ENCODING 'UTF8'"
        raise StorageError(message, path=where)
