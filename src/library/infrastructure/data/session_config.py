"""`SessionConfig`: how long sessions live, how many there may be, and what becomes of those that end."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_LONGEST: Final = timedelta(days=36_525)
_DEFAULT_TOUCH_INTERVAL: Final = timedelta(minutes=1)


class SessionConfig(BaseModel):
    """The options of sessions: frozen, unknown options refused, contradictions refused by name.

    All managers of one table should have the same: each judges by its own.

    Raises:
        pydantic.ValidationError: an option is unknown, has the wrong type or range, or contradicts another.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=False)

    session_timeout: timedelta = timedelta(hours=24)
    """How long a session lives without activity: it is gone at `last_activity + session_timeout`; up to 100
    years."""
    cleanup_interval: timedelta | None = timedelta(minutes=5)
    """How often expired sessions are cleaned up in the background; `None`: only when asked for."""
    max_sessions: int | None = Field(default=None, ge=1, le=1 << 53)
    """The most sessions that are active at one time; `None`: no limit."""
    max_sessions_per_user: int | None = Field(default=None, ge=1, le=1 << 53)
    """The most active sessions of one user; `None`: no limit."""
    limit_policy: Literal["evict_oldest", "refuse"] = "evict_oldest"
    """When a limit is reached: `evict_oldest` ends the session that was idle for longest, `refuse` raises
    `SessionLimitError`."""
    cleanup_policy: Literal["delete", "deactivate"] = "delete"
    """What cleaning up does to expired sessions, and `evict_oldest` to evicted ones: `delete`, or
    `deactivate`, which keeps them with `is_active=False`."""
    retention: timedelta | None = None
    """How long sessions are kept after they were ended or deactivated; `None`: for one `session_timeout` with
    `cleanup_policy="delete"`, for ever with `"deactivate"`."""
    touch_interval: timedelta | None = None
    """How long activity may be held in memory before it is written; `None`: one minute, or a tenth of the
    `session_timeout` if that is less. A crash loses at most so much of it."""

    @field_validator("session_timeout", "cleanup_interval", "retention", "touch_interval")
    @classmethod
    def _is_duration(cls, value: timedelta | None) -> timedelta | None:
        """Refuse durations that are negative, or beyond what dates can be reckoned with."""
        if value is not None and not timedelta(0) <= value <= _LONGEST:
            message = f"must be from nothing to {_LONGEST.days} days, not {value}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _options_fit(self) -> SessionConfig:
        """Refuse what makes no sense together."""
        if self.session_timeout == timedelta(0):
            message = "session_timeout is zero: every session would have expired when it is created"
            raise ValueError(message)
        if self.cleanup_interval == timedelta(0):
            message = "cleanup_interval is zero: take None to clean up only when asked for"
            raise ValueError(message)
        if self.touch_interval is not None and self.touch_interval > self.session_timeout:
            message = (
                f"touch_interval ({self.touch_interval}) is longer than session_timeout "
                f"({self.session_timeout}): sessions in use would expire"
            )
            raise ValueError(message)
        if (self.max_sessions_per_user or 0) > (self.max_sessions or 1 << 53):
            message = "max_sessions_per_user is greater than max_sessions, and so means nothing"
            raise ValueError(message)
        return self

    @property
    def held_for(self) -> timedelta:
        """How long activity may be held in memory."""
        if self.touch_interval is None:
            return min(_DEFAULT_TOUCH_INTERVAL, self.session_timeout / 10)
        return self.touch_interval

    @property
    def kept_for(self) -> timedelta | None:
        """How long sessions are kept after they ended; `None`: for ever."""
        if self.retention is None and self.cleanup_policy == "delete":
            return self.session_timeout
        return self.retention
