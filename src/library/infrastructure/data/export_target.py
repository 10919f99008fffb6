"""Where the rows of an export go: through the writer of a format into a file."""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from library.infrastructure.data.errors import InvalidOptionError, MissingRecordsError
from library.infrastructure.data.formats.record_kind import SESSIONS
from library.infrastructure.data.formats.registry import format_of_name, to_format, writer_class
from library.infrastructure.data.formats.stored_bytes import is_text_file
from library.infrastructure.data.option_checks import check_texts
from library.infrastructure.data.output_file import OutputFile
from library.infrastructure.data.transfer_report import ExportReport, TransferProgress
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_format import RecordWriter, WriteOptions
    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row
    from library.infrastructure.data.transfer_run import TransferRun

_SHOWN_IDS: Final = 5


class ExportTarget:
    """Takes the rows of an export, and writes them; see `RowTarget`."""

    def __init__(
        self,
        kind: RecordKind,
        format: ExportFormat | str | None,  # noqa: A002 - the word of the API
        output_file: Any,
        *,
        include_metadata: bool,
        fields: Sequence[str] | None,
        missing: str,
        options: WriteOptions,
        run: TransferRun,
    ) -> None:
        """Check what is asked for; nothing is opened yet. See `ExportManager.export_conversations`."""
        self._kind = kind
        self._output = _output(output_file)
        self._format = _format(format, self._output)
        self.writer_class = writer_class(self._format, kind.name)
        """What writes the format."""
        self._fields = _fields(kind, self.writer_class, fields, include_metadata=include_metadata)
        if missing not in ("error", "skip"):
            raise InvalidOptionError(f"missing must be 'error' or 'skip', not {missing!r}", option="missing")
        self._skips_missing = missing == "skip"
        self._options = options
        self._run = run
        self._writer: RecordWriter | None = None
        self._total: int | None = None
        self._written = 0
        self._missing: list[str] = []
        self._select = _selection(kind, self._fields)

    async def fill(self, export: Coroutine[Any, Any, None]) -> ExportReport:
        """Have the file written by an export; whatever goes wrong, it is whole or what it was before."""
        try:
            await self._run.wait(export)
            await self._run.wait(run_in_thread(self._finish))
        finally:
            await run_in_thread(self._output.abandon)
        return ExportReport(
            path=self._output.name,
            format=self._format,
            written=self._written,
            missing=self._missing,
            bytes=self._output.size,
            seconds=self._run.seconds,
        )

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
        self._writer = self.writer_class(self._output.open(), self._kind, self._fields, self._options)
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


def _selection(kind: RecordKind, fields: Sequence[Field]) -> Callable[[Row], Row] | None:
    """Return what takes the values of some fields out of a row; `None` where all are wanted as they are."""
    places = [kind.fields.index(field) for field in fields]
    if places == list(range(len(kind.fields))):
        return None
    get = itemgetter(*places)
    return get if len(places) > 1 else lambda row: (get(row),)


def _output(target: str | os.PathLike[str] | BinaryIO | None) -> OutputFile:
    if target is None or not (isinstance(target, str | os.PathLike) or hasattr(target, "write")):
        message = f"output_file must be a path or an open binary file, not {type(target).__name__}"
        raise InvalidOptionError(message, option="output_file")
    if is_text_file(target):
        message = "output_file must be open in binary mode, not for text: open it with mode 'wb'"
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
        names = list(kind.names) if fields is None else check_texts("fields", fields)
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
