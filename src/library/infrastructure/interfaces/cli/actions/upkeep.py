"""`backup`, `check`, `migrate` and `info`: looking after a database."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data import ConversationHistoryUnit, SessionConfig, SessionManager
from library.infrastructure.interfaces.cli import inventory
from library.infrastructure.interfaces.cli.exit_codes import FAILURE, SUCCESS, Failure
from library.infrastructure.interfaces.cli.opening import adapter_of, existing, tables_of
from library.infrastructure.interfaces.cli.output.local_time import count, size

if TYPE_CHECKING:
    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.data.storage import TableInfo
    from library.infrastructure.interfaces.cli.job import Job

_DISTRIBUTION: Final = "nanobrain-data"
_FOR_CONTRIBUTORS: Final = frozenset({"bench", "dev", "example"})
"""Extras that are nothing to people who use the library."""
_OF_EXTRA: Final = re.compile(r"([\w.-]+).*;.*\bextra\s*==\s*['\"]([\w-]+)['\"]")
_PAGE: Final = 1_000


def backup(job: Job, file: str, overwrite: bool) -> None:  # noqa: FBT001 - given by name
    """Copy a database while it is in use."""
    if Path(file).exists() and not overwrite:
        raise Failure(f"{file} exists: name another file, or give --overwrite")
    job.run(_back_up(job, file, overwrite=overwrite))
    copied = Path(file).stat().st_size
    job.presenter.outcome(f"backed up to {file}, {size(copied)}", {"file": file, "bytes": copied})


async def _back_up(job: Job, file: str, *, overwrite: bool) -> None:
    async with await existing(job) as adapter:
        with job.waiting("backing up"):
            await adapter.backup(file, overwrite=overwrite)


def check(job: Job) -> int:
    """Print what is damaged."""
    problems = job.run(_check(job))
    job.presenter.problems(problems)
    job.say(f"{count(len(problems), 'problem')}: put back a backup" if problems else "no damage found")
    return FAILURE if problems else SUCCESS


async def _check(job: Job) -> list[str]:
    async with await existing(job) as adapter:
        with job.waiting("checking"):
            return await adapter.check()


def migrate(job: Job) -> None:
    """Bring a database and its tables to the schema of this version, and print from which."""
    before, after = job.run(_migrate(job))
    schemas = [{"schema": name, "before": before.get(name), "after": new} for name, new in after.items()]
    job.presenter.facts({"schemas": schemas})
    changed = sum(each["before"] != each["after"] for each in schemas)
    job.say(f"{count(changed, 'schema')} brought up to date" if changed else "everything was up to date")


async def _migrate(job: Job) -> tuple[dict[str, int], dict[str, int]]:
    """Migrate, and return the versions before and after."""
    adapter = await existing(job)
    before = await _versions(adapter)
    tables = await tables_of(adapter)
    async with adapter:
        with job.waiting("migrating"):
            for table in tables:
                store = adapter.sessions if table.kind == "sessions" else adapter.conversations
                await store(table.name).open()
    return before, await _versions(adapter)


async def _versions(adapter: DatabaseAdapter) -> dict[str, int]:
    """Return the schema of the database, where it has one of its own, and that of each table."""
    file = inventory.file_of(adapter)
    versions = {} if file is None else {"database": inventory.look(file).schema_version}
    return versions | {f"table {each.name}": each.schema_version for each in await tables_of(adapter)}


def info(job: Job) -> None:
    """Print what a report of a problem should say: versions, and what there is."""
    adapter = adapter_of(job)
    file = inventory.file_of(adapter)
    facts: dict[str, Any] = {
        "version": metadata.version(_DISTRIBUTION),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "sqlite": inventory.sqlite_version(),
        "extras": _extras(),
        "database": adapter.url,
        "exists": file is None or file.exists(),
    }
    if file is not None and facts["exists"]:
        found = inventory.look(file)
        facts |= {
            "bytes": sum(each.stat().st_size for each in (file, Path(f"{file}-wal")) if each.exists()),
            "schema": found.schema_version,
            "newest_schema": found.newest_version,
        }
    if facts["exists"]:
        facts["tables"] = job.run(_tables(job, adapter))
    job.presenter.facts(facts)


async def _tables(job: Job, adapter: DatabaseAdapter) -> list[dict[str, Any]]:
    """Describe tables; those of another schema are not counted, since opening one would migrate it."""
    tables = await tables_of(adapter)
    if not tables:
        return []
    described = []
    async with adapter:
        with job.waiting("counting"):
            for table in tables:
                facts: dict[str, Any] = {
                    "name": table.name,
                    "keeps": table.kind,
                    "schema": table.schema_version,
                    "newest": table.newest_version,
                }
                if table.is_current:
                    facts |= await _counts(adapter, table)
                described.append(facts)
    return described


async def _counts(adapter: DatabaseAdapter, table: TableInfo) -> dict[str, int]:
    if table.kind == "sessions":
        config = SessionConfig(cleanup_interval=None, cleanup_policy="deactivate")
        async with SessionManager(config, adapter, table_name=table.name) as sessions:
            return {"sessions": await _count_sessions(sessions)}
    async with ConversationHistoryUnit(adapter, table.name) as history:
        conversations = await _count_conversations(history)
        return {"conversations": conversations, "exchanges": (await history.get_performance_metrics()).count}


async def _count_sessions(sessions: SessionManager) -> int:
    number, after = 0, None
    while page := await sessions.list_sessions(limit=_PAGE, after=after):
        number, after = number + len(page), page[-1].cursor
    return number


async def _count_conversations(history: ConversationHistoryUnit) -> int:
    number, after = 0, None
    while page := await history.list_conversations(_PAGE, after=after):
        number, after = number + len(page), page[-1].cursor
    return number


def _extras() -> list[str]:
    """Return the extras of which everything is installed."""
    needed: dict[str, set[str]] = {}
    for requirement in metadata.requires(_DISTRIBUTION) or ():
        found = _OF_EXTRA.match(requirement)
        if found is not None and found[2] not in _FOR_CONTRIBUTORS:
            needed.setdefault(found[2], set()).add(found[1])
    return sorted(extra for extra, names in needed.items() if all(map(_is_installed, names)))


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
