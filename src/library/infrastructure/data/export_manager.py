"""`ExportManager`: conversations and sessions out of a database, into files of any format."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.errors import InvalidOptionError, MissingRecordsError
from library.infrastructure.data.formats.record_format import WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS
from library.infrastructure.data.formats.registry import format_of_name, to_format, writer_class
from library.infrastructure.data.output_file import OutputFile
from library.infrastructure.data.storage import DatabaseAdapter, default_adapter
from library.infrastructure.data.transfer_report import ExportReport, TransferProgress
from library.infrastructure.data.transfer_run import TransferRun
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_format import RecordWriter
    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row
    from library.infrastructure.data.session_store import SessionStore
    from library.infrastructure.data.storage import ConversationStore

_SHOWN_IDS = 5


class TransferManager:
    """What `ExportManager` and `ImportManager` share: the database, which is open while something is moved.

    There is nothing to initialise or to shut down: each call opens the database, unless it is open, and
    releases it.
    """

    def __init__(
        self,
        database_adapter: DatabaseAdapter | None = None,
        *,
        table_name: str = "conversations",
        sessions_table: str = "sessions",
        session_store: SessionStore | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            database_adapter: the database; default: the one that the environment variable
                `NANOBRAIN_DATABASE_URL` names, else `conversations.db` in the working directory.
            table_name: where in the database conversations are.
            sessions_table: where sessions are.
            session_store: keeps the sessions in place of the database: a `MemorySessionStore`.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        if database_adapter is not None and not isinstance(database_adapter, DatabaseAdapter):
            kind = type(database_adapter).__name__
            message = f"database_adapter must be a DatabaseAdapter, such as SQLiteAdapter, not {kind}"
            raise InvalidOptionError(message, option="database_adapter")
        self._adapter = default_adapter() if database_adapter is None else database_adapter
        self._conversations = self._adapter.conversations(table_name)
        self._sessions = self._adapter.sessions(sessions_table) if session_store is None else session_store

    @property
    def database_adapter(self) -> DatabaseAdapter:
        """The database."""
        return self._adapter

    @asynccontextmanager
    async def _open_conversations(self) -> AsyncIterator[ConversationStore]:
        await self._adapter.acquire()
        try:
            async with self._conversations.mutex.hold():
                await self._conversations.open()
            yield self._conversations
        finally:
            await self._adapter.release()

    @asynccontextmanager
    async def _open_sessions(self) -> AsyncIterator[SessionStore]:
        await self._adapter.acquire()
        try:
            await self._sessions.open()
            yield self._sessions
        finally:
            await self._adapter.release()


class ExportManager(TransferManager):
    """Writes conversations and sessions into files, as they are at one moment, in bounded memory.

    The file appears under its name when it is whole and on the disk; until then, and when anything goes
    wrong, what was there before stays. It is compressed if its name ends in `.gz` or `.zst`. An open binary
    file can be given in its place, which is written as it comes, and stays open.

    All formats but `ExportFormat.OPENAI` lose nothing: what is imported from them equals what was exported,
    if no fields were left out.

    """

    async def export_conversations(
        self,
        conversation_ids: Iterable[str] | None = None,
        format: ExportFormat | str | None = None,  # noqa: A002 - the name of the specification
        output_file: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        query: ConversationQuery | None = None,
        include_metadata: bool = True,
        fields: Sequence[str] | None = None,
        missing: Literal["error", "skip"] = "error",
        safe_for_spreadsheets: bool = False,
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> ExportReport:
        """Write exchanges into a file.

        All of them are written in the order of `message_id`; those of several conversations one conversation
        after the other; those of a `query` in its order.

        Args:
            conversation_ids: the conversations; `None`: all.
            format: the format; default: as the name of the file says.
            output_file: the path of the file, or an open binary file.
            query: only the exchanges that it asks for.
            include_metadata: `False` leaves `metadata` out.
            fields: which fields of `ConversationMessage`, in which order; default: all.
            missing: `"skip"` leaves conversations out that do not exist; the report names them.
            safe_for_spreadsheets: for CSV: texts that spreadsheets would take for formulas get an apostrophe
                in front; an import removes it.
            progress: called on the event loop from time to time.

        Raises:
            MissingRecordsError: a conversation does not exist; nothing was written.
            InvalidOptionError: an argument has a value that it cannot take.
            MissingExtraError: the format needs a library that is not installed.
            StorageError: the file cannot be written; what was there before is still there.

        """
        query = _query(conversation_ids, query)
        output = _output(output_file)
        form = _format(format, output)
        writer = writer_class(form, EXCHANGES.name)
        selected = _fields(EXCHANGES, writer, fields, include_metadata=include_metadata)
        _check_missing(missing)
        run = TransferRun(progress)
        options = WriteOptions(safe_for_spreadsheets=safe_for_spreadsheets)
        target = _Target(run, output, EXCHANGES, selected, writer, options, skips_missing=missing == "skip")
        async with self._open_conversations() as store:
            export = store.export(query, target, whole_conversations=writer.wants_whole_conversations)
            await target.fill(export)
        return target.report(form)

    async def export_sessions(
        self,
        session_ids: Iterable[str] | None = None,
        format: ExportFormat | str | None = None,  # noqa: A002 - the name of the specification
        output_file: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        include_metadata: bool = True,
        fields: Sequence[str] | None = None,
        missing: Literal["error", "skip"] = "error",
        safe_for_spreadsheets: bool = False,
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> ExportReport:
        """Write sessions into a file, the oldest first: active ones, and those that have ended and are kept.

        Whoever can read the file has the sessions: the ids stand in it.

        Args:
            session_ids: the sessions; `None`: all.
            format: as for `export_conversations`, as are all others.
            output_file: the path of the file, or an open binary file.
            include_metadata: `False` leaves `metadata` out.
            fields: which fields of `SessionData`, or `ended_at` and `end_reason`; default: all.
            missing: `"skip"` leaves sessions out that do not exist.
            safe_for_spreadsheets: for CSV.
            progress: called on the event loop from time to time.

        Raises:
            MissingRecordsError: a session does not exist; nothing was written.
            InvalidOptionError, MissingExtraError, StorageError: as `export_conversations`.

        """
        ids = None if session_ids is None else _ids("session_ids", session_ids)
        output = _output(output_file)
        form = _format(format, output)
        writer = writer_class(form, SESSIONS.name)
        selected = _fields(SESSIONS, writer, fields, include_metadata=include_metadata)
        _check_missing(missing)
        run = TransferRun(progress)
        options = WriteOptions(safe_for_spreadsheets=safe_for_spreadsheets)
        target = _Target(run, output, SESSIONS, selected, writer, options, skips_missing=missing == "skip")
        async with self._open_sessions() as store:
            await target.fill(store.export(ids, target))
        return target.report(form)


class _Target:
    """Takes the rows of an export, and writes them; see `RowTarget`."""

    def __init__(
        self,
        run: TransferRun,
        output: OutputFile,
        kind: RecordKind,
        fields: Sequence[Field],
        writer: type[RecordWriter],
        options: WriteOptions,
        *,
        skips_missing: bool,
    ) -> None:
        self._run = run
        self._output = output
        self._kind = kind
        self._fields = fields
        self._writer_class = writer
        self._options = options
        self._skips_missing = skips_missing
        self._writer: RecordWriter | None = None
        self._total: int | None = None
        self._written = 0
        self._missing: list[str] = []
        places = [kind.fields.index(field) for field in fields]
        self._select: Callable[[Row], Row] | None = None
        if places != list(range(len(kind.fields))):
            get = itemgetter(*places)
            self._select = get if len(places) > 1 else lambda row: (get(row),)

    async def fill(self, export: Any) -> None:
        """Have the file written; whatever goes wrong, it is whole or not there."""
        try:
            await self._run.wait(export)
            await self._run.wait(run_in_thread(self._finish))
        finally:
            await run_in_thread(self._output.abandon)

    def begin(self, total: int | None, missing: Sequence[str]) -> None:
        """See `RowTarget`."""
        if missing and not self._skips_missing:
            shown = ", ".join(map(repr, missing[:_SHOWN_IDS])) + (", …" if len(missing) > _SHOWN_IDS else "")
            if self._kind is SESSIONS:
                shown = f"{len(missing)} of the ids"
            message = (
                f"cannot export: no {self._kind.name.removesuffix('s')} has the id {shown}; leave it out, or "
                'set missing="skip"; nothing was written'
            )
            raise MissingRecordsError(message, ids=list(missing))
        self._missing = list(missing)
        self._total = total
        self._writer = self._writer_class(self._output.open(), self._kind, self._fields, self._options)
        self._writer.begin()

    def take(self, rows: Sequence[Row]) -> None:
        """See `RowTarget`."""
        self._run.check()
        if self._writer is not None:
            self._writer.write(rows if self._select is None else list(map(self._select, rows)))
        self._written += len(rows)
        self._run.tell(self._progress)

    def _progress(self) -> TransferProgress:
        return TransferProgress(self._written, self._written, self._total, "writing")

    def _finish(self) -> None:
        self._run.check()
        if self._writer is not None:
            self._writer.finish()
        self._output.finish()
        self._run.tell(self._progress, is_last=True)

    def report(self, form: ExportFormat) -> ExportReport:
        """Tell what was done."""
        return ExportReport(
            self._output.name, form, self._written, self._missing, self._output.size, self._run.seconds
        )


def _query(conversation_ids: Iterable[str] | None, query: ConversationQuery | None) -> ConversationQuery:
    if query is None:
        query = ConversationQuery()
    elif not isinstance(query, ConversationQuery):
        message = f"query must be a ConversationQuery, not {type(query).__name__}"
        raise InvalidOptionError(message, option="query")
    return query if conversation_ids is None else query.conversation_ids(conversation_ids)


def _ids(option: str, ids: Iterable[str]) -> list[str]:
    given = [] if isinstance(ids, str | bytes) else list(ids)
    if isinstance(ids, str | bytes) or not all(isinstance(each, str) for each in given):
        raise InvalidOptionError(f"{option} must be several texts, such as a list", option=option)
    return given


def _output(target: str | os.PathLike[str] | BinaryIO | None) -> OutputFile:
    if target is None or not (isinstance(target, str | os.PathLike) or hasattr(target, "write")):
        message = f"output_file must be a path or an open binary file, not {type(target).__name__}"
        raise InvalidOptionError(message, option="output_file")
    return OutputFile(target)


def _format(given: ExportFormat | str | None, output: OutputFile) -> ExportFormat:
    if given is not None:
        return to_format(given)
    found = format_of_name(output.name)
    if found is None:
        message = f"the name of {output.name} tells no format: set format, or let it end in .json, .csv, …"
        raise InvalidOptionError(message, option="format")
    return found


def _fields(
    kind: RecordKind,
    writer: type[RecordWriter],
    fields: Sequence[str] | None,
    *,
    include_metadata: bool,
) -> list[Field]:
    """Return the fields to be written."""
    if writer.fields is not None:
        if fields is not None:
            message = (
                "this format has no room for a choice of fields: leave fields out, or take another format"
            )
            raise InvalidOptionError(message, option="fields")
        names: list[str] = list(writer.fields)
    else:
        names = list(kind.names) if fields is None else _ids("fields", fields)
    unknown = [name for name in names if kind.field(name) is None]
    if unknown or not names or len(set(names)) < len(names):
        what = repr(unknown[0]) if unknown else "nothing" if not names else "a field twice"
        message = f"fields must name some of {', '.join(kind.names)}, each once, not {what}"
        raise InvalidOptionError(message, option="fields")
    if not include_metadata and writer.fields is None:
        if fields is not None and "metadata" in names:
            message = "fields names metadata, which include_metadata=False leaves out: choose one"
            raise InvalidOptionError(message, option="include_metadata")
        names = [name for name in names if name != "metadata"]
    return [field for name in names if (field := kind.field(name)) is not None]


def _check_missing(missing: str) -> None:
    if missing not in ("error", "skip"):
        raise InvalidOptionError(f"missing must be 'error' or 'skip', not {missing!r}", option="missing")
