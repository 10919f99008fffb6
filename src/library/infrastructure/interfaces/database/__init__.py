"""Database adapters: `SQLiteAdapter`, `PostgreSQLAdapter`; `open_adapter(url)` for whichever a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.database.sqlite.adapter import SQLiteAdapter
from library.infrastructure.interfaces.database.urls import load_postgresql_adapter, open_adapter

if TYPE_CHECKING:
    from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter

__all__ = ["PostgreSQLAdapter", "SQLiteAdapter", "open_adapter"]

SQLiteAdapter.__module__ = __name__
open_adapter.__module__ = __name__


def __getattr__(name: str) -> Any:
    """Load `PostgreSQLAdapter` when it is asked for: its driver comes with an extra."""
    if name == "PostgreSQLAdapter":
        adapter = load_postgresql_adapter()
        adapter.__module__ = __name__
        globals()[name] = adapter
        return adapter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
