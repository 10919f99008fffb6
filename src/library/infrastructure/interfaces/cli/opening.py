"""From the settings to an open database: which one it is, and that nothing is made by looking at it."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

import click

from library.infrastructure.data import ConversationHistoryUnit, SessionConfig, SessionManager
from library.infrastructure.data.storage import DEFAULT_URL, URL_VARIABLE
from library.infrastructure.interfaces.cli import inventory
from library.infrastructure.interfaces.cli.exit_codes import Failure, NotFound
from library.infrastructure.interfaces.database import open_adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.data.storage import TableInfo
    from library.infrastructure.interfaces.cli.job import Job
    from library.infrastructure.interfaces.cli.settings import Settings

TABLES: Final = {"conversations": "conversations", "sessions": "sessions"}
"""The usual name of the table, by what it keeps."""


def url_of(settings: Settings) -> str:
    """Return the URL of the database that is meant; raises as `as_url`."""
    return as_url(settings.database or os.environ.get(URL_VARIABLE) or DEFAULT_URL)


def as_url(text: str) -> str:
    """Return the URL of a database that was given as one, or as the path of a file.

    Raises:
        click.UsageError: a text names none.

    """
    if "://" in text:
        return text
    if text.lower().startswith("sqlite:"):
        raise click.UsageError("a URL has slashes: write sqlite:///relative.db or sqlite:////absolute.db")
    return f"sqlite:///{quote(os.path.expanduser(text))}"  # noqa: PTH111 - `:memory:` is no path


def adapter_of(job: Job) -> DatabaseAdapter:
    """Build the adapter of the database that is meant, and say which one; raises as `_refuse_folder`."""
    adapter = open_adapter(url_of(job.settings))
    _refuse_folder(adapter)
    if sys.stderr.isatty() or job.settings.is_verbose:
        job.say(f"database {adapter.url}")
    return adapter


async def existing(
    job: Job, kind: str | None = None, adapter: DatabaseAdapter | None = None
) -> DatabaseAdapter:
    """Build the adapter of a database that is there already.

    Args:
        job: the job.
        kind: what it must keep, "conversations" or "sessions"; `None`: whatever it is.
        adapter: the database; `None`: the one of the settings.

    Raises:
        Failure: it is a folder.
        NotFound: there is no such database, or no such table in it.

    """
    adapter = adapter_of(job) if adapter is None else adapter
    _refuse_folder(adapter)
    name = "" if kind is None else table_of(job.settings, kind)
    if kind is not None:
        (adapter.sessions if kind == "sessions" else adapter.conversations)(name)  # refuses what is no name
    file = inventory.file_of(adapter)
    if file is not None and not file.exists():
        raise NotFound(
            f"no database at {file}: make one with `nanobrain-data demo` or `import`, or name another with "
            "--database"
        )
    await check_tables(adapter, kind, name)
    return adapter


def _refuse_folder(adapter: DatabaseAdapter) -> None:
    """See that a database is no folder, of which SQLite would say that the device failed.

    Raises:
        Failure: it is one.

    """
    file = inventory.file_of(adapter)
    if file is not None and file.is_dir():
        raise Failure(f"{file} is a folder, and a database is a file: name the one in it that is meant")


def table_of(settings: Settings, kind: str) -> str:
    """Return the name of the table that is meant."""
    return settings.table or TABLES[kind]


async def has_table(adapter: DatabaseAdapter, kind: str, table: str) -> bool:
    """Tell whether a database has a table of that kind."""
    return inventory.table_of_kind(await tables_of(adapter), kind, table) is not None


async def tables_of(adapter: DatabaseAdapter) -> Sequence[TableInfo]:
    """List the tables of a database; nothing is made or changed by that."""
    file = inventory.file_of(adapter)
    if file is not None:
        return inventory.look(file).tables
    await adapter.acquire()
    try:
        return await adapter.tables()
    finally:
        await adapter.release()


async def check_tables(adapter: DatabaseAdapter, kind: str | None, table: str) -> None:
    """See that a database has what is asked for: opening another would change it.

    Raises:
        NotFound: it has not.

    """
    tables = await tables_of(adapter)
    place = inventory.file_of(adapter) or adapter.url
    if not tables:
        message = f"{place} holds nothing that nanobrain-data made: name another database with --database"
        raise NotFound(message)
    if kind is None or inventory.table_of_kind(tables, kind, table) is not None:
        return
    others = [each.name for each in tables if each.kind == kind]
    known = f"it has {', '.join(others)}: choose with --table" if others else f"it keeps no {kind}"
    raise NotFound(f"no table {table!r} of {kind} in {place}: {known}")


@asynccontextmanager
async def reading(job: Job) -> AsyncIterator[ConversationHistoryUnit]:
    """Open conversations that are there already."""
    async with ConversationHistoryUnit(
        await existing(job, "conversations"), table_of(job.settings, "conversations")
    ) as history:
        yield history


@asynccontextmanager
async def visiting(
    job: Job, timeout: timedelta, *, keeps_expired: bool = True
) -> AsyncIterator[SessionManager]:
    """Open sessions that are there already; nothing is cleaned up unless that is asked for.

    Args:
        job: the job.
        timeout: how long sessions live without activity.
        keeps_expired: whether those that have expired are listed, and kept by a clean-up.

    Raises:
        click.UsageError: sessions cannot live so long, or not at all.

    """
    policy: Literal["deactivate", "delete"] = "deactivate" if keeps_expired else "delete"
    try:
        config = SessionConfig(session_timeout=timeout, cleanup_interval=None, cleanup_policy=policy)
    except ValueError as error:
        raise click.UsageError("--timeout is no time that sessions can live: write 30m, 24h or 7d") from error
    async with SessionManager(
        config, await existing(job, "sessions"), table_name=table_of(job.settings, "sessions")
    ) as sessions:
        yield sessions
