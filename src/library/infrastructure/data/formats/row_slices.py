"""Cutting pages of rows into parts that one call can work on without holding up other threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.formats.record_kind import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_kind import Field, Row

TEXTUAL: Final = frozenset({FieldType.TEXT, FieldType.JSON})
"""Types whose values are texts, which may be long."""

_MAX_CHARACTERS: Final = 1 << 20
"""Characters of all texts of a slice: a call that copies or encodes them takes a few milliseconds at most."""


class RowSlice(NamedTuple):
    """A few rows, and the same by columns."""

    rows: Sequence[Row]
    columns: list[tuple[Any, ...]]
    is_long: bool
    """Whether it is a single row whose texts are longer than those of other slices together."""


def row_slices(rows: Sequence[Row], fields: Sequence[Field], max_rows: int) -> Iterator[RowSlice]:
    """Cut rows into slices of at most so many rows, and of not much text."""
    textual = [number for number, field in enumerate(fields) if field.type in TEXTUAL]
    waiting = [rows[start : start + max_rows] for start in range(0, len(rows), max_rows)]
    waiting.reverse()
    while waiting:
        part = waiting.pop()
        columns = list(zip(*part, strict=True))
        is_long = _characters(columns, textual) > _MAX_CHARACTERS
        if is_long and len(part) > 1:
            middle = len(part) // 2
            waiting += (part[middle:], part[:middle])
        else:
            yield RowSlice(part, columns, is_long)


def _characters(columns: Sequence[tuple[Any, ...]], textual: Sequence[int]) -> int:
    return sum(len(text) for number in textual for text in columns[number] if text is not None)
