"""Exchanges: what conversation histories save, and what they return.

A `ConversationMessage` checks itself when it is built, so that a wrong field is reported where it came from
and not from within a store. It stays mutable, as people expect of a plain dataclass: a store calls `check()`
again before it saves. Rows that come out of a store were checked when they went in, and skip the checks.
"""

# Annotations are not postponed: they shall resolve under the public path that the classes are known by.

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from library.infrastructure.data.errors import InvalidValueError
from library.infrastructure.data.utc_time import to_microseconds, to_utc

MAX_ID_LENGTH: Final = 1_000
"""Characters that a `conversation_id` may have."""
MAX_MESSAGE_ID: Final = 2**53 - 1
"""The largest `message_id`: the largest whole number that every reader of JSON keeps exactly."""

MAX_MILLISECONDS: Final = 1e15
"""The longest response time, some 30,000 years: sums of any number of them are finite."""

_Message = TypeVar("_Message", bound="ConversationMessage")
_new: Final = object.__new__


@dataclass(slots=True, eq=True)
class ConversationMessage:
    """One exchange: what a user said, what the agent responded, when, and how long that took.

    Raises:
        InvalidValueError: a field has a value that cannot be saved.

    """

    conversation_id: str
    """The conversation that the exchange belongs to: 1 to 1,000 characters."""
    user_input: str
    """What the user said: any text but lone surrogates, which no encoding holds."""
    agent_response: str
    """What the agent responded: any text but lone surrogates."""
    timestamp: datetime
    """When; in UTC once it is checked. A naive `datetime` is taken as local time."""
    response_time_ms: float
    """How long the agent took, in milliseconds: from 0 to 1e15."""
    message_id: int | None = None
    """The number of the exchange in its store, which gives it one where it is `None`; from 1 up."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Any JSON object. It is kept as given, and what it holds is checked when it is saved."""
    parent_id: int | None = None
    """The `message_id` of the exchange that this one follows, where a conversation branches."""

    def __post_init__(self) -> None:
        """See that the fields can be saved."""
        self.check()

    def check(self) -> None:
        """See that the fields can be saved, and put them in the form in which they are read back.

        That is: the timestamp in UTC, the response time a `float`. Stores call this before they save, since
        fields may have been set after the exchange was built; what `metadata` holds they check on their own.

        Raises:
            InvalidValueError: a field has a value that cannot be saved; the error names it.

        """
        # Each condition is true of nearly every exchange: the functions behind are for the others.
        value: Any = self.conversation_id
        if not (type(value) is str and value.isascii() and 0 < len(value) <= MAX_ID_LENGTH):
            self.conversation_id = check_conversation_id("conversation_id", value)
        value = self.user_input
        if not (type(value) is str and value.isascii()):
            self.user_input = check_text("user_input", value)
        value = self.agent_response
        if not (type(value) is str and value.isascii()):
            self.agent_response = check_text("agent_response", value)
        value = self.timestamp
        if not (type(value) is datetime and value.tzinfo is UTC):
            self.timestamp = to_utc(value, "timestamp")
        value = self.response_time_ms
        if not (type(value) is float and 0.0 < value <= MAX_MILLISECONDS):
            self.response_time_ms = check_milliseconds("response_time_ms", value)
        if self.message_id is not None:
            self.message_id = check_message_id("message_id", self.message_id)
        if self.parent_id is not None:
            self.parent_id = check_message_id("parent_id", self.parent_id)
        if not isinstance(self.metadata, dict):
            raise _wrong("metadata", "a dict", self.metadata)


@dataclass(slots=True, eq=True)
class SearchResult(ConversationMessage):
    """An exchange that a search found."""

    score: float = 0.0
    """How well it fits: the more, the better. Only scores of one search can be compared."""
    snippet: str = ""
    """The part of the exchange that fits best."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """What a list of conversations shows of one."""

    conversation_id: str
    """The conversation."""
    message_count: int
    """How many exchanges it has."""
    started_at: datetime
    """The timestamp of its first exchange, in UTC."""
    last_message_at: datetime
    """The timestamp of its last exchange, in UTC."""
    first_user_input: str
    """What the user said first, which serves as a title."""
    last_message_id: int
    """The `message_id` of its last exchange."""

    @property
    def cursor(self) -> str:
        """Where the conversation stands in the list: `list_conversations(after=...)` goes on behind it."""
        return f"{to_microseconds(self.last_message_at)}.{self.last_message_id}"


def build_message(
    kind: type[_Message],
    conversation_id: str,
    user_input: str,
    agent_response: str,
    timestamp: datetime,
    response_time_ms: float,
    message_id: int | None,
    metadata: dict[str, Any],
    parent_id: int | None,
) -> _Message:
    """Build an exchange from a row that was checked when it was saved, without checking it again.

    Args:
        kind: the class to build; what it has beyond the fields of `ConversationMessage` is left unset.
        conversation_id: the fields, in order, from here on.
        user_input: see `ConversationMessage`.
        agent_response: see `ConversationMessage`.
        timestamp: in UTC.
        response_time_ms: a `float`.
        message_id: see `ConversationMessage`.
        metadata: a dict that belongs to this exchange alone.
        parent_id: see `ConversationMessage`.

    """
    message = _new(kind)
    message.conversation_id = conversation_id
    message.user_input = user_input
    message.agent_response = agent_response
    message.timestamp = timestamp
    message.response_time_ms = response_time_ms
    message.message_id = message_id
    message.metadata = metadata
    message.parent_id = parent_id
    return message


def build_search_result(
    conversation_id: str,
    user_input: str,
    agent_response: str,
    timestamp: datetime,
    response_time_ms: float,
    message_id: int | None,
    metadata: dict[str, Any],
    parent_id: int | None,
    score: float,
    snippet: str,
) -> SearchResult:
    """Build a search result from a row, without checking it; see `build_message`."""
    result = build_message(
        SearchResult,
        conversation_id,
        user_input,
        agent_response,
        timestamp,
        response_time_ms,
        message_id,
        metadata,
        parent_id,
    )
    result.score = score
    result.snippet = snippet
    return result


def check_conversation_id(name: str, value: Any) -> str:
    """Return `value`, which was given as `name`, if it can identify a conversation.

    Raises:
        InvalidValueError: it cannot.

    """
    text = check_text(name, value)
    if not 0 < len(text) <= MAX_ID_LENGTH:
        raise InvalidValueError(f"{name} must have 1 to {MAX_ID_LENGTH:,} characters, not {len(text):,}")
    return text


def check_text(name: str, value: Any) -> str:
    """Return `value`, which was given as `name`, if it is text that UTF-8 can hold.

    Raises:
        InvalidValueError: it is not.

    """
    if not isinstance(value, str):
        raise _wrong(name, "a str", value)
    text = str.__str__(value)  # plain, where it is an instance of a subclass
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            message = (
                f"{name} must not hold lone surrogates, but this str has {text[error.start]!r} at "
                f"{error.start}: decode the bytes it came from with errors='replace'"
            )
            raise InvalidValueError(message) from error
    return text


def check_milliseconds(name: str, value: Any) -> float:
    """Return `value`, which was given as `name`, if it is a duration in milliseconds.

    Raises:
        InvalidValueError: it is not; `True` and `False` are none.

    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number of milliseconds", value)
    try:
        milliseconds = float(value)
    except OverflowError:
        milliseconds = math.inf
    if not 0.0 <= milliseconds <= MAX_MILLISECONDS:
        kind = type(value).__name__
        message = f"{name} must be from 0 to {MAX_MILLISECONDS:g}, not the {kind} {milliseconds}"
        raise InvalidValueError(message)
    return milliseconds + 0.0  # which makes of -0.0 what it equals


def check_message_id(name: str, value: Any) -> int:
    """Return `value`, which was given as `name`, if it can be the number of an exchange.

    Raises:
        InvalidValueError: it cannot.

    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number, or None", value)
    if not 1 <= value <= MAX_MESSAGE_ID:
        shown = value if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"
        raise InvalidValueError(
            f"{name} must be a whole number from 1 to {MAX_MESSAGE_ID}, not the int {shown}"
        )
    return int(value)


def _wrong(name: str, expected: str, value: Any) -> InvalidValueError:
    return InvalidValueError(f"{name} must be {expected}, not an object of type {type(value).__name__}")
