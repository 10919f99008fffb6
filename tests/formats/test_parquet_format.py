"""The Parquet format: what it keeps, what it refuses, and what it makes of files of others."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from library.infrastructure.data import (
    DataUnitError,
    FormatError,
    ImportLimits,
    MissingExtraError,
    StorageError,
    TransferLimitError,
)
from library.infrastructure.data.formats.parquet_file import ParquetReader, ParquetWriter
from library.infrastructure.data.formats.record_format import Fault, Found, ReadOptions, WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS, FieldType, RecordKind
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800_000_000
LAST = 253_402_300_799_999_999

TEXTS = [
    "",
    "\0",
    "".join(map(chr, range(0xA0))),
    "\r\n",
    "\ufffe\uffff\ufeff",
    "\u2028",
    "\U0001f600\U0010ffff",
]
texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=("Cs",))))
metadata = st.dictionaries(texts, st.one_of(st.integers(), texts, st.none()), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: texts,
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.MOMENT: st.one_of(st.sampled_from([FIRST, LAST, 0, -1]), st.integers(FIRST, LAST)),
    FieldType.FLAG: st.booleans(),
    FieldType.JSON: metadata,
}
EXCHANGE = (7, "a", 0, "hello", "hi", 0.1, None, "{}")


def rows_of(kind: RecordKind) -> st.SearchStrategy[list[Row]]:
    """Rows of any values."""
    values = [
        st.one_of(st.none(), VALUES[field.type]) if field.is_optional else VALUES[field.type]
        for field in kind.fields
    ]
    return st.lists(st.tuples(*values), max_size=5)


class OnlyWrite:
    """A file that can do nothing else."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)


def written(kind: RecordKind, *pages: Sequence[Row]) -> bytes:
    file = OnlyWrite()
    writer = ParquetWriter(file, kind, kind.fields, WriteOptions())  # type: ignore[arg-type]
    writer.begin()
    for page in pages:
        writer.write(page)
    writer.finish()
    return b"".join(file.parts)


def table(**options: Any) -> Any:
    """Return what makes a file of columns, as another program might."""

    def make(**columns: pa.Array) -> bytes:
        file = io.BytesIO()
        pq.write_table(pa.table(columns), file, **options)
        return file.getvalue()

    return make


def found_in(data: bytes, kind: RecordKind = EXCHANGES, **limits: int) -> list[Found]:
    with (
        closing(Source(io.BytesIO(data), ImportLimits(**limits))) as source,
        closing(ParquetReader(source, kind, ReadOptions())) as reader,
    ):
        return list(reader)


def records(data: bytes, kind: RecordKind = EXCHANGES, **limits: int) -> list[Any]:
    return [record for _, record in found_in(data, kind, **limits)]


def values(column: pa.Array, **options: Any) -> list[Any]:
    """Return what is read of a file of one column."""
    return [
        record if isinstance(record, Fault) else record["a"] for record in records(table(**options)(a=column))
    ]


def read_back(data: bytes, kind: RecordKind, **limits: int) -> list[Row]:
    rows = []
    for record in records(data, kind, **limits):
        assert list(kind.names) == list(record)
        moments = [
            (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value
            for value in record.values()
        ]
        rows.append(tuple(moments))
    return rows


@pytest.mark.parametrize("kind", [EXCHANGES, SESSIONS], ids=lambda kind: kind.name)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_value_is_read_back_as_it_was(kind: RecordKind, data: st.DataObject):
    """Whatever texts, numbers, moments and metadata hold, a file gives it back."""
    rows = data.draw(rows_of(kind))
    assert rows == read_back(written(kind, rows), kind)


@pytest.mark.parametrize("part", ["a\r\n<", "日本\u2028", "\0\x1b\ufffe", "\U0001f600"])
@pytest.mark.parametrize("length", [200_000, 3_000_000])
def test_long_texts_are_read_back_as_they_were(part: str, length: int):
    """A text may be longer than what is converted in one piece."""
    text = part * (length // len(part))
    rows = [EXCHANGE, (*EXCHANGE[:3], text, text[1:], *EXCHANGE[5:]), EXCHANGE]
    assert rows == read_back(written(EXCHANGES, rows), EXCHANGES, max_ratio=100_000)


def test_no_records_are_a_file_too():
    """A file without records is read as such, and still says what it holds."""
    data = written(SESSIONS)
    assert [] == records(data)
    assert b"sessions" == pq.read_schema(io.BytesIO(data)).metadata[b"nanobrain.kind"]


def test_a_file_looks_as_described():
    """Other programs find columns of the right types, and what the file holds."""
    schema = pq.read_schema(io.BytesIO(written(EXCHANGES, [EXCHANGE])))
    expected = pa.schema(
        [
            pa.field("message_id", pa.int64()),
            pa.field("conversation_id", pa.string(), nullable=False),
            pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("user_input", pa.string(), nullable=False),
            pa.field("agent_response", pa.string(), nullable=False),
            pa.field("response_time_ms", pa.float64(), nullable=False),
            pa.field("parent_id", pa.int64()),
            pa.field("metadata", pa.string(), nullable=False),
        ]
    )
    assert expected == schema
    assert {b"nanobrain.kind": b"conversations", b"nanobrain.version": b"1"} == schema.metadata


def test_pages_become_groups_of_about_ten_thousand_rows():
    """Pages are collected, and long texts make smaller groups."""
    rows = [(number, *EXCHANGE[1:]) for number in range(23_000)]
    data = written(EXCHANGES, *(rows[start : start + 1_500] for start in range(0, len(rows), 1_500)))
    metadata_of_file = pq.read_metadata(io.BytesIO(data))
    sizes = [metadata_of_file.row_group(number).num_rows for number in range(metadata_of_file.num_row_groups)]
    assert [10_500, 10_500, 2_000] == sizes
    assert list(range(1, 23_001)) == [place for place, _ in found_in(data)]
    long = (*EXCHANGE[:3], "x" * 1_000_000, *EXCHANGE[4:])
    assert 2 < pq.read_metadata(io.BytesIO(written(EXCHANGES, [long] * 50))).num_row_groups < 10


def test_a_full_disk_is_reported_as_it_is():
    """What the file raises reaches the caller, and nothing is written behind it."""

    class Full(OnlyWrite):
        def write(self, data: bytes) -> int:
            if self.parts:
                raise OSError(28, "No space left on device")
            return super().write(data)

    file = Full()
    writer = ParquetWriter(file, EXCHANGES, EXCHANGES.fields, WriteOptions())  # type: ignore[arg-type]
    writer.begin()
    with pytest.raises(OSError, match="No space left") as caught:
        writer.write([EXCHANGE] * 10_000)
    assert 28 == caught.value.errno


def test_a_writer_that_is_given_up_leaves_the_file_alone():
    """When an export fails half-way, nothing more is written, not even to a file that is closed."""
    file = io.BytesIO()
    writer = ParquetWriter(file, EXCHANGES, EXCHANGES.fields, WriteOptions())
    writer.begin()
    writer.write([EXCHANGE] * 10_000)
    size = len(file.getvalue())
    del writer
    assert size == len(file.getvalue())
    writer = ParquetWriter(file, EXCHANGES, EXCHANGES.fields, WriteOptions())
    writer.begin()
    file.close()
    del writer


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """The error names the extra."""
    for name in ("arrow", "parquet_columns", "parquet_file"):
        monkeypatch.delitem(sys.modules, f"library.infrastructure.data.formats.{name}")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        __import__("library.infrastructure.data.formats.parquet_file")
    assert "pip install 'nanobrain-data[parquet]'" in str(caught.value)
    assert "parquet" == caught.value.extra


# ---------------------------------------------------------------------------------- files of others


@pytest.mark.parametrize(
    ("kind", "counts", "expected"),
    [
        (pa.timestamp("s"), [1, None, -1], ["1970-01-01T00:00:01", None, "1969-12-31T23:59:59"]),
        (
            pa.timestamp("ms", tz="+02:00"),
            [1, None, -1],
            ["1970-01-01T00:00:00.001", None, "1969-12-31T23:59:59.999"],
        ),
        (pa.timestamp("us", tz="America/New_York"), [LAST], ["9999-12-31T23:59:59.999999"]),
        (pa.timestamp("us"), [FIRST], ["0001-01-01T00:00:00"]),
        (
            pa.timestamp("ns", tz="UTC"),
            [1_999, -1],
            ["1970-01-01T00:00:00.000001", "1969-12-31T23:59:59.999999"],
        ),
    ],
)
def test_timestamps_are_given_in_utc(kind: pa.DataType, counts: list[Any], expected: list[Any]):
    """Of any unit and zone, to the microsecond; without a zone they are taken for UTC."""
    moments = [
        None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC) for text in expected
    ]
    found = values(pa.array(counts, pa.int64()).cast(kind))
    assert moments == found
    assert all(moment is None or moment.tzinfo is UTC for moment in found)


def test_timestamps_of_old_writers_are_read():
    """The 96 bits of old writers, which hold nanoseconds, lose neither far years nor microseconds."""
    column = pa.array([1, 4_102_444_800_000_001, FIRST], pa.timestamp("us"))
    found = values(column, use_deprecated_int96_timestamps=True)
    assert [EPOCH + timedelta(microseconds=count) for count in (1, 4_102_444_800_000_001, FIRST)] == found


@pytest.mark.parametrize("options", [{"use_dictionary": True}, {"use_dictionary": False}], ids=str)
@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "b"] * 3),
        pa.array(["a", None, "b"], pa.large_string()),
        pa.array(["a", None, "b"] * 3).dictionary_encode(),
        pa.array([1, None, 2]).dictionary_encode(),
        pa.array(["a", None]).cast(pa.string_view()),
        pa.array([], pa.string()),
        pa.array(["x" * 100_000, None, "y" * 100_000] * 3),
        pa.array([1, None], pa.uint64()),
        pa.array([1.5, None], pa.float32()),
        pa.array([True, None]),
        pa.array([None, None]),
        pa.array([Decimal("1.5")]),
        pa.array([{"a": 1, "b": ["c", None]}, None, {}]),
        pa.array([[{"content": "hi", "role": "user"}] * 2, []]),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_are_read_as_they_are(column: pa.Array, options: dict[str, Any]):
    """Texts, numbers, flags, structures and lists become what they are in Python."""
    assert column.to_pylist() == values(column, **options)


def test_maps_become_dicts():
    """A map is a `dict`; with a key that occurs twice it would lose a value."""
    pairs = [[("a", "1"), ("b", "2")], None, [("a", "1"), ("a", "2")]]
    good, nothing, fault = values(pa.array(pairs, pa.map_(pa.string(), pa.string())))
    assert {"a": "1", "b": "2"} == good
    assert nothing is None
    assert isinstance(fault, Fault)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(3)], ids=str)
def test_bytes_are_read_as_utf_8(kind: pa.DataType):
    """Old writers keep texts as bytes; those that are no text are a fault."""
    good, nothing, fault = values(pa.array(["aé".encode(), None, b"a\xff\xfe"], kind))
    assert "aé" == good
    assert nothing is None
    assert isinstance(fault, Fault)
    assert fault.reason.startswith("a cannot be read: 'utf-8' codec")


def test_a_fault_concerns_its_row_alone():
    """Rows beside one that cannot be read are given."""
    moments = pa.array([0, LAST + 1, FIRST - 1, 1], pa.timestamp("us"))
    data = table()(a=moments, b=pa.array(["w", "x", "y", "z"]))
    fault = Fault("a cannot be read: date value out of range")
    expected = [
        (1, {"a": EPOCH, "b": "w"}),
        (2, fault),
        (3, fault),
        (4, {"a": EPOCH + timedelta(microseconds=1), "b": "z"}),
    ]
    assert expected == found_in(data)


def test_texts_that_are_no_utf_8_are_a_fault():
    """A file may say that bytes are text when they are not."""
    buffers = [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfea")]
    fault, good = values(pa.Array.from_buffers(pa.string(), 2, buffers), use_dictionary=False)
    assert isinstance(fault, Fault)
    assert "a" == good


def test_datasets_of_conversations_are_read():
    """Rows like those of LMSYS-Chat-1M and WildChat, with lists of structures, come whole."""
    turns = [
        {"content": "hi", "role": "user", "toxic": False},
        {"content": "yo", "role": "assistant", "toxic": None},
    ]
    row = {
        "conversation_id": "c",
        "timestamp": datetime(2024, 1, 2, tzinfo=UTC),
        "conversation": turns,
        "openai_moderation": [{"category_scores": {"hate/threatening": 0.5}}],
        "turn": 1,
    }
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row] * 3), file)
    assert [row] * 3 == records(file.getvalue())


def test_columns_of_one_name_are_refused():
    """One of them would be lost."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), file)
    with pytest.raises(FormatError, match="two columns named 'a'"):
        records(file.getvalue())


# -------------------------------------------------------------------------------- damage, attacks, limits


@pytest.mark.parametrize("data", [b"", b"PAR1", b"hello " * 100, b"PAR1" * 20, b"PARE" + b"x" * 50 + b"PARE"])
def test_what_is_no_parquet_file_is_refused(data: bytes):
    """The error says so, and names the file."""
    with pytest.raises(FormatError) as caught:
        records(data)
    assert str(caught.value).startswith("a stream is no Parquet file, or is damaged: ")


def test_a_file_that_was_cut_is_refused():
    """Wherever a file ends too early, that is an error, and never a file with fewer rows."""
    data = written(EXCHANGES, [EXCHANGE] * 2)
    for end in range(len(data)):
        with pytest.raises(FormatError):
            records(data[:end])


@pytest.mark.filterwarnings("ignore")
def test_damage_is_found_out():
    """A byte that was changed is an error, or is where it does no harm to any value."""
    rows = [(number, f"c{number}", number, f"text {number}", "hi", 0.5, None, "{}") for number in range(50)]
    data = written(EXCHANGES, rows)
    end_of_pages = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    places = random.Random(1).sample(range(4, end_of_pages), 300)
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        try:
            found = read_back(bytes(damaged), EXCHANGES)
        except DataUnitError:
            continue
        assert rows == found


def test_a_file_that_cannot_be_read_is_no_damage(tmp_path: Path):
    """What the system says is passed on as such."""
    path = tmp_path / "a.parquet"
    path.write_bytes(written(EXCHANGES, [EXCHANGE]))
    with closing(Source(str(path), ImportLimits())) as source:
        reader = ParquetReader(source, EXCHANGES, ReadOptions())
        source.local_path()
        path.unlink()
        with pytest.raises(StorageError, match="No such file"):
            list(reader)


def test_a_reader_that_is_given_up_closes_its_file(tmp_path: Path):
    """The file is closed although not all was read; `filterwarnings` would tell if it was not."""
    path = tmp_path / "a.parquet"
    path.write_bytes(written(EXCHANGES, [EXCHANGE] * 3_000))
    with (
        closing(Source(str(path), ImportLimits())) as source,
        closing(ParquetReader(source, EXCHANGES, ReadOptions())) as reader,
    ):
        place, _ = next(iter(reader))
        assert "row 1" == reader.describe(place)
    assert str(path) not in [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize(
    ("columns", "limit", "place"),
    [
        ({"a": ["x", "x" * 101]}, "max_field_characters", "row 2 of "),
        (
            {"a": ["x", "x" * 90], "b": ["y" * 90, "y" * 90], "c": ["z", "z" * 90]},
            "max_record_bytes",
            "row 2 of ",
        ),
        ({"a": [["x" * 50] * 3]}, "max_field_characters", "row 1 of "),
        ({"a": ["x" * 90] * 1_000 + ["y"]}, "max_bytes", ""),
        ({"a": [[[[1]]]]}, "max_depth", ""),
    ],
)
def test_limits_hold(columns: dict[str, Any], limit: str, place: str, *, is_shared: bool):
    """Each limit ends the import with an error that names it."""
    data = table(use_dictionary=is_shared)(**{name: pa.array(column) for name, column in columns.items()})
    limits = {"max_field_characters": 100, "max_record_bytes": 250, "max_bytes": 50_000, "max_depth": 3}
    with pytest.raises(TransferLimitError) as caught:
        found_in(data, **limits)
    assert limit == caught.value.limit
    assert str(caught.value).startswith(f"{place}a stream")


def test_what_is_within_the_limits_is_read():
    """A value may be as long as the limit says, and so may a row."""
    data = table()(a=pa.array(["x" * 100, "é" * 100]), b=pa.array(["y" * 100, None]))
    assert 2 == len(found_in(data, max_field_characters=100, max_record_bytes=350))


def test_what_unpacks_to_much_more_is_refused():
    """A small file that says to hold much is not unpacked."""
    data = table(compression="zstd", use_dictionary=False)(a=pa.array(["x" * 1_000_000] * 20))
    with pytest.raises(TransferLimitError) as caught:
        records(data)
    assert "max_ratio" == caught.value.limit


@pytest.mark.parametrize("is_nested", [True, False])
def test_texts_that_rows_share_do_not_fill_the_memory(*, is_nested: bool):
    """A small file in which many rows have the same megabyte of text is read a few rows at a time."""
    text = pa.array(["x" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4_000, pa.int32()), text)
    if is_nested:
        offsets = pa.array(range(0, 4_001, 4), pa.int32())
        column = pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([column], ["text"]))
    data = table(compression="zstd")(a=column)
    before = pa.total_allocated_bytes()
    with (
        closing(Source(io.BytesIO(data), ImportLimits())) as source,
        closing(ParquetReader(source, EXCHANGES, ReadOptions())) as reader,
    ):
        for place, record in reader:
            assert isinstance(record, dict)
            if place % 500 == 0:
                assert pa.total_allocated_bytes() - before < 32 << 20
    assert len(data) < 200_000
