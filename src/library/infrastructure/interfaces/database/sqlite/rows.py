"""From exchanges to rows, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.conversation_message import (
    ConversationMessage,
    SearchResult,
    build_message,
    build_search_result,
)
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import decode
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds
from library.infrastructure.interfaces.database.keys import conversation_key, session_key, session_key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

__all__ = (
    "COLUMNS",
    "Row",
    "conversation_key",
    "insert_rows",
    "session_key",
    "session_key_of",
    "to_message",
    "to_messages",
    "to_result",
    "to_row",
)

COLUMNS: Final = (
    "id, conversation_id, timestamp, user_input, agent_response, response_time_ms, parent_id, metadata"
)
_NO_METADATA: Final = "{}"
_EPOCH: Final = from_microseconds(0)
_ROWS_A_STATEMENT: Final = (128, 16, 1)
"""Few sizes, so that the statements stay prepared; many rows in one take the interpreter's lock once."""


class Row(NamedTuple):
    """A row as it stands in the table."""

    id: int | None
    """`None`: to be given the next one."""
    conversation_id: str
    timestamp: int
    user_input: str
    agent_response: str
    response_time_ms: float
    parent_id: int | None
    metadata: str
    conversation_key: int
    """By which the conversation is indexed."""
    session_key: int | None
    """By which the session that the metadata name is indexed, if they name one."""


def to_row(message: ConversationMessage) -> Row:
    """Check an exchange, and write it as a row.

    Raises:
        InvalidValueError: it cannot be held.

    """
    message.check()
    metadata = message.metadata
    document = encode(metadata, "metadata").decode() if metadata else _NO_METADATA
    return Row(
        message.message_id,
        message.conversation_id,
        to_microseconds(message.timestamp),
        message.user_input,
        message.agent_response,
        message.response_time_ms,
        message.parent_id,
        document,
        conversation_key(message.conversation_id),
        _session_key_of(metadata["session_id"], document) if "session_id" in metadata else None,
    )


def _session_key_of(session_id: Any, document: str) -> int | None:
    """Spare plain text the look into the document, which tells what became of the members of enumerations."""
    return session_key(session_id) if type(session_id) is str else session_key_of(document)


def to_messages(rows: Iterable[tuple[Any, ...]]) -> list[ConversationMessage]:
    """Build the exchanges of rows."""
    return [
        build_message(
            ConversationMessage,
            row[1],
            row[3],
            row[4],
            _EPOCH + timedelta(0, 0, row[2]),
            row[5],
            row[0],
            {} if row[7] == _NO_METADATA else decode(row[7].encode()),
            row[6],
        )
        for row in rows
    ]


def to_message(row: tuple[Any, ...]) -> ConversationMessage:
    """Build the exchange of a row."""
    return to_messages((row,))[0]


def to_result(row: tuple[Any, ...], score: float, snippet: str) -> SearchResult:
    """Build the search result of a row."""
    (
        message_id,
        conversation_id,
        timestamp,
        user_input,
        agent_response,
        response_time_ms,
        parent_id,
        metadata,
    ) = row
    return build_search_result(
        conversation_id,
        user_input,
        agent_response,
        from_microseconds(timestamp),
        response_time_ms,
        message_id,
        {} if metadata == _NO_METADATA else decode(metadata.encode()),
        parent_id,
        score,
        snippet,
    )


def insert_rows(connection: apsw.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, many with one statement.

    Args:
        connection: the one that writes.
        into: the statement up to `VALUES`.
        rows: all of the same length.

    """
    start = 0
    width = len(rows[0]) if rows else 0
    for size in _ROWS_A_STATEMENT:
        statement = f"{into} VALUES {','.join([_placeholders(width)] * size)}"
        while len(rows) - start >= size:
            values = [value for row in rows[start : start + size] for value in row]
            connection.execute(statement, values)
            start += size


def _placeholders(width: int) -> str:
    return f"({','.join('?' * width)})"
