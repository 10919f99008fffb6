"""JSON Lines: each record a JSON object on a line of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.json_records import JsonRecords, NotJsonError
from library.infrastructure.data.formats.json_rows import JsonRows
from library.infrastructure.data.formats.record_format import Fault, RecordReader, RecordWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_format import Found
    from library.infrastructure.data.formats.record_kind import Row


class JsonLinesWriter(RecordWriter):
    """Writes JSON Lines."""

    def begin(self) -> None:
        """Write nothing: a file without records is empty."""
        self._rows = JsonRows(self._fields)

    def write(self, rows: Sequence[Row]) -> None:
        """Write records."""
        for piece in self._rows.pieces(rows, is_line=True):
            self._file.write(piece)


class JsonLinesReader(RecordReader):
    """Reads JSON Lines; blank lines are passed over, a line that is wrong keeps no others back."""

    place_name: ClassVar[str] = "line"

    def __iter__(self) -> Iterator[Found]:
        """Read from the beginning to the end."""
        limits, name = self._source.limits, self._source.name
        parse = JsonRecords(limits, name, self.place_name).parse
        limit = limits.max_record_bytes
        place = 0
        with self._source.open_bytes() as lines:
            read_line = lines.readline
            while line := read_line(limit + 2):
                place += 1
                if len(line) > limit and len(line.rstrip(b"\r\n")) > limit:
                    raise limit_error(limits, "max_record_bytes", name, f"line {place}")
                try:
                    yield place, parse(line, place)
                except NotJsonError as error:
                    if not line.isspace():
                        yield place, Fault(f"it is not JSON: {error}")
