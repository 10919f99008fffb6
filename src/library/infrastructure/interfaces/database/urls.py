"""From a URL to the adapter of the database that it names: a new adapter is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from library.infrastructure.data.errors import InvalidOptionError, MissingExtraError
from library.infrastructure.interfaces.database.sqlite.adapter import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.data.storage import DatabaseAdapter
    from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter


def open_adapter(url: str) -> DatabaseAdapter:
    """Build the adapter for a URL; it is not opened yet.

    Args:
        url: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or `sqlite:///:memory:` for one that
            keeps nothing; special characters in the path are percent-encoded. Or
            `postgresql://user:password@host:port/database?option=value`, as `PostgreSQLAdapter` takes it.

    Raises:
        InvalidOptionError: the URL names no database that is known.
        MissingExtraError: the driver of that database is not installed.

    """
    scheme = urlsplit(url).scheme if isinstance(url, str) else ""
    if scheme not in _BUILDERS:
        known = ", ".join(f"{each}://" for each in _BUILDERS)
        shown = f"{scheme}://…" if scheme else "a text without a scheme"
        raise InvalidOptionError(
            f"{shown} names no database that is known: it is one of {known}", option="url"
        )
    return _BUILDERS[scheme](url)


def _sqlite(url: str) -> DatabaseAdapter:
    parts = urlsplit(url)
    if not url.startswith("sqlite:///") or parts.query or parts.fragment or not parts.path[1:]:
        message = (
            f"{url!r} names no file: write sqlite:///relative.db or sqlite:////absolute.db, or "
            "sqlite:///:memory: for a database that keeps nothing"
        )
        raise InvalidOptionError(message, option="url")
    return SQLiteAdapter(unquote(parts.path[1:]))


def load_postgresql_adapter() -> type[PostgreSQLAdapter]:
    """Return the class, with which the driver is loaded.

    Raises:
        MissingExtraError: the driver is not installed.

    """
    try:
        from library.infrastructure.interfaces.database.postgresql.adapter import (  # noqa: PLC0415
            PostgreSQLAdapter,
        )
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        message = "PostgreSQL needs asyncpg: pip install 'nanobrain-data[postgresql]'"
        raise MissingExtraError(message, extra="postgresql") from error
    return PostgreSQLAdapter


def _postgresql(url: str) -> DatabaseAdapter:
    return load_postgresql_adapter()(url)


_BUILDERS: Final[dict[str, Callable[[str], DatabaseAdapter]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "postgres": _postgresql,
}
