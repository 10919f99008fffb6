"""Reading the data export of Claude.ai."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles

NO_PARENT = "00000000-0000-4000-8000-000000000000"


def message(uuid: str, sender: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "sender": sender,
        "text": text,
        "content": [{"type": "text", "text": text, "citations": []}],
        "created_at": "2025-05-12T12:33:05.384611Z",
        "attachments": [],
        "files": [],
    } | fields


def conversation(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": "c-1",
        "name": "A title",
        "summary": "",
        "created_at": "2025-05-12T12:00:00Z",
        "account": {"uuid": "me"},
        "chat_messages": list(messages),
    } | fields


def test_a_conversation(foreign: ForeignFiles) -> None:
    """Has its id, name and times; attachments are kept; a text that stands there twice is not kept twice."""
    attachment = {"file_name": "notes.txt", "extracted_content": "What I noted"}
    value = conversation(
        message("u", "human", "Hello?", attachments=[attachment]),
        message("a", "assistant", "Hello!", created_at="2025-05-12T12:34:00+00:00"),
    )

    (exchange,) = foreign.exchanges("claude", [value])

    assert ("c-1", "Hello?", "Hello!", None) == tuple(
        exchange[name] for name in ("conversation_id", "user_input", "agent_response", "parent_id")
    )
    assert datetime(2025, 5, 12, 12, 33, 5, 384611, tzinfo=UTC) == exchange["timestamp"]
    kept = exchange["metadata"]["source"]["messages"]
    assert [attachment] == kept[0]["attachments"]
    assert "Hello" not in str(kept)
    assert [] == foreign.missing(value, [exchange])


def test_times_that_are_broken(foreign: ForeignFiles) -> None:
    """Stay in the metadata; the exchange comes behind the one before it."""
    broken = "2025-05-12T12:33:05.384611+"
    value = conversation(
        message("u", "human", "One", created_at=broken),
        message("a", "assistant", "Two", created_at=broken),
        message("v", "human", "Three", created_at=None),
    )

    first, second = foreign.exchanges("claude", [value])

    assert datetime(2025, 5, 12, 12, tzinfo=UTC) == first["timestamp"]
    assert datetime(2025, 5, 12, 12, 0, 0, 2, tzinfo=UTC) == second["timestamp"]
    assert broken == first["metadata"]["source"]["messages"][0]["created_at"]


def test_the_use_of_tools(foreign: ForeignFiles) -> None:
    """Is kept; the response is what stands around it, and took from its first block to its last."""
    blocks = [
        {
            "type": "thinking",
            "thinking": "Hm",
            "start_timestamp": "2025-01-01T10:00:00Z",
            "stop_timestamp": None,
        },
        {"type": "text", "text": "I look it up.", "stop_timestamp": "2025-01-01T10:00:01Z"},
        {"type": "tool_use", "name": "web_search", "input": {"query": "tides"}},
        {"type": "tool_result", "content": [{"type": "text", "text": "High water at nine"}]},
        {"type": "text", "text": "At nine.", "stop_timestamp": "2025-01-01T10:00:04.5Z"},
    ]
    told = "I look it up.\n\nThis block is not supported on your current device yet.\n\nAt nine."
    for text in (told, "", None):
        value = conversation(
            message("u", "human", "When?"), message("a", "assistant", "") | {"text": text, "content": blocks}
        )

        (exchange,) = foreign.exchanges("claude", [value])

        assert "I look it up.\n\nAt nine." == exchange["agent_response"]
        assert 4_500.0 == exchange["response_time_ms"]
        assert [] == foreign.missing(value, [exchange])


def test_branches(foreign: ForeignFiles) -> None:
    """Are told by parents; whoever names none follows the message before."""
    value = conversation(
        message("u", "human", "Which?", parent_message_uuid=NO_PARENT),
        message("a", "assistant", "This.", parent_message_uuid="u"),
        message("b", "assistant", "That.", parent_message_uuid="u"),
        message("v", "human", "Why?"),
        message("w", "human", "Really?", parent_message_uuid="a"),
        current_leaf_message_uuid="v",
    )

    exchanges = foreign.exchanges("claude", [value])

    assert [
        ("Which?", "This.", None, False),
        ("Really?", "", 1, False),
        ("Which?", "That.", None, True),
        ("Why?", "", 3, True),
    ] == [
        (
            each["user_input"],
            each["agent_response"],
            each["parent_id"],
            each["metadata"]["source"]["is_current"],
        )
        for each in exchanges
    ]


def test_no_links_at_all(foreign: ForeignFiles) -> None:
    """Make one thread, even where parents are null."""
    value = conversation(
        message("u", "human", "One", parent_message_uuid=None),
        message("a", "assistant", "Two", parent_message_uuid=None),
    )

    assert [("One", "Two")] == foreign.texts("claude", [value])


@pytest.mark.parametrize("value", [None, [], {}, {"chat_messages": None}, {"chat_messages": {}}])
def test_what_is_no_conversation(foreign: ForeignFiles, value: Any) -> None:
    """Is a fault."""
    ((_, fault),) = foreign.found("claude", [value])

    assert Fault("it has no list `chat_messages`, as a conversation of Claude.ai has") == fault
