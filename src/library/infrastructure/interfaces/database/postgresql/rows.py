"""From exchanges to rows, and back."""

from __future__ import annotations

from functools import cache
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
from library.infrastructure.interfaces.database.postgresql.moments import as_saved
from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.search_vector import search_vector
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from library.infrastructure.data.formats.record_kind import Row as Exchange

COLUMNS: Final = (
    'message_id, conversation_id, "timestamp", user_input, agent_response, response_time_ms, parent_id, '
    "metadata"
)
_NO_METADATA: Final = "{}"


@cache
def statements(schema: str, table: str) -> dict[str, str]:
    """Return the statements on a table of exchanges by name; the names of schema and table were checked."""
    named = read_named("conversations.sql").items()
    return {
        name: for_table(statement.replace("{columns}", COLUMNS), schema, table) for name, statement in named
    }


class Row(NamedTuple):
    """A row as it stands in the table, but for what it is found by, which is made when it is stored."""

    message_id: int | None
    """`None`: to be given the next one."""
    conversation_id: str
    timestamp: datetime
    user_input: str
    agent_response: str
    response_time_ms: float
    parent_id: int | None
    metadata: str
    conversation_key: int
    """By which the conversation is indexed."""
    session_key: int | None
    """By which the session that the metadata name is indexed, if they name one."""

    def search(self) -> str:
        """Write by what the exchange is found."""
        return search_vector(
            unescape(self.user_input), unescape(self.agent_response), unescape(self.conversation_id)
        )


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
        escape(message.conversation_id),
        message.timestamp,
        escape(message.user_input),
        escape(message.agent_response),
        message.response_time_ms,
        message.parent_id,
        document,
        conversation_key(message.conversation_id),
        _session_key_of(metadata["session_id"], document) if "session_id" in metadata else None,
    )


def _session_key_of(session_id: Any, document: str) -> int | None:
    """Spare plain text the look into the document, which tells what became of the members of enumerations."""
    return session_key(session_id) if type(session_id) is str else session_key_of(document)


def from_exchange(exchange: Exchange) -> Row:
    """Write what an import gives, which was checked, as a row."""
    message_id, conversation_id, moment, user_input, agent_response, response_time_ms, parent_id, metadata = (
        exchange
    )
    return Row(
        message_id,
        escape(conversation_id),
        from_microseconds(moment),
        escape(user_input),
        escape(agent_response),
        response_time_ms,
        parent_id,
        metadata,
        conversation_key(conversation_id),
        session_key_of(metadata),
    )


def to_exchange(row: Sequence[Any]) -> Exchange:
    """Write a row as exports give it: metadata on one line; a line break in JSON is never part of a text."""
    return (
        row[0],
        unescape(row[1]),
        to_microseconds(as_saved(row[2])),
        unescape(row[3]),
        unescape(row[4]),
        row[5],
        row[6],
        row[7].replace("\n", ""),
    )


def to_messages(rows: Iterable[Sequence[Any]]) -> list[ConversationMessage]:
    """Build the exchanges of rows."""
    return [
        build_message(
            ConversationMessage,
            unescape(conversation_id),
            unescape(user_input),
            unescape(agent_response),
            as_saved(timestamp),
            response_time_ms,
            message_id,
            {} if metadata == _NO_METADATA else decode(metadata.encode()),
            parent_id,
        )
        for (
            message_id,
            conversation_id,
            timestamp,
            user_input,
            agent_response,
            response_time_ms,
            parent_id,
            metadata,
        ) in rows
    ]


def to_message(row: Sequence[Any]) -> ConversationMessage:
    """Build the exchange of a row."""
    return to_messages((row,))[0]


def to_result(row: Sequence[Any], score: float, snippet: str) -> SearchResult:
    """Build the search result of a row."""
    return build_search_result(
        unescape(row[1]),
        unescape(row[3]),
        unescape(row[4]),
        as_saved(row[2]),
        row[5],
        row[0],
        {} if row[7] == _NO_METADATA else decode(row[7].encode()),
        row[6],
        score,
        snippet,
    )
