"""Reads ShareGPT and Vicuna files: conversations as lists of who said what, without times."""

from __future__ import annotations

from typing import Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import text_of, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.message_tree import in_a_row
from library.infrastructure.data.formats.turns import Speaker, Turn

_SPEAKERS: Final = {
    **dict.fromkeys(("human", "user"), Speaker.USER),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "ai"), Speaker.AGENT),
}


class ShareGPTReader(ForeignReader):
    """Reads `[{"id", "conversations": [{"from", "value"}]}]`, or one such object a line.

    Files that name these keys `conversation_id`, `conversation`, `role` and `content` are read as well.
    """

    format = ExportFormat.SHAREGPT

    def _understand(self, value: Any) -> Conversation:
        if not isinstance(value, dict):
            raise NotUnderstoodError("it is no JSON object, as a conversation of ShareGPT is")
        for name in ("conversations", "conversation"):
            if isinstance(value.get(name), list):
                turns = [_turn(message) for message in value[name]]
                break
        else:
            raise NotUnderstoodError("it has no list `conversations`")
        return Conversation(
            id=value.get("id", value.get("conversation_id")),
            title=value.get("title"),
            content=value,
            rest=without(value, name),
            turns=turns,
            parents=in_a_row(len(turns)),
        )


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    role = message.get("from", message.get("role"))
    text_key = "value" if "value" in message else "content"
    text = message.get(text_key)
    speaker = _SPEAKERS.get(role.lower(), Speaker.OTHER) if isinstance(role, str) else Speaker.OTHER
    return Turn(
        speaker,
        "" if speaker is Speaker.OTHER else text_of(text),
        message,
        without(message, text_key) if isinstance(text, str) else None,
        message.get("id"),
    )
