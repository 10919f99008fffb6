"""From sessions to rows, and back."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import loads
from library.infrastructure.data.session_record import End, SessionRecord, is_flat
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds
from library.infrastructure.interfaces.database.sqlite.named_sql import for_table, read_named

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    "session_id, user_id, created_at, last_activity, alive_at, metadata, is_active, ended_at, end_reason, "
    "version"
)
_EPOCH: Final = from_microseconds(0)


@cache
def session_statements(table: str) -> dict[str, str]:
    """Return the statements on a table of sessions by name; `table` was checked."""
    named = read_named("sessions.sql").items()
    return {name: for_table(statement.replace("{columns}", COLUMNS), table) for name, statement in named}


@lru_cache(maxsize=4096)
def user_key(user_id: str) -> int:
    """Give the number by which the sessions of a user are found: 64 bits of a BLAKE2b digest, signed."""
    digest = blake2b(user_id.encode(), digest_size=8, person=b"nanobrain-user").digest()
    return int.from_bytes(digest, "big", signed=True)


def to_session_row(record: SessionRecord) -> tuple[Any, ...]:
    """Write a session as a row, in the order of the statement that inserts."""
    created_at = to_microseconds(record.created_at)
    is_new = record.created_at is record.last_activity is record.alive_at
    return (
        record.key,
        record.session_id,
        record.user_id,
        user_key(record.user_id),
        created_at,
        created_at if is_new else to_microseconds(record.last_activity),
        created_at if is_new else to_microseconds(record.alive_at),
        int(record.end is None),
        None if record.end is None else to_microseconds(record.end.at),
        None if record.end is None else record.end.reason,
        record.version,
        metadata_text(record),
    )


def metadata_text(record: SessionRecord) -> str:
    """Write the metadata of a session, which were checked, as JSON."""
    try:
        return orjson.dumps(record.metadata).decode()
    except TypeError:  # integers beyond 64 bits
        return encode(record.metadata, "metadata").decode()


def to_record(row: Sequence[Any]) -> SessionRecord:
    """Build the session of a row that was selected by `COLUMNS`."""
    session_id, user_id, created_at, last_activity, alive_at, text, is_active, ended_at, reason, version = row
    metadata = loads(text.encode())
    active_at = _EPOCH + timedelta(0, 0, last_activity)
    return SessionRecord(
        session_id,
        user_id,
        _EPOCH + timedelta(0, 0, created_at),
        active_at,
        active_at if alive_at == last_activity else _EPOCH + timedelta(0, 0, alive_at),
        metadata,
        is_flat(metadata),
        version,
        None if is_active else End(reason, _EPOCH + timedelta(0, 0, ended_at)),
    )
