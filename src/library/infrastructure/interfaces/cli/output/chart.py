"""Charts of block characters: a column a day, or for several days where there are many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data import DailyResponseTimes

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_SHADE: Final = "░"
_UNTIMED: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column stands for: the days from `first` on."""

    first: date
    count: int = 0
    p50_ms: float = 0.0
    """Of several days the greatest, as with `p95_ms`: percentiles of days give none for all of them."""
    p95_ms: float = 0.0


def with_times(days: Sequence[DailyResponseTimes]) -> tuple[Sequence[DailyResponseTimes], int]:
    """Leave out the day that imports give to exchanges without a time, and count its exchanges."""
    untimed = [each for each in days if each.day == _UNTIMED]
    if len(untimed) == len(days):
        return days, 0
    return [each for each in days if each.day != _UNTIMED], sum(each.count for each in untimed)


def columns_of(days: Sequence[DailyResponseTimes], most: int) -> tuple[list[Column], int]:
    """Put days in order into no more than so many columns, the days without exchanges among them.

    Returns:
        The columns, and how many days each stands for.

    """
    if not days:
        return [], 1
    start = days[0].day
    width = -(-((days[-1].day - start).days + 1) // most)
    found = {
        place: _sum(start + timedelta(days=place * width), list(group))
        for place, group in groupby(days, lambda each: (each.day - start).days // width)
    }
    empty = [Column(start + timedelta(days=place * width)) for place in range(max(found) + 1)]
    return [found.get(place, each) for place, each in enumerate(empty)], width


def _sum(first: date, days: Sequence[DailyResponseTimes]) -> Column:
    return Column(
        first,
        sum(each.count for each in days),
        max(each.p50_ms or 0.0 for each in days),
        max(each.p95_ms or 0.0 for each in days),
    )


def bars(values: Sequence[float], height: int, shades: Sequence[float] | None = None) -> list[str]:
    """Draw values as columns of blocks, from the top line down.

    Args:
        values: not negative.
        height: lines.
        shades: for each value one that is no smaller, which is drawn behind it.

    """
    backs = values if shades is None else shades
    top = max(backs, default=0.0) or 1.0
    fronts = [_eighths(value, top, height) for value in values]
    behind = [_eighths(value, top, height) for value in backs]
    return [
        "".join(_cell(front, back, line) for front, back in zip(fronts, behind, strict=True))
        for line in reversed(range(height))
    ]


def _eighths(value: float, top: float, height: int) -> int:
    """Return how many eighths of a line high a value is: something, where it is not nothing."""
    return max(round(8 * height * value / top), 1 if value else 0)


def _cell(front: int, back: int, line: int) -> str:
    filled = min(max(front - 8 * line, 0), 8)
    if not filled and back > 8 * line:
        return _SHADE
    return _EIGHTHS[filled]
