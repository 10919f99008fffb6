"""Reads the data export of Claude.ai: a list of conversations, with messages that may branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import join_texts, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.message_tree import Links, arrange
from library.infrastructure.data.formats.source_times import read_moment
from library.infrastructure.data.formats.turns import Speaker, Turn

if TYPE_CHECKING:
    from datetime import datetime

_SPEAKERS: Final = {"human": Speaker.USER, "assistant": Speaker.AGENT}
_PLACEHOLDER: Final = "This block is not supported on your current device yet."
"""Stands in `text` where the app shows the use of a tool; the texts around it are then told by `content`."""


class ClaudeReader(ForeignReader):
    """Reads `conversations.json` of Claude.ai, or a single conversation of it."""

    format = ExportFormat.CLAUDE
    joins_replies = True

    def _title(self, value: Any) -> Any:
        return value.get("name") if isinstance(value, dict) else None

    def _understand(self, value: Any) -> Conversation:
        messages = value.get("chat_messages") if isinstance(value, dict) else None
        if not isinstance(messages, list):
            raise NotUnderstoodError("it has no list `chat_messages`, as a conversation of Claude.ai has")
        links = _links(messages)
        order = arrange(links)
        shown = value.get("current_leaf_message_uuid")
        return Conversation(
            id=value.get("uuid"),
            title=value.get("name"),
            created=value.get("created_at"),
            content=value,
            rest=without(value, "chat_messages"),
            turns=[_turn(messages[number]) for number in order.numbers],
            parents=order.parents,
            current=next(
                (
                    place
                    for place, number in enumerate(order.numbers)
                    if isinstance(shown, str) and links[number].key == shown
                ),
                None,
            ),
        )


def _links(messages: list[Any]) -> list[Links]:
    """Return what messages say they follow; those that do not say it follow the one before."""
    links: list[Links] = []
    for number, message in enumerate(messages):
        fields = message if isinstance(message, dict) else {}
        key, parent = fields.get("uuid"), fields.get("parent_message_uuid")
        before = links[-1].key if links else None
        links.append(
            Links(
                key if isinstance(key, str) else f"#{number}",
                parent if isinstance(parent, str) else before,
            )
        )
    return links


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    sender = message.get("sender")
    speaker = _SPEAKERS.get(sender, Speaker.OTHER) if isinstance(sender, str) else Speaker.OTHER
    text = "" if speaker is Speaker.OTHER else _text(message)
    return Turn(
        speaker,
        text,
        message,
        _bare(message, text),
        message.get("uuid"),
        read_moment(message.get("created_at")),
        _duration(message),
    )


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(message: dict[str, Any]) -> str:
    """Return `text`, or the texts in `content` where `text` is empty or does not tell all."""
    text = message.get("text")
    texts = join_texts(
        block["text"]
        for block in _blocks(message)
        if block.get("type") == "text" and isinstance(block.get("text"), str)
    )
    if not isinstance(text, str) or not text or (texts and _PLACEHOLDER in text):
        return texts
    return text


def _bare(message: dict[str, Any], text: str) -> dict[str, Any] | None:
    """Return a message without its text, which mostly stands in it twice."""
    blocks = _blocks(message)
    if message.get("text") != text and not any(block.get("text") == text for block in blocks):
        return None
    bare = without(message, "text") if message.get("text") == text else dict(message)
    if blocks:
        bare["content"] = [
            without(block, "text") if isinstance(block, dict) and block.get("text") == text else block
            for block in message["content"]
        ]
    return bare


def _duration(message: dict[str, Any]) -> float:
    """Return the milliseconds from the start of the first block to the end of the last."""
    starts = _moments(message, "start_timestamp")
    stops = _moments(message, "stop_timestamp")
    if not starts or not stops:
        return 0.0
    return max(0.0, round((max(stops) - min(starts)).total_seconds() * 1_000, 3))


def _moments(message: dict[str, Any], name: str) -> list[datetime]:
    found = (read_moment(block.get(name)) for block in _blocks(message))
    return [moment for moment in found if moment is not None]
