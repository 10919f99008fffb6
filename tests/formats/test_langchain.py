"""Reading messages of LangChain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import TransferLimitError
from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles


def dict_form(kind: str, content: Any, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": {"content": content, "additional_kwargs": {}, **data}}


def constructor(name: str, content: Any, **kwargs: Any) -> dict[str, Any]:
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": {"content": content, **kwargs}}


def flat(kind: str, content: Any) -> dict[str, Any]:
    return {"type": kind, "content": content, "id": "m"}


CALL = {"name": "f", "args": {"x": 1}, "id": "c"}
CONVERSATIONS = [
    [
        dict_form("system", "Be kind."),
        dict_form("human", "Hi"),
        dict_form("ai", "", tool_calls=[CALL]),
        dict_form("tool", "1", tool_call_id="c"),
        dict_form("ai", [{"type": "text", "text": "Ho"}, {"type": "image_url", "image_url": "u"}]),
    ],
    [constructor("HumanMessage", "Hi"), constructor("AIMessageChunk", "Ho", id="run-1")],
    [dict_form("chat", "Hi", role="user"), flat("ai", "Ho")],
]


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_forms(foreign: ForeignFiles, messages: list[Any]) -> None:
    """Messages are read in each form; a list of them is one conversation, however it stands in the file."""
    lines = "\n".join(map(json.dumps, messages))
    for content in (messages, [messages], {"messages": messages}, lines):
        (exchange,) = foreign.exchanges("langchain", content)

        assert ("Hi", "Ho") == (exchange["user_input"], exchange["agent_response"])
        assert [] == foreign.missing(messages, [exchange])


def test_several_conversations(foreign: ForeignFiles) -> None:
    """Are several lists, or objects with other keys beside the messages."""
    named = {"thread_id": "t-1", "title": "A title", "messages": CONVERSATIONS[0]}

    exchanges = foreign.exchanges("langchain", [*CONVERSATIONS, named])

    assert 4 == len({each["conversation_id"] for each in exchanges})
    assert "t-1" == exchanges[-1]["conversation_id"]
    assert "A title" == exchanges[-1]["metadata"]["title"]
    assert exchanges[0]["conversation_id"].startswith("langchain-")


def test_classes_that_files_name(foreign: ForeignFiles) -> None:
    """Are text: nothing is imported, let alone constructed."""
    evil = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "touch /tmp/x"}}

    (exchange,) = foreign.exchanges("langchain", [evil, constructor("HumanMessage", "Hi")])

    assert evil == exchange["metadata"]["source"]["messages"][0]
    assert "Hi" == exchange["user_input"]


def test_a_conversation_of_single_messages(foreign: ForeignFiles) -> None:
    """May be as large as one in one piece."""
    with pytest.raises(TransferLimitError, match="a conversation of a stream has more than 500 bytes"):
        foreign.found("langchain", [dict_form("human", "x" * 100)] * 4, max_record_bytes=500)


def test_what_is_no_conversation(foreign: ForeignFiles) -> None:
    """Is a fault between conversations."""
    content = (
        f"{json.dumps(flat('human', 'Hi'))}\n7\n{json.dumps({'messages': 5})}\n{json.dumps(flat('ai', 'Ho'))}"
    )

    found = foreign.found("langchain", content)

    fault = Fault("it is neither a message of LangChain, nor a list of them")
    assert [(2, fault), (3, fault)] == found[1:3]
    assert [1, 4] == [place if isinstance(place, int) else int(place.split()[1]) for place, _ in found[::3]]
