"""`ImportManager`: conversations and sessions out of files of any format, into a database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, get_args

from library.infrastructure.data.conversation_message import check_conversation_id
from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS
from library.infrastructure.data.formats.source import Source
from library.infrastructure.data.formats.stored_bytes import is_text_file
from library.infrastructure.data.import_limits import ImportLimits
from library.infrastructure.data.import_rows import ImportRows
from library.infrastructure.data.imported_record import to_exchange_row, to_session_row
from library.infrastructure.data.record_transfer import MergeStrategy
from library.infrastructure.data.transfer_manager import TransferManager
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.session_store import SessionStore
    from library.infrastructure.data.storage import DatabaseAdapter
    from library.infrastructure.data.transfer_report import ImportReport, TransferProgress

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
            input_file: the path of a file or a pipe, or an open binary file; gzip, Zstandard and zip are
                unpacked.
            format: the format; default: found out by the content.
            merge_strategy: what happens to what is stored already; see the class.
            field_mapping: which names in the file stand for which fields, `{"question": "user_input"}`.
            conversation_id: of exchanges that tell none; default: the name of the file without its suffix.
            encoding: of texts; default: UTF-8, or UTF-16 where the first bytes say so.
            delimiter: of CSV; default: found out.
            on_error: `"skip"`: leave out what cannot be imported, and report it.
            progress: a plain function, called on the event loop from time to time. What it raises is raised
                here, as is a cancellation: while the file is read (phase "reading"), nothing is stored then;
                once it is being saved (phase "saving"), all of it is, before that is raised.

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

        rows = ImportRows(
            EXCHANGES,
            source,
            convert,
            field_mapping=field_mapping,
            on_error=on_error,
            progress=progress,
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
            progress: a plain function, called on the event loop from time to time; what it raises, and a
                cancellation, end the import only while the file is read, as for `import_conversations`.

        Raises:
            DuplicateSessionError: a session is stored already, and `merge_strategy` is `"append"`.
            InvalidRecordError, FormatError, TransferLimitError, InvalidOptionError, StorageError: as
                `import_conversations`.

        """
        source = _source(input_file, self.limits, encoding)

        def convert(values: Mapping[str, Any], number: int) -> Row:  # noqa: ARG001 - as for exchanges
            return to_session_row(values)

        rows = ImportRows(
            SESSIONS,
            source,
            convert,
            field_mapping=field_mapping,
            on_error=on_error,
            progress=progress,
        )
        try:
            form = await rows.open(format, delimiter)
            async with self._open_sessions() as store:
                loaded = await rows.store(store.load(rows, _strategy(merge_strategy)))
        finally:
            await run_in_thread(rows.close)
        return rows.report(form, loaded)


def _source(given: str | os.PathLike[str] | BinaryIO, limits: ImportLimits, encoding: str | None) -> Source:
    if isinstance(given, str | os.PathLike):
        return Source(os.fspath(given), limits, encoding=encoding)
    if is_text_file(given):
        message = "input_file must be open in binary mode, not for text: open it with mode 'rb'"
        raise InvalidOptionError(message, option="input_file")
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
