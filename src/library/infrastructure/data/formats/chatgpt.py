"""Reads the data export of ChatGPT: a list of conversations, each a tree of messages.

What was regenerated or edited is a branch. Hidden messages, thoughts, and what the model and its tools say to
each other are kept, but are nobody's words. Older exports have a list of `messages` in place of the tree.
"""

from __future__ import annotations

from typing import Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import join_texts, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.message_tree import Links, arrange, in_a_row
from library.infrastructure.data.formats.source_times import read_moment
from library.infrastructure.data.formats.turns import Speaker, Turn

_SPEAKERS: Final = {"user": Speaker.USER, "assistant": Speaker.AGENT}
_UNSHOWN_TYPES: Final = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")


class ChatGPTReader(ForeignReader):
    """Reads `conversations.json` of ChatGPT, or a single conversation of it."""

    format = ExportFormat.CHATGPT
    joins_replies = True

    def _understand(self, value: Any) -> Conversation:
        if not isinstance(value, dict):
            raise NotUnderstoodError("it is no JSON object, as a conversation of ChatGPT is")
        if isinstance(value.get("mapping"), dict):
            return _from_tree(value)
        if isinstance(value.get("messages"), list):
            return _from_list(value)
        raise NotUnderstoodError("it has neither an object `mapping` nor a list `messages`")


def _conversation(value: dict[str, Any], messages_key: str, **fields: Any) -> Conversation:
    return Conversation(
        id=value.get("conversation_id") or value.get("id"),
        title=value.get("title"),
        created=value.get("create_time"),
        content=value,
        rest=without(value, messages_key),
        **fields,
    )


def _from_tree(value: dict[str, Any]) -> Conversation:
    nodes = list(value["mapping"].items())
    links = [
        Links(key, node.get("parent"), node.get("children")) if isinstance(node, dict) else Links(key)
        for key, node in nodes
    ]
    order = arrange(links)
    shown = value.get("current_node")
    current = next((place for place, each in enumerate(order.numbers) if nodes[each][0] == shown), None)
    turns = [_turn_of_node(*nodes[number]) for number in order.numbers]
    return _conversation(value, "mapping", turns=turns, parents=order.parents, current=current)


def _from_list(value: dict[str, Any]) -> Conversation:
    turns = [_turn(message) for message in value["messages"]]
    return _conversation(value, "messages", turns=turns, parents=in_a_row(len(turns)))


def _turn_of_node(key: str, node: Any) -> Turn:
    """Read a node of the tree, which is kept with its links around the message."""
    if not isinstance(node, dict):
        return Turn(Speaker.OTHER, "", {"mapping_key": key, "node": node}, id=key)
    turn = _turn(node.get("message"))
    turn.id = key
    bare = None if turn.bare is None else {**node, "message": turn.bare}
    if node.get("id") == key:
        turn.whole, turn.bare = node, bare
    else:
        turn.whole = {"mapping_key": key, "node": node}
        turn.bare = None if bare is None else {"mapping_key": key, "node": bare}
    return turn


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    content = message.get("content")
    text = _text(content)
    speaker = _speaker(message, content, text)
    return Turn(
        speaker,
        "" if speaker is Speaker.OTHER else text,
        message,
        _bare(message, content),
        message.get("id"),
        read_moment(message.get("create_time")),
    )


def _speaker(message: dict[str, Any], content: Any, text: str) -> Speaker:
    author = message.get("author")
    role = author.get("role") if isinstance(author, dict) else author or message.get("role")
    speaker = _SPEAKERS.get(role, Speaker.OTHER) if isinstance(role, str) else Speaker.OTHER
    if _is_hidden(message) or (isinstance(content, dict) and content.get("content_type") in _UNSHOWN_TYPES):
        return Speaker.OTHER
    if speaker is Speaker.AGENT and (message.get("recipient") not in (None, "all") or not text):
        return Speaker.OTHER
    return speaker


def _is_hidden(message: dict[str, Any]) -> bool:
    metadata = message.get("metadata")
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation") is True
    return hidden or message.get("weight") == 0


def _text(content: Any) -> str:
    """Return what is shown of a message: its texts, and what was heard of spoken ones."""
    if isinstance(content, str):
        return content
    if not isinstance(content, dict):
        return ""
    parts = content.get("parts")
    if isinstance(parts, list) and parts:
        return join_texts(_text_of_part(part) for part in parts)
    text = content.get("text")
    return text if isinstance(text, str) else ""


def _text_of_part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _bare(message: dict[str, Any], content: Any) -> dict[str, Any] | None:
    """Return a message without its text, where it has just one."""
    if isinstance(content, str):
        return without(message, "content")
    if not isinstance(content, dict):
        return None
    parts = content.get("parts")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], str):
        return {**message, "content": without(content, "parts")}
    if not parts and isinstance(content.get("text"), str):
        return {**message, "content": without(content, "text")}
    return None
