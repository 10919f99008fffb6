"""How long the last calls took."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

_KEPT: Final = 1024


class Latencies:
    """The durations of the last 1,024 calls; any thread may add."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_KEPT)
        self._guard = threading.Lock()
        self.count = 0
        """How many calls there were in all."""

    def add(self, *seconds: float) -> None:
        """Take note of calls."""
        with self._guard:
            self.count += len(seconds)
            self._last.extend(seconds)

    def summary(self) -> dict[str, float]:
        """Return p50, p95 and the longest of the last calls, in milliseconds; empty if there were none."""
        with self._guard:
            ordered = sorted(self._last)
        if not ordered:
            return {}
        last = len(ordered) - 1
        picked = {"p50_ms": last // 2, "p95_ms": last * 95 // 100, "max_ms": last}
        return {name: round(ordered[index] * 1000, 3) for name, index in picked.items()}
