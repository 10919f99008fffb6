"""The least code that saves an exchange with asyncpg: into a table like ours, with its indexes.

What the columns take is ready beforehand: the key of the conversation, and the text of the `tsvector`.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.database.keys import conversation_key
from library.infrastructure.interfaces.database.postgresql.rows import to_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.history_texts import Exchange

COLUMNS = (
    "conversation_id",
    "timestamp",
    "user_input",
    "agent_response",
    "response_time_ms",
    "parent_id",
    "metadata",
    "conversation_key",
    "session_key",
    "search",
)
_NAMES = ", ".join(COLUMNS)
_TYPES = ("text", "timestamptz", "text", "text", "float8", "bigint", "text", "bigint", "bigint", "text")
INSERT = (
    f"INSERT INTO conversations ({_NAMES}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::tsvector)"
    " RETURNING message_id"
)
UNNEST = (
    f"INSERT INTO conversations ({_NAMES}) SELECT {_NAMES}::tsvector FROM unnest("
    + ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_TYPES, 1))
    + f") AS new ({_NAMES}) RETURNING message_id"
)
LATEST = (
    "SELECT message_id, conversation_id, timestamp, user_input, agent_response, response_time_ms, parent_id,"
    " metadata FROM conversations WHERE conversation_key = $1 ORDER BY timestamp DESC, message_id DESC"
    " LIMIT $2"
)
RANKED = (
    "SELECT message_id, conversation_id, timestamp, user_input, agent_response FROM conversations"
    " WHERE {indexed} @@ $1::text::tsquery ORDER BY ts_rank(search, $1::text::tsquery) DESC LIMIT $2"
)

Raw = tuple[Any, ...]
"""A row in the order of `COLUMNS`."""


def to_raw(exchange: Exchange) -> Raw:
    row = to_row(exchange.message())
    return (*row[1:], row.search())


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    text = str(value)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text


def lines(rows: Iterable[Raw]) -> bytes:
    """Write rows as COPY takes them as text; its binary form takes vectors as the server has them."""
    return "".join(["\t".join(map(_field, row)) + "\n" for row in rows]).encode()


async def copy(connection: Any, table: str, data: bytes) -> None:
    await connection.copy_to_table(table, source=BytesIO(data), columns=COLUMNS)


async def save_by_copy(connection: Any, rows: Sequence[Raw]) -> None:
    await copy(connection, "conversations", lines(rows))


async def save_by_executemany(connection: Any, rows: Sequence[Raw]) -> None:
    await connection.executemany(INSERT, rows)


async def save_by_unnest(connection: Any, rows: Sequence[Raw]) -> None:
    await connection.fetch(UNNEST, *map(list, zip(*rows, strict=True)))


async def latest(connection: Any, conversation_id: str, limit: int) -> list[Any]:
    """Return the latest exchanges of a conversation as records, the oldest first."""
    rows: list[Any] = await connection.fetch(LATEST, conversation_key(conversation_id), limit)
    rows.reverse()
    return rows
