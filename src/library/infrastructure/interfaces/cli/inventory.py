"""What a database file holds, seen without changing it: opening it would make tables, and migrate them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite import migrations
from library.infrastructure.interfaces.database.sqlite.connection import open_immutable, open_reader
from library.infrastructure.interfaces.database.sqlite.engine import MEMORY
from library.infrastructure.interfaces.database.sqlite.failures import translate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.data.storage import TableInfo

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a database holds."""

    schema_version: int
    newest_version: int
    tables: tuple[TableInfo, ...]


def table_of_kind(tables: Iterable[TableInfo], kind: str, name: str) -> TableInfo | None:
    """Return the table of a kind and a name, in which case does not matter."""
    for each in tables:
        if each.kind == kind and each.name.lower() == name.lower():
            return each
    return None


def file_of(adapter: DatabaseAdapter) -> Path | None:
    """Return the file of a database, if it is one file."""
    if isinstance(adapter, SQLiteAdapter) and adapter.path != MEMORY:
        return Path(adapter.path)
    return None


def sqlite_version() -> str:
    """Return the version of the SQLite that is used."""
    return apsw.sqlite_lib_version()


def look(file: Path) -> Inventory:
    """Look into a database file; neither it nor a file beside it is written.

    Raises:
        CorruptDataError: it is no database.
        StorageError: it cannot be read.

    """
    try:
        connection = _connect(str(file))
        try:
            return _read(connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise translate(error, "look into", str(file)) from error


def _connect(path: str) -> apsw.Connection:
    """Connect as the library itself would if it may not write; see `Engine.connect_reader`."""
    log = f"{path}-wal"
    has_log = os.path.exists(log) and os.path.getsize(log) > 0  # noqa: PTH110, PTH202 - as there
    return open_reader(path, _PATIENCE_S) if has_log else open_immutable(path)


def _read(connection: apsw.Connection) -> Inventory:
    tables = tuple(migrations.known_tables(connection))
    return Inventory(
        schema_version=migrations._version(connection) if tables else 0,
        newest_version=len(migrations._DATABASE),
        tables=tables,
    )
