"""JSON, JSON Lines and CSV: what is written is read back, value for value."""

from __future__ import annotations

import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from library.infrastructure.data import ImportLimits
from library.infrastructure.data.formats import json_rows
from library.infrastructure.data.formats.csv_table import CsvReader, CsvWriter
from library.infrastructure.data.formats.json_array import JsonArrayReader, JsonArrayWriter
from library.infrastructure.data.formats.json_lines import JsonLinesReader, JsonLinesWriter
from library.infrastructure.data.formats.record_format import (
    ReadOptions,
    RecordReader,
    RecordWriter,
    WriteOptions,
)
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS, Field, FieldType, RecordKind
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800_000_000
LAST = 253_402_300_799_999_999
TEXTS = [
    "",
    " ",
    "\n",
    "\r",
    "\r\n",
    "a,b;c\td|e",
    '"',
    '""","',
    "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)])),
    "\ufeff\ufffe\uffff\ufffd",
    "\u2028\u2029\x85",
    "\U0001f600\U0010ffff",
    "'=1+1",
    "=1",
    "''\uff1d",
    "-",
    "@\t",
    "]},\n{",
    "\\ud83d \\",
    "null",
    "1",
]
texts = st.one_of(
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=("Cs",))),
    st.text("'=+-@\t\r\n\uff1d\uff0b,;|\"\0 x"),
)
json_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
)
metadata = st.dictionaries(texts, json_leaves | st.lists(json_leaves, max_size=2), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: texts,
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.MOMENT: st.one_of(st.sampled_from([FIRST, FIRST + 1, LAST, 0, -1]), st.integers(FIRST, LAST)),
    FieldType.FLAG: st.booleans(),
    FieldType.JSON: metadata,
}
FORMATS: dict[str, tuple[type[RecordWriter], type[RecordReader], WriteOptions]] = {
    "JSON": (JsonArrayWriter, JsonArrayReader, WriteOptions()),
    "JSON Lines": (JsonLinesWriter, JsonLinesReader, WriteOptions()),
    "CSV": (CsvWriter, CsvReader, WriteOptions()),
    "CSV for spreadsheets": (CsvWriter, CsvReader, WriteOptions(safe_for_spreadsheets=True)),
}
BIG = json.dumps({"n": 10**400, "m": -(2**70), "f": 0.1, "deep": [[[{}]]]})
EXCHANGE: Row = (7, "a", 0, "hello", "hi", 0.1, None, BIG)
SESSION: Row = ("s", "u", FIRST, LAST, True, None, None, "{}")


def rows_of(fields: Sequence[Field]) -> st.SearchStrategy[list[Row]]:
    """Rows of any values."""
    values = [
        st.one_of(st.none(), VALUES[field.type]) if field.is_optional else VALUES[field.type]
        for field in fields
    ]
    return st.lists(st.tuples(*values), max_size=5)


def written(name: str, kind: RecordKind, fields: Sequence[Field], *pages: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    writer = FORMATS[name][0](file, kind, fields, FORMATS[name][2])
    writer.begin()
    for page in pages:
        writer.write(page)
    writer.finish()
    return file.getvalue()


def parsed(field: Field, value: Any) -> Any:
    """Turn what a reader gives into what was written, without anything of the library."""
    if value is None or (value == "" and field.is_optional):
        return None
    if field.type is FieldType.MOMENT:
        return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)
    if field.type is FieldType.JSON:
        return value if isinstance(value, dict) else json.loads(value)
    if isinstance(value, str) and field.type is FieldType.FLAG:
        return {"true": True, "false": False}[value]
    if isinstance(value, str) and field.type is not FieldType.TEXT:
        return {FieldType.INTEGER: int, FieldType.NUMBER: float}[field.type](value)
    return value


def read_back(name: str, kind: RecordKind, fields: Sequence[Field], content: bytes) -> list[Any]:
    with (
        closing(Source(io.BytesIO(content), ImportLimits())) as source,
        closing(FORMATS[name][1](source, kind, ReadOptions())) as reader,
    ):
        found: list[Any] = [record for _, record in reader]
    assert all([field.name for field in fields] == list(record) for record in found)
    return [tuple(parsed(field, record[field.name]) for field in fields) for record in found]


def comparable(fields: Sequence[Field], rows: Sequence[Row]) -> list[Any]:
    """Return rows as `read_back` does; of the empty text and none, files of some formats know only one."""
    return [
        tuple(
            json.loads(value)
            if field.type is FieldType.JSON
            else None
            if value == "" and field.is_optional
            else value
            for field, value in zip(fields, row, strict=True)
        )
        for row in rows
    ]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("kind", "row"), [(EXCHANGES, EXCHANGE), (SESSIONS, SESSION)], ids=["exchanges", "sessions"]
)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_all_values_are_read_back(name: str, kind: RecordKind, row: Row, data: st.DataObject) -> None:
    """Every value of every field comes back exactly, in any number of pages, for any choice of fields."""
    order = data.draw(st.permutations(kind.fields))
    fields = order[: data.draw(st.integers(1, len(order)))]
    pages = data.draw(st.lists(rows_of(fields), max_size=3))
    pages.append([tuple(row[kind.fields.index(field)] for field in fields)])
    rows = [each for page in pages for each in page]

    found = read_back(name, kind, fields, written(name, kind, fields, *pages))

    assert repr(comparable(fields, rows)) == repr(
        found
    )  # `repr` tells 1 from 1.0 and True, and 0.0 from -0.0


@pytest.mark.parametrize("name", FORMATS)
@given(value=VALUES[FieldType.MOMENT])
@example(FIRST)
@example(LAST)
def test_moments_are_iso_8601_in_utc(name: str, value: int) -> None:
    """A moment is written with its offset, in a form that every reader of ISO 8601 takes."""
    moment = (EPOCH + timedelta(microseconds=value)).isoformat()

    content = written(name, EXCHANGES, EXCHANGES.fields, [(*EXCHANGE[:2], value, *EXCHANGE[3:])])

    assert moment in content.decode()


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_are_read_back(name: str) -> None:
    """Texts of hundreds of kilobytes come back, beside short ones."""
    long = 'x"=\r\n\0😀' * 30_000
    rows = [EXCHANGE, (*EXCHANGE[:3], long, "'" + long, *EXCHANGE[5:]), EXCHANGE] * 3

    found = read_back(name, EXCHANGES, EXCHANGES.fields, written(name, EXCHANGES, EXCHANGES.fields, rows))

    assert comparable(EXCHANGES.fields, rows) == found


@pytest.mark.parametrize("name", FORMATS)
def test_many_rows_are_read_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page is written in several pieces, the pieces fit together."""
    monkeypatch.setattr(json_rows, "_PIECE_BYTES", 100)
    rows: list[Row] = [(number, *EXCHANGE[1:]) for number in range(1, 2001)]

    content = written(name, EXCHANGES, EXCHANGES.fields, rows[:1], [], rows[1:])

    assert comparable(EXCHANGES.fields, rows) == read_back(name, EXCHANGES, EXCHANGES.fields, content)


@pytest.mark.parametrize("name", FORMATS)
def test_no_rows_are_read_back(name: str) -> None:
    """A file without records is read as one."""
    for pages in ([], [[]]):
        content = written(name, EXCHANGES, EXCHANGES.fields, *pages)
        assert [] == read_back(name, EXCHANGES, EXCHANGES.fields, content)


@pytest.mark.parametrize("name", FORMATS)
def test_a_writer_writes_bytes_as_it_goes(name: str) -> None:
    """What was given is written before the next page comes: no more than a page is held."""
    file = io.BytesIO()
    writer = FORMATS[name][0](file, EXCHANGES, EXCHANGES.fields, FORMATS[name][2])
    writer.begin()
    sizes = []
    for _ in range(3):
        writer.write([EXCHANGE] * 10)
        sizes.append(len(file.getvalue()))

    assert sizes[1] - sizes[0] > 10 * 80
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
