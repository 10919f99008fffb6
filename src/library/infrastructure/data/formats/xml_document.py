"""XML: one document, one element a record; read with memory for one record at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.record_format import (
    RecordReader,
    RecordWriter,
    WriteOptions,
)
from library.infrastructure.data.formats.row_slices import row_slices
from library.infrastructure.data.formats.xml_records import RecordFinder
from library.infrastructure.data.formats.xml_text import contents, is_xml, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_format import Found
    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row

_SLICE_ROWS: Final = 128
"""Records that are put together in one piece: enough to be fast, and few enough to stay in the cache."""
_PART_BYTES: Final = 1 << 16
"""Bytes that are parsed in one piece."""
_FILE_BYTES: Final = 1 << 20
"""Bytes that are read or written at once. Whoever turns to the file every millisecond keeps the interpreter's
lock from other threads, which ask for it only after having waited for five milliseconds in a row."""


class XmlWriter(RecordWriter):
    """Writes a document whose root is named after the kind of record, and an element for each record in it.

    In a record is an element for each field, named as the field. Its text is the value: a number as Python
    writes it, so that it is read back exactly; a moment as ISO 8601 in UTC, with microseconds; a flag as
    `true` or `false`; and JSON as JSON text. `null="true"` stands for `None`; `encoding="json"` for a text
    that XML cannot hold, which stands there as a JSON string.
    """

    def __init__(
        self, file: BinaryIO, kind: RecordKind, fields: Sequence[Field], options: WriteOptions
    ) -> None:
        """Prepare; see `RecordWriter`."""
        super().__init__(file, kind, fields, options)
        elements = (
            f"<{field.name}{'' if field.is_optional else '>'}%s</{field.name}>" for field in self._fields
        )
        self._template = f"<{kind.record_name}>{''.join(elements)}</{kind.record_name}>\n"
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def begin(self) -> None:
        """Write the declaration and open the root."""
        self._file.write(
            b'<?xml version="1.0" encoding="UTF-8"?>\n<%s version="1">\n' % self._kind.name.encode()
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Write an element for each row: many at once where XML can hold all that is in them."""
        for part in row_slices(rows, self._fields, _SLICE_ROWS):
            document = None if part.is_long else self._compose(part.columns)
            if document is not None:
                self._put(document)
                continue
            for row in part.rows:
                for piece in self._pieces(row):
                    self._put(piece.encode())
        self._flush()

    def finish(self) -> None:
        """Close the root."""
        self._file.write(b"</%s>\n" % self._kind.name.encode())

    def _compose(self, columns: Sequence[Sequence[Any]]) -> bytes | None:
        """Return the elements of a few rows, unless they hold what XML cannot."""
        found: list[list[str]] = []
        for field, values in zip(self._fields, columns, strict=True):
            texts = contents(field, values)
            if texts is None:
                return None
            found.append(texts)
        document = "".join(map(self._template.__mod__, zip(*found, strict=True))).encode()
        return document if is_xml(document) else None

    def _pieces(self, row: Row) -> Iterator[str]:
        """Return the element of a row, whatever is in it, in pieces that are not large."""
        yield f"<{self._kind.record_name}>"
        for field, value in zip(self._fields, row, strict=True):
            yield from pieces(field, value)
        yield f"</{self._kind.record_name}>\n"

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _FILE_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = 0


class XmlReader(RecordReader):
    """Reads documents that `XmlWriter` wrote, and others that have an element for each record.

    The root may have any name; see `xml_records` for what is a record. Names are given without their
    prefixes, and values as text. Besides `null="true"`, `xsi:nil="true"` stands for `None`; other attributes
    of fields are passed over. A document with a DOCTYPE is refused, so that none can declare entities.
    """

    def __iter__(self) -> Iterator[Found]:
        """Parse the document in parts, and give the records that each completes."""
        file = self._source.open_bytes()
        finder = RecordFinder(self._source, self._kind)
        size = _PART_BYTES
        try:
            while data := file.read(_FILE_BYTES):
                start = 0
                while start < len(data):
                    part = data[start : start + size]
                    start += size
                    # The beginning of a tag is parsed anew with the next part, which is therefore as large.
                    size = max(_PART_BYTES, finder.feed(part))
                    yield from finder.take()
            finder.finish()
            yield from finder.take()
        except FormatError:
            yield from finder.take()  # what stood before the damage
            raise
        finally:
            finder.close()
