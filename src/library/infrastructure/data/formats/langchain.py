"""Reads messages of LangChain, as `messages_to_dict` and `dumpd` write them.

They are read as plain JSON: whatever classes a file names, nothing is imported or constructed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import text_of, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.json_text import parse
from library.infrastructure.data.formats.message_tree import in_a_row
from library.infrastructure.data.formats.turns import Speaker, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from library.infrastructure.data.formats.record_format import Fault

_SPEAKERS: Final = {
    **dict.fromkeys(("human", "user", "HumanMessage", "HumanMessageChunk"), Speaker.USER),
    **dict.fromkeys(("ai", "assistant", "AIMessage", "AIMessageChunk"), Speaker.AGENT),
}
_ID_KEYS: Final = ("id", "conversation_id", "thread_id", "session_id")


class LangChainReader(ForeignReader):
    """Reads a list of messages, which is one conversation, or any number of such lists.

    A list may also stand as `messages` in an object, with other keys beside it.
    """

    format = ExportFormat.LANGCHAIN
    joins_replies = True

    def _conversations(self) -> Iterator[tuple[int | str, Conversation | Fault]]:
        """Give conversations; messages that stand alone, one after the other, are one."""
        number = 0
        single: list[Any] = []
        size = 0
        for raw in self._elements():
            value = parse(raw)
            if _is_message(value):
                single.append(value)
                size += len(raw)
                self._check_gathered(size, "a conversation")
                continue
            if single:
                number += 1
                yield number, self._understood(single)
                single, size = [], 0
            number += 1
            yield self._place(number, value), self._understood(value)
        if single:
            yield number + 1, self._understood(single)

    def _understand(self, value: Any) -> Conversation:
        rest: dict[str, Any] = {}
        messages = value
        if isinstance(value, dict):
            messages = value.get("messages")
            rest = without(value, "messages")
        if not isinstance(messages, list):
            raise NotUnderstoodError("it is neither a message of LangChain, nor a list of them")
        turns = [_turn(message) for message in messages]
        return Conversation(
            id=next((rest[key] for key in _ID_KEYS if rest.get(key)), None),
            title=rest.get("title"),
            content=value,
            rest=rest,
            turns=turns,
            parents=in_a_row(len(turns)),
        )


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "messages" not in value and ("type" in value or "lc" in value)


def _fields_key(message: dict[str, Any]) -> str | None:
    """Return under which key the fields of a message stand; `None`: they stand in it."""
    return next((key for key in ("kwargs", "data") if isinstance(message.get(key), dict)), None)


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    key = _fields_key(message)
    fields = message if key is None else message[key]
    speaker = _speaker(message, fields)
    content = fields.get("content")
    bare: dict[str, Any] | None = None
    if isinstance(content, str):
        bare = without(fields, "content")
        bare = bare if key is None else {**message, key: bare}
    text = "" if speaker is Speaker.OTHER else text_of(content)
    return Turn(speaker, text, message, bare, fields.get("id"))


def _speaker(message: dict[str, Any], fields: dict[str, Any]) -> Speaker:
    kind = message.get("type")
    if kind == "constructor":
        names = message.get("id")
        kind = names[-1] if isinstance(names, list) and names else None
    if kind in ("chat", "ChatMessage", "ChatMessageChunk"):
        kind = fields.get("role")
    return _SPEAKERS.get(kind, Speaker.OTHER) if isinstance(kind, str) else Speaker.OTHER
