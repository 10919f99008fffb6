"""JSON and JSON Lines: what readers make of files of any layout, and of what is wrong in them."""

from __future__ import annotations

import io
import json
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library.infrastructure.data import FormatError, ImportLimits, TransferLimitError
from library.infrastructure.data.formats import json_array
from library.infrastructure.data.formats.json_array import JsonArrayReader, JsonArrayWriter
from library.infrastructure.data.formats.json_lines import JsonLinesReader, JsonLinesWriter
from library.infrastructure.data.formats.record_format import Fault, ReadOptions, WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from library.infrastructure.data.formats.record_format import Found, RecordReader, RecordWriter

FIELDS = EXCHANGES.fields[:2]


def found_in(reader: type[RecordReader], content: bytes | str, **limits: int) -> list[Found]:
    data = content if isinstance(content, bytes) else content.encode()
    with closing(Source(io.BytesIO(data), ImportLimits(**limits))) as source:
        return list(reader(source, EXCHANGES, ReadOptions()))


def lines(content: bytes | str, **limits: int) -> list[Found]:
    return found_in(JsonLinesReader, content, **limits)


def array(content: bytes | str, **limits: int) -> list[Found]:
    return found_in(JsonArrayReader, content, **limits)


def reasons(found: list[Found]) -> dict[int | str, str]:
    return {place: each.reason for place, each in found if isinstance(each, Fault)}


def written(writer: type[RecordWriter], *pages: list[tuple[Any, ...]]) -> bytes:
    file = io.BytesIO()
    made = writer(file, EXCHANGES, FIELDS, WriteOptions())
    made.begin()
    for page in pages:
        made.write(page)
    made.finish()
    return file.getvalue()


def test_an_array_has_one_record_a_line() -> None:
    """The array is laid out so that line-based tools can work with it."""
    expected = b'[\n{"message_id":1,"conversation_id":"a"},\n{"message_id":null,"conversation_id":"b"}\n]\n'

    assert expected == written(JsonArrayWriter, [(1, "a")], [], [(None, "b")])
    assert b"[]\n" == written(JsonArrayWriter)


def test_json_lines_have_one_record_a_line() -> None:
    """Each line is a JSON object and ends with a line break; no records are no lines."""
    assert b'{"message_id":1,"conversation_id":"a"}\n' == written(JsonLinesWriter, [(1, "a")])
    assert b"" == written(JsonLinesWriter)


def test_places_in_json_lines_are_line_numbers() -> None:
    """Blank lines are passed over, and counted; the last line needs no end."""
    found = lines('{"a":1}\r\n\n  \t\r\n  {"a":2} \n{"a":3}')

    assert [(1, {"a": 1}), (4, {"a": 2}), (5, {"a": 3})] == found


WRONG = {
    '{"a":': "it is not JSON",
    "nonsense": "it is not JSON: Expecting value",
    '{"a":1} {"b":2}': "it is not JSON: Extra data",
    "5": "it is no JSON object, but a number",
    "1.5": "it is no JSON object, but a number",
    "true": "it is no JSON object, but true",
    "null": "it is no JSON object, but null",
    '"x"': "it is no JSON object, but a text",
    "[{}]": "it is no JSON object, but an array",
    '{"a":NaN}': "it holds NaN, which is no JSON",
    '{"a":-Infinity,"b":12345678901234567890123}': "it holds -Infinity, which is no JSON",
    '{"a":1e999}': "it holds a number that is too large for a float",
    '{"a":1e999,"b":12345678901234567890123}': "it holds a number that is too large for a float",
    '{"a":"\\ud83d"}': "it holds one half of a surrogate pair",
    '{"a":"\\udE00\\uD83D","b":12345678901234567890123}': "it holds one half of a surrogate pair",
    '{"a":"\x01"}': "it is not JSON: ",
    '{"a":' + "9" * 5000 + "}": "it holds an integer of 5,000 digits",
}
WRONG_BYTES = {
    b'{"a":"\xff"}': "it is not UTF-8: there is a byte 0xff",
    b'{"a":"\xed\xa0\xbd","b":12345678901234567890123}': "it is not UTF-8: there is a byte 0xed",
    **{text.encode(): reason for text, reason in WRONG.items()},
}


@pytest.mark.parametrize(
    "text", WRONG_BYTES, ids=[text[:20].decode(errors="replace") for text in WRONG_BYTES]
)
def test_a_line_that_is_wrong_is_a_fault(text: bytes) -> None:
    """What is wrong with a line is told, and the lines around it are read."""
    found = lines(b'{"a":1}\n' + text + b'\n{"a":2}\n')

    assert [1, 2, 3] == [place for place, _ in found]
    assert {"a": 1} == found[0][1]
    assert {"a": 2} == found[2][1]
    assert WRONG_BYTES[text] in reasons(found)[2]


NO_JSON = (b'{"a":', b"nonsense", b'{"a":1} {"b":2}')


@pytest.mark.parametrize(
    "layout", [b'[{"a":1},%b,{"a":2}]', b'[\n{"a":1},\n%b,\n{"a":2}\n]', b'[{"a":1},\n%b\n,{"a":2}]']
)
@pytest.mark.parametrize(
    "text",
    [text for text in WRONG_BYTES if text not in NO_JSON],
    ids=[text[:20].decode(errors="replace") for text in WRONG_BYTES if text not in NO_JSON],
)
def test_an_element_that_cannot_be_taken_is_a_fault(text: bytes, layout: bytes) -> None:
    """Where the array as such is JSON, an element that cannot be taken does not keep others back."""
    found = array(layout.replace(b"%b", text))

    assert [(1, {"a": 1}), (3, {"a": 2})] == [found[0], found[2]]
    assert WRONG_BYTES[text] in reasons(found)[2]


@pytest.mark.parametrize("layout", [b'[{"a":1},%b,{"a":2}]', b'[\n{"a":1},\n%b,\n{"a":2}\n]'])
@pytest.mark.parametrize("text", [*NO_JSON, b'{"a" 1}', b"{a:1}", b'{"a":1,}', b'{"a":"x"y"}', b'{"a":[1}'])
def test_an_array_that_is_no_json_is_refused(text: bytes, layout: bytes) -> None:
    """Where an array is no JSON, it does not tell where its elements end: nothing behind is read."""
    with pytest.raises(FormatError) as caught:
        array(layout.replace(b"%b", text))

    assert "a stream" in str(caught.value)
    assert "record" in str(caught.value)
    assert "a stream" == caught.value.path


LAYOUTS: list[dict[str, Any]] = [{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}]
records = st.lists(
    st.dictionaries(
        st.text(max_size=3), st.integers() | st.text(max_size=9) | st.lists(st.none(), max_size=2), max_size=3
    ),
    max_size=6,
)


@given(records=records, data=st.data())
def test_an_array_may_change_its_layout(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """Lines of our kind, pretty-printed elements, several on a line, blank lines: any mix is read."""
    layouts = st.sampled_from(LAYOUTS)
    commas = st.sampled_from([",\n", ",\r\n", ",", "\n,\n", " , ", "\n,", ",\n\n"])
    ends = st.sampled_from(["\n", "", " ", "\r\n\r\n"])
    text = "[" + data.draw(ends)
    for number, record in enumerate(records):
        text += data.draw(commas) if number else ""
        text += json.dumps(record, **data.draw(layouts))
    text += data.draw(ends) + "]" + data.draw(ends)

    assert list(enumerate(records, 1)) == array(text)


@given(records=records.filter(bool), layout=st.sampled_from([*LAYOUTS, None]), data=st.data())
@settings(max_examples=200)
def test_an_array_that_is_cut_off_is_refused(
    records: list[dict[str, Any]], layout: dict[str, Any] | None, data: st.DataObject
) -> None:
    """Wherever an array is cut, the end of the file is an error, which says behind which record."""
    text = (
        "[\n" + ",\n".join(map(json.dumps, records)) + "\n]"
        if layout is None
        else json.dumps(records, **layout)
    )
    cut = data.draw(st.integers(1, len(text) - 1))
    source = Source(io.BytesIO(text[:cut].encode()), ImportLimits())
    found = []

    with pytest.raises(FormatError) as caught:
        found.extend(JsonArrayReader(source, EXCHANGES, ReadOptions()))

    place = f"behind record {len(found)}" if found else "before the first record is complete"
    assert f"a stream ends {place}: it was cut off" in str(caught.value)
    source.close()


def test_an_empty_file_has_no_json_lines() -> None:
    """For JSON Lines, an empty file is one without records."""
    assert [] == lines("")
    assert [] == lines("\n \n")


def test_an_empty_file_is_no_json() -> None:
    """A JSON file holds at least the brackets of an array."""
    with pytest.raises(FormatError, match="is empty"):
        array("")


@pytest.mark.parametrize("end", ["x", "[]", "{}", ","])
@pytest.mark.parametrize("text", ["[]", "[\n]\n", '[{"a":1}]', '[\n{"a":1},\n{"a":2}\n]\n'])
def test_what_follows_an_array_is_refused(text: str, end: str) -> None:
    """Anything behind the array means that the file is damaged."""
    with pytest.raises(FormatError, match="the array ends, but the file goes on"):
        array(text + end)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_single_object_is_a_record(layout: dict[str, Any]) -> None:
    """A file may hold one record, without the brackets of an array."""
    assert [(1, {"a": 1, "b": {"c": []}})] == array(json.dumps({"a": 1, "b": {"c": []}}, **layout))


def test_integers_of_any_size_are_exact() -> None:
    """Integers beyond 64 bits are not rounded, in either format, however it is laid out."""
    number = 2**70 + 1
    for text in (f'{{"a":{number}}}', f'{{"a":{{"b":[{-number}]}}}}'):
        expected = json.loads(text)
        assert [(1, expected)] == lines(text)
        assert [(1, expected)] == array(f"[{text}]")
        assert [(1, expected), (2, {})] == array(f"[\n{text},\n{{}}\n]\n")


@pytest.mark.parametrize("read", [lines, array], ids=["lines", "array"])
def test_a_record_may_have_so_many_levels(read: Any) -> None:
    """Metadata may be nested `max_depth` levels deep; brackets within texts do not count."""
    deep = '{"a":' * 254 + "1" + "}" * 254
    assert [(1, {"m": json.loads(deep)})] == read(f'{{"m":{deep}}}')
    assert [(1, {"m": "[{" * 1000})] == read(f'{{"m":"{"[{" * 1000}"}}')

    for text in (f'{{"m":[{deep}]}}', '{"m":' * 100_000, "[" * 100_000):
        for end in ("", "\n{}"):
            with pytest.raises(TransferLimitError, match="nested more than 254 levels deep") as caught:
                read(("{}\n" if read is lines else "[{},") + text + end)
            assert "max_depth" == caught.value.limit
            assert "2 of a stream" in str(caught.value)


def test_more_levels_than_the_interpreter_takes_are_a_fault() -> None:
    """Where the limit was raised too far, a record that is nested too deeply is a fault, and no crash."""
    deep = '{"m":' + "[" * 50_000 + "12345678901234567890123" + "]" * 50_000 + "}"

    assert {1: "it is nested too deeply"} == reasons(lines(deep, max_depth=1_000_000))
    assert {1: "it is nested too deeply"} == reasons(array(f"[{deep}]", max_depth=1_000_000))


@pytest.mark.parametrize("read", [lines, array], ids=["lines", "array"])
def test_a_text_may_have_so_many_characters(read: Any) -> None:
    """A text of `max_field_characters` is read, however many bytes it takes; one more is refused."""
    assert [(1, {"a": "ä" * 50, "b": 1})] == read(
        json.dumps({"a": "ä" * 50, "b": 1}), max_field_characters=50
    )

    for text in ("x" * 51, "ä" * 51):
        with pytest.raises(TransferLimitError, match="1 of a stream has a value of more than 50") as caught:
            read(json.dumps({"a": text}, ensure_ascii=False), max_field_characters=50)
        assert "max_field_characters" == caught.value.limit


def test_a_line_may_have_so_many_bytes() -> None:
    """A line of `max_record_bytes` is read, whatever its end; one more byte is refused."""
    line = json.dumps({"a": "x" * 91})
    for end in ("", "\n", "\r\n"):
        assert [(1, json.loads(line))] == lines(line + end, max_record_bytes=100)
        with pytest.raises(TransferLimitError, match="line 2 of a stream has more than 100 bytes"):
            lines("{}\n" + line.replace("x", "xx", 1) + end, max_record_bytes=100)


@pytest.mark.parametrize("layout", ["[{},%s]", "[\n{},\n%s,\n{}\n]"])
def test_an_element_may_have_so_many_bytes(layout: str) -> None:
    """An element of `max_record_bytes` is read; one more byte is refused."""
    element = json.dumps({"a": "x" * 91})
    assert json.loads(element) == array(layout.replace("%s", element), max_record_bytes=100)[1][1]
    with pytest.raises(TransferLimitError, match="record 2 of a stream has more than 100 bytes"):
        array(layout.replace("%s", element.replace("x", "xx", 1)), max_record_bytes=100)


@pytest.mark.parametrize("read", [lines, array], ids=["lines", "array"])
@pytest.mark.parametrize("begin", ['{"a":"', "[\n{},\n", '[{"a":"', "[" + " " * 9, ""])
def test_a_line_without_end_takes_no_memory(read: Any, begin: str) -> None:
    """Of a line or an element that is too large, not much more is held than the limit allows."""
    content = begin.encode() + b"x" * (32 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(TransferLimitError):
            read(content, max_record_bytes=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 5 << 20


def test_long_lines_are_left_to_the_search_for_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are too long for the quick way are read all the same, and so is what follows."""
    monkeypatch.setattr(json_array, "_LINE_BYTES", 100)
    records = [{"a": "x" * (10 + 100 * (number % 3))} for number in range(10)]

    assert list(enumerate(records, 1)) == array("[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n")
