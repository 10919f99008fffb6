"""Sessions by the time of their creation, as many as there are, without a step that takes long."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from library.infrastructure.data.session_data import session_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Place = tuple["datetime", str]
"""`created_at` and id of a session."""

_BLOCK: Final = 1000
_created_at: Final = itemgetter(0)


class CreationOrder:
    """Places in order, in blocks of up to 1,000: adding and discarding move the rest of one block."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        """Begin empty."""
        self._blocks: list[list[Place]] = []

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._blocks)

    def add(self, place: Place) -> None:
        """Put a place where it belongs."""
        blocks = self._blocks
        if not blocks:
            blocks.append([place])
            return
        last = blocks[-1]
        if place > last[-1]:  # most sessions come in order
            if len(last) < _BLOCK:
                last.append(place)
            else:
                blocks.append([place])
            return
        number = self._block_of(place)
        block = blocks[number]
        insort(block, place)
        if len(block) > _BLOCK:
            blocks[number : number + 1] = [block[: _BLOCK // 2], block[_BLOCK // 2 :]]

    def discard(self, place: Place) -> None:
        """Take a place out that is there."""
        number = self._block_of(place)
        block = self._blocks[number]
        del block[bisect_left(block, place)]
        if not block:
            del self._blocks[number]

    def before(self, position: tuple[datetime, int] | None) -> Iterator[str]:
        """Iterate over the ids before a position, the newest first; nothing may change meanwhile.

        Those of the same moment are ordered by their `session_key`, which is only made for these.
        """
        for created_at, places in groupby(self._down_from(position and position[0]), _created_at):
            ids = [session_id for _, session_id in places]
            if len(ids) > 1 or (position is not None and created_at == position[0]):
                keyed = sorted(((session_key(each), each) for each in ids), reverse=True)
                if position is not None and created_at == position[0]:
                    keyed = [each for each in keyed if each[0] < position[1]]
                ids = [each for _, each in keyed]
            yield from ids

    def _down_from(self, created_at: datetime | None) -> Iterator[Place]:
        """Iterate over the places of a moment and of those before it."""
        for number in range(len(self._blocks) - 1, -1, -1):
            block = self._blocks[number]
            if created_at is None or block[-1][0] <= created_at:
                yield from reversed(block)
            elif block[0][0] <= created_at:
                yield from reversed(block[: bisect_right(block, created_at, key=_created_at)])

    def _block_of(self, place: Place) -> int:
        """Find the first block that does not end before a place; the last, if all do."""
        return min(bisect_left(self._blocks, place, key=itemgetter(-1)), len(self._blocks) - 1)
