"""A session as stores keep it, and how changes make a new one of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from library.infrastructure.data.errors import (
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionNotFoundError,
)
from library.infrastructure.data.isolation import IMMUTABLE, isolate
from library.infrastructure.data.session_data import SessionData, session_key

if TYPE_CHECKING:
    from datetime import timedelta

EndReason = Literal["ended", "expired", "evicted"]

_new: Final = object.__new__

LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
"""When a session was last alive that was once found to have expired: by no clock is it alive again."""


@dataclass(slots=True, eq=False)
class Moment:
    """A time, and what has expired by then."""

    now: datetime
    """In UTC."""
    cutoff: datetime
    """Sessions that were last alive then, or before, have expired."""

    @property
    def timeout(self) -> timedelta:
        """How long sessions live without activity."""
        return self.now - self.cutoff


class End(NamedTuple):
    """How a session ended."""

    reason: EndReason
    at: datetime


@dataclass(slots=True, eq=False)
class SessionRecord:
    """A session as it is kept; nobody changes one, changes make a new one."""

    session_id: str
    user_id: str
    created_at: datetime
    last_activity: datetime
    alive_at: datetime
    """From when the timeout counts: the `last_activity`, or a little later while activity is held in memory
    that may not have been written; `LONG_AGO` once the session was found to have expired."""
    metadata: dict[str, Any]
    """JSON; shared, so nobody changes it."""
    is_flat: bool
    """Whether `metadata` holds nothing that can be changed."""
    version: int = 1
    """Counts the changes, those of `last_activity` by `touch` left out."""
    end: End | None = None
    """`None` while it was neither ended nor cleaned up; it may have expired all the same."""

    @property
    def key(self) -> int:
        """The number by which stores look the session up."""
        return session_key(self.session_id)

    @property
    def is_active(self) -> bool:
        """Whether it was neither ended nor cleaned up."""
        return self.end is None

    def is_alive(self, cutoff: datetime) -> bool:
        """Tell whether the session can be used."""
        return self.end is None and self.alive_at > cutoff

    def to_data(self, *, is_active: bool = True) -> SessionData:
        """Return what users get to see, with nothing in it that belongs to the store."""
        session: SessionData = _new(SessionData)  # which skips the checks: all was checked when it was saved
        session.session_id = self.session_id
        session.user_id = self.user_id
        session.created_at = self.created_at
        session.last_activity = self.last_activity
        session.metadata = self.metadata.copy() if self.is_flat else isolate(self.metadata)
        session.is_active = is_active
        return session

    def ended(self, reason: EndReason, at: datetime) -> SessionRecord:
        """Return the session as it is once it has ended."""
        return replace(self, version=self.version + 1, end=End(reason, at))

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
            self.version,
            self.end,
        )


def is_flat(metadata: dict[str, Any]) -> bool:
    """Tell whether a dict holds nothing that can be changed, so that a shallow copy isolates it."""
    return IMMUTABLE.issuperset(map(type, metadata.values()))


def refusal(session_id: str, record: SessionRecord | None, moment: Moment) -> SessionError:
    """Say why a session cannot be used that is not alive."""
    if record is None:
        message = "no session has this id: it never was, or it was deleted; create one"
        return SessionNotFoundError(message, session_id=session_id)
    end = record.end
    if end is None or end.reason == "expired":
        try:
            expired_at = record.last_activity + moment.timeout
        except OverflowError:
            expired_at = datetime.max.replace(tzinfo=UTC)
        message = (
            f"the session of {record.user_id!r} expired at {expired_at:%Y-%m-%d %H:%M:%S} UTC, since it was "
            f"last active at {record.last_activity:%Y-%m-%d %H:%M:%S}: create a new one"
        )
        return SessionExpiredError(message, session_id=session_id, expired_at=expired_at)
    why = "was ended" if end.reason == "ended" else "was ended to make room for a newer one"
    message = f"the session of {record.user_id!r} {why} at {end.at:%Y-%m-%d %H:%M:%S} UTC: create a new one"
    return SessionEndedError(message, session_id=session_id, ended_at=end.at)
