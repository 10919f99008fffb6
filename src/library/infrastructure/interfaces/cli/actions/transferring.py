"""`import` and `export`: files in, files out."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, cast

import click

from library.infrastructure.data import (
    ConversationQuery,
    ExportManager,
    ImportLimits,
    ImportManager,
    InvalidRecordError,
    MissingRecordsError,
)
from library.infrastructure.interfaces.cli.exit_codes import Failure, NotFound
from library.infrastructure.interfaces.cli.opening import TABLES, adapter_of, existing
from library.infrastructure.interfaces.cli.output.local_time import count
from library.infrastructure.interfaces.cli.output.safe_stream import SafeStream
from library.infrastructure.interfaces.cli.saving import Saving
from library.infrastructure.interfaces.cli.standard_input import with_standard_input
from library.infrastructure.interfaces.cli.wording import in_words_of_the_command

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from datetime import date

    from library.infrastructure.data import ExportReport, ImportReport, TransferProgress
    from library.infrastructure.interfaces.cli.job import Job

STANDARD: Final = "-"
"""The name of standard input and standard output."""
_SHOWN_IDS: Final = 5
_THINGS: Final = {"conversations": "exchange", "sessions": "session"}


def import_files(
    job: Job,
    files: Sequence[str],
    format: str | None,  # noqa: A002 - the word of the API
    merge: Literal["append", "replace", "skip_duplicates"],
    field_mapping: Sequence[tuple[str, str]],
    encoding: str | None,
    delimiter: str | None,
    on_error: Literal["raise", "skip"],
    kind: str,
    conversation_id: str | None,
    limits: Sequence[tuple[str, int]],
) -> None:
    """Import files, each of them whole or not at all, and say what was in them."""
    if conversation_id is not None and kind == "sessions":
        raise click.UsageError("sessions belong to no conversation: leave --conversation-id out")
    if files.count(STANDARD) > 1:
        raise click.UsageError("standard input can be read once: name - once")
    options: dict[str, Any] = {
        "field_mapping": dict(field_mapping) or None,
        "encoding": encoding,
        "delimiter": delimiter,
        "on_error": on_error,
    }
    if kind == "conversations":
        options["conversation_id"] = conversation_id
    manager = _import_manager(job, kind, limits)
    outcomes: list[tuple[str, dict[str, Any]]] = []
    try:
        for file in files:
            with _with_what_helps():
                told = {"format": format, "merge_strategy": merge, **options}
                job.run(_import(job, manager, file, kind, outcomes, told))
    finally:
        if outcomes:
            job.presenter.outcomes(outcomes)


def _import_manager(job: Job, kind: str, limits: Sequence[tuple[str, int]]) -> ImportManager:
    conversations, sessions = _tables(job, kind)
    return ImportManager(
        adapter_of(job),
        table_name=conversations,
        sessions_table=sessions,
        limits=ImportLimits(**dict(limits)),
    )


async def _import(
    job: Job,
    manager: ImportManager,
    file: str,
    kind: str,
    outcomes: list[tuple[str, dict[str, Any]]],
    options: dict[str, Any],
) -> None:
    """Import a file, and add what was in it to the outcomes, also where Ctrl-C ends the command then."""
    run = manager.import_conversations if kind == "conversations" else manager.import_sessions
    with job.waiting(f"importing {_name(file, 'standard input')}") as waiting:
        saving = Saving(job)

        def note(progress: TransferProgress) -> None:
            waiting.note(progress)
            saving.note(progress)

        def read(source: str | BinaryIO) -> Coroutine[Any, Any, ImportReport]:
            return run(source, progress=note, **options)

        report = await saving.complete(with_standard_input(read) if file == STANDARD else read(file))
    outcomes.append(_imported(job, file, kind, report))
    if saving.is_interrupted:
        raise asyncio.CancelledError


def _imported(job: Job, file: str, kind: str, report: ImportReport) -> tuple[str, dict[str, Any]]:
    """Tell what an import did: in words, and as data."""
    faults = list(map(in_words_of_the_command, report.faults))
    for fault in faults:
        job.say(f"left out: {fault}")
    thing = _THINGS[kind]
    of = f" of {count(report.conversations, 'conversation')}" if report.conversations else ""
    parts = [f"{count(report.read, thing)}{of} read", f"{report.written:,} written"]
    for number, what in (
        (report.skipped, "skipped, which are there already"),
        (report.replaced, "replaced"),
        (report.rejected, "left out"),
        (report.detached, "without the exchange that they follow"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    name = _name(file, "standard input")
    sentence = f"{name} ({report.format.value}): {', '.join(parts)}, in {report.seconds:.1f} s"
    return sentence, {
        "file": file,
        "format": report.format.value,
        "read": report.read,
        "written": report.written,
        "skipped": report.skipped,
        "replaced": report.replaced,
        "rejected": report.rejected,
        "detached": report.detached,
        "conversations": report.conversations,
        "seconds": round(report.seconds, 3),
        "faults": faults,
    }


def export_file(
    job: Job,
    file: str,
    format: str | None,  # noqa: A002 - the word of the API
    conversations: Sequence[str],
    sessions: Sequence[str],
    since: date | None,
    until: date | None,
    search: str | None,
    fields: Sequence[str] | None,
    no_metadata: bool,  # noqa: FBT001 - given by name
    missing: Literal["error", "skip"],
    safe_for_spreadsheets: bool,  # noqa: FBT001 - given by name
    kind: str,
) -> None:
    """Export to a file, which is there when it is whole, or to standard output."""
    _check_selection(job, file, format, kind, conversations, sessions, has_query=any((since, until, search)))
    options: dict[str, Any] = {
        "format": format or ("jsonl" if file == STANDARD else None),
        "include_metadata": not no_metadata,
        "fields": fields,
        "missing": missing,
        "safe_for_spreadsheets": safe_for_spreadsheets,
    }
    if kind == "conversations":
        options["query"] = _query(since, until, search)
    ids = list(conversations if kind == "conversations" else sessions) or None
    with _with_what_helps():
        report = job.run(_export(job, file, kind, ids, options))
    left_out = f", {len(report.missing):,} not there" if report.missing else ""
    sentence = (
        f"{count(report.written, _THINGS[kind])} written to {_name(file, 'standard output')} "
        f"({report.format.value}){left_out}, in {report.seconds:.1f} s"
    )
    if file == STANDARD:
        job.say(sentence)
        return
    job.presenter.outcome(
        sentence,
        {
            "file": file,
            "format": report.format.value,
            "written": report.written,
            "missing": list(report.missing),
            "bytes": report.bytes,
            "seconds": round(report.seconds, 3),
        },
    )


def _check_selection(
    job: Job,
    file: str,
    format: str | None,  # noqa: A002 - the word of the API
    kind: str,
    conversations: Sequence[str],
    sessions: Sequence[str],
    *,
    has_query: bool,
) -> None:
    """Refuse options that do not go together.

    Raises:
        click.UsageError: they do not.

    """
    if kind == "sessions" and (conversations or has_query):
        raise click.UsageError(
            "--conversation, --since, --until and --search choose conversations, not sessions"
        )
    if kind == "conversations" and sessions:
        raise click.UsageError("--session chooses sessions: add --kind sessions")
    if file == STANDARD and job.settings.output is not None:
        raise click.UsageError(
            f"standard output takes the export: for its format, write --format {job.settings.output}"
        )
    if file == STANDARD and format == "parquet" and sys.stdout.isatty():
        raise click.UsageError("parquet is not for reading on a terminal: name a file")


def _query(since: date | None, until: date | None, search: str | None) -> ConversationQuery | None:
    query = ConversationQuery()
    if since is not None:
        query = query.since(since)
    if until is not None:
        query = query.until(until)
    if search is not None:
        query = query.contains_text(search)
    return None if query == ConversationQuery() else query


async def _export(
    job: Job,
    file: str,
    kind: str,
    ids: list[str] | None,
    options: dict[str, Any],
) -> ExportReport:
    conversations, of_sessions = _tables(job, kind)
    manager = ExportManager(await existing(job, kind), table_name=conversations, sessions_table=of_sessions)
    run = manager.export_conversations if kind == "conversations" else manager.export_sessions
    with ExitStack() as open_things:
        target: str | BinaryIO = file if file != STANDARD else sys.stdout.buffer
        if file == STANDARD and sys.stdout.isatty():
            target = cast(BinaryIO, open_things.enter_context(SafeStream(sys.stdout.buffer)))
        waiting = open_things.enter_context(job.waiting(f"exporting to {_name(file, 'standard output')}"))
        return await run(ids, output_file=target, progress=waiting.note, **options)


@contextmanager
def _with_what_helps() -> Iterator[None]:
    """Say which option helps; the words of the library are put in those of the command in the end."""
    try:
        yield
    except MissingRecordsError as error:
        shown = ", ".join(map(repr, error.ids[:_SHOWN_IDS]))
        which = (
            f": {shown}" if error.ids and "conversation" in str(error) else ""
        )  # ids of sessions are secrets
        message = f"{count(len(error.ids), 'id')} not there{which}; --missing skip leaves them out"
        raise NotFound(message) from error
    except InvalidRecordError as error:
        raise Failure(f"{error}; --on-error skip leaves such records out") from error


def _tables(job: Job, kind: str) -> tuple[str, str]:
    """Return the tables of conversations and of sessions; the settings choose that of the kind."""
    chosen = {**TABLES, kind: job.settings.table or TABLES[kind]}
    return chosen["conversations"], chosen["sessions"]


def _name(file: str, standard: str) -> str:
    return standard if file == STANDARD else file
