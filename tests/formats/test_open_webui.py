"""Reading the chat export of Open WebUI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles

NOON = 1_715_947_200


def messages() -> dict[str, Any]:
    listed: list[dict[str, Any]] = [
        {"id": "u", "parentId": None, "childrenIds": ["a", "b"], "role": "user", "content": "Which?"},
        {
            "id": "a",
            "parentId": "u",
            "childrenIds": [],
            "role": "assistant",
            "content": "This.",
            "model": "m1",
        },
        {"id": "b", "parentId": "u", "childrenIds": ["v"], "role": "assistant", "content": "That."},
        {"id": "v", "parentId": "b", "role": "user", "content": [{"type": "text", "text": "Why?"}]},
    ]
    return {each["id"]: each | {"timestamp": NOON + place} for place, each in enumerate(listed)}


def chat(**fields: Any) -> dict[str, Any]:
    return {
        "title": "A title",
        "models": ["m1"],
        "history": {"messages": messages(), "currentId": "v"},
    } | fields


def test_a_chat(foreign: ForeignFiles) -> None:
    """Has its id, title, times and branches."""
    value = {"id": "c-1", "user_id": "me", "title": "A title", "chat": chat(), "created_at": NOON}

    exchanges = foreign.exchanges("open-webui", [value])

    assert [
        ("Which?", "This.", None, False),
        ("Which?", "That.", None, True),
        ("Why?", "", 2, True),
    ] == [
        (
            each["user_input"],
            each["agent_response"],
            each["parent_id"],
            each["metadata"]["source"]["is_current"],
        )
        for each in exchanges
    ]
    assert {"c-1"} == {each["conversation_id"] for each in exchanges}
    assert datetime(2024, 5, 17, 12, tzinfo=UTC) == exchanges[0]["timestamp"]
    assert "A title" == exchanges[0]["metadata"]["title"]
    assert [] == foreign.missing(value, exchanges)


def test_messages_that_stand_there_twice(foreign: ForeignFiles) -> None:
    """Are kept once, and the list of those that are shown as their ids; a message that differs is kept."""
    shown = list(messages().values())
    shown[-1]["content"] = "Why not?"

    first, *_ = foreign.exchanges("open-webui", [{"id": "c", "chat": chat(messages=shown)}])

    assert ["u", "a", "b", shown[-1]] == first["metadata"]["source"]["conversation"]["chat"]["messages"]


def test_a_chat_alone(foreign: ForeignFiles) -> None:
    """Is read too, and where there is no tree, the list of messages."""
    assert [("Which?", "This."), ("Which?", "That."), ("Why?", "")] == foreign.texts("open-webui", chat())
    listed = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, "no object"]
    assert [("Hi", "Ho")] == foreign.texts("open-webui", {"title": "t", "chat": {"messages": listed}})


def test_times_in_smaller_units(foreign: ForeignFiles) -> None:
    """Are told by their size."""
    for unit in (1, 1_000, 1_000_000, 1_000_000_000):
        listed = [{"role": "user", "content": "Hi", "timestamp": NOON * unit}]

        (exchange,) = foreign.exchanges("open-webui", {"chat": {"messages": listed}})

        assert datetime(2024, 5, 17, 12, tzinfo=UTC) == exchange["timestamp"]


def test_keys_that_are_not_the_ids(foreign: ForeignFiles) -> None:
    """Are kept beside the messages."""
    tree = {"history": {"messages": {"k1": {"role": "user", "content": "Hi"}, "k2": 5}}}

    exchanges = foreign.exchanges("open-webui", {"chat": tree})

    kept = [each for exchange in exchanges for each in exchange["metadata"]["source"]["messages"]]
    assert [{"key": "k1", "message": {"role": "user"}}, {"id": "k2", "message": 5}] == kept


@pytest.mark.parametrize("value", [None, {}, {"chat": None}, {"chat": {"history": []}}])
def test_what_is_no_chat(foreign: ForeignFiles, value: Any) -> None:
    """Is a fault."""
    ((_, fault),) = foreign.found("open-webui", [value])

    assert isinstance(fault, Fault)


def test_messages_that_are_nested_too_deeply(foreign: ForeignFiles) -> None:
    """To be compared are a fault, where the limit lets them pass."""
    deep = '{"k": ' * 1_000 + "1" + "}" * 1_000
    message = f'{{"id": "u", "role": "user", "content": "Hi", "extra": {deep}}}'
    tree = f'{{"history": {{"messages": {{"u": {message}}}}}, "messages": [{message}]}}'

    ((_, values),) = foreign.found("open-webui", f'[{{"id": "c", "chat": {tree}}}]', max_depth=5_000)

    assert values == Fault("it is nested too deeply") or isinstance(values, dict)
