"""CSV: a header with the names of the fields, and a row for each record (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TextIO

from library.infrastructure.data.errors import FormatError, InvalidOptionError
from library.infrastructure.data.formats.csv_cells import (
    IS_SAFE,
    NO_DELIMITERS,
    SAFE_COLUMN,
    SEPARATOR_LINE,
    cells,
    unguard,
)
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.record_format import Fault, RecordReader, RecordWriter
from library.infrastructure.data.formats.row_slices import TEXTUAL, row_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_format import Found, ReadOptions
    from library.infrastructure.data.formats.record_kind import RecordKind, Row
    from library.infrastructure.data.formats.source import Source

_LINE_END: Final = "\r\n"
_ROWS_A_PIECE: Final = 256
_DELIMITERS: Final = ",;\t|"
_SEPARATOR_ROW: Final = ["sep=", ""]
"""What the line is as a row that tells the delimiter."""

csv.field_size_limit((1 << 31) - 1)  # for the whole process; what a file may hold is limited here, row by row


class _Rows(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


class CsvWriter(RecordWriter):
    """Writes CSV: UTF-8 without a byte order mark, texts always in quotes."""

    def begin(self) -> None:
        """Write the header."""
        is_safe = self._options.safe_for_spreadsheets
        names = [field.name for field in self._fields] + [SAFE_COLUMN] * is_safe
        self._template = ",".join(["%s"] * len(self._fields) + [IS_SAFE] * is_safe) + _LINE_END
        self._empty = "" if len(names) > 1 else '""'  # for a blank line is no row
        self._file.write((",".join(names) + _LINE_END).encode())

    def write(self, rows: Sequence[Row]) -> None:
        """Write records."""
        template, is_safe, empty = self._template, self._options.safe_for_spreadsheets, self._empty
        for part in row_slices(rows, self._fields, _ROWS_A_PIECE):
            columns = [
                cells(field, values, is_safe=is_safe, empty=empty)
                for field, values in zip(self._fields, part.columns, strict=True)
            ]
            self._file.write("".join([template % row for row in zip(*columns, strict=True)]).encode())


class CsvReader(RecordReader):
    """Reads CSV; the cells are texts, empty where there is no value."""

    place_name: ClassVar[str] = "line"

    def __init__(self, source: Source, kind: RecordKind, options: ReadOptions) -> None:
        """Prepare; nothing is read yet.

        Raises:
            InvalidOptionError: the delimiter is not a single character that can be one.

        """
        super().__init__(source, kind, options)
        delimiter = options.delimiter
        if delimiter is not None and (len(delimiter) != 1 or delimiter in NO_DELIMITERS):
            message = f"delimiter must be one character, such as ';', not {delimiter!r}"
            raise InvalidOptionError(message, option="delimiter")
        self._held = 0
        """Characters that were read since the last row was complete."""
        self._place = 1
        """The line where the row begins that is read now."""

    def __iter__(self) -> Iterator[Found]:
        """Read from the beginning to the end; a record stands at the line where its row begins."""
        delimiter = self._options.delimiter or self._found_delimiter()
        with self._source.open_text() as text:
            rows = csv.reader(self._lines(text), delimiter=delimiter, strict=True)
            try:
                yield from self._records(rows)
            except csv.Error as error:
                raise self._damaged(error) from error
            except UnicodeDecodeError as error:
                message = f"{self._source.name} is not UTF-8 ({error}): tell its encoding, such as cp1252"
                raise FormatError(message, path=self._source.name) from error

    def _records(self, rows: _Rows) -> Iterator[Found]:
        header: _Header | None = None
        max_characters = self._source.limits.max_field_characters
        for row in rows:
            place, held = self._place, self._held
            self._place, self._held = rows.line_num + 1, 0
            if not row:
                continue
            if header is None:
                if row != _SEPARATOR_ROW:
                    header = _Header(self._kind, row, self._source.name)
            elif len(row) != header.width:
                cells_ = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                yield place, Fault(f"it has {cells_}, but the header has {header.width}")
            elif held > max_characters and any(len(cell) > max_characters for cell in row):
                raise limit_error(
                    self._source.limits, "max_field_characters", self._source.name, f"line {place}"
                )
            else:
                yield place, header.record(row)
        if header is None:
            message = f"{self._source.name} is empty: a CSV file begins with a line of names"
            raise FormatError(message, path=self._source.name)

    def _lines(self, text: TextIO) -> Iterator[str]:
        """Give the lines; end when what belongs to one row becomes too much."""
        limit = self._source.limits.max_record_bytes
        read_line = text.readline
        while line := read_line(limit + 2):
            self._held += len(line)
            if self._held > limit and len(line.rstrip("\r\n")) + self._held - len(line) > limit:
                place = f"line {self._place}"
                raise limit_error(self._source.limits, "max_record_bytes", self._source.name, place)
            yield line

    def _damaged(self, error: csv.Error) -> FormatError:
        message = (
            f"{self._source.name} cannot be read from line {self._place} on ({error}):"
            " it was cut off, or its quotation marks are not in pairs"
        )
        return FormatError(message, path=self._source.name)

    def _found_delimiter(self) -> str:
        """Choose the delimiter that finds most of the names in the header."""
        head = self._source.head().decode(errors="replace")
        told = SEPARATOR_LINE.match(head)
        return told[1] if told else max(_DELIMITERS, key=lambda delimiter: self._rated(head, delimiter))

    def _rated(self, head: str, delimiter: str) -> tuple[int, int]:
        """Rate a delimiter by the names that it finds, then by the number of columns."""
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True)
        try:
            header: list[str] = next(filter(None, rows), [])
        except csv.Error:
            return -1, 0
        return sum(self._kind.field(name.strip()) is not None for name in header), len(header)


class _Header:
    """The columns of a file."""

    def __init__(self, kind: RecordKind, row: Sequence[str], path: str) -> None:
        """Take the names in the first row; blanks around those of fields are left out."""
        self._names = [name.strip() if kind.field(name.strip()) else name for name in row]
        self.width = len(row)
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            message = f"{path} has more than one column {twice[0]!r}: leave all but one out"
            raise FormatError(message, path=path)
        self._is_guarded = SAFE_COLUMN in self._names
        self._guarded = [
            name for name in self._names if (field := kind.field(name)) and field.type in TEXTUAL
        ]

    def record(self, row: Sequence[str]) -> dict[str, str]:
        """Return the cells of a row by the names of their columns."""
        record = dict(zip(self._names, row))  # noqa: B905 - the caller has counted them
        if self._is_guarded and record.pop(SAFE_COLUMN) == IS_SAFE:
            for name in self._guarded:
                record[name] = unguard(record[name])
        return record
