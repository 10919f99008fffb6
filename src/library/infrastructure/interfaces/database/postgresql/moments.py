"""Moments as they come from the table.

asyncpg writes the first and the last moment that Python knows as PostgreSQL's infinities, and reads these as
moments without a zone. They are the same before and after, and sorted and compared as ever.
"""

from __future__ import annotations

from datetime import UTC, datetime


def as_saved(moment: datetime) -> datetime:
    """Return a moment that was read as it was saved, in UTC."""
    return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)
