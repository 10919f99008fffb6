"""Making tables, and bringing those of earlier versions to this version's schema.

A migration is a numbered `.sql` file. All that are missing are applied in one transaction under the write
lock, by whichever process comes first. What is newer than this code is refused, and not touched.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from library.infrastructure.data.errors import InvalidOptionError, NewerSchemaError
from library.infrastructure.data.storage import TableInfo
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_row,
    fetch_rows,
    for_table,
    read_migrations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

APPLICATION_ID: Final = 0x4E42_4441
"""Tells `file(1)` and others whose database this is: "NBDA"."""

_DATABASE: Final = tuple(read_migrations("database"))
_TABLES: Final = {kind: tuple(read_migrations(kind)) for kind in ("conversations", "sessions")}


def check_database(connection: apsw.Connection, path: str) -> None:
    """Refuse a database that a newer version of this library wrote.

    Raises:
        NewerSchemaError: it did.

    """
    _refuse_newer(_has_tables(connection) and _version(connection), len(_DATABASE), path, "")


def migrate(connection: apsw.Connection, path: str, kind: str, table: str) -> None:
    """Bring the database and one table to the schema of this code; called within a transaction.

    Args:
        connection: the one that writes.
        path: what errors call the database.
        kind: what is kept in the table.
        table: its name, which was checked.

    Raises:
        InvalidOptionError: there is a table of this name that this library did not make, or made for
            something else.
        NewerSchemaError: a newer version of this library wrote it.

    """
    is_ours = _has_tables(connection)
    found = _version(connection) if is_ours else 0
    _refuse_newer(found, len(_DATABASE), path, "")
    if found < len(_DATABASE):
        _apply(connection, _DATABASE[found:], "")
        connection.pragma("user_version", len(_DATABASE))
        if not connection.pragma("application_id"):
            connection.pragma("application_id", APPLICATION_ID)
    _migrate_table(connection, path, kind, table)


def is_current(connection: apsw.Connection, kind: str, table: str) -> bool:
    """Tell whether there is nothing to migrate."""
    if not _has_tables(connection) or _version(connection) != len(_DATABASE):
        return False
    found = _table(connection, table)
    return found is not None and found == (kind, len(_TABLES[kind]))


def known_tables(connection: apsw.Connection) -> list[TableInfo]:
    """List the tables of this library."""
    if not _has_tables(connection):
        return []
    select = "SELECT name, kind, schema_version FROM nanobrain_tables ORDER BY name"
    rows = fetch_rows(connection, select)
    return [TableInfo(name, kind, found, len(_TABLES.get(kind, ()))) for name, kind, found in rows]


def _migrate_table(connection: apsw.Connection, path: str, kind: str, table: str) -> None:
    steps = _TABLES[kind]
    found = _table(connection, table)
    if found is None:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (table,)).get:
            raise InvalidOptionError(
                f"{path} has a table {table!r} that this library did not make: choose another table_name, "
                "and import what is in it",
                option="table_name",
            )
        _apply(connection, steps, table)
        insert = "INSERT INTO nanobrain_tables (name, kind, schema_version, changed_at) VALUES (?, ?, ?, ?)"
        connection.execute(insert, (table, kind, len(steps), time.time_ns() // 1000))
        return
    if found[0] != kind:
        message = f"the table {table!r} of {path} keeps {found[0]}, not {kind}: choose another table_name"
        raise InvalidOptionError(message, option="table_name")
    _refuse_newer(found[1], len(steps), path, f"the table {table!r} of ")
    if found[1] < len(steps):
        _apply(connection, steps[found[1] :], table)
        update = "UPDATE nanobrain_tables SET schema_version = ? WHERE name = ?"
        connection.execute(update, (len(steps), table))


def _apply(connection: apsw.Connection, steps: Sequence[str], table: str) -> None:
    for step in steps:
        for _ in connection.execute(for_table(step, table)):
            pass


def _refuse_newer(found: int, known: int, path: str, what: str) -> None:
    if found > known:
        raise NewerSchemaError(
            f"{what}{path} was written by a newer version of this library (schema {found}, this one knows "
            f"{known}): upgrade nanobrain-data; nothing in it was touched",
            path=path,
        )


def _has_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'nanobrain_tables'").get)


def _version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))


def _table(connection: apsw.Connection, table: str) -> tuple[str, int] | None:
    select = "SELECT kind, schema_version FROM nanobrain_tables WHERE name = ?"
    found = fetch_row(connection, select, table)
    return None if found is None else (str(found[0]), int(found[1]))
