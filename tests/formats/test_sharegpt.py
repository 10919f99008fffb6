"""Reading ShareGPT files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles


def said(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"from": speaker, "value": text} for speaker, text in pairs]


def test_a_conversation(foreign: ForeignFiles) -> None:
    """Has its id; times only tell the order, from 1970 on."""
    value = {
        "id": "identity_0",
        "model": "m",
        "conversations": said(("system", "Be kind."), ("human", "Hi"), ("gpt", "Ho"), ("user", "Bye")),
    }

    exchanges = foreign.exchanges("sharegpt", [value])

    assert [("identity_0", "Hi", "Ho"), ("identity_0", "Bye", "")] == [
        (each["conversation_id"], each["user_input"], each["agent_response"]) for each in exchanges
    ]
    assert [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (0, 1)] == [
        each["timestamp"] for each in exchanges
    ]
    assert {
        "format": "sharegpt",
        "conversation": {"id": "identity_0", "model": "m"},
        "messages": [{"from": "system", "value": "Be kind."}, {"from": "human"}, {"from": "gpt"}],
        "text_taken_from": {"user_input": 1, "agent_response": 2},
    } == exchanges[0]["metadata"]["source"]


def test_who_speaks(foreign: ForeignFiles) -> None:
    """Goes by many names; two responses in a row are two exchanges."""
    value = {
        "conversations": said(
            ("bing", "A"), ("chatgpt", "B"), ("Human", "C"), ("tool", "D"), ("bard", "E"), ("assistant", "F")
        )
    }

    assert [("", "A"), ("", "B"), ("C", "E"), ("", "F")] == foreign.texts("sharegpt", [value])


def test_lines_and_other_names(foreign: ForeignFiles) -> None:
    """Are read as well: one object a line, ids that are numbers, roles and contents."""
    lines = [
        {"conversation_id": 7, "conversation": [{"role": "user", "content": "Hi"}], "turn": 1},
        {"conversations": said(("human", "Hi")), "id": ""},
    ]

    exchanges = foreign.exchanges("sharegpt", "\n".join(map(json.dumps, lines)))

    assert "7" == exchanges[0]["conversation_id"]
    assert exchanges[1]["conversation_id"].startswith("sharegpt-")
    assert [] == foreign.missing(lines, exchanges)


def test_ids_of_the_content(foreign: ForeignFiles) -> None:
    """Are the same however the file is written, and others for other texts."""
    value = {"conversations": said(("human", "Größe?"), ("gpt", "5"))}
    spaced = json.dumps(dict(reversed(value.items())), indent=3, ensure_ascii=False)
    other = {"conversations": said(("human", "Größe?"), ("gpt", "6"))}

    ids = [foreign.exchanges("sharegpt", each)[0]["conversation_id"] for each in (value, spaced, other)]

    assert ids[0] == ids[1] != ids[2]


def test_ids_that_cannot_be_kept(foreign: ForeignFiles) -> None:
    """Are replaced, and stay in the metadata."""
    for given in ("x" * 1_001, ["a"], {"b": 1}, 2**80, True):
        (exchange,) = foreign.exchanges("sharegpt", [{"id": given, "conversations": said(("human", "Hi"))}])

        assert exchange["conversation_id"].startswith("sharegpt-")
        assert given == exchange["metadata"]["source"]["conversation"]["id"]


@pytest.mark.parametrize("value", [None, 1, [], {}, {"conversations": "Hi"}])
def test_what_is_no_conversation(foreign: ForeignFiles, value: Any) -> None:
    """Is a fault."""
    ((_, fault),) = foreign.found("sharegpt", [value])

    assert isinstance(fault, Fault)
