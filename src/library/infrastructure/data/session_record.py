"""A session as stores keep it, and how changes make a new one of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from library.infrastructure.data.errors import (
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionNotFoundError,
)
from library.infrastructure.data.isolation import IMMUTABLE, isolate
from library.infrastructure.data.session_data import SessionData, build_session, session_key

if TYPE_CHECKING:
    from datetime import timedelta

EndReason = Literal["ended", "expired", "evicted"]

LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
"""When a session was last alive that was once found to have expired: by no clock is it alive again."""


class Moment(NamedTuple):
    """A time, and what has expired by then."""

    now: datetime
    """In UTC."""
    cutoff: datetime
    """Sessions that were last alive then, or before, have expired."""

    @property
    def timeout(self) -> timedelta:
        """How long sessions live without activity."""
        return self.now - self.cutoff


@dataclass(slots=True, eq=False)
class SessionRecord:
    """A session as it is kept; nobody changes one, changes make a new one."""

    session_id: str
    user_id: str
    created_at: datetime
    last_activity: datetime
    alive_at: datetime
    """From when the timeout counts: the `last_activity`, or a little later while activity is held in memory
    that may not have been written."""
    metadata: dict[str, Any]
    """JSON; shared, so nobody changes it."""
    is_flat: bool
    """Whether `metadata` holds nothing that can be changed."""
    is_active: bool = True
    """Whether it was neither ended nor cleaned up; it may have expired all the same."""
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    version: int = 1
    """Counts the changes, those of `last_activity` by `touch` left out."""

    @property
    def key(self) -> int:
        """The number by which stores look the session up."""
        return session_key(self.session_id)

    def is_alive(self, cutoff: datetime) -> bool:
        """Tell whether the session can be used."""
        return self.is_active and self.alive_at > cutoff

    def to_data(self, *, is_active: bool = True) -> SessionData:
        """Return what users get to see, with nothing in it that belongs to the store."""
        metadata = self.metadata.copy() if self.is_flat else isolate(self.metadata)
        return build_session(
            self.session_id, self.user_id, self.created_at, self.last_activity, metadata, is_active
        )

    def ended(self, reason: EndReason, at: datetime) -> SessionRecord:
        """Return the session as it is once it has ended."""
        return SessionRecord(
            self.session_id,
            self.user_id,
            self.created_at,
            self.last_activity,
            self.alive_at,
            self.metadata,
            self.is_flat,
            is_active=False,
            ended_at=at,
            end_reason=reason,
            version=self.version + 1,
        )

    def alive_since(self, last_activity: datetime, alive_at: datetime) -> SessionRecord:
        """Return the session with other times of activity."""
        return SessionRecord(
            self.session_id,
            self.user_id,
            self.created_at,
            last_activity,
            alive_at,
            self.metadata,
            self.is_flat,
            self.is_active,
            self.ended_at,
            self.end_reason,
            self.version,
        )


def is_flat(metadata: dict[str, Any]) -> bool:
    """Tell whether a dict holds nothing that can be changed, so that a shallow copy isolates it."""
    return IMMUTABLE.issuperset(map(type, metadata.values()))


def refusal(session_id: str, record: SessionRecord | None, moment: Moment) -> SessionError | None:
    """Say why a session cannot be used; `None` if it can."""
    if record is None:
        message = "no session has this id: it never was, or it was deleted; create one"
        return SessionNotFoundError(message, session_id=session_id)
    if record.is_alive(moment.cutoff):
        return None
    if record.is_active or record.end_reason == "expired":
        expired_at = record.last_activity + moment.timeout
        message = (
            f"the session of {record.user_id!r} expired at {expired_at:%Y-%m-%d %H:%M:%S} UTC, since it was "
            f"last active at {record.last_activity:%Y-%m-%d %H:%M:%S}: create a new one"
        )
        return SessionExpiredError(message, session_id=session_id, expired_at=expired_at)
    why = "was ended" if record.end_reason == "ended" else "had to make room for a newer one and was ended"
    ended_at = f"{record.ended_at:%Y-%m-%d %H:%M:%S} UTC"
    message = f"the session of {record.user_id!r} {why} at {ended_at}: create a new one"
    return SessionEndedError(message, session_id=session_id, ended_at=record.ended_at)
