"""The scanner of elements: what it gives is what a parser finds, whatever the layout, in bounded memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library.infrastructure.data.errors import FormatError, TransferLimitError
from library.infrastructure.data.formats import json_elements
from library.infrastructure.data.formats.json_elements import JsonElements, array_elements
from library.infrastructure.data.import_limits import ImportLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = ImportLimits()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
layouts = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"indent": "\t", "separators": (" ,", " : ")},
    ]
)


class Dripping(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__()
        self._inner = io.BytesIO(content)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(self._size)


def elements(content: bytes, limits: ImportLimits = LIMITS, size: int = 1 << 20) -> list[Any]:
    return [json.loads(raw) for raw in array_elements(Dripping(content, size), limits, "a.json")]


@given(values=st.lists(json_values, max_size=6), layout=layouts, size=st.integers(1, 40))
def test_an_array_gives_its_elements(values: list[Any], layout: dict[str, Any], size: int) -> None:
    """The elements of an array are found, however it is laid out, and in whatever pieces it arrives."""
    content = json.dumps(values, **layout).encode()

    assert values == elements(content, size=size)


@given(
    values=st.lists(json_values, min_size=1, max_size=6).filter(
        lambda values: not isinstance(values[0], list)
    ),
    layout=layouts,
    blank=st.sampled_from(["\n", "\r\n", " ", "\n\n\t"]),
    size=st.integers(1, 40),
)
def test_values_in_a_row_are_elements(
    values: list[Any], layout: dict[str, Any], blank: str, size: int
) -> None:
    """Several values, one behind the other, are found one by one, even where each takes several lines."""
    content = blank.join(json.dumps(value, **layout) for value in values).encode()

    assert values == elements(content, size=size)


def test_objects_need_no_blank_between_them() -> None:
    """Objects that follow each other without a blank are values in a row."""
    assert [{"a": 1}, {"b": [2]}, {}] == elements(b'{"a":1}{"b":[2]}{}')


@given(values=st.lists(json_values, min_size=1, max_size=4), layout=layouts, data=st.data())
@settings(max_examples=200)
def test_a_text_that_is_cut_off_is_refused(
    values: list[Any], layout: dict[str, Any], data: st.DataObject
) -> None:
    """An array that lacks its end is an error wherever it was cut, and never ends like a whole one."""
    content = json.dumps(values, **layout).encode()
    cut = data.draw(st.integers(0, len(content) - 1))

    with pytest.raises(FormatError) as caught:
        elements(content[:cut])

    assert "cut off" in str(caught.value) or "empty" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"[1 2]", "a comma is missing behind record 1, at '2]'"),
        (b"[1,]", "no value begins behind record 1, at ']'"),
        (b"[,1]", "no value begins, at ',1]'"),
        (b"[1,,2]", "no value begins behind record 1, at ',2]'"),
        (b"[1}", "a comma is missing behind record 1, at '}'"),
        (b"[1] [2]", "the array ends, but the file goes on, at '[2]'"),
        (b"[] x", "the array ends, but the file goes on, at 'x'"),
        (b'{"a":1},{"b":2}', "no value begins behind record 1"),
        (b"]", "no value begins, at ']'"),
        (b"[", "ends before the first record is complete: it was cut off"),
        (b'[{"a":1},', "ends behind record 1: it was cut off"),
        (b'[{"a":1},{"b":"x', "ends behind record 1: it was cut off"),
    ],
)
def test_what_is_no_json_is_explained(content: bytes, reason: str) -> None:
    """What is wrong between elements is named, with the record before it and what stands there."""
    with pytest.raises(FormatError) as caught:
        elements(content)

    assert reason in str(caught.value)
    assert "a.json" in str(caught.value)
    assert caught.value.path == "a.json"


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_an_element_may_have_so_many_bytes(size: int) -> None:
    """An element of exactly `max_record_bytes` is given; one byte more is refused, wherever it lies."""
    limits = ImportLimits(max_record_bytes=100)
    whole = json.dumps("x" * 98).encode()
    flat = json.dumps({"a": "x" * 91}).encode()

    assert 2 == len(elements(b"[" + flat + b"," + whole + b"]", limits, size))
    for large in (json.dumps("x" * 99).encode(), json.dumps({"a": "x" * 92}).encode(), b"1" * 101):
        for content in (b"[{}," + large + b",{}]", b"{} " + large + b" {}"):
            with pytest.raises(TransferLimitError) as caught:
                elements(content, limits, size)
            assert "record 2 of a.json has more than 100 bytes" in str(caught.value)
            assert caught.value.limit == "max_record_bytes"


@pytest.mark.parametrize("max_depth", [1, 3, 4, 5, 254])
def test_an_element_may_have_so_many_levels(max_depth: int) -> None:
    """Below the element there may be `max_depth` levels; one more is refused."""
    limits = ImportLimits(max_depth=max_depth)
    deep = b'{"a":' * max_depth + b"[1]" + b"}" * max_depth

    assert 2 == len(elements(b"[" + deep + b"," + deep + b"]", limits))
    with pytest.raises(TransferLimitError) as caught:
        elements(b"[{},[" + deep + b"],{}]", limits)

    assert f"record 2 of a.json is nested more than {max_depth} levels deep" in str(caught.value)
    assert caught.value.limit == "max_depth"


def test_a_million_levels_are_refused_and_break_nothing() -> None:
    """Brackets without end meet the limit, not that of the interpreter."""
    with pytest.raises(TransferLimitError):
        elements(b"[" * 1_000_000)


def endless(start: bytes, again: bytes) -> io.RawIOBase:
    class Endless(io.RawIOBase):
        begun = False

        def read(self, size: int = -1) -> bytes:
            if not self.begun:
                self.begun = True
                return start
            return again * (size // len(again) + 1)

    return Endless()


@pytest.mark.parametrize(
    ("start", "again"),
    [(b'["', b"x"), (b'["', b"\\\\"), (b"[", b"1"), (b"[{", b'"a":{},'), (b'{"a":"', b'\\"')],
)
def test_an_element_without_end_is_refused_before_it_takes_memory(start: bytes, again: bytes) -> None:
    """Of an element that is too large, not much more is held than the limit allows."""
    limits = ImportLimits(max_record_bytes=1 << 20)
    stream = endless(start, again)
    tracemalloc.start()
    try:
        with pytest.raises(TransferLimitError):
            list(array_elements(stream, limits, "a.json"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2 * (1 << 20)


def test_blanks_without_end_take_no_memory() -> None:
    """Any number of blanks may stand between elements."""
    content = b"[1," + b" \n" * 1_000_000 + b"2]"

    assert [1, 2] == elements(content, size=1000)


@given(values=st.lists(json_values, min_size=2, max_size=6), layout=layouts, data=st.data())
def test_reading_can_begin_within_an_array(
    values: list[Any], layout: dict[str, Any], data: st.DataObject
) -> None:
    """Whoever has read the first elements otherwise gets the others, and their numbers go on."""
    done = data.draw(st.integers(1, len(values) - 1))
    rest = json.dumps(values[done:], **layout).encode()[1:]
    begun = data.draw(st.integers(0, len(rest)))
    is_behind_element = data.draw(st.booleans())
    if is_behind_element:
        rest = b" , " + rest
    scanner = JsonElements(io.BytesIO(rest[begun:]), LIMITS, "a.json", begun=rest[:begun], count=done)

    found = [json.loads(raw) for raw in scanner.rest_of_array(is_behind_element=is_behind_element)]

    assert values[done:] == found
    assert len(values) == scanner.count


def test_elements_on_the_border_of_two_reads_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies partly in one read and partly in the next is put together, escapes included."""
    monkeypatch.setattr(json_elements, "_READ_BYTES", 3)
    values = [{"a\\": '\\"', "b": ["}", "\\\\", {"]": None}]}, "\\\\\\", 12345, True, [[[[[[[1]]]]]]]]
    content = json.dumps(values).encode()

    def given_back() -> Iterator[Any]:
        for raw in array_elements(io.BytesIO(content), LIMITS, "a.json"):
            yield json.loads(raw)

    assert values == list(given_back())
