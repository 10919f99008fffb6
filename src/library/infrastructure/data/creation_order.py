"""An ordered set of sessions, newest first, that grows to millions without a step that takes long."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Place = tuple["datetime", int, str]
"""`created_at`, key, and id of a session."""

_BLOCK: Final = 1000


class CreationOrder:
    """Places in order, in blocks of up to 1,000: adding and discarding move the rest of one block."""

    def __init__(self) -> None:
        """Begin empty."""
        self._blocks: list[list[Place]] = []

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._blocks)

    def add(self, place: Place) -> None:
        """Put a place where it belongs."""
        if not self._blocks or (place > self._blocks[-1][-1] and len(self._blocks[-1]) >= _BLOCK):
            self._blocks.append([place])
            return
        last = self._blocks[-1]
        if place > last[-1]:  # most sessions come in order
            last.append(place)
            return
        number = self._block_of(place)
        block = self._blocks[number]
        insort(block, place)
        if len(block) > _BLOCK:
            self._blocks[number : number + 1] = [block[: _BLOCK // 2], block[_BLOCK // 2 :]]

    def discard(self, place: Place) -> None:
        """Take a place out that is there."""
        number = self._block_of(place)
        block = self._blocks[number]
        del block[bisect_left(block, place)]
        if not block:
            del self._blocks[number]

    def before(self, position: tuple[datetime, int] | None) -> Iterator[Place]:
        """Iterate over the places before a position, the newest first; nothing may change meanwhile."""
        if position is None:
            for block in reversed(self._blocks):
                yield from reversed(block)
            return
        end = (*position, "")
        for number in range(min(self._block_of(end), len(self._blocks) - 1), -1, -1):
            block = self._blocks[number]
            for index in range(bisect_left(block, end) - 1, -1, -1):
                yield block[index]

    def _block_of(self, place: Place) -> int:
        """Find the first block that does not end before a place."""
        return bisect_left(self._blocks, place, key=lambda block: block[-1])
