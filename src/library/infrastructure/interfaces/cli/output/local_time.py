"""Times for people: local, and as short as today allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date, datetime

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def local(moment: datetime) -> datetime:
    """Return a moment in local time; in UTC where the calendar ends."""
    try:
        return moment.astimezone()
    except (OverflowError, ValueError, OSError):
        return moment


def short_time(moment: datetime, now: datetime) -> str:
    """Return "09:14" of today, "23 Nov 09:14" of this year, "23 Nov 2024" of others."""
    there, here = local(moment), local(now)
    if there.date() == here.date():
        return f"{there:%H:%M}"
    day = f"{there.day} {_MONTHS[there.month - 1]}"
    return f"{day} {there:%H:%M}" if there.year == here.year else f"{day} {there.year}"


def full_day(moment: datetime) -> str:
    """Return "Mon 23 Nov 2026"."""
    there = local(moment)
    return f"{_DAYS[there.weekday()]} {there.day} {_MONTHS[there.month - 1]} {there.year}"


def short_day(day: date) -> str:
    """Return "23 Nov 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def span(seconds: float) -> str:
    """Return how long something is, in one unit: "12 minutes"."""
    for size, name in _SPANS:
        if seconds >= size:
            number = int(seconds // size)
            return f"{number:,} {name}{'s' * (number != 1)}"
    return f"{seconds:.0f} seconds"


def duration_ms(milliseconds: float | None) -> str:
    """Return how long a response took: "640 ms", "1.2 s", "3.5 min"."""
    if milliseconds is None:
        return "-"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 99_950:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds / 60_000:,.1f} min"


def count(number: int, thing: str) -> str:
    """Return "1 exchange", "2,000 exchanges"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def size(number: int) -> str:
    """Return how many bytes these are, in the unit that fits."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
