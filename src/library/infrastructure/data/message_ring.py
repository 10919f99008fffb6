"""The last messages of a stream: its history, and at the same time the queue of every subscriber."""

from __future__ import annotations

from typing import Any


class MessageRing:
    """A bounded list of messages by number; all methods are called under the stream's lock.

    Messages are numbered from `start` (the oldest that is kept) to `end` (one past the newest). What a
    subscriber has not read yet is what lies between its own number and `end`, so publishing is one store,
    whoever reads.
    """

    __slots__ = ("_base", "_slots", "capacity", "ended", "end", "start", "version_offset")

    def __init__(self, capacity: int, version: int) -> None:
        """Start empty.

        Args:
            capacity: how many messages are kept, from 1 up.
            version: the version of the stream, which the next message raises by one.

        """
        self.capacity = capacity
        self.start = self.end = self._base = version
        self._slots: list[Any] = []
        self.version_offset = 0
        """What to add to the number of the next message to get the version of the stream: how often it was
        cleared."""
        self.ended = False
        """Whether no more messages will come."""

    @property
    def version(self) -> int:
        """The version of the stream: it counts messages and clearings."""
        return self.end + self.version_offset

    def push(self, message: Any) -> None:
        """Add a message; beyond the capacity the oldest goes."""
        position = self.end - self._base
        if position < self.capacity:
            self._slots.append(message)
        else:
            self._slots[position % self.capacity] = message
            self.start = self.end - self.capacity + 1
        self.end += 1

    def slice(self, first: int, count: int) -> list[Any]:
        """Return the messages from number `first` on; all of them must be kept."""
        position = (first - self._base) % self.capacity
        part = self._slots[position : position + count]
        return part if len(part) == count else part + self._slots[: count - len(part)]

    def clear(self) -> None:
        """Drop all messages; that is a change of the stream of its own."""
        self.start = self._base = self.end
        self._slots = []
        self.version_offset += 1
