"""Reads the chat export of Open WebUI: a list of chats, each with a tree of messages."""

from __future__ import annotations

from typing import Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import text_of, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.message_tree import Links, Order, arrange, in_a_row
from library.infrastructure.data.formats.source_times import read_moment
from library.infrastructure.data.formats.turns import Speaker, Turn

_SPEAKERS: Final = {"user": Speaker.USER, "assistant": Speaker.AGENT}


class OpenWebUIReader(ForeignReader):
    """Reads chats with what the program keeps beside them, or what stands under `chat` in them alone."""

    format = ExportFormat.OPEN_WEBUI
    place_name = "chat"

    def _title(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        return value.get("title") or _chat(value).get("title")

    def _understand(self, value: Any) -> Conversation:
        if not isinstance(value, dict):
            raise NotUnderstoodError("it is no JSON object, as a chat of Open WebUI is")
        chat = _chat(value)
        history = chat.get("history")
        history = history if isinstance(history, dict) else {}
        if isinstance(history.get("messages"), dict):
            items = list(history["messages"].items())
            rest_of_chat = {**chat, "history": without(history, "messages")}
            if isinstance(chat.get("messages"), list):
                rest_of_chat["messages"] = _differing(chat["messages"], history["messages"])
        elif isinstance(chat.get("messages"), list):
            items = [(None, message) for message in chat["messages"]]
            rest_of_chat = without(chat, "messages")
        else:
            raise NotUnderstoodError("it has neither an object `history.messages` nor a list `messages`")
        order = _order(items)
        shown = history.get("currentId")
        return Conversation(
            id=value.get("id") or chat.get("id"),
            title=self._title(value),
            created=value.get("created_at") or chat.get("timestamp"),
            content=value,
            rest=rest_of_chat if chat is value else {**value, "chat": rest_of_chat},
            turns=[_turn(*items[number]) for number in order.numbers],
            parents=order.parents,
            current=next(
                (
                    place
                    for place, number in enumerate(order.numbers)
                    if shown is not None and items[number][0] == shown
                ),
                None,
            ),
        )


def _chat(value: dict[str, Any]) -> dict[str, Any]:
    """Return what holds the messages."""
    chat = value.get("chat")
    return chat if isinstance(chat, dict) else value


def _differing(messages: list[Any], tree: dict[str, Any]) -> list[Any]:
    """Put ids in the place of messages that the tree has just so: the list repeats what is shown."""
    shortened: list[Any] = []
    for message in messages:
        key = message.get("id") if isinstance(message, dict) else None
        is_repeated = isinstance(key, str) and tree.get(key) == message
        shortened.append(key if is_repeated else message)
    return shortened


def _order(items: list[tuple[Any, Any]]) -> Order:
    """Order messages by their links; those of a list without keys follow each other."""
    if items and items[0][0] is None:
        return Order(list(range(len(items))), in_a_row(len(items)))
    return arrange(
        [
            Links(key, message.get("parentId"), message.get("childrenIds"))
            if isinstance(message, dict)
            else Links(key)
            for key, message in items
        ]
    )


def _turn(key: str | None, message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message if key is None else {"id": key, "message": message}, id=key)
    role = message.get("role")
    speaker = _SPEAKERS.get(role, Speaker.OTHER) if isinstance(role, str) else Speaker.OTHER
    content = message.get("content")
    bare = without(message, "content") if isinstance(content, str) else None
    if key is not None and message.get("id") != key:
        whole: dict[str, Any] = {"key": key, "message": message}
        bare = None if bare is None else {"key": key, "message": bare}
    else:
        whole = message
    return Turn(
        speaker,
        "" if speaker is Speaker.OTHER else text_of(content),
        whole,
        bare,
        message.get("id") if key is None else key,
        read_moment(message.get("timestamp")),
    )
