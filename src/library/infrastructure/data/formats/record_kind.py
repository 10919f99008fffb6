"""What a record consists of, for formats that write conversations and sessions alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Row = tuple[Any, ...]
"""The values of a record, in the order of the fields that are written."""


class FieldType(Enum):
    """What a value is, and how it stands in a `Row`."""

    TEXT = "text"
    """Any text that UTF-8 can hold, NUL and all control characters included; a `str`."""
    INTEGER = "integer"
    """An `int` of less than 64 bits, or `None`."""
    NUMBER = "number"
    """A finite `float`."""
    MOMENT = "moment"
    """An `int`: microseconds since 1970-01-01 UTC, of the years 1 to 9999; or `None`."""
    FLAG = "flag"
    """A `bool`."""
    JSON = "json"
    """A `str` that holds a JSON object, as JSON text without line breaks; integers may have any size."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    type: FieldType
    is_optional: bool = False
    """Whether it may be `None`."""


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record."""

    name: str
    """What many of them are called, such as the root of an XML document."""
    record_name: str
    """What one of them is called."""
    fields: tuple[Field, ...]
    """In the order in which they are written."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field | None:
        """Return the field of a name, if there is one."""
        return next((field for field in self.fields if field.name == name), None)


EXCHANGES: Final = RecordKind(
    "conversations",
    "exchange",
    (
        Field("message_id", FieldType.INTEGER, is_optional=True),
        Field("conversation_id", FieldType.TEXT),
        Field("timestamp", FieldType.MOMENT),
        Field("user_input", FieldType.TEXT),
        Field("agent_response", FieldType.TEXT),
        Field("response_time_ms", FieldType.NUMBER),
        Field("parent_id", FieldType.INTEGER, is_optional=True),
        Field("metadata", FieldType.JSON),
    ),
)
"""Exchanges of conversations; see `ConversationMessage`."""

SESSIONS: Final = RecordKind(
    "sessions",
    "session",
    (
        Field("session_id", FieldType.TEXT),
        Field("user_id", FieldType.TEXT),
        Field("created_at", FieldType.MOMENT),
        Field("last_activity", FieldType.MOMENT),
        Field("is_active", FieldType.FLAG),
        Field("ended_at", FieldType.MOMENT, is_optional=True),
        Field("end_reason", FieldType.TEXT, is_optional=True),
        Field("metadata", FieldType.JSON),
    ),
)
"""Sessions; see `SessionData`, and what stores know of how one ended."""
