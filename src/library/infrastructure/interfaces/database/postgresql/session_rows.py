"""From sessions to rows, and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import loads
from library.infrastructure.data.session_record import End, SessionRecord, is_flat
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds
from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    "session_key, session_id, user_id, created_at, last_activity, alive_at, metadata, is_active, ended_at, "
    "end_reason, version, indexed_alive_at < alive_at AS is_outdated"
)
_EPOCH: Final = from_microseconds(0)
Columns = list[list[Any]]
"""Rows turned on their side: PostgreSQL takes many as one array a column."""


@cache
def session_statements(schema: str, table: str) -> dict[str, str]:
    """Return the statements on a table of sessions by name; `schema` and `table` were checked."""
    named = read_named("sessions.sql").items()
    return {name: for_table(text.replace("{columns}", COLUMNS), schema, table) for name, text in named}


@lru_cache(maxsize=4096)
def user_key(user_id: str) -> int:
    """Give the number by which the sessions of a user are found: 64 bits of a BLAKE2b digest, signed."""
    digest = blake2b(user_id.encode(), digest_size=8, person=b"nanobrain-user").digest()
    return int.from_bytes(digest, "big", signed=True)


def lock_key(*names: str) -> int:
    """Give the number of an advisory lock; those of a database are shared by all who use it."""
    digest = blake2b("\0".join(names).encode(), digest_size=8, person=b"nanobrain-lock").digest()
    return int.from_bytes(digest, "big", signed=True)


def to_session_row(record: SessionRecord) -> tuple[Any, ...]:
    """Write a session as a row, in the order of the statement that inserts."""
    created_at = to_microseconds(record.created_at)
    is_new = record.created_at is record.last_activity is record.alive_at
    alive_at = created_at if is_new else to_microseconds(record.alive_at)
    return (
        record.key,
        user_key(record.user_id),
        created_at,
        created_at if is_new else to_microseconds(record.last_activity),
        alive_at,
        alive_at,
        None if record.end is None else to_microseconds(record.end.at),
        record.version,
        record.end is None,
        escape(record.session_id),
        escape(record.user_id),
        None if record.end is None else record.end.reason,
        metadata_text(record),
    )


def to_changed_row(record: SessionRecord, alive_at: datetime) -> tuple[Any, ...]:
    """Write what may change of a session, in the order of the statement that changes."""
    return (
        record.key,
        user_key(record.user_id),
        escape(record.user_id),
        to_microseconds(record.last_activity),
        to_microseconds(alive_at),
        None if record.end is None else to_microseconds(record.end.at),
        record.version,
        record.end is None,
        None if record.end is None else record.end.reason,
        metadata_text(record),
    )


def columns_of(rows: Sequence[Sequence[Any]]) -> Columns:
    """Turn rows, of which there is at least one, on their side."""
    return [list(column) for column in zip(*rows, strict=True)]


def metadata_text(record: SessionRecord) -> str:
    """Write the metadata of a session, which were checked, as JSON; that has no NUL in it as such."""
    try:
        return orjson.dumps(record.metadata).decode()
    except TypeError:  # integers beyond 64 bits
        return encode(record.metadata, "metadata").decode()


def to_record(row: Sequence[Any]) -> SessionRecord:
    """Build the session of a row that was selected by `COLUMNS`.

    Raises:
        ValueError: the row is damaged.

    """
    _, session_id, user_id, created_at, last_activity, alive_at, document, is_active, *end, version, _ = row
    metadata = loads(document.encode())
    if type(metadata) is not dict:
        message = f"the metadata of a session are no JSON object: {document[:80]!r}"
        raise ValueError(message)
    active_at = _moment(last_activity)
    return SessionRecord(
        unescape(session_id),
        unescape(user_id),
        _moment(created_at),
        active_at,
        active_at if alive_at == last_activity else _moment(alive_at),
        metadata,
        is_flat(metadata),
        version,
        None if is_active else End(end[1], _moment(end[0])),
    )


def _moment(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(0, 0, microseconds)
    except (OverflowError, TypeError) as error:
        message = f"{microseconds} microseconds since 1970 are no time of a session"
        raise ValueError(message) from error


class Readable(NamedTuple):
    """What rows hold."""

    records: list[SessionRecord]
    damaged: list[int]
    """The keys of those that cannot be read."""


def readable(rows: Sequence[Sequence[Any]]) -> Readable:
    """Build the sessions of rows."""
    found = Readable([], [])
    for row in rows:
        try:
            found.records.append(to_record(row))
        except ValueError:
            found.damaged.append(row[0])
    return found
