"""Calls that were made, and are not answered yet: closing waits for them, though they have no connection yet."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_EVERY_S: Final = 0.005
_PATIENCE_S: Final = 60.0


class InProgress:
    """Counts the calls of all event loops."""

    def __init__(self) -> None:
        """Begin with none."""
        self._guard = threading.Lock()
        self._calls: Counter[asyncio.AbstractEventLoop] = Counter()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call, for as long as the block takes."""
        loop = asyncio.get_running_loop()
        with self._guard:
            self._calls[loop] += 1
        try:
            yield
        finally:
            with self._guard:
                self._calls[loop] -= 1
                if not self._calls[loop]:
                    del self._calls[loop]

    async def settle(self) -> None:
        """Wait until all are answered, but for those of loops that do not run any more."""
        end = asyncio.get_running_loop().time() + _PATIENCE_S
        while self._is_any_left() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_any_left(self) -> bool:
        with self._guard:
            return any(loop.is_running() for loop in self._calls)
