"""`Subscription`: a reader's place in a stream."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from library.infrastructure.data.errors import (
    InvalidOptionError,
    NoMessageError,
    SlowSubscriberError,
    StreamClosedError,
    SubscriberLaggedError,
)
from library.infrastructure.data.option_checks import check_version, check_whole_number
from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from library.infrastructure.data.message_ring import MessageRing
    from library.infrastructure.data.stream_data_unit import DataUnitStream

Overflow = Literal["error", "drop_oldest", "block", "disconnect"]
"""What happens when a subscriber has more than `queue_size` unread messages; see
`DataUnitStream.subscribe`."""


class Behind(Enum):
    """The type of `BEHIND`, which says that the next message has to come from the log."""

    BEHIND = "behind"


BEHIND: Final = Behind.BEHIND
_SLICE: Final = 256
"""How many messages `async for` takes at a time."""


class Subscription:
    """Reads the messages of a stream, each once, in order; made by `DataUnitStream.subscribe`.

    One reader at a time: tasks that share a subscription share its messages. Read with `get`, `get_nowait`,
    `async for`, or `batches`; leave with `aclose`, `async with`, or `DataUnitStream.unsubscribe`. One that is
    forgotten unsubscribes when it is collected. When the stream is shut down, what is unread can still be
    read; then iteration ends, and `get` raises `StreamClosedError`.

    """

    def __init__(
        self, stream: DataUnitStream, ring: MessageRing, cursor: int, overflow: Overflow, limit: int | None
    ) -> None:
        """Begin to read; called by the stream.

        Args:
            stream: the stream.
            ring: its messages.
            cursor: the number of the first message to read.
            overflow: what to do when the reader falls behind.
            limit: how far it may; `None`: as far as messages are kept.

        """
        self._stream = stream
        self._ring = ring
        self._cursor = self._began = cursor
        self._joined = ring.end
        self._overflow = overflow
        self._limit = limit
        self._dropped = 0
        self._closed = False
        self._usual = ring.capacity if limit is None else limit
        """Up to how many unread messages nothing was missed, and all of them are in the ring."""
        self._ahead = cursor
        """Up to where messages were counted as read; beyond the cursor, they are about to be handed out."""
        self._log_part: tuple[int, list[Any]] = (0, [])
        """Messages that are older than the ring, read from the log, and the number of the first."""

    @property
    def lag(self) -> int:
        """How many messages are unread, and can still be read."""
        return self._ring.end - self._cursor - self._missed()

    @property
    def dropped(self) -> int:
        """How many messages this reader missed, because it fell behind or the stream was cleared."""
        return self._dropped + self._missed()

    @property
    def received(self) -> int:
        """How many messages were read."""
        return self._cursor - self._began - self._dropped

    @property
    def position(self) -> int:
        """The version of the last message read: `subscribe(since=...)` goes on from there."""
        return self._cursor + self._ring.version_offset

    @property
    def _blocks(self) -> bool:
        """Whether publishers wait for this reader."""
        return self._overflow == "block"

    @property
    def _room(self) -> int:
        """How many more unread messages this reader takes."""
        return max(0, self._cursor + self._usual - self._ring.end)

    @property
    def _is_late(self) -> bool:
        """Whether it fell behind, and is to be disconnected for it."""
        return self._overflow == "disconnect" and self._missed() > 0

    def __repr__(self) -> str:
        """Show the stream and the place in it."""
        state = "closed" if self._closed else f"{self.lag} unread"
        return f"<Subscription to {self._stream.name!r}, {state}>"

    # -- reading ---------------------------------------------------------------------------------------------

    async def get(self) -> Any:
        """Wait for the next message and return it.

        Raises:
            StreamClosedError: the stream or this subscription has ended, and nothing is left to read.
            SubscriberLaggedError: messages were missed; the next call goes on from the oldest that is kept.
            SlowSubscriberError: this subscription was disconnected, since it fell behind.

        """
        while True:
            found = self._take(1)
            if isinstance(found, list):
                return found[0]
            if found is None:
                raise self._ended()
            if found is BEHIND:
                await self._read_log()
                continue
            try:
                await found
            except BaseException:
                self._leave(found)
                raise

    def get_nowait(self) -> Any:
        """Return the next message at once.

        Raises:
            NoMessageError: there is none now; it is an `asyncio.QueueEmpty` too.
            StreamClosedError: as for `get`; so are the other errors.

        """
        with self._stream._mutex.guard:
            messages = self._unread(1)
            if messages:
                self._move(1)
                return messages[0]
        if messages is None:
            raise self._ended()
        raise NoMessageError(f"{self._stream.name} has no message for this subscription now")

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over the messages until the stream ends.

        Raises:
            SubscriberLaggedError: messages were missed; iterate again to go on from the oldest that is kept.
            SlowSubscriberError: this subscription was disconnected, since it fell behind.

        """
        blocks = self._overflow == "block"
        count = min(_SLICE, self._limit or _SLICE)
        while (found := self._take(count, stay=True)) is not None:
            if isinstance(found, list):
                place = self._cursor
                for message in found:
                    if self._cursor != place or self._closed:  # somebody else reads here, or has closed it
                        break
                    self._cursor = place = place + 1
                    if blocks:
                        self._stream._make_room()
                    yield message
            elif found is BEHIND:
                await self._read_log()
            else:
                try:
                    await found
                except BaseException:
                    self._leave(found)
                    raise

    async def batches(self, max: int = 512) -> AsyncIterator[list[Any]]:  # noqa: A002 - the word that says it
        """Iterate over all that is unread, in lists of at most `max` messages, from 1 up."""
        check_whole_number("max", max, 1)
        while (found := self._take(max)) is not None:
            if isinstance(found, list):
                yield found
            elif found is BEHIND:
                await self._read_log()
            else:
                try:
                    await found
                except BaseException:
                    self._leave(found)
                    raise

    async def aclose(self) -> None:
        """Leave the stream; whoever waits for a message of this subscription is told that it has ended."""
        self._stream._forget(self)

    async def __aenter__(self) -> Self:
        """Return the subscription itself."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the stream."""
        await self.aclose()

    # -- the place in the stream -----------------------------------------------------------------------------

    def _take(self, count: int, *, stay: bool = False) -> list[Any] | asyncio.Future[None] | Behind | None:
        """Take up to `count` messages, or find out what to wait for.

        Args:
            count: from 1 up.
            stay: do not move past them: the caller does, one at a time.

        Returns:
            The messages, at least one; or a place in the line of those who wait for one; or `BEHIND`; or
            `None`, if there will be no more.

        """
        stream = self._stream
        guard = stream._mutex.guard
        guard.acquire()  # without `with`, as where messages are published
        try:
            ring, cursor = self._ring, self._cursor
            unread = ring.end - cursor
            if self._closed or ring.ended or unread > self._usual or cursor < ring.floor:
                found = self._unread(count)
                if found is None:
                    return None
                messages = found
            else:  # nothing was missed, and all is in the ring: the common case, without a further call
                messages = ring.slice(cursor, min(count, unread)) if unread else []
                if stream._copies:
                    messages = stream._hand_out_all(messages)
            if not messages:
                return BEHIND if self._is_behind_ring() else stream._changed.join()
            self._move(len(messages), stay=stay)
            return messages
        finally:
            guard.release()

    def _leave(self, waiter: asyncio.Future[None]) -> None:
        """Wait no more for a message."""
        with self._stream._mutex.guard:
            self._stream._changed.leave(waiter)

    def _move(self, count: int, *, stay: bool = False) -> None:
        """Count messages as read, and move past them, unless the caller does that."""
        stream = self._stream
        stream._reads += count - max(0, self._ahead - self._cursor)
        self._ahead = self._cursor + count
        if not stay:
            self._cursor += count
            if self._overflow == "block":
                stream._make_room()

    def _unread(self, count: int) -> list[Any] | None:
        """Return up to `count` messages that can be read now; `None`: there will be no more."""
        with self._stream._mutex.guard:
            if self._closed:
                return None
            self._check_lag()
            ring, cursor = self._ring, self._cursor
            if cursor < ring.start:
                first, part = self._log_part
                return part[cursor - first : cursor - first + count] if cursor >= first else []
            count = min(count, ring.end - cursor)
            if count:
                return self._stream._hand_out_all(ring.slice(cursor, count))
            return None if ring.ended else []

    def _check_lag(self) -> None:
        """Jump to the oldest message that may still be read, and do with the loss what was asked for."""
        missed = self._missed()
        if not missed:
            return
        self._cursor += missed
        self._dropped += missed
        self._stream._count_dropped(missed)
        if self._overflow == "disconnect":
            self._stream._forget(self)
            raise SlowSubscriberError(
                f"a subscription to {self._stream.name} was cut off: it missed {missed} messages"
            )
        if self._overflow != "drop_oldest":
            message = (
                f"a subscriber of {self._stream.name} missed {missed} messages: it was too slow, or the "
                "stream was cleared; the next read goes on from the oldest that is kept"
            )
            raise SubscriberLaggedError(message, missed=missed)

    def _missed(self) -> int:
        """Return how many messages from the cursor on this reader cannot read any more."""
        end = self._ring.end
        oldest = self._stream._oldest(self._ring)
        limit = self._limit
        if limit is not None and self._overflow != "block" and end - max(self._cursor, self._joined) > limit:
            oldest = max(oldest, end - limit)
        return max(0, oldest - self._cursor)

    def _is_behind_ring(self) -> bool:
        """Tell whether the next message has to come from the log, and is not here yet."""
        first, part = self._log_part
        behind = self._stream._oldest(self._ring) <= self._cursor < self._ring.start
        return behind and not self._closed and not first <= self._cursor < first + len(part)

    async def _read_log(self) -> None:
        with self._stream._mutex.guard:
            cursor, offset = self._cursor, self._ring.version_offset
        part = await run_in_worker(self._stream._read_log, cursor + offset + 1, _SLICE)
        with self._stream._mutex.guard:
            if offset == self._ring.version_offset:  # else the stream was cleared, and these are gone
                self._log_part = (cursor, part)

    def _ended(self) -> StreamClosedError:
        return StreamClosedError(f"{self._stream.name} has ended, or this subscription to it was closed")


def check_subscription(
    replay: int, since: int | None, overflow: str, queue_size: int | None, capacity: int
) -> None:
    """Refuse options with which a stream that keeps `capacity` messages cannot be subscribed to.

    Raises:
        InvalidOptionError: one is out of range, or two contradict each other.

    """
    check_whole_number("replay", replay, 0)
    if check_version("since", since) is not None and replay:
        raise InvalidOptionError("replay and since contradict each other: give one of them", option="replay")
    if overflow not in get_args(Overflow):
        known = ", ".join(map(repr, get_args(Overflow)))
        raise InvalidOptionError(f"overflow {overflow!r} is unknown: it is one of {known}", option="overflow")
    if queue_size is not None:
        check_whole_number("queue_size", queue_size, 1, capacity)
