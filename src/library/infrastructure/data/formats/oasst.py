"""Reads OpenAssistant exports: a tree of messages a line, or a message a line.

Where messages say to which tree they belong (`message_tree_id`), those of a tree stand together, and one tree
is read at a time. Where they do not, a message may follow any other of the file, and all are held in memory.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.json_text import parse
from library.infrastructure.data.formats.message_tree import Links, Order, arrange
from library.infrastructure.data.formats.source_times import read_moment
from library.infrastructure.data.formats.turns import Speaker, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from library.infrastructure.data.formats.record_format import Fault

_SPEAKERS: Final = {"prompter": Speaker.USER, "assistant": Speaker.AGENT}

_Message = tuple[Any, Links]
"""A message without its replies, and its links."""


class OasstReader(ForeignReader):
    """Reads trees, and messages with or without their replies in them."""

    format = ExportFormat.OASST

    def _conversations(self) -> Iterator[tuple[int | str, Conversation | Fault]]:
        """Give the conversations: trees as they come, messages without a tree in the end."""
        number = 0
        loose: list[_Message] = []
        for tree, values in groupby(self._loose_or_not(loose), key=_tree_id):
            if tree is None:
                for value in values:
                    number += 1
                    yield number, self._understood(value)
            else:
                number += 1
                yield number, _conversation(tree, {}, self._gathered(values))
        for conversation in _components(loose):
            number += 1
            yield number, conversation

    def _loose_or_not(self, loose: list[_Message]) -> Iterator[Any]:
        """Give what can be read where it stands, and put aside the messages for which that is not so."""
        size = 0
        for raw in self._elements():
            value = parse(raw)
            if _is_loose(value):
                size += len(raw)
                self._check_gathered(size, "messages without a `message_tree_id`")
                loose += _flatten(value)
            else:
                yield value

    def _gathered(self, values: Iterator[Any]) -> list[_Message]:
        """Return the messages of one tree."""
        messages: list[_Message] = []
        size = 0
        for value in values:
            flat = _flatten(value)
            messages += flat
            size += sum(len(str(message)) for message, _ in flat)
            self._check_gathered(size, "a tree of messages")
        return messages

    def _understand(self, value: Any) -> Conversation:
        if not isinstance(value, dict):
            raise NotUnderstoodError("it is no JSON object, as a tree or a message of OpenAssistant is")
        if isinstance(value.get("prompt"), dict):
            identity = value.get("message_tree_id") or value["prompt"].get("message_id")
            return _conversation(identity, without(value, "prompt"), _flatten(value["prompt"]))
        if isinstance(value.get("role"), str):
            return _conversation(value.get("message_id"), {}, _flatten(value))
        raise NotUnderstoodError("it has neither a `prompt` nor a `role`")


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "prompt" not in value


def _is_loose(value: Any) -> bool:
    """Tell whether a message may belong to others of the file that cannot be told beforehand."""
    if not _is_message(value) or isinstance(value.get("message_tree_id"), str):
        return False
    return isinstance(value.get("parent_id"), str) or not value.get("replies")


def _tree_id(value: Any) -> str | None:
    """Return to which tree a message belongs; `None` for what is a whole tree."""
    tree = value.get("message_tree_id") if _is_message(value) else None
    return tree if isinstance(tree, str) else None


def _flatten(root: dict[str, Any]) -> list[_Message]:
    """List a message and all below it, each behind the one that it replies to."""
    flat: list[_Message] = []
    waiting: list[tuple[Any, Any]] = [(root, root.get("parent_id"))]
    while waiting:
        message, parent = waiting.pop()
        if not isinstance(message, dict):
            flat.append((message, Links(None, parent)))
            continue
        key = message.get("message_id")
        key = key if isinstance(key, str) else f"#{id(message)}"
        replies = message.get("replies")
        if isinstance(replies, list):
            waiting.extend((reply, key) for reply in reversed(replies))
            message = without(message, "replies")
        flat.append((message, Links(key, parent)))
    return flat


def _conversation(
    identity: Any, rest: dict[str, Any], messages: list[_Message], order: Order | None = None
) -> Conversation:
    order = order or arrange([links for _, links in messages])
    return Conversation(
        id=identity,
        created=rest.get("created_date"),
        content=[message for message, _ in messages],
        rest=rest,
        turns=[_turn(messages[number][0]) for number in order.numbers],
        parents=order.parents,
    )


def _components(messages: list[_Message]) -> Iterator[Conversation]:
    """Give a conversation for each message that follows no other, with all that follow it."""
    order = arrange([links for _, links in messages])
    begins = [place for place, parent in enumerate(order.parents) if parent is None]
    for begin, end in pairwise([*begins, len(order.numbers)]):
        part = [messages[number] for number in order.numbers[begin:end]]
        parents = [None if parent is None else parent - begin for parent in order.parents[begin:end]]
        root = part[0][0]
        identity = root.get("message_id") if isinstance(root, dict) else None
        yield _conversation(identity, {}, part, Order(list(range(end - begin)), parents))


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    role = message.get("role")
    text = message.get("text")
    speaker = _SPEAKERS.get(role, Speaker.OTHER) if isinstance(role, str) else Speaker.OTHER
    return Turn(
        speaker,
        text if isinstance(text, str) and speaker is not Speaker.OTHER else "",
        message,
        without(message, "text") if isinstance(text, str) else None,
        message.get("message_id"),
        read_moment(message.get("created_date")),
    )
