"""CSV: what is written, what readers make of the files of other programs, and of what is wrong in them."""

from __future__ import annotations

import csv
import io
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import FormatError, ImportLimits, InvalidOptionError, TransferLimitError
from library.infrastructure.data.formats.csv_cells import guard, unguard
from library.infrastructure.data.formats.csv_table import CsvReader, CsvWriter
from library.infrastructure.data.formats.record_format import Fault, ReadOptions, WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS, RecordKind
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from library.infrastructure.data.formats.record_format import Found
    from library.infrastructure.data.formats.record_kind import Row

EXCHANGE: Row = (7, "a", 0, "hello", "hi", 0.1, None, '{"a":1}')


def found_in(
    content: bytes | str, delimiter: str | None = None, encoding: str | None = None, **limits: int
) -> list[Found]:
    data = content if isinstance(content, bytes) else content.encode()
    with closing(Source(io.BytesIO(data), ImportLimits(**limits), encoding=encoding)) as source:
        return list(CsvReader(source, EXCHANGES, ReadOptions(delimiter=delimiter)))


def written(*rows: Row, kind: RecordKind = EXCHANGES, is_safe: bool = False) -> str:
    file = io.BytesIO()
    writer = CsvWriter(file, kind, kind.fields, WriteOptions(safe_for_spreadsheets=is_safe))
    writer.begin()
    writer.write(rows)
    writer.finish()
    return file.getvalue().decode()


def test_a_file_has_a_header_and_a_row_for_each_record() -> None:
    """Texts stand in quotes, numbers do not, and where there is no value there is an empty cell."""
    header = (
        "message_id,conversation_id,timestamp,user_input,agent_response,response_time_ms,parent_id,metadata"
    )
    row = '7,"a",1970-01-01T00:00:00+00:00,"hello","hi",0.1,,"{""a"":1}"'

    assert f"{header}\r\n{row}\r\n" == written(EXCHANGE)


def test_flags_are_words() -> None:
    """A flag is written as true or false."""
    row = ("s", "u", 0, 1, False, 2, None, "{}")
    expected = (
        '"s","u",1970-01-01T00:00:00+00:00,1970-01-01T00:00:00.000001+00:00,false,'
        '1970-01-01T00:00:00.000002+00:00,,"{}"\r\n'
    )

    assert written(row, kind=SESSIONS).endswith(expected)


FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_guarded_where_that_is_asked_for(text: str) -> None:
    """Texts that a spreadsheet takes for formulas get an apostrophe, and lose it when they are read."""
    row = (7, text, 0, "'" + text, "''x", -0.1, None, "{}")

    content = written(row, is_safe=True)

    assert f'7,"\'{text}",1970-01-01T00:00:00+00:00,"\'\'{text}","\'\'x",-0.1,,"{{}}",1' in content
    assert (text, "'" + text, "''x") == tuple(
        found_in(content)[0][1][name]  # type: ignore[call-overload,index]
        for name in ("conversation_id", "user_input", "agent_response")
    )
    assert "safe_for_spreadsheets" not in found_in(content)[0][1]
    assert f'7,"{text}",' in written(row)


def test_a_file_for_spreadsheets_says_so_even_without_rows() -> None:
    """The last column tells readers that there are apostrophes to take off."""
    assert written(is_safe=True).endswith(",metadata,safe_for_spreadsheets\r\n")


def test_apostrophes_of_others_stay() -> None:
    """Where a row does not say that it is guarded, apostrophes are part of the text."""
    content = "user_input,safe_for_spreadsheets\n'=1,1\n'=1,\n'=1,0\n"

    assert ["=1", "'=1", "'=1"] == [each["user_input"] for _, each in found_in(content)]  # type: ignore[index]
    assert [(2, {"user_input": "'=1"})] == found_in("user_input\n'=1\n")


@given(text=st.text("'=+-@\t\r\n\uff1d x"))
def test_guarding_is_undone_exactly(text: str) -> None:
    """No text begins like a formula when it is guarded, and all come back."""
    assert guard(text)[:1] not in {*"=+-@\t\r\n\uff1d"} - {""}
    assert text == unguard(guard(text))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_found_out(delimiter: str, line_end: str) -> None:
    """Commas, semicolons, tabulators and bars are told by the header, with any line ends."""
    rows = [["user_input", "metadata"], ["a,b;c\td|e", '{"a":[1,2]}'], ["x", "y"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows(rows)

    assert [
        (2, dict(zip(rows[0], rows[1], strict=True))),
        (3, dict(zip(rows[0], rows[2], strict=True))),
    ] == found_in(text.getvalue())


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("user_input", ["user_input"]),
        ('"user_input"', ["user_input"]),
        ('"a;b;c",user_input', ["a;b;c", "user_input"]),
        ('"a,b,c";"user_input"', ["a,b,c", "user_input"]),
        ("a b c", ["a b c"]),
        ("x;y", ["x", "y"]),
        ('"two\nlines",user_input', ["two\nlines", "user_input"]),
        (" user_input ; metadata\t; other ", ["user_input", "metadata", " other "]),
        ("user_input,", ["user_input", ""]),
    ],
)
def test_names_are_taken_from_the_header(header: str, names: list[str]) -> None:
    """Quoted names may hold delimiters and line ends; blanks around names of fields are left out."""
    delimiter = ";" if ";" in header.replace('"a;b;c"', "") else ","
    found = found_in(header + "\n" + delimiter.join("1" * len(names)) + "\n")

    assert [dict.fromkeys(names, "1")] == [record for _, record in found]


def test_the_delimiter_can_be_told() -> None:
    """A delimiter that nobody would guess can be given."""
    assert [(2, {"user_input": "a,b", "x": "c"})] == found_in("user_input:x\na,b:c\n", delimiter=":")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", " "])
def test_what_cannot_be_a_delimiter_is_refused(delimiter: str) -> None:
    """A delimiter is one character, and none that has another meaning."""
    with pytest.raises(InvalidOptionError) as caught:
        found_in("a", delimiter=delimiter)

    assert "delimiter" == caught.value.option


@pytest.mark.parametrize("delimiter", [",", ";", ":"])
def test_a_line_for_excel_tells_the_delimiter(delimiter: str) -> None:
    """What Excel writes before the header counts as a line, and as nothing else."""
    content = f"sep={delimiter}\r\nuser_input{delimiter}x\r\n1{delimiter}2\r\n"

    assert [(3, {"user_input": "1", "x": "2"})] == found_in(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_names(encoding: str) -> None:
    """What spreadsheets write as "CSV UTF-8" and as "Unicode text" is read."""
    content = 'user_input\tmetadata\r\n"Grüße\n你好"\t{}\r\n'

    assert [(2, {"user_input": "Grüße\n你好", "metadata": "{}"})] == found_in(content.encode(encoding))


def test_another_encoding_must_be_told() -> None:
    """Text of Windows is refused with advice, and read with its encoding."""
    content = "user_input\r\n" + "x\r\n" * 100_000 + "Grüße\r\n"

    with pytest.raises(FormatError, match=r"is not UTF-8.*tell its encoding, such as cp1252"):
        found_in(content.encode("cp1252"))
    assert {"user_input": "Grüße"} == found_in(content.encode("cp1252"), encoding="cp1252")[-1][1]


def test_places_are_the_lines_where_rows_begin() -> None:
    """Rows may take several lines; blank lines are passed over, and counted."""
    content = '\nuser_input,x\n1,"\n\n"\n\n2,"a\rb"\r\n\r\n3,\n'

    assert [3, 7, 10] == [place for place, _ in found_in(content)]


def test_a_row_of_another_length_is_a_fault() -> None:
    """Rows with too few or too many cells are told, and the others are read."""
    found = found_in("user_input,x\n1\n2,3\n4,5,6\n")

    assert [
        (2, Fault("it has 1 cell, but the header has 2")),
        (3, {"user_input": "2", "x": "3"}),
        (4, Fault("it has 3 cells, but the header has 2")),
    ] == found


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", "sep=;\n"])
def test_a_file_without_a_header_is_refused(content: str) -> None:
    """An empty file has no columns."""
    with pytest.raises(FormatError, match="is empty: a CSV file begins with a line of names"):
        found_in(content)


@pytest.mark.parametrize("header", ["x,x", "user_input, user_input", ",a,"])
def test_names_that_occur_twice_are_refused(header: str) -> None:
    """Of two columns with one name, nobody knows which is meant."""
    with pytest.raises(FormatError, match="more than one column"):
        found_in(header + "\n")


@pytest.mark.parametrize(
    "content", ['user_input\n1\n"x', 'user_input\n1\n"x\n2\n3\n', 'user_input\n1\n"x"y\n']
)
def test_quotes_without_an_end_are_refused(content: str) -> None:
    """A file that is cut within quotes, or whose quotes are not doubled, is damaged from that line on."""
    with pytest.raises(FormatError, match="cannot be read from line 3 on") as caught:
        found_in(content)

    assert "it was cut off, or its quotation marks are not in pairs" in str(caught.value)


def test_a_file_that_is_cut_off_within_a_row_shows() -> None:
    """Wherever a file is cut before the last cell of a row, the row is a fault or the file is refused."""
    content = written(EXCHANGE, EXCHANGE)
    begin = content.index("\n", content.index("\n") + 1) + 1
    last_cell = content.rindex(',"{')
    for cut in range(begin + 1, last_cell + 1):
        try:
            found = found_in(content[:cut])
        except FormatError:
            continue
        assert isinstance(found[1][1], Fault)


def test_a_value_may_have_so_many_characters() -> None:
    """A cell of `max_field_characters` is read; one more is refused."""
    limit = {"max_field_characters": 50}
    assert [(2, {"user_input": "ä" * 50, "x": "y" * 50})] == found_in(
        f'user_input,x\n"{"ä" * 50}",{"y" * 50}', **limit
    )

    with pytest.raises(TransferLimitError, match="line 3 of a stream has a value of more than 50") as caught:
        found_in(f"user_input,x\n1,2\n1,{'y' * 51}\n", **limit)
    assert "max_field_characters" == caught.value.limit


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_row_may_have_so_many_characters(end: str) -> None:
    """A row of `max_record_bytes` characters is read, whatever its end; one more is refused."""
    limit = {"max_record_bytes": 100}
    for row in ("x" * 100, '"' + "x" * 49 + "\n" + "y" * 48 + '"'):
        assert 1 == len(found_in("user_input\n" + row + end, **limit))
        with pytest.raises(TransferLimitError, match="line 3 of a stream has more than 100 bytes") as caught:
            found_in("user_input\n1\n" + row.replace("x", "xx", 1) + end, **limit)
        assert "max_record_bytes" == caught.value.limit


@pytest.mark.parametrize("again", [b"x", b"\n", b'""', b"x\n", b","])
def test_a_row_without_end_takes_no_memory(again: bytes) -> None:
    """Of a row that is too large, not much more is held than the limit allows."""
    content = b'user_input\n"' + again * ((32 << 20) // len(again))
    if again == b",":
        content = content.replace(b'"', b"")
    source = Source(io.BytesIO(content), ImportLimits(max_record_bytes=1 << 18))
    tracemalloc.start()
    try:
        with pytest.raises(TransferLimitError):
            list(CsvReader(source, EXCHANGES, ReadOptions()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        source.close()

    assert peak < 5 << 20


def test_cells_may_be_longer_than_the_module_csv_allows_at_first() -> None:
    """Cells of more than 131,072 characters are read."""
    assert [(2, {"user_input": "x" * 200_000})] == found_in("user_input\n" + "x" * 200_000)


def test_nul_and_all_other_characters_are_kept() -> None:
    """No character within quotes is changed."""
    text = "".join(map(chr, range(0x3000)))
    expected: dict[str, Any] = {"user_input": text}

    assert [(2, expected)] == found_in('user_input\n"' + text.replace('"', '""') + '"\n')
