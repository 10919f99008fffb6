"""Reading SQL from `.sql` files, where each statement stands below a line `-- name --`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_NAME: Final = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)
_SCHEMA: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def read_named(file_name: str) -> dict[str, str]:
    """Return the statements of a file of this folder by name."""
    parts = _NAME.split((_FOLDER / file_name).read_text(encoding="utf-8"))
    return {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}


def read_migrations(kind: str) -> list[str]:
    """Return the migrations in `schema/<kind>`, in their order; their numbers begin with 1."""
    files = sorted((_FOLDER / "schema" / kind).glob("*.sql"))
    return [file.read_text(encoding="utf-8") for file in files]


def is_schema_name(name: object) -> bool:
    """Tell whether this library takes a schema of this name: then it can stand in SQL, quoted."""
    return isinstance(name, str) and bool(_SCHEMA.fullmatch(name)) and not name.lower().startswith("pg_")


def for_table(statement: str, schema: str, table: str) -> str:
    """Put the names of a schema and a table, which were checked, in the places of `{schema}` and `{table}`.

    In the statement they stand within double quotes: `"{schema}"."{table}"`, `"nb:{table}:by_time"`. The
    table is in lower case, whatever case it was asked for in. PostgreSQL cuts names after 63 bytes, a table's
    name may have 48: what comes behind it may have 11.
    """
    return statement.replace("{schema}", schema).replace("{table}", table.lower())
