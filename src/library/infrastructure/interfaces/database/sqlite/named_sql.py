"""Reading SQL from `.sql` files, where each statement stands below a line `-- name --`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import CorruptDataError

if TYPE_CHECKING:
    import apsw

_FOLDER: Final = Path(__file__).parent
_NAME: Final = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)


def read_named(file_name: str) -> dict[str, str]:
    """Return the statements of a file of this folder by name."""
    parts = _NAME.split((_FOLDER / file_name).read_text(encoding="utf-8"))
    return {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}


def read_migrations(kind: str) -> list[str]:
    """Return the migrations in `schema/<kind>`, in their order; their numbers begin with 1."""
    files = sorted((_FOLDER / "schema" / kind).glob("*.sql"))
    return [file.read_text(encoding="utf-8") for file in files]


def fetch_row(connection: apsw.Connection, statement: str, *bindings: Any) -> tuple[Any, ...] | None:
    """Return the first row that a statement gives, if there is one."""
    row: Any = connection.execute(statement, bindings).fetchone()
    return None if row is None else tuple(row)


def fetch_known_row(connection: apsw.Connection, statement: str, *bindings: Any) -> tuple[Any, ...]:
    """Return the first row of a statement that always gives one."""
    row = fetch_row(connection, statement, *bindings)
    if row is None:
        raise CorruptDataError(f"{connection.filename} lacks a row that every database of this library has")
    return row


def fetch_rows(connection: apsw.Connection, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
    """Return all rows that a statement gives."""
    rows: list[Any] = connection.execute(statement, bindings).fetchall()
    return rows


def for_table(statement: str, table: str) -> str:
    """Put the name of a table, which was checked, in the place of `{table}`."""
    return statement.replace("{table}", table)
