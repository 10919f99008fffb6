"""Telling the format of a file."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import ExportFormat, FormatError, ImportLimits
from library.infrastructure.data.formats.detection import detect
from library.infrastructure.data.formats.json_peek import peek
from library.infrastructure.data.formats.source import Source

EXPORTS = Path(__file__).parents[2] / "examples/library/data/exports"
SAMPLES = {
    "chatgpt-conversations.json": "chatgpt",
    "claude-conversations.json": "claude",
    "langchain.json": "langchain",
    "llm-logs.json": "llm",
    "oasst.jsonl": "oasst",
    "open-webui.json": "open-webui",
    "openai-finetuning.jsonl": "openai",
    "own.csv": "csv",
    "sharegpt.json": "sharegpt",
}
EXCHANGE = {"message_id": 1, "conversation_id": "c", "user_input": "Hi", "agent_response": "Ho"}
SESSION = {"session_id": "s", "user_id": "u", "is_active": True}
LONG = "x" * 200_000


def told(content: Any, names: tuple[str, ...] = ()) -> str:
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    with closing(Source(io.BytesIO(content), ImportLimits())) as source:
        return detect(source, names).value


def test_samples() -> None:
    """Each file of the examples is told; there are no others."""
    assert SAMPLES.keys() == {path.name for path in EXPORTS.iterdir() if path.suffix != ".md"}
    assert SAMPLES == {name: told((EXPORTS / name).read_bytes()) for name in SAMPLES}


@pytest.mark.parametrize("name", [name for name, format_ in SAMPLES.items() if format_ != "csv"])
@pytest.mark.parametrize("indent", [None, 4])
def test_other_shapes(name: str, indent: int | None) -> None:
    """The format is told however the file is indented, and of one conversation alone."""
    text = (EXPORTS / name).read_text()
    values = list(map(json.loads, text.splitlines())) if name.endswith("l") else json.loads(text)

    assert SAMPLES[name] == told(json.dumps(values, indent=indent))
    assert SAMPLES[name] == told(json.dumps(values[0], indent=indent))


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        pytest.param([EXCHANGE], "json", id="exchanges"),
        pytest.param([SESSION], "json", id="sessions"),
        pytest.param([], "json", id="nothing"),
        pytest.param(json.dumps(EXCHANGE) + "\n" + json.dumps(EXCHANGE), "jsonl", id="lines of exchanges"),
        pytest.param(EXCHANGE, "jsonl", id="one line"),
        pytest.param(SESSION, "jsonl", id="one session"),
        pytest.param([EXCHANGE | {"mapping": {}, "messages": []}], "json", id="own fields win"),
        pytest.param("\ufeff\n <?xml version='1.0'?><conversations/>", "xml", id="XML"),
        pytest.param("user_input,agent_response\nHi,Ho\n", "csv", id="commas"),
        pytest.param("user_input\tagent_response\r\nHi\tHo\r\n", "csv", id="tabs"),
        pytest.param('"Frage, die";"Antwort"\n', "csv", id="semicolons"),
        pytest.param("user_input\nHi\n", "csv", id="one column"),
        pytest.param("question,answer", "csv", id="no rows"),
        pytest.param("sep=;\r\nuser_input;agent_response\r\nHi;Ho\r\n", "csv", id="delimiter told"),
        pytest.param(
            "sep=;\nquestion;answer\nHi, you, there;Ho\n", "csv", id="delimiter of other names told"
        ),
        pytest.param("sep=|\ruser_input\rHi\r", "csv", id="delimiter of one column told"),
        pytest.param(f"question,answer\nHi,{LONG}\n", "csv", id="a long row"),
        pytest.param('question|answer\n"Hi\n\nthere"|"a|b"\n', "csv", id="texts of several lines"),
        pytest.param(b"PAR1\x15\x04", "parquet", id="Parquet"),
        pytest.param(b"SQLite format 3\x00\x10\x00", "llm", id="SQLite"),
        pytest.param([{"mapping": None}], "chatgpt", id="ChatGPT without messages"),
        pytest.param({"messages": [{"author": {"role": "user"}}]}, "chatgpt", id="older ChatGPT"),
        pytest.param([{"history": {"messages": {}}}], "open-webui", id="a chat alone"),
        pytest.param([{"conversation": [{"role": "user"}]}], "sharegpt", id="other names"),
        pytest.param([{"conversations": []}], "sharegpt", id="an empty conversation"),
        pytest.param([[{"lc": 1, "type": "constructor"}]], "langchain", id="constructors"),
        pytest.param({"messages": [{"type": "human", "content": "Hi"}]}, "langchain", id="a state"),
        pytest.param({"messages": []}, "openai", id="no messages"),
        pytest.param([None, {"messages": [{"role": "user"}]}], "openai", id="a broken first element"),
    ],
)
def test_forms(content: Any, format_: str) -> None:
    """What the first elements hold tells the format."""
    assert format_ == told(content)


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        ([{"title": LONG, "mapping": {}}], "chatgpt"),
        ([{"title": "t", "mapping": {"a": {"message": LONG}}}], "chatgpt"),
        ([{"uuid": "u", "name": "n", "summary": LONG, "chat_messages": []}], "claude"),
        ([{"id": "c", "title": "t", "chat": {"models": [LONG]}}], "open-webui"),
        ([{"id": "c", "conversations": [{"value": LONG, "from": "human"}]}], "sharegpt"),
        ([{"id": "c", "conversations": [{"from": "human", "value": LONG}]}], "sharegpt"),
        ({"messages": [{"role": "system", "content": LONG}]}, "openai"),
        ({"message_tree_id": "t", "prompt": {"text": LONG}}, "oasst"),
        ([{"type": "human", "data": {"content": LONG}}], "langchain"),
        ([{"id": "1", "model": "m", "prompt": LONG, "response": "r"}], "llm"),
        ([{"conversation_id": "c", "user_input": LONG}], "json"),
        ({"metadata": {"k": LONG}, "user_input": "Hi"}, "jsonl"),
    ],
)
def test_long_beginnings(content: Any, format_: str) -> None:
    """A first object that is longer than what is looked at is told by its beginning."""
    assert format_ == told(content)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "neither text nor a database that is known"),
        (b"\xfc\xfd\xfe\xff binary", "neither text nor a database that is known"),
        ("Dear diary, I wrote this.", "text that begins with 'Dear diary, I wrote this.'"),
        ("Dear diary, today\nI wrote\n", "text that begins with 'Dear diary, today\\nI wrote\\n'"),
        ("a word", "text that begins with 'a word'"),
        ("1,2,3", "text that begins with '1,2,3'"),
        ([{"question": "q", "answer": "a"}], "a JSON array of objects with the keys 'question', 'answer'"),
        ([{}], "a JSON array of objects without keys"),
        ({"a": 1}, "a JSON object with the keys 'a'"),
        ([1, 2], "a JSON array, but not of objects"),
        ("sep=;\n", "text that begins with 'sep=;\\n'"),
        ('sep="\nuser_inputs', "text that begins with 'sep=\"\\nuser_inputs'"),
    ],
)
def test_what_is_not_known(content: Any, seen: str) -> None:
    """Is refused with an error that says what was seen, and what would be known."""
    with pytest.raises(FormatError) as caught:
        told(content)

    assert f"cannot tell the format of a stream: it is {seen}. Known are json, " in str(caught.value)
    assert "langchain" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        ([{"question": "q", "answer": "a"}], "json"),
        ({"id": 5, "question": LONG}, "jsonl"),
        ([{"question": "q", "mapping": {}}], "json"),
        ("question\nHow was it?\n", "csv"),
    ],
)
def test_names_that_stand_for_fields(content: Any, format_: str) -> None:
    """Make a file one of this library's formats, as the names of fields do."""
    assert format_ == told(content, ("question", "reply"))


def test_a_mapping_is_offered() -> None:
    """Where there are keys that could be mapped, and nowhere else."""
    for content, is_offered in (
        ([{"q": 1}], True),
        ({"q": 1}, True),
        ([{}], False),
        ([1], False),
        ("a", False),
    ):
        with pytest.raises(FormatError) as caught:
            told(content)
        assert is_offered == ("field_mapping" in str(caught.value))


def test_every_format_is_told() -> None:
    """There is a file of each format in these tests."""
    assert {each.value for each in ExportFormat} == {*SAMPLES.values(), "json", "jsonl", "xml", "parquet"}


# ------------------------------------------------------------------------------------ beginnings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ('{"a": 1} {"b": [2]}', [{"a": 1}, {"b": [2]}]),
        ('[{"a": "b\\"c', [[{"a": 'b\\"c'}]]),
        ('{"a": {"b": [1, {"c', [{"a": {"b": [1, {"c": None}]}}]),
        ("]", []),
        ('{"a": tr', [{"a": "tr"}]),
        ("[" * 5, [[[[[[]]]]]]),
    ],
)
def test_beginnings(text: str, values: list[Any]) -> None:
    """Hold what came so far; a text that is cut is kept as it stands."""
    assert values == peek(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_what_is_complete(value: Any, is_ascii: bool) -> None:
    """Is read as it is."""
    assert [value] == peek(json.dumps(value, ensure_ascii=is_ascii))


@given(JSON, st.integers(0, 300))
def test_any_beginning(value: Any, size: int) -> None:
    """Is no error, nor is what is no JSON at all."""
    peek(json.dumps(value)[:size])
    peek(str(value)[:size])


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | JSON.map(json.dumps).map(str.encode))
def test_any_file(content: bytes) -> None:
    """Has a format, or is refused."""
    try:
        outcome = told(content)
    except FormatError as error:
        outcome = str(error)
    assert outcome in {each.value for each in ExportFormat} or "a stream" in outcome


def test_a_beginning_of_many_brackets() -> None:
    """Needs no recursion."""
    assert 1 == len(peek("[" * 1_000_000))
