"""Reads and writes fine-tuning data of OpenAI: JSON Lines, a conversation a line.

What a line has besides plain texts (system and tool messages, tool calls, weights, the list of tools) is kept
in `metadata`, see `foreign_reader.py`. The writer restores it from there, unless a text was changed since.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import join_texts, text_of, without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.message_tree import in_a_row
from library.infrastructure.data.formats.record_format import RecordWriter
from library.infrastructure.data.formats.turns import Speaker, Turn
from library.infrastructure.data.json_reading import loads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from library.infrastructure.data.formats.record_format import WriteOptions
    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row

_SPEAKERS: Final = {"user": Speaker.USER, "assistant": Speaker.AGENT}
_ROLES: Final = {"user_input": "user", "agent_response": "assistant"}


class OpenAIReader(ForeignReader):
    """Reads `{"messages": [{"role", "content"}]}`, one a line or all in one array."""

    format = ExportFormat.OPENAI
    joins_replies = True

    def _understand(self, value: Any) -> Conversation:
        if not isinstance(value, dict):
            raise NotUnderstoodError("it is no JSON object, as a line of fine-tuning data is")
        messages = value.get("messages")
        if not isinstance(messages, list):
            if "preferred_output" in value:
                raise NotUnderstoodError(
                    "it has no list `messages`: preferences between two outputs are no conversation"
                )
            raise NotUnderstoodError("it has no list `messages`")
        return Conversation(
            content=value,
            rest=without(value, "messages"),
            turns=[_turn(message) for message in messages],
            parents=in_a_row(len(messages)),
        )


class OpenAIWriter(RecordWriter):
    """Writes one line `{"messages": [...]}` for each conversation; empty texts give no message."""

    fields: ClassVar = ("conversation_id", "user_input", "agent_response", "metadata")
    wants_whole_conversations: ClassVar = True

    def __init__(
        self, file: BinaryIO, kind: RecordKind, fields: Sequence[Field], options: WriteOptions
    ) -> None:
        """Prepare; nothing is written yet."""
        super().__init__(file, kind, fields, options)
        names = [field.name for field in fields]
        self._columns = [names.index(name) for name in self.fields]
        self._conversation_id: str | None = None
        self._line: dict[str, Any] = {}
        self._messages: list[Any] = []
        self._is_restored = False

    def write(self, rows: Sequence[Row]) -> None:
        """Write what is complete: the conversation of the last row may go on."""
        for row in rows:
            conversation_id, user_input, agent_response, metadata = (row[each] for each in self._columns)
            if conversation_id != self._conversation_id:
                self._end_line()
                self._conversation_id = conversation_id
            self._add(user_input, agent_response, _imported(metadata))

    def finish(self) -> None:
        """Write the last conversation."""
        self._end_line()

    def _add(self, user_input: str, agent_response: str, source: dict[str, Any] | None) -> None:
        """Add the messages of an exchange; those that were imported, if they still say the same."""
        texts = {"user_input": user_input, "agent_response": agent_response}
        if source is not None:
            if isinstance(rest := source.get("conversation"), dict):
                if self._messages or self._is_restored:  # equal lines have equal ids
                    self._end_line()
                self._line.update(rest)
            messages = _restored(source, texts)
            if messages is not None:
                self._messages += messages
                self._is_restored = True
                return
        self._messages += [{"role": _ROLES[name], "content": text} for name, text in texts.items() if text]

    def _end_line(self) -> None:
        if self._messages or self._is_restored:
            self._file.write(_dump({"messages": self._messages, **self._line}) + b"\n")
        self._line, self._messages, self._is_restored = {}, [], False


def _turn(message: Any) -> Turn:
    if not isinstance(message, dict):
        return Turn(Speaker.OTHER, "", message)
    speaker = _speaker(message)
    content = message.get("content")
    return Turn(
        speaker,
        "" if speaker is Speaker.OTHER else text_of(content),
        message,
        without(message, "content") if isinstance(content, str) else None,
        message.get("id"),
    )


def _speaker(message: Any) -> Speaker:
    role = message.get("role") if isinstance(message, dict) else None
    return _SPEAKERS.get(role, Speaker.OTHER) if isinstance(role, str) else Speaker.OTHER


def _imported(metadata: str | None) -> dict[str, Any] | None:
    """Return what `OpenAIReader` kept of an exchange; `None` if it came from elsewhere."""
    if metadata is None or '"openai"' not in metadata:
        return None
    parsed = loads(metadata.encode())
    source = parsed.get("source") if isinstance(parsed, dict) else None
    is_ours = isinstance(source, dict) and source.get("format") == ExportFormat.OPENAI.value
    return source if is_ours else None


def _restored(source: dict[str, Any], texts: dict[str, str]) -> list[Any] | None:
    """Return the messages of an exchange as they were; `None` if it does not say the same any more."""
    messages, taken = source.get("messages"), source.get("text_taken_from", {})
    if not isinstance(messages, list) or not isinstance(taken, dict):
        return None
    restored = list(messages)
    for name, place in taken.items():
        if name not in texts or not isinstance(place, int) or not 0 <= place < len(restored):
            return None
        if not isinstance(restored[place], dict):
            return None
        restored[place] = {**restored[place], "content": texts[name]}
    turns = [_turn(message) for message in restored]
    said = (
        join_texts(turn.text for turn in turns if turn.speaker is speaker)
        for speaker in (Speaker.USER, Speaker.AGENT)
    )
    return restored if tuple(said) == tuple(texts.values()) else None


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
