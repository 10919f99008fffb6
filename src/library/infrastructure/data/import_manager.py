"""`ImportManager`: conversations and sessions out of files of any format, into a database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, get_args

from library.infrastructure.data.conversation_message import check_conversation_id
from library.infrastructure.data.errors import InvalidOptionError, InvalidRecordError, InvalidValueError
from library.infrastructure.data.export_manager import TransferManager
from library.infrastructure.data.formats.detection import detect
from library.infrastructure.data.formats.record_format import Fault, ReadOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS
from library.infrastructure.data.formats.registry import reader_class, to_format
from library.infrastructure.data.formats.source import Source
from library.infrastructure.data.import_limits import ImportLimits
from library.infrastructure.data.imported_record import to_exchange_row, to_session_row
from library.infrastructure.data.record_transfer import MergeStrategy
from library.infrastructure.data.transfer_report import ImportReport, TransferProgress
from library.infrastructure.data.transfer_run import TransferRun
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_format import Found, RecordReader
    from library.infrastructure.data.formats.record_kind import RecordKind, Row
    from library.infrastructure.data.record_transfer import Loaded
    from library.infrastructure.data.session_store import SessionStore
    from library.infrastructure.data.storage import DatabaseAdapter

_PAGE_ROWS: Final = 500
_PAGE_CHARACTERS: Final = 1_000_000
_KEPT_FAULTS: Final = 100
_MOST_COUNTED: Final = 100_000
_STRATEGIES: Final = get_args(MergeStrategy)


class ImportManager(TransferManager):
    """Reads conversations and sessions from files, whoever wrote them, in bounded memory.

    An import is all or nothing: first everything is read and checked, and only then stored. A crash leaves
    nothing behind, or an import that is completed when the database is opened again. Others save meanwhile.

    What is there already is dealt with by the `merge_strategy`:

    - `"append"`: it stays, and what the file holds is stored beside it.
    - `"replace"`: the conversations that occur in the file are erased first; others stay.
    - `"skip_duplicates"`: exchanges that are stored already, with the same conversation, time and texts, are
      left out, so that importing a file twice changes nothing.

    """

    def __init__(
        self,
        database_adapter: DatabaseAdapter | None = None,
        *,
        table_name: str = "conversations",
        sessions_table: str = "sessions",
        session_store: SessionStore | None = None,
        limits: ImportLimits | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            database_adapter: the database; default: the one that the environment variable
                `NANOBRAIN_DATABASE_URL` names, else `conversations.db` in the working directory.
            table_name: where in the database conversations go.
            sessions_table: where sessions go.
            session_store: takes the sessions in place of the database: a `MemorySessionStore`.
            limits: how much a file may ask for.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        super().__init__(
            database_adapter,
            table_name=table_name,
            sessions_table=sessions_table,
            session_store=session_store,
        )
        if limits is not None and not isinstance(limits, ImportLimits):
            message = f"limits must be ImportLimits, not {type(limits).__name__}"
            raise InvalidOptionError(message, option="limits")
        self.limits = limits or ImportLimits()
        """How much a file may ask for."""

    async def import_conversations(
        self,
        input_file: str | os.PathLike[str] | BinaryIO,
        format: ExportFormat | str | None = None,  # noqa: A002 - the name of the specification
        merge_strategy: MergeStrategy = "append",
        *,
        field_mapping: Mapping[str, str] | None = None,
        conversation_id: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> ImportReport:
        """Store the exchanges that a file holds.

        Exchanges keep their `message_id`s where nothing is stored in the range of them all, and else get new
        ones, with the `parent_id`s following. What has no field goes to `metadata["source"]`. Exchanges that
        tell no time get one of 1 January 1970, by their place in the file or conversation.

        Args:
            input_file: the path of a file, or an open binary file; gzip, Zstandard and zip are unpacked.
            format: the format; default: found out by the content.
            merge_strategy: what happens to what is stored already; see the class.
            field_mapping: which names in the file stand for which fields, `{"question": "user_input"}`.
            conversation_id: of exchanges that tell none; default: the name of the file without its suffix.
            encoding: of texts; default: UTF-8, or UTF-16 where the first bytes say so.
            delimiter: of CSV; default: found out.
            on_error: `"skip"`: leave out what cannot be imported, and report it.
            progress: called on the event loop from time to time.

        Raises:
            InvalidRecordError: a record cannot be imported: where it stands, and why. Nothing was stored.
            FormatError: the file is damaged, or of no known format. Nothing was stored.
            TransferLimitError: the file holds more than allowed. Nothing was stored.
            InvalidOptionError: an argument has a value that it cannot take.
            StorageError: the file cannot be read, or the database failed.

        """
        if conversation_id is not None:
            conversation_id = check_conversation_id("conversation_id", conversation_id)
        source = _source(input_file, self.limits, encoding)
        default_id = conversation_id or source.stem

        def convert(values: Mapping[str, Any], number: int) -> Row:
            return to_exchange_row(values, default_id, number)

        rows = _Rows(
            TransferRun(progress), source, EXCHANGES, convert, _mapping(field_mapping, EXCHANGES), on_error
        )
        try:
            form = await rows.open(format, delimiter)
            async with self._open_conversations() as store:
                loaded = await rows.store(store.load(rows, _strategy(merge_strategy)))
        finally:
            await run_in_thread(rows.close)
        return rows.report(form, loaded)

    async def import_sessions(
        self,
        input_file: str | os.PathLike[str] | BinaryIO,
        format: ExportFormat | str | None = None,  # noqa: A002 - the name of the specification
        merge_strategy: MergeStrategy = "append",
        *,
        field_mapping: Mapping[str, str] | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> ImportReport:
        """Store the sessions that a file holds, with their ids.

        Args:
            input_file: as for `import_conversations`, as are all others.
            format: the format; default: found out by the content.
            merge_strategy: what happens to a session that is stored already, or comes twice: `"append"`
                refuses it, and stores nothing; `"replace"` replaces it; `"skip_duplicates"` leaves it.
            field_mapping: which names in the file stand for which fields.
            encoding: of texts.
            delimiter: of CSV.
            on_error: `"skip"`: leave out what cannot be imported, and report it.
            progress: called on the event loop from time to time.

        Raises:
            DuplicateSessionError: a session is stored already, and `merge_strategy` is `"append"`.
            InvalidRecordError, FormatError, TransferLimitError, InvalidOptionError, StorageError: as
                `import_conversations`.

        """
        source = _source(input_file, self.limits, encoding)

        def convert(values: Mapping[str, Any], number: int) -> Row:  # noqa: ARG001 - as for exchanges
            return to_session_row(values)

        rows = _Rows(
            TransferRun(progress), source, SESSIONS, convert, _mapping(field_mapping, SESSIONS), on_error
        )
        try:
            form = await rows.open(format, delimiter)
            async with self._open_sessions() as store:
                loaded = await rows.store(store.load(rows, _strategy(merge_strategy)))
        finally:
            await run_in_thread(rows.close)
        return rows.report(form, loaded)


class _Rows:
    """Gives the rows of a file, checked; see `RowSource`."""

    has_own_ids = True

    def __init__(
        self,
        run: TransferRun,
        source: Source,
        kind: RecordKind,
        convert: Callable[[Mapping[str, Any], int], Row],
        mapping: Mapping[str, str],
        on_error: str,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise InvalidOptionError(
                f"on_error must be 'raise' or 'skip', not {on_error!r}", option="on_error"
            )
        self._run = run
        self._source = source
        self._kind = kind
        self._convert = convert
        self._mapping = mapping
        self._unseen = set(mapping)
        self._skips = on_error == "skip"
        self._reader: RecordReader | None = None
        self._found: Iterator[Found] = iter(())
        self._count = 0
        self._stored = 0
        self._rejected = 0
        self._faults: list[str] = []
        self._conversations: set[int] = set()

    async def open(self, format: ExportFormat | str | None, delimiter: str | None) -> ExportFormat:  # noqa: A002
        """Find out the format, and prepare to read."""
        form = to_format(format) if format is not None else await run_in_thread(detect, self._source)
        reader = reader_class(form, self._kind.name)
        self.has_own_ids = reader.is_own
        self._reader = reader(self._source, self._kind, ReadOptions(delimiter=delimiter))
        self._found = iter(self._reader)
        return form

    async def store(self, load: Any) -> Loaded:
        """Have the rows stored."""
        loaded: Loaded = await self._run.wait(load)
        return loaded

    def read(self) -> Sequence[Row]:
        """See `RowSource`."""
        self._run.check()
        rows: list[Row] = []
        characters = 0
        for place, values in self._found:
            self._count += 1
            try:
                if isinstance(values, Fault):
                    raise InvalidValueError(values.reason)
                row = self._convert(self._renamed(values) if self._mapping else values, self._count)
            except InvalidValueError as error:
                self._reject(place, error)
                continue
            rows.append(row)
            characters += len(row[3]) + len(row[4]) if self._kind is EXCHANGES else len(row[7])
            if len(rows) >= _PAGE_ROWS or characters >= _PAGE_CHARACTERS:
                break
        else:
            self._check_mapping()
            self._run.tell(self._progress, is_last=True)
        self._run.tell(self._progress)
        if self._kind is EXCHANGES and len(self._conversations) <= _MOST_COUNTED:
            self._conversations.update([hash(row[1]) for row in rows])
        return rows

    def note(self, stored: int) -> None:
        """See `RowSource`."""
        total = self._count - self._rejected
        self._run.tell(lambda: TransferProgress(stored, stored, total, "saving"), is_last=stored == total)

    def _progress(self) -> TransferProgress:
        return TransferProgress(self._count, self._source.position, self._source.size, "reading")

    def _renamed(self, values: Any) -> dict[str, Any]:
        """Give values the names of fields."""
        self._unseen.difference_update(values)
        mapping = self._mapping
        renamed = {name: value for name, value in values.items() if name not in mapping}
        renamed |= {mapping[name]: value for name, value in values.items() if name in mapping}
        return renamed

    def _check_mapping(self) -> None:
        if self._unseen and self._count > self._rejected:
            name = min(self._unseen)
            message = f"field_mapping names {name!r}, which occurs nowhere in {self._source.name}"
            raise InvalidOptionError(message, option="field_mapping")

    def _reject(self, place: int | str, error: InvalidValueError) -> None:
        """Leave a record out, or end the import."""
        where = str(place) if self._reader is None else self._reader.describe(place)
        if not self._skips:
            message = f"{self._source.name}, {where}: {error}; nothing was imported"
            raise InvalidRecordError(
                message, path=self._source.name, place=where, reason=str(error)
            ) from error
        self._rejected += 1
        if len(self._faults) < _KEPT_FAULTS:
            self._faults.append(f"{where}: {error}")

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()
        self._source.close()

    def report(self, form: ExportFormat, loaded: Loaded) -> ImportReport:
        """Tell what was done."""
        counted = self._kind is EXCHANGES and len(self._conversations) <= _MOST_COUNTED
        return ImportReport(
            path=self._source.name,
            format=form,
            read=self._count,
            written=loaded.written,
            skipped=loaded.skipped,
            replaced=loaded.replaced,
            rejected=self._rejected,
            faults=self._faults,
            detached=loaded.detached,
            conversations=len(self._conversations) if counted else None,
            seconds=self._run.seconds,
        )


def _source(given: str | os.PathLike[str] | BinaryIO, limits: ImportLimits, encoding: str | None) -> Source:
    if isinstance(given, str | os.PathLike):
        return Source(os.fspath(given), limits, encoding=encoding)
    if hasattr(given, "read"):
        return Source(given, limits, encoding=encoding)
    message = f"input_file must be a path or an open binary file, not {type(given).__name__}"
    raise InvalidOptionError(message, option="input_file")


def _strategy(given: Any) -> MergeStrategy:
    if given not in _STRATEGIES:
        message = f"merge_strategy must be one of {', '.join(_STRATEGIES)}, not {given!r}"
        raise InvalidOptionError(message, option="merge_strategy")
    strategy: MergeStrategy = given
    return strategy


def _mapping(given: Mapping[str, str] | None, kind: RecordKind) -> dict[str, str]:
    mapping = dict(given or {})
    unknown = [name for name in mapping.values() if kind.field(name) is None]
    if unknown or len(set(mapping.values())) < len(mapping):
        what = repr(unknown[0]) if unknown else "one field twice"
        message = f"field_mapping must lead to some of {', '.join(kind.names)}, not to {what}"
        raise InvalidOptionError(message, option="field_mapping")
    return mapping
