"""How long agents took to respond: what `performance_metrics()` of a conversation history returns.

Percentiles are those of linear interpolation between the closest ranks: of `n` times in rising order, counted
from 0, the percentile `p` lies at rank `p / 100 * (n - 1)`. NumPy does so by default, and so does
`percentile_cont` of the SQL standard: numbers from here can be compared with numbers from there.
"""

# Annotations are not postponed: they shall resolve under the public path that the classes are known by.

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTimes:
    """The response times of some exchanges, in milliseconds; `None`, each of them, where there were none."""

    count: int = 0
    """How many exchanges there are."""
    mean_ms: float | None = None
    """The arithmetic mean."""
    min_ms: float | None = None
    """The fastest response."""
    max_ms: float | None = None
    """The slowest response."""
    p50_ms: float | None = None
    """The median."""
    p95_ms: float | None = None
    """95 of 100 responses took no longer; percentiles interpolate linearly between the closest ranks."""
    p99_ms: float | None = None
    """99 of 100 responses took no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyResponseTimes(ResponseTimes):
    """The response times of one day."""

    day: date
    """The day, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceMetrics(ResponseTimes):
    """The response times of all exchanges that were asked for, and of each day."""

    per_day: tuple[DailyResponseTimes, ...] = ()
    """The days with exchanges, in order; days without any are left out."""
