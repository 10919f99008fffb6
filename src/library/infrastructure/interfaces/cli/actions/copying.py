"""`copy`: from one database to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from library.infrastructure.data import CopyReport, copy_database
from library.infrastructure.interfaces.cli.opening import TABLES, as_url, existing
from library.infrastructure.interfaces.cli.output.local_time import count
from library.infrastructure.interfaces.database import open_adapter

if TYPE_CHECKING:
    from library.infrastructure.interfaces.cli.job import Job


def copy(job: Job, source: str, target: str, sessions_table: str) -> None:
    """Copy a table of conversations and one of sessions, and say what was copied and compared."""
    if job.settings.database:
        raise click.UsageError("copy takes two databases, SOURCE and TARGET: leave --database out")
    report = job.run(_copy(job, source, target, sessions_table))
    copied = f"{count(report.copied_exchanges, 'exchange')} and {count(report.copied_sessions, 'session')}"
    job.presenter.outcome(
        f"{copied} copied, in {report.seconds:.1f} s; all {count(report.exchanges, 'exchange')} were "
        f"compared, and are equal (checksum {report.checksum})",
        {
            "exchanges": report.exchanges,
            "copied_exchanges": report.copied_exchanges,
            "sessions": report.sessions,
            "copied_sessions": report.copied_sessions,
            "checksum": report.checksum,
            "seconds": round(report.seconds, 3),
        },
    )


async def _copy(job: Job, source: str, target: str, sessions_table: str) -> CopyReport:
    taken, given = open_adapter(as_url(source)), open_adapter(as_url(target))
    if taken.url == given.url:
        raise click.UsageError(f"source and target are the same database, {taken.url}")
    await existing(job, adapter=taken)
    with job.waiting(f"copying to {given.url}") as waiting:
        return await copy_database(
            taken,
            given,
            table_name=job.settings.table or TABLES["conversations"],
            sessions_table=sessions_table,
            progress=waiting.note,
        )
