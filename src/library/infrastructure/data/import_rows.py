"""Where the rows of an import come from: out of a file, through the reader of its format and the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import InvalidOptionError, InvalidRecordError, InvalidValueError
from library.infrastructure.data.formats.detection import detect
from library.infrastructure.data.formats.record_format import Fault, ReadOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES
from library.infrastructure.data.formats.registry import reader_class, to_format
from library.infrastructure.data.transfer_report import ImportReport, TransferProgress
from library.infrastructure.data.transfer_run import TransferRun
from library.infrastructure.data.worker import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_format import Found, RecordReader
    from library.infrastructure.data.formats.record_kind import RecordKind, Row
    from library.infrastructure.data.formats.source import Source
    from library.infrastructure.data.record_transfer import Loaded

_PAGE_ROWS: Final = 500
_PAGE_CHARACTERS: Final = 1_000_000
_KEPT_FAULTS: Final = 100
_MOST_COUNTED: Final = 100_000


class ImportRows:
    """Gives the rows of a file, checked; see `RowSource`."""

    has_own_ids = True

    def __init__(
        self,
        kind: RecordKind,
        source: Source,
        convert: Callable[[Mapping[str, Any], int], Row],
        *,
        field_mapping: Mapping[str, str] | None,
        on_error: str,
        progress: Callable[[TransferProgress], None] | None,
    ) -> None:
        """Check what is asked for; nothing is opened yet. See `ImportManager.import_conversations`.

        Args:
            kind: what is read.
            source: the file; closed by `close`.
            convert: makes a row of a record and its number, or raises `InvalidValueError`.
            field_mapping: new names.
            on_error: `"raise"` or `"skip"`.
            progress: is told.

        """
        if on_error not in ("raise", "skip"):
            message = f"on_error must be 'raise' or 'skip', not {on_error!r}"
            raise InvalidOptionError(message, option="on_error")
        self._kind = kind
        self._source = source
        self._convert = convert
        self._mapping = _checked_mapping(field_mapping, kind)
        self._unseen = set(self._mapping)
        self._skips = on_error == "skip"
        self._run = TransferRun(progress)
        self._reader: RecordReader | None = None
        self._found: Iterator[Found] = iter(())
        self._count = 0
        self._rejected = 0
        self._faults: list[str] = []
        self._conversations: set[int] = set()

    async def open(self, format: ExportFormat | str | None, delimiter: str | None) -> ExportFormat:  # noqa: A002
        """Find out the format, and prepare to read."""
        if format is not None:
            form = to_format(format)
        else:
            form = await run_in_thread(detect, self._source, self._mapping)
        reader = await run_in_thread(reader_class, form, self._kind.name)  # imports, perhaps for long
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


def _checked_mapping(given: Mapping[str, str] | None, kind: RecordKind) -> dict[str, str]:
    mapping = dict(given or {})
    unknown = [name for name in mapping.values() if kind.field(name) is None]
    if unknown or len(set(mapping.values())) < len(mapping):
        what = repr(unknown[0]) if unknown else "one field twice"
        message = f"field_mapping must lead to some of {', '.join(kind.names)}, not to {what}"
        raise InvalidOptionError(message, option="field_mapping")
    return mapping
