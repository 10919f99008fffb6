"""Rows as JSON objects, one a line: how they are written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from library.infrastructure.data.formats.record_kind import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from library.infrastructure.data.formats.record_kind import Field, Row

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, by an option of orjson, which is faster than a time zone
_PIECE_BYTES: Final = 1 << 16


class JsonRows:
    """Writes rows as JSON objects.

    What orjson returns is copied into one buffer at once: to keep it for each row would take three times as
    long, because of the room that it asks for. Metadata is JSON text already, and goes in as it is.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        """Prepare for rows of these fields."""
        self._fields = tuple(fields)
        self._names = tuple(field.name for field in fields)

    def pieces(self, rows: Sequence[Row], *, before: bytes = b"", is_line: bool) -> Iterator[bytearray]:
        """Give the rows, some at a time.

        Args:
            rows: the rows.
            before: what stands before each of them.
            is_line: whether a line break stands behind each of them.

        """
        if not rows:
            return
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for at, field in enumerate(self._fields):
            columns[at] = _column(field, columns[at])
        names, dumps = self._names, orjson.dumps
        options = orjson.OPT_NAIVE_UTC | (orjson.OPT_APPEND_NEWLINE if is_line else 0)
        record: dict[str, Any] = {}
        piece = bytearray()
        for row in zip(*columns, strict=True):
            record.update(zip(names, row))  # noqa: B905 - a check that costs a twentieth of it all
            if before:
                piece += before
            piece += dumps(record, None, options)
            if len(piece) > _PIECE_BYTES:
                yield piece
                piece = bytearray()
        yield piece


def _column(field: Field, values: Iterable[Any]) -> Iterable[Any]:
    """Turn the values of a field into what orjson writes as they shall be written."""
    if field.type is FieldType.JSON:
        return map(orjson.Fragment, values)
    if field.type is FieldType.MOMENT:
        if field.is_optional:
            return [None if value is None else _EPOCH + timedelta(0, 0, value) for value in values]
        return [_EPOCH + timedelta(0, 0, value) for value in values]
    return values
