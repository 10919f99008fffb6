"""Moments in UTC, and the same moments as whole microseconds since 1970, which is what stores keep.

Nothing here passes through a float: a float of seconds is off by a microsecond from the year 2242 on.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from library.infrastructure.data.errors import InvalidValueError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_utc(moment: datetime, name: str = "the time") -> datetime:
    """Return the same moment in UTC; a naive `datetime` is local time, as everywhere in Python.

    Args:
        moment: any `datetime`; of subclasses, such as those of pandas, whole microseconds are kept.
        name: what errors call it.

    Raises:
        InvalidValueError: it is no `datetime`, or in UTC its year is not within 1 to 9999.

    """
    if type(moment) is datetime and moment.tzinfo is UTC:
        return moment
    if not isinstance(moment, datetime):
        raise InvalidValueError(f"{name} must be a datetime, not an object of type {type(moment).__name__}")
    try:
        return _plain(moment).astimezone(UTC)
    except (OverflowError, ValueError, OSError, TypeError) as error:
        message = (
            f"{name} cannot be put in UTC ({error}): its year must be within 1 to 9999 there, not {moment}"
        )
        raise InvalidValueError(message) from error


def to_microseconds(moment: datetime) -> int:
    """Count the microseconds from 1970-01-01 UTC to a moment; negative before.

    Raises:
        InvalidValueError: as `to_utc` does.

    """
    since = to_utc(moment) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(microseconds: int) -> datetime:
    """Return the moment, in UTC, that lies so many microseconds after 1970-01-01 UTC.

    Raises:
        InvalidValueError: its year is not within 1 to 9999.

    """
    try:
        return _EPOCH + timedelta(0, 0, microseconds)
    except OverflowError as error:
        message = "so many microseconds since 1970 are no moment within the years 1 to 9999"
        raise InvalidValueError(message) from error


def _plain(moment: datetime) -> datetime:
    """Turn a subclass into what it extends: `astimezone` of pandas, for one, refuses naive times."""
    if type(moment) is datetime:
        return moment
    return datetime.combine(date(moment.year, moment.month, moment.day), moment.timetz())
