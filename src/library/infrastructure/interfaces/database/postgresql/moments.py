"""The first and the last moment that Python knows, which asyncpg takes for infinities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final


class _Moment(datetime):
    """Equals nothing: asyncpg compares what it is given with what stands for an infinity."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = datetime.__hash__


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def exact(moment: datetime) -> datetime:
    """Return a moment, in UTC, as it can be bound."""
    if _FIRST < moment < _LAST:
        return moment
    return _Moment.combine(moment.date(), moment.timetz())
