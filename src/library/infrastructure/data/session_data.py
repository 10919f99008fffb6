"""`SessionData`: what is known of one user's stay."""

# Annotations are not postponed: they shall resolve under the public path that the class is known by.

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from library.infrastructure.data.conversation_message import check_text
from library.infrastructure.data.errors import InvalidValueError
from library.infrastructure.data.utc_time import to_microseconds, to_utc

MAX_USER_ID_LENGTH: Final = 1_000
"""Characters that a `user_id` may have."""
MAX_SESSION_ID_LENGTH: Final = 1_000
"""Characters that a `session_id` may have that was not made here."""
_SHOWN_OF_ID: Final = 6
_ID_BYTES: Final = 32
_DATE_LENGTH: Final = 11
_DATED_LENGTH: Final = _DATE_LENGTH + 43
_FIRST_MS: Final = 1_577_836_800_000
"""The year 2020 in milliseconds since 1970."""
_MS_LIMIT: Final = 1 << 41
"""Some 69 years."""
_DIGEST_BITS: Final = 22
_DIGEST_MASK: Final = (1 << _DIGEST_BITS) - 1

_digest: Final = blake2b(digest_size=8, person=b"nanobrain-sessio").copy
"""Begins a digest; copying one is faster than making one with these parameters."""


@dataclass(slots=True, eq=True, repr=False)
class SessionData:
    """One user's stay: whose it is, since when, when it was last active, and what was kept of it.

    What managers return is a copy: changing it changes no session.

    Raises:
        InvalidValueError: a field has a value that cannot be saved.

    """

    session_id: str
    """Whoever knows it has the session: treat it like a password. 1 to 1,000 characters."""
    user_id: str
    """Whose session it is: 1 to 1,000 characters."""
    created_at: datetime
    """When it was created; in UTC once it is checked. A naive `datetime` is taken as local time."""
    last_activity: datetime
    """When it was last used; in UTC once it is checked. A naive `datetime` is taken as local time."""
    metadata: dict[str, Any]
    """Any JSON object. It is kept as given, and what it holds is checked when it is saved."""
    is_active: bool = True
    """Whether it can be used: it has neither expired nor been ended."""

    def __post_init__(self) -> None:
        """See that the fields can be saved."""
        self.check()

    def check(self) -> None:
        """See that the fields can be saved, and put them in the form in which they are read back.

        Raises:
            InvalidValueError: a field has a value that cannot be saved; the error names it.

        """
        self.session_id = check_name("session_id", self.session_id, MAX_SESSION_ID_LENGTH)
        self.user_id = check_user_id(self.user_id)
        self.created_at = to_utc(self.created_at, "created_at")
        self.last_activity = to_utc(self.last_activity, "last_activity")
        if not isinstance(self.metadata, dict):
            raise InvalidValueError(
                f"metadata must be a dict, not an object of type {type(self.metadata).__name__}"
            )
        if not isinstance(self.is_active, bool):
            kind = type(self.is_active).__name__
            raise InvalidValueError(f"is_active must be True or False, not an object of type {kind}")

    def __repr__(self) -> str:
        """Show the fields, of the id the beginning only, for whoever knows it all has the session."""
        shown = self.session_id[: min(_SHOWN_OF_ID, len(self.session_id) // 4)]
        return (
            f"SessionData(session_id='{shown}…', user_id={self.user_id!r}, created_at={self.created_at!r}, "
            f"last_activity={self.last_activity!r}, metadata={self.metadata!r}, is_active={self.is_active!r})"
        )

    @property
    def cursor(self) -> str:
        """Where the session stands in the list: `list_sessions(after=...)` goes on behind it.

        It does not tell the session's id, and may stand in a URL.
        """
        return f"{to_microseconds(self.created_at)}.{session_key(self.session_id)}"


def new_session_id() -> str:
    """Make an id: 256 random bits as 43 letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(_ID_BYTES)


def new_dated_session_id(now: datetime) -> str:
    """Make an id that begins with the time: 11 hexadecimal digits of milliseconds, and 256 random bits.

    Stores that look sessions up in a tree of pages write those that are created together to few pages then,
    as with the version 7 of UUIDs (RFC 9562).
    """
    milliseconds = int(now.timestamp() * 1000) - _FIRST_MS
    if not 0 <= milliseconds < _MS_LIMIT:
        return new_session_id()
    return f"{milliseconds:011x}{secrets.token_urlsafe(_ID_BYTES)}"


def session_key(session_id: str) -> int:
    """Give the number by which stores look a session up, of 64 bits, signed.

    That is a BLAKE2b digest of the id; of an id that begins with the time, the time and 22 bits of digest.
    Nobody who measures how long a lookup takes learns more from it than times and digests, which lead to no
    id.
    """
    digest = _digest()
    digest.update(session_id.encode("utf-8", "surrogatepass"))
    key = int.from_bytes(digest.digest(), "big", signed=True)
    if len(session_id) == _DATED_LENGTH:
        try:
            milliseconds = int(session_id[:_DATE_LENGTH], 16)
        except ValueError:
            return key
        if 0 <= milliseconds < _MS_LIMIT:
            return milliseconds << _DIGEST_BITS | key & _DIGEST_MASK
    return key


def check_user_id(value: Any) -> str:
    """Return `value` if it can identify a user.

    Raises:
        InvalidValueError: it cannot.

    """
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_USER_ID_LENGTH:
        return value
    return check_name("user_id", value, MAX_USER_ID_LENGTH)


def check_name(name: str, value: Any, most: int) -> str:
    """Return `value`, which was given as `name`, if it is text of 1 to `most` characters.

    Raises:
        InvalidValueError: it is not.

    """
    text = check_text(name, value)
    if not 0 < len(text) <= most:
        raise InvalidValueError(f"{name} must have 1 to {most:,} characters, not {len(text):,}")
    return text
