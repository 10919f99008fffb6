"""How often a table was changed, counted in several slots whose sum tells.

A transaction adds to the slots of the conversations that it changes, at its very end, since whoever adds to
the same slot waits until it has committed.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SLOTS: Final = 16


def slots_of(conversation_keys: Iterable[int]) -> tuple[list[int], list[int]]:
    """Return the slots that changes of conversations are counted in, in order, and how many in each."""
    counts = Counter([key % SLOTS for key in conversation_keys])
    slots = sorted(counts)
    return slots, [counts[slot] for slot in slots]


def now_us() -> int:
    """Return the microseconds since 1970."""
    return time.time_ns() // 1000


async def count_changes(connection: Any, sql: Mapping[str, str], conversation_keys: Iterable[int]) -> int:
    """Count a change of each of these conversations; return how many changes the table has seen then."""
    count: int = await connection.fetchval(sql["count_changes"], *slots_of(conversation_keys), now_us())
    return count
