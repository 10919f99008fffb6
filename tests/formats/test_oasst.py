"""Reading OpenAssistant exports."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import TransferLimitError
from library.infrastructure.data.formats.record_format import Fault

if TYPE_CHECKING:
    from tests.formats.conftest import ForeignFiles


def message(key: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    role = "prompter" if len(key) % 2 else "assistant"
    return {"message_id": key, "parent_id": parent, "text": f"text {key}", "role": role} | fields


def flat(root: str, **fields: Any) -> list[dict[str, Any]]:
    """Build a root with two answers, the first of them with two questions after it."""
    links = {root: None, f"{root}1": root, f"{root}2": root, f"{root}1x": f"{root}1", f"{root}1y": f"{root}1"}
    return [message(key, parent, **fields) for key, parent in links.items()]


def nested(root: str) -> dict[str, Any]:
    parts = {each["message_id"]: each | {"replies": []} for each in flat(root)}
    for part in parts.values():
        if part["parent_id"]:
            parts[part["parent_id"]]["replies"].append(part)
    return parts[root]


def lines(values: list[Any]) -> str:
    return "\n".join(map(json.dumps, values))


EXPECTED = [("a", "a1", None), ("a1x", "", 1), ("a1y", "", 1), ("a", "a2", None)]


def told(exchanges: list[dict[str, Any]]) -> list[tuple[str, str, int | None]]:
    return [
        (
            each["user_input"].removeprefix("text "),
            each["agent_response"].removeprefix("text "),
            each["parent_id"],
        )
        for each in exchanges
    ]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([{"message_tree_id": "a", "tree_state": "ready", "prompt": nested("a")}], id="tree"),
        pytest.param([nested("a")], id="message with replies"),
        pytest.param(flat("a", message_tree_id="a"), id="messages of a tree"),
        pytest.param(flat("a"), id="messages"),
    ],
)
def test_forms(foreign: ForeignFiles, values: list[Any]) -> None:
    """A tree is a conversation, in whatever form it stands in the file."""
    exchanges = foreign.exchanges("oasst", lines(values))

    assert EXPECTED == told(exchanges)
    assert {"a"} == {each["conversation_id"] for each in exchanges}
    assert [] == foreign.missing(values, exchanges)


def test_messages_in_any_order(foreign: ForeignFiles) -> None:
    """Find each other across the file; those that follow nothing are conversations of their own."""
    values = [*flat("a"), *flat("b"), message("c", "gone")]
    random.Random(3).shuffle(values)

    exchanges = foreign.exchanges("oasst", lines(values))

    conversations: dict[str, set[str]] = {}
    for each in exchanges:
        conversations.setdefault(each["conversation_id"], set()).add(each["user_input"])
    assert {
        "a": {"text a", "text a1x", "text a1y"},
        "b": {"text b", "text b1x", "text b1y"},
        "c": {"text c"},
    } == conversations
    ids = [each["conversation_id"] for each in exchanges]
    assert len(set(ids)) == sum(a != b for a, b in zip(ids, [None, *ids], strict=False))


def test_messages_that_are_held_together(foreign: ForeignFiles) -> None:
    """May not be more than a record; those of a tree, and trees, are not held."""
    whole = lines([{"message_tree_id": "a", "prompt": nested("a")}] * 20)
    assert len(whole) > 2_000
    assert foreign.exchanges("oasst", whole, max_record_bytes=1_500)
    trees = [each for root in "abcdefgh" for each in flat(root, message_tree_id=root)]
    assert foreign.exchanges("oasst", lines(trees), max_record_bytes=1_500)

    with pytest.raises(TransferLimitError, match="max_record_bytes"):
        foreign.found("oasst", lines(flat("a") * 20), max_record_bytes=1_500)
    with pytest.raises(TransferLimitError, match="max_record_bytes"):
        foreign.found("oasst", lines(flat("a", message_tree_id="a") * 20), max_record_bytes=1_500)


def test_times(foreign: ForeignFiles) -> None:
    """Are read where later exports tell them."""
    value = message("a", created_date="2023-02-05T14:23:50.983374+00:00")

    (exchange,) = foreign.exchanges("oasst", lines([value]))

    assert datetime(2023, 2, 5, 14, 23, 50, 983374, tzinfo=UTC) == exchange["timestamp"]


@pytest.mark.parametrize("value", [None, 1, {}, {"prompt": "Hi"}, {"role": 7}])
def test_what_is_no_tree(foreign: ForeignFiles, value: Any) -> None:
    """Is a fault."""
    found = foreign.found("oasst", f"{json.dumps(value)}\n{lines(flat('a'))}")

    assert isinstance(found[0][1], Fault)
    assert 1 + len(EXPECTED) == len(found)
