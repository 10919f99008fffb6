"""Making Python values of the columns of a Parquet file, whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.formats.arrow import pa, pc
from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = (pa.ArrowException, ValueError, OverflowError, LookupError)
"""What pyarrow raises over data that it cannot read, besides `OSError`."""
_MICROSECONDS: Final = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
"""By units of time: so many microseconds are so many of them."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def values_of(name: str, column: pa.Array) -> list[Any]:
    """Return the values of a column, with a `Fault` for each that has none in Python."""
    convert = _converter(column.type)
    try:
        return convert(column)
    except FAILURES:
        return [_value(name, convert, column.slice(index, 1)) for index in range(len(column))]


def unpacked_bytes(column: pa.Array) -> int:
    """Count the bytes of a column, once values that rows share are there for each of them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return int(pc.sum(lengths).as_py() or 0) + 8 * len(column)
    if not pa.types.is_nested(kind):
        return int(column.nbytes)
    if pa.types.is_map(kind):
        first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
        parts = [part.slice(first, last - first) for part in (column.keys, column.items)]
    elif pa.types.is_struct(kind):
        parts = column.flatten()
    else:
        parts = [column.flatten()]
    return sum(map(unpacked_bytes, parts)) + 8 * len(column)


def levels(kind: pa.DataType) -> int:
    """Count the levels of a type; that of a column of plain values has one."""
    return 1 + max((levels(kind.field(number).type) for number in range(kind.num_fields)), default=0)


def _value(name: str, convert: Callable[[pa.Array], list[Any]], one: pa.Array) -> Any:
    """Return a value, or a `Fault` that says why there is none."""
    try:
        return convert(one)[0]
    except FAILURES as error:
        return Fault(f"{name} cannot be read: {error}")


def _converter(kind: pa.DataType) -> Callable[[pa.Array], list[Any]]:
    """Return what makes Python values of a column."""
    if pa.types.is_timestamp(kind):
        return _moments
    if pa.types.is_dictionary(kind):
        return _unshared
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _decoded
    if pa.types.is_nested(kind) and "map<" in str(kind):
        return _with_maps
    return _plain


def _plain(column: pa.Array) -> list[Any]:
    return list(column.to_pylist())


def _with_maps(column: pa.Array) -> list[Any]:
    return list(column.to_pylist(maps_as_pydicts="strict"))


def _decoded(column: pa.Array) -> list[Any]:
    return [None if value is None else value.decode() for value in column.to_pylist()]


def _moments(column: pa.Array) -> list[Any]:
    """Count in whole microseconds, since the `datetime`s of pyarrow take ten times as long."""
    times, parts = _MICROSECONDS[column.type.unit]
    return [
        None if count is None else _EPOCH + timedelta(0, 0, count * times // parts)
        for count in column.view(pa.int64()).to_pylist()
    ]


def _unshared(column: pa.DictionaryArray) -> list[Any]:
    return _converter(column.type.value_type)(column.dictionary_decode())
