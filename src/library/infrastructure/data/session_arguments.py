"""What callers give to a `SessionManager`: checked, and put in the form in which it is used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import InvalidOptionError, InvalidValueError
from library.infrastructure.data.session_config import SessionConfig
from library.infrastructure.data.session_store import SessionStore
from library.infrastructure.data.storage import DatabaseAdapter
from library.infrastructure.data.utc_time import from_microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from library.infrastructure.data.session_store import Position

_MOST_KEY: Final = (1 << 63) - 1
_CURSOR: Final = re.compile(r"(-?\d{1,18})\.(-?\d{1,19})", re.ASCII)


def check_options(config: Any, database_adapter: Any, store: Any, clock: Any, on_expired: Any) -> None:
    """Refuse arguments of the wrong type, and those that contradict each other.

    Raises:
        InvalidOptionError: one of them.

    """
    expected: list[tuple[str, Any, type]] = [
        ("config", config, SessionConfig),
        ("database_adapter", database_adapter, DatabaseAdapter),
        ("store", store, SessionStore),
    ]
    for option, value, kind in expected:
        if value is not None and not isinstance(value, kind):
            message = f"{option} must be a {kind.__name__}, not {type(value).__name__}"
            raise InvalidOptionError(message, option=option)
    if store is not None and database_adapter is not None:
        message = "store and database_adapter contradict each other: give one of them"
        raise InvalidOptionError(message, option="store")
    if not callable(clock):
        raise InvalidOptionError(f"clock must be a function, not {type(clock).__name__}", option="clock")
    if on_expired is not None and not callable(on_expired):
        message = f"on_expired must be a function, not {type(on_expired).__name__}"
        raise InvalidOptionError(message, option="on_expired")


def too_early(now: datetime) -> InvalidValueError:
    """Build the error for a clock from whose time a duration cannot be taken away."""
    return InvalidValueError(f"what clock returned is too early: {now}; years begin with 1 in a datetime")


def plain_id(session_id: Any) -> str:
    """Return what was given as a session's id, if it is text: any may be asked for.

    Raises:
        InvalidValueError: it is none.

    """
    if not isinstance(session_id, str):
        kind = type(session_id).__name__
        raise InvalidValueError(f"session_id must be a str, not an object of type {kind}")
    return str.__str__(session_id)


def read_cursor(cursor: Any) -> Position:
    """Read the place that `SessionData.cursor` tells.

    Raises:
        InvalidOptionError: it tells none.

    """
    place = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    try:
        if place is not None and -_MOST_KEY - 1 <= int(place[2]) <= _MOST_KEY:
            return from_microseconds(int(place[1])), int(place[2])
    except InvalidValueError:
        pass
    message = "after must be the cursor of a session of the page before: begin again with the first page"
    raise InvalidOptionError(message, option="after")
