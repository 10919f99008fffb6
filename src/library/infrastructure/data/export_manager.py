"""`ExportManager`: conversations and sessions out of a database, into files of any format."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal

from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.export_target import ExportTarget
from library.infrastructure.data.formats.record_format import WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS
from library.infrastructure.data.option_checks import check_texts
from library.infrastructure.data.transfer_manager import TransferManager
from library.infrastructure.data.transfer_run import TransferRun
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.transfer_report import ExportReport, TransferProgress


class ExportManager(TransferManager):
    """Writes conversations and sessions into files, as they are at one moment, in bounded memory.

    The file appears under its name when it is whole and on the disk; until then, and when anything goes
    wrong, what was there before stays. It is compressed if its name ends in `.gz` or `.zst`. An open binary
    file can be given in its place, which is written as it comes, and stays open; so is what a path leads to
    that is a pipe or a device, such as `/dev/stdout`.

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
            progress: a plain function, called on the event loop from time to time.

        Raises:
            MissingRecordsError: a conversation does not exist; nothing was written.
            InvalidOptionError: an argument has a value that it cannot take.
            MissingExtraError: the format needs a library that is not installed.
            StorageError: the file cannot be written; what was there before is still there.

        """
        query = _query(conversation_ids, query)
        target = await run_in_thread(  # which imports what writes the format
            ExportTarget,
            EXCHANGES,
            format,
            output_file,
            include_metadata=include_metadata,
            fields=fields,
            missing=missing,
            options=WriteOptions(safe_for_spreadsheets=safe_for_spreadsheets),
            run=TransferRun(progress),
        )
        is_grouped = target.writer_class.wants_whole_conversations
        async with self._open_conversations() as store:
            return await target.fill(store.export(query, target, whole_conversations=is_grouped))

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
            progress: a plain function, called on the event loop from time to time.

        Raises:
            MissingRecordsError: a session does not exist; nothing was written.
            InvalidOptionError, MissingExtraError, StorageError: as `export_conversations`.

        """
        ids = None if session_ids is None else check_texts("session_ids", session_ids)
        target = await run_in_thread(
            ExportTarget,
            SESSIONS,
            format,
            output_file,
            include_metadata=include_metadata,
            fields=fields,
            missing=missing,
            options=WriteOptions(safe_for_spreadsheets=safe_for_spreadsheets),
            run=TransferRun(progress),
        )
        async with self._open_sessions() as store:
            return await target.fill(store.export(ids, target))


def _query(conversation_ids: Iterable[str] | None, query: ConversationQuery | None) -> ConversationQuery:
    if query is None:
        query = ConversationQuery()
    elif not isinstance(query, ConversationQuery):
        message = f"query must be a ConversationQuery, not {type(query).__name__}"
        raise InvalidOptionError(message, option="query")
    return query if conversation_ids is None else query.conversation_ids(conversation_ids)
