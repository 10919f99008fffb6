"""The last messages of a stream: its history, and at the same time the queue of every subscriber."""

from __future__ import annotations

from typing import Any


class MessageRing:
    """A bounded list of messages by number; everything here happens under the stream's lock.

    Messages are numbered from `start` (the oldest that is kept) to `end` (one past the newest). What a
    subscriber has not read yet lies between its own number and `end`: publishing is one store, whoever reads.

    The list grows to an eighth over the capacity before the oldest messages are cut, so that a store is an
    append, and a slice is a slice.
    """

    __slots__ = ("_base", "bound", "capacity", "end", "ended", "floor", "messages", "version_offset")

    def __init__(self, capacity: int, version: int) -> None:
        """Start empty.

        Args:
            capacity: how many messages are kept, from 1 up.
            version: the version of the stream, which the next message raises by one.

        """
        self.capacity = capacity
        self.end = self._base = self.floor = version
        self.messages: list[Any] = []
        """The messages that are kept, and some older ones; the newest is the last."""
        self.version_offset = 0
        """What to add to `end` to get the version of the stream: how often it was cleared."""
        self.ended = False
        """Whether no more messages will come."""
        self.bound = 0
        """Up to which number a message may just be appended and `end` raised, and nothing else looked at."""

    @property
    def start(self) -> int:
        """The number of the oldest message that is kept."""
        return max(self.floor, self.end - self.capacity)

    @property
    def version(self) -> int:
        """The version of the stream: it counts messages and clearings."""
        return self.end + self.version_offset

    def push(self, message: Any) -> None:
        """Add a message."""
        self.messages.append(message)
        self.end += 1
        if self.end >= self.cut_at:
            self.cut()

    @property
    def cut_at(self) -> int:
        """At which `end` it is time to cut off old messages."""
        return self._base + self.capacity + self.capacity // 8 + 1

    def cut(self) -> None:
        """Cut off the messages beyond the capacity."""
        start = self.start
        del self.messages[: start - self._base]
        self._base = start

    def slice(self, first: int, count: int) -> list[Any]:
        """Return messages from number `first` on, which must be kept."""
        position = first - self._base
        return self.messages[position : position + count]

    def clear(self) -> None:
        """Drop all messages; that is a change of the stream of its own."""
        self._base = self.floor = self.end
        self.messages = []
        self.version_offset += 1
