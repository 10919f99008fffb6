"""From sessions, as stores keep them, to the rows of an export, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import loads
from library.infrastructure.data.session_record import End, SessionRecord, is_flat
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds

if TYPE_CHECKING:
    from library.infrastructure.data.formats.record_kind import Row


def to_session_row(record: SessionRecord) -> Row:
    """Write a session as a row of `SESSIONS`."""
    end = record.end
    return (
        record.session_id,
        record.user_id,
        to_microseconds(record.created_at),
        to_microseconds(record.last_activity),
        end is None,
        None if end is None else to_microseconds(end.at),
        None if end is None else end.reason,
        encode(record.metadata, "metadata").decode(),
    )


def to_session_record(row: Row) -> SessionRecord:
    """Build the session of a row of `SESSIONS`, which was checked."""
    session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, document = row
    metadata: dict[str, Any] = loads(document.encode())
    active_at = from_microseconds(last_activity)
    return SessionRecord(
        session_id,
        user_id,
        from_microseconds(created_at),
        active_at,
        active_at,
        metadata,
        is_flat(metadata),
        end=None if is_active else End(end_reason, from_microseconds(ended_at)),
    )
