"""Reading and writing fine-tuning data of OpenAI."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data.formats.openai_finetuning import OpenAIWriter
from library.infrastructure.data.formats.record_format import Fault, WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.formats.conftest import ForeignFiles

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
LINES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "weight": 0}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "x?", "name": "me"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            {"role": "assistant", "content": "1."},
            {"role": "user", "content": ""},
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "assistant", "content": "Two."},
            {"role": "assistant", "content": "Three."},
        ],
        "tools": TOOLS,
        "parallel_tool_calls": False,
        "large": 2**70,
    },
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image_url"}]}]},
    {"messages": [{"role": "developer", "content": "No one speaks."}], "functions": []},
    {"messages": []},
    {"messages": [None, 7, {"role": "user"}, {"role": ["odd"]}, {"content": "?"}]},
]


def write(rows: Iterable[tuple[str, str, str, str]], size: int = 1_000) -> list[Any]:
    """Write rows, so many at a time, and return what the lines hold."""
    file = io.BytesIO()
    fields = [field for name in OpenAIWriter.fields if (field := EXCHANGES.field(name))]
    writer = OpenAIWriter(file, EXCHANGES, fields, WriteOptions())
    writer.begin()
    rows = list(rows)
    for begin in range(0, len(rows), size):
        writer.write(rows[begin : begin + size])
    writer.finish()
    assert not file.getvalue() or file.getvalue().endswith(b"\n")
    return [json.loads(line) for line in file.getvalue().splitlines()]


def rows(exchanges: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    return [
        (each["conversation_id"], each["user_input"], each["agent_response"], json.dumps(each["metadata"]))
        for each in exchanges
    ]


def test_a_conversation(foreign: ForeignFiles) -> None:
    """Has an id that its content gives; tools and the like are kept."""
    exchanges = foreign.exchanges("openai", "\n".join(map(json.dumps, LINES)))

    assert [("Hi", "Ho"), ("x?", "1."), ("", "Two.\n\nThree."), ("A", ""), ("", ""), ("", ""), ("", "")] == [
        (each["user_input"], each["agent_response"]) for each in exchanges
    ]
    assert 6 == len({each["conversation_id"] for each in exchanges})
    assert exchanges[0]["conversation_id"].startswith("openai-")
    assert TOOLS == exchanges[1]["metadata"]["source"]["conversation"]["tools"]
    assert [] == foreign.missing(LINES, exchanges)


@pytest.mark.parametrize("size", [1, 2, 1_000])
def test_what_was_read_is_written_again(foreign: ForeignFiles, size: int) -> None:
    """Line by line the same JSON values, in whatever slices the rows come."""
    exchanges = foreign.exchanges("openai", "\n".join(map(json.dumps, LINES)))

    assert LINES == write(rows(exchanges), size)


def test_equal_lines(foreign: ForeignFiles) -> None:
    """Have one id, and are two lines again."""
    exchanges = foreign.exchanges("openai", "\n".join([json.dumps(LINES[1])] * 2))

    assert 1 == len({each["conversation_id"] for each in exchanges})
    assert [LINES[1]] * 2 == write(rows(exchanges))


MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={
        "content": st.none()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
        | st.lists(
            st.builds(lambda text: {"type": "text", "text": text}, st.sampled_from(["", "a"])), max_size=2
        ),
        "weight": st.integers(0, 1),
    },
)


@given(st.lists(st.lists(MESSAGES, max_size=8), max_size=4, unique_by=json.dumps))
def test_anything_that_is_read_is_written_again(foreign: ForeignFiles, lines: list[list[Any]]) -> None:
    """Whatever the messages of a line are, they come back."""
    values = [{"messages": messages} for messages in lines]
    text = "\n".join(map(json.dumps, values)) or "[]"

    assert values == write(rows(foreign.exchanges("openai", text)))


def test_a_text_that_was_changed(foreign: ForeignFiles) -> None:
    """Is what counts, not what was imported."""
    exchanges = foreign.exchanges("openai", LINES[1])
    exchanges[0]["agent_response"] = "One!"
    exchanges[1]["agent_response"] = "2."

    (line,) = write(rows(exchanges))

    assert ["Be brief.", "x?", None, "1", "One!", "2."] == [each["content"] for each in line["messages"]]
    assert TOOLS == line["tools"]


def test_other_conversations() -> None:
    """Are written as plain messages; empty texts give none, and a conversation without any no line."""
    other = json.dumps({"source": {"format": "chatgpt", "messages": [{"role": "tool"}]}, "model": "openai"})
    taken = {"text_taken_from": {"user_input": 0}}
    lines = write(
        [
            ("a", "Hi", "Ho", "{}"),
            ("a", "", "Still there?", other),
            ("b", "Größe", "", '{"source": "openai"}'),
            ("c", "", "", '{"source": {"format": "openai"}}'),
            ("d", "x", "y", json.dumps({"source": {"format": "openai", "messages": [1], **taken}})),
        ]
    )

    assert [
        [("user", "Hi"), ("assistant", "Ho"), ("assistant", "Still there?")],
        [("user", "Größe")],
        [("user", "x"), ("assistant", "y")],
    ] == [[(each["role"], each["content"]) for each in line["messages"]] for line in lines]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "it is no JSON object, as a line of fine-tuning data is"),
        ({"messages": None}, "it has no list `messages`"),
        (
            {"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []},
            "it has no list `messages`: preferences between two outputs are no conversation",
        ),
    ],
)
def test_what_is_no_conversation(foreign: ForeignFiles, value: Any, reason: str) -> None:
    """Is a fault that says why."""
    assert [(1, Fault(reason))] == foreign.found("openai", [value])
