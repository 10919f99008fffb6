"""Which server is read from: replicas take turns, one that failed is left alone for a while."""

from __future__ import annotations

import itertools
import logging
import time
from contextvars import ContextVar
from typing import Final

_ASIDE_S: Final = 5.0
"""For so long a replica that failed is not asked; each further time twice as long, up to `_LONGEST_S`."""
_LONGEST_S: Final = 60.0

_logger = logging.getLogger(__name__)
_numbers = itertools.count(1)
_wrote: ContextVar[frozenset[int]] = ContextVar("nanobrain_postgresql_wrote", default=frozenset())
"""The databases to which this task wrote, by number."""


class Replicas:
    """The choice of a server for reads; shared by all loops, and bound to none."""

    def __init__(self, count: int) -> None:
        """Prepare for so many replicas."""
        self._number = next(_numbers)
        self._turns = itertools.count()
        self._failures = [0] * count
        self._aside_until = [0.0] * count

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._failures)

    def choose(self) -> list[int]:
        """Return which ones to ask, in this order: none in a task that wrote, for it is to see that.

        One that failed is tried by one caller when its time has come; others leave it alone meanwhile.
        """
        if self._number in _wrote.get():
            return []
        count, now = len(self._failures), time.monotonic()
        first = next(self._turns)
        found = []
        for index in ((first + step) % count for step in range(count)):
            if not self._failures[index]:
                found.append(index)
            elif self._aside_until[index] <= now and not found:
                self._aside_until[index] = now + _LONGEST_S
                found.append(index)
        return found

    def failed(self, index: int, error: BaseException) -> None:
        """Leave one alone for a while."""
        self._failures[index] += 1
        pause = min(_LONGEST_S, _ASIDE_S * 2 ** min(self._failures[index] - 1, 10))
        self._aside_until[index] = time.monotonic() + pause
        _logger.warning("replica %d is not read from for %.0f s: %s", index + 1, pause, error)

    def worked(self, index: int) -> None:
        """Ask one again that had failed."""
        if self._failures[index]:
            self._failures[index] = 0
            _logger.info("replica %d is read from again", index + 1)

    def wrote(self) -> None:
        """Have this task read from the primary from now on."""
        if self._failures and self._number not in _wrote.get():
            _wrote.set(_wrote.get() | {self._number})

    @property
    def available(self) -> int:
        """How many have not failed."""
        return self._failures.count(0)
