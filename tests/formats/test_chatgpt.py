"""Reading the data export of ChatGPT."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles

START = 1_670_921_208.121227


def message(role: str, *parts: Any, at: float | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": None if at is None else START + at,
        "content": {"content_type": "text", "parts": list(parts)},
        "weight": 1.0,
        "recipient": "all",
        **fields,
    }


def conversation(*nodes: tuple[str, str | None, dict[str, Any] | None], **fields: Any) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, parent, content in nodes:
        mapping[key] = {"id": key, "parent": parent, "children": [], "message": content}
        if parent in mapping:
            mapping[parent]["children"].append(key)
    return {"title": "A title", "create_time": START, "mapping": mapping, "conversation_id": "c-1"} | fields


def test_a_conversation(foreign: ForeignFiles) -> None:
    """Has its id, title and times; what has no field is kept once, without the texts."""
    value = conversation(
        ("root", None, None),
        ("s", "root", message("system", "", weight=0.0)),
        ("u", "s", message("user", "Hello?", at=1)),
        ("a", "u", message("assistant", "Hello!", at=3, end_turn=True)),
        ("u2", "a", message("user", "Bye")),
        current_node="u2",
    )

    first, second = foreign.exchanges("chatgpt", [value])

    assert ("c-1", "Hello?", "Hello!") == (
        first["conversation_id"],
        first["user_input"],
        first["agent_response"],
    )
    assert datetime(2022, 12, 13, 8, 46, 49, 121227, tzinfo=UTC) == first["timestamp"]
    assert datetime(2022, 12, 13, 8, 46, 51, 121228, tzinfo=UTC) == second["timestamp"]
    assert (1, 2) == (first["message_id"], second["message_id"])
    assert (None, None) == (first["parent_id"], second["parent_id"])
    assert "A title" == first["metadata"]["title"]
    source = first["metadata"]["source"]
    assert {"format", "conversation", "messages", "text_taken_from"} == source.keys()
    assert {key: value[key] for key in value if key != "mapping"} == source["conversation"]
    assert value["mapping"]["s"] == source["messages"][1]
    assert {"content_type": "text"} == source["messages"][3]["message"]["content"]
    assert {"user_input": 2, "agent_response": 3} == source["text_taken_from"]
    assert {"format", "messages", "text_taken_from"} == second["metadata"]["source"].keys()
    assert 0.0 == first["response_time_ms"]


def test_branches(foreign: ForeignFiles) -> None:
    """Are exchanges that follow the same one; the thread that is shown is marked."""
    value = conversation(
        ("root", None, None),
        ("u", "root", message("user", "Which?", at=0)),
        ("a1", "u", message("assistant", "This.", at=1)),
        ("a2", "u", message("assistant", "That.", at=2)),
        ("v1", "a2", message("user", "Why?", at=3)),
        ("b1", "v1", message("assistant", "Because.", at=4)),
        ("v2", "a2", message("user", "Why that?", at=5)),
        ("b2", "v2", message("assistant", "So.", at=6)),
        current_node="b1",
    )

    exchanges = foreign.exchanges("chatgpt", value)

    assert [
        ("Which?", "This.", None, False),
        ("Which?", "That.", None, True),
        ("Why?", "Because.", 2, True),
        ("Why that?", "So.", 2, False),
    ] == [
        (
            each["user_input"],
            each["agent_response"],
            each["parent_id"],
            each["metadata"]["source"]["is_current"],
        )
        for each in exchanges
    ]
    repeated = exchanges[1]["metadata"]["source"]["messages"]
    assert [{"id": "root", "is_repeated": True}, {"id": "u", "is_repeated": True}] == repeated[:2]
    assert [] == foreign.missing(value, exchanges)


def test_tools_and_thoughts(foreign: ForeignFiles) -> None:
    """Are kept in the exchange that they belong to, and are no part of its texts."""
    code = message("assistant", recipient="python", content={"content_type": "code", "text": "1 + 1"})
    value = conversation(
        ("u", None, message("user", "1 + 1?")),
        (
            "t",
            "u",
            message("assistant", content={"content_type": "thoughts", "thoughts": [{"content": "Hm"}]}),
        ),
        ("c", "t", code),
        ("r", "c", message("tool", content={"content_type": "execution_output", "text": "2"})),
        ("h", "r", message("assistant", "hidden", metadata={"is_visually_hidden_from_conversation": True})),
        ("a", "h", message("assistant", "It is", "two.")),
        ("b", "a", message("assistant", "Anything else?")),
    )

    (exchange,) = foreign.exchanges("chatgpt", [value])

    assert ("1 + 1?", "It is\n\ntwo.\n\nAnything else?") == (
        exchange["user_input"],
        exchange["agent_response"],
    )
    messages = exchange["metadata"]["source"]["messages"]
    assert ["u", "t", "c", "r", "h", "a", "b"] == [each["id"] for each in messages]
    assert [] == foreign.missing(value, [exchange])


def test_parts_that_are_no_text(foreign: ForeignFiles) -> None:
    """Stay in the message; what was said aloud is text."""
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://f", "width": 10}
    spoken = {"content_type": "audio_transcription", "text": "Can you hear me?", "direction": "in"}
    value = conversation(
        ("u", None, message("user", image, "What is this?")),
        ("v", "u", message("user", spoken, {"content_type": "audio_asset_pointer"})),
        ("w", "v", message("user", image)),
    )

    exchanges = foreign.exchanges("chatgpt", [value])

    assert ["What is this?", "Can you hear me?", ""] == [each["user_input"] for each in exchanges]
    assert [] == foreign.missing(value, exchanges)


def test_older_exports(foreign: ForeignFiles) -> None:
    """Have a list of messages, with plain texts, and times as text."""
    value = {
        "id": "old",
        "create_time": str(START),
        "messages": [
            {"role": "user", "content": "Hello?"},
            {"author": {"role": "assistant"}, "content": {"parts": ["Hello!"]}},
        ],
    }

    (exchange,) = foreign.exchanges("chatgpt", [value])

    assert ("old", "Hello?", "Hello!") == (
        exchange["conversation_id"],
        exchange["user_input"],
        exchange["agent_response"],
    )
    assert datetime(2022, 12, 13, 8, 46, 48, 121227, tzinfo=UTC) == exchange["timestamp"]
    assert [] == foreign.missing(value, [exchange])


def test_keys_of_nodes_that_are_not_their_ids(foreign: ForeignFiles) -> None:
    """Are kept beside them."""
    value = {"mapping": {"k1": {"message": message("user", "Hi")}, "k2": "no object"}}

    exchanges = foreign.exchanges("chatgpt", [value])

    kept = [each for exchange in exchanges for each in exchange["metadata"]["source"]["messages"]]
    assert ["k1", "k2"] == [each["mapping_key"] for each in kept]
    assert "no object" == kept[1]["node"]


def test_a_conversation_without_messages(foreign: ForeignFiles) -> None:
    """Is one exchange without texts, which keeps what is told of it."""
    (exchange,) = foreign.exchanges("chatgpt", [{"title": "Nothing", "mapping": {}, "create_time": START}])

    assert ("", "") == (exchange["user_input"], exchange["agent_response"])
    assert "Nothing" == exchange["metadata"]["title"]
    assert exchange["conversation_id"].startswith("chatgpt-")


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"mapping": None, "title": "A\nlong  title"}])
def test_what_is_no_conversation(foreign: ForeignFiles, value: Any) -> None:
    """Is a fault that says where, and reading goes on behind it."""
    good = conversation(("u", None, message("user", "Hi")))

    (place, fault), (_, exchange) = foreign.found("chatgpt", [value, good])

    assert isinstance(fault, Fault)
    assert isinstance(exchange, dict)
    if isinstance(value, dict) and value:
        assert 'conversation 1 ("A long title")' == place
        assert "it has neither an object `mapping` nor a list `messages`" == fault.reason
    else:
        assert 1 == place
    assert 1 == exchange["message_id"]
