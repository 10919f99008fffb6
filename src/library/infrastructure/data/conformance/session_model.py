"""What sessions do, as plainly as it can be put: a dict, and a list comprehension for each question."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import SessionData, SessionError
from library.infrastructure.data.conformance.session_foundation import (
    EXPIRED,
    NOON,
    NOT_FOUND,
)

if TYPE_CHECKING:
    from library.infrastructure.data import SessionConfig

TIMEOUT = timedelta(seconds=100)
USERS = ["alice", "bob"]


@dataclass
class Kept:
    """A session, as the model has it."""

    user: str
    created: datetime
    last: datetime
    metadata: dict[str, Any]
    is_marked: bool = False
    """Whether somebody was told that it has expired."""
    ended: type[SessionError] | None = None
    ended_at: datetime = NOON


@dataclass
class Model:
    """The rules."""

    config: SessionConfig
    kept: dict[str, Kept] = field(default_factory=dict)

    def has_expired(self, each: Kept, now: datetime) -> bool:
        """Tell whether a session that was not ended has expired."""
        return each.is_marked or each.last + TIMEOUT <= now

    def alive(self, now: datetime, user: str | None = None) -> list[str]:
        """Find those that can be used, the longest idle first."""
        found = [
            session_id
            for session_id, each in self.kept.items()
            if each.ended is None and not self.has_expired(each, now) and user in (None, each.user)
        ]
        return sorted(found, key=lambda session_id: self.kept[session_id].last)

    def refusal(self, session_id: str, now: datetime) -> type[SessionError] | None:
        """Say why a session cannot be used; who is told that it has expired has it marked."""
        each = self.kept.get(session_id)
        if each is None:
            return NOT_FOUND
        if each.ended is None and self.has_expired(each, now):
            each.is_marked = True
            return EXPIRED
        return each.ended

    def dismiss(self, ids: list[str], why: type[SessionError], now: datetime) -> None:
        """Delete sessions, or make them inactive."""
        for session_id in ids:
            if self.config.cleanup_policy == "delete":
                del self.kept[session_id]
            else:
                self.kept[session_id].ended, self.kept[session_id].ended_at = why, now

    def evicted(self, user: str, newcomers: int, now: datetime) -> list[str]:
        """Find who has to make room for one more session of a user, or of the store, too."""
        found: list[str] = []
        if self.config.max_sessions_per_user is not None:
            mine = self.alive(now, user)
            found = mine[: max(0, len(mine) + 1 - self.config.max_sessions_per_user)]
        if self.config.max_sessions is not None:
            others = [each for each in self.alive(now) if each not in found]
            found += others[: max(0, len(others) + newcomers - self.config.max_sessions)]
        return found

    def clean_up(self, now: datetime) -> list[str]:
        """Clean up."""
        expired = [
            session_id
            for session_id, each in self.kept.items()
            if each.ended is None and self.has_expired(each, now)
        ]
        self.dismiss(expired, EXPIRED, now)
        if self.config.kept_for is not None:
            for session_id, each in list(self.kept.items()):
                if each.ended is not None and each.ended_at <= now - self.config.kept_for:
                    del self.kept[session_id]
        return expired

    def listed(self, user: str | None, active: bool | None, now: datetime) -> list[SessionData]:  # noqa: FBT001 - as asked
        """List."""
        found = []
        for session_id, each in sorted(self.kept.items(), key=lambda item: item[1].created, reverse=True):
            is_expired = each.ended is None and self.has_expired(each, now)
            is_alive = each.ended is None and not is_expired
            is_shown = not is_expired or self.config.cleanup_policy == "deactivate"
            if is_shown and user in (None, each.user) and active in (None, is_alive):
                found.append(self.data(session_id, is_active=is_alive))
        return found

    def data(self, session_id: str, *, is_active: bool = True) -> SessionData:
        """Tell what is known of a session."""
        each = self.kept[session_id]
        return SessionData(session_id, each.user, each.created, each.last, dict(each.metadata), is_active)
