"""JSON: one array of objects, which stand on a line each where this library wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.json_elements import JsonElements
from library.infrastructure.data.formats.json_records import JsonRecords, NotJsonError
from library.infrastructure.data.formats.json_rows import JsonRows
from library.infrastructure.data.formats.record_format import RecordReader, RecordWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_format import Found
    from library.infrastructure.data.formats.record_kind import Row

_BLANKS: Final = b" \t\r\n"
_LINE_BYTES: Final = 1 << 18
"""Longer lines are left to the search for elements, which holds one element at a time."""


class JsonArrayWriter(RecordWriter):
    """Writes a JSON array, one object a line."""

    def begin(self) -> None:
        """Write the bracket that opens the array."""
        self._rows = JsonRows(self._fields)
        self._is_empty = True
        self._file.write(b"[")

    def write(self, rows: Sequence[Row]) -> None:
        """Write records."""
        for piece in self._rows.pieces(rows, before=b",\n", is_line=False):
            self._file.write(piece[1:] if self._is_empty else piece)
            self._is_empty = False

    def finish(self) -> None:
        """Write the bracket that closes the array."""
        self._file.write(b"]\n" if self._is_empty else b"\n]\n")


class JsonArrayReader(RecordReader):
    """Reads a JSON array, however it is laid out, or a single object.

    As long as each element stands on a line of its own, the lines are parsed as they are. From the first line
    on that is laid out otherwise, the elements are searched for, which takes three times as long.
    """

    def __iter__(self) -> Iterator[Found]:
        """Read from the beginning to the end."""
        limits, name = self._source.limits, self._source.name
        parse = JsonRecords(limits, name, self.place_name).parse
        with self._source.open_bytes() as stream:
            place = 0
            size = min(_LINE_BYTES, limits.max_record_bytes)
            line = stream.readline(size)
            is_array = line.strip(_BLANKS) == b"["
            while is_array:
                line = stream.readline(size)
                raw = line[:-2] if line.endswith(b",\n") else line.removesuffix(b",\r\n")
                if raw is line:
                    break
                try:
                    record = parse(raw, place + 1)
                except NotJsonError:
                    break
                place += 1
                yield place, record
            rest = JsonElements(stream, limits, name, begun=line, count=place)
            for raw in rest.rest_of_array() if is_array else rest.all():
                try:
                    record = parse(raw, rest.count)
                except NotJsonError as error:
                    message = f"{name} cannot be read from record {rest.count} on: it is not JSON ({error})"
                    raise FormatError(message, path=name) from error
                yield rest.count, record
