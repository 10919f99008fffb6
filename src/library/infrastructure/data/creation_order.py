"""Sessions by the time of their creation, as many as there are, without a step that takes long."""

from __future__ import annotations

from bisect import bisect_left, insort
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

    __slots__ = ("_blocks", "_tied")

    def __init__(self) -> None:
        """Begin empty."""
        self._blocks: list[list[Place]] = []
        self._tied: tuple[datetime, list[tuple[int, str]]] | None = None

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._blocks)

    def add(self, place: Place) -> None:
        """Put a place where it belongs."""
        blocks = self._blocks
        self._tied = None
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
        self._tied = None
        number = self._block_of(place)
        block = self._blocks[number]
        del block[bisect_left(block, place)]
        if not block:
            del self._blocks[number]

    def before(self, position: tuple[datetime, int] | None) -> Iterator[str]:
        """Iterate over the ids before a position, the newest first; nothing may change meanwhile.

        Those of the same moment are ordered by their `session_key`, which is only made for these.
        """
        below = None
        if position is not None:
            below = position[0]
            tied = self._at(below)
            yield from [
                session_id for _, session_id in reversed(tied[: bisect_left(tied, (position[1], ""))])
            ]
        for created_at, group in groupby(self._down_from(below), _created_at):
            places = list(group)
            if len(places) > 1:
                yield from [session_id for _, session_id in reversed(self._at(created_at))]
            else:
                yield places[0][1]

    def _at(self, created_at: datetime) -> list[tuple[int, str]]:
        """Return the keys and ids of one moment in order; those asked for last are remembered."""
        if self._tied is None or self._tied[0] != created_at:
            start, end = (created_at, ""), (created_at, chr(0x10FFFF))
            found: list[Place] = []
            for block in self._blocks[self._block_of(start) :] if self._blocks else ():
                if block[0] > end:
                    break
                found += block[bisect_left(block, start) : bisect_left(block, end)]
            self._tied = created_at, sorted((session_key(each), each) for _, each in found)
        return self._tied[1]

    def _down_from(self, below: datetime | None) -> Iterator[Place]:
        """Iterate over the places before a moment, the newest first."""
        for block in reversed(self._blocks):
            if below is None or block[-1][0] < below:
                yield from reversed(block)
            elif block[0][0] < below:
                yield from reversed(block[: bisect_left(block, below, key=_created_at)])

    def _block_of(self, place: Place) -> int:
        """Find the first block that does not end before a place; the last, if all do."""
        return min(bisect_left(self._blocks, place, key=itemgetter(-1)), len(self._blocks) - 1)
