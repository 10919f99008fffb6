"""What a `ConversationQuery` asks for, in the form in which stores read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - whoever reads annotations at run time finds it
from typing import Any, Literal

OrderField = Literal["timestamp", "response_time_ms", "message_id"]
"""What exchanges can be sorted by."""

Position = tuple[int | float, int]
"""Where a page ended: the value that exchanges are sorted by (of a timestamp: the microseconds since 1970 in
UTC), and the `message_id`."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Filters:
    """What a query asks for, as stores read it: an exchange is found where all of it holds."""

    conversation_ids: tuple[str, ...] | None = None
    """The conversations, sorted; `None` is all of them, an empty tuple none."""
    since: datetime | None = None
    """The earliest timestamp, in UTC; itself included."""
    until: datetime | None = None
    """Where timestamps end, in UTC; itself excluded."""
    texts: tuple[str, ...] = ()
    """Searches, each of which finds the exchange with all that it asks for."""
    min_response_time_ms: float | None = None
    """The shortest response time, itself included."""
    max_response_time_ms: float | None = None
    """The longest response time, itself included."""
    metadata: tuple[tuple[tuple[str | int, ...], Any], ...] = ()
    """Paths into the metadata, each with the JSON value that stands there; not to be changed."""
    order_field: OrderField = "timestamp"
    """What the exchanges are sorted by, and by `message_id` in the same direction where that is equal."""
    descending: bool = False
    """Whether the largest comes first."""
    limit: int | None = None
    """How many exchanges are returned at most; `None` is all of them."""
    position: Position | None = None
    """Only exchanges behind this one are returned, in the order of the query."""

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Filters) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        """Return what makes filters equal: not the order of calls, and not Python's `1 == True`."""
        return (
            self.conversation_ids,
            self.since,
            self.until,
            frozenset(self.texts),
            self.min_response_time_ms,
            self.max_response_time_ms,
            frozenset((path, canonical(value)) for path, value in self.metadata),
            self.order_field,
            self.descending,
            self.limit,
            self.position,
        )

    @property
    def order(self) -> str:
        """The order in words, for errors."""
        return f"{self.order_field}, {'descending' if self.descending else 'ascending'}"


def canonical(value: Any) -> str:
    """Write a JSON value so that equal values, and only those, are written the same."""
    return json.dumps(_numbers_alike(value), sort_keys=True)


def _numbers_alike(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _numbers_alike(child) for key, child in value.items()}
    return [_numbers_alike(child) for child in value] if isinstance(value, list) else value
