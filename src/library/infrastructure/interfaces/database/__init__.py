"""Database adapters: `SQLiteAdapter`, and `open_adapter(url)` for whichever a URL names."""

from library.infrastructure.interfaces.database.sqlite.adapter import SQLiteAdapter
from library.infrastructure.interfaces.database.urls import open_adapter

__all__ = ["SQLiteAdapter", "open_adapter"]

for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
