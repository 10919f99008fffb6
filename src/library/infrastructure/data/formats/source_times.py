"""Moments as foreign files tell them, and moments for what they do not tell the time of."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(microseconds=1)
_UNITS: Final = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
"""Numbers below the first of each pair count units of so many microseconds; larger ones, nanoseconds."""
_NUMBER: Final = re.compile(r"-?[0-9]{9,25}(?:\.[0-9]{0,25})?", re.ASCII)
"""Shorter ones are dates: 20240517."""


def read_moment(value: Any) -> datetime | None:
    """Return the moment that a value means, in UTC; `None` if it means none within the years 1 to 9999.

    Args:
        value: a number since 1970, of seconds, milliseconds, microseconds or nanoseconds, which its size
            tells; the text of one; or an ISO 8601 text, which means UTC where it names no offset.

    """
    if isinstance(value, str):
        return _read_text(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _read_number(value)
    return None


def fill_moments(
    told: Sequence[datetime | None], parents: Sequence[int | None], created: datetime | None
) -> list[datetime | None]:
    """Give a moment to messages that have none: a microsecond after that of the message they follow.

    Args:
        told: what the source tells.
        parents: of each message, the number of the one that it follows, which comes earlier.
        created: when the conversation began; what follows nothing has this moment.

    """
    filled: list[datetime | None] = []
    for moment, parent in zip(told, parents, strict=True):
        if moment is not None:
            filled.append(moment)
        elif parent is None:
            filled.append(created)
        else:
            filled.append(_next(filled[parent]))
    return filled


def seconds_after_epoch(count: int) -> datetime:
    """Return the moment that stands in for the time of an exchange of which only the place is known."""
    return EPOCH + timedelta(seconds=count)


def _next(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment + _STEP
    except OverflowError:
        return moment


def _read_number(value: float) -> datetime | None:
    try:
        if not math.isfinite(value):
            return None
        size = abs(value)
        factor = next((factor for limit, factor in _UNITS if size < limit), None)
        microseconds = round(value * factor) if factor else round(value / 1_000)
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _read_text(text: str) -> datetime | None:
    if _NUMBER.fullmatch(text):
        return _read_number(float(text))
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
