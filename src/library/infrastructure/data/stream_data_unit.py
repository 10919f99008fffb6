"""`DataUnitStream`: messages, published to any number of subscribers."""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.data_unit_base import DataUnitBase, State
from library.infrastructure.data.durable_io import resolve_path
from library.infrastructure.data.entry import EMPTY, UnitStats
from library.infrastructure.data.errors import (
    DataUnitError,
    HistoryGapError,
    InvalidOptionError,
    SlowSubscriberError,
    StorageError,
    StreamError,
    SubscriberLimitError,
)
from library.infrastructure.data.group_commit import GroupCommit
from library.infrastructure.data.isolation import IMMUTABLE, isolate
from library.infrastructure.data.message_ring import MessageRing
from library.infrastructure.data.stream_log import StreamLog, encode_message
from library.infrastructure.data.subscriber_list import SubscriberList
from library.infrastructure.data.subscription import Overflow, Subscription, check_subscription
from library.infrastructure.data.wakeup import Wakeup, wake
from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence


class _Job(NamedTuple):
    """A change of a persistent stream."""

    messages: Sequence[Any] | None
    """What to publish; `None`: clear."""
    if_version: int | None = None


class DataUnitStream(DataUnitBase):
    """Publishes messages to subscribers; its value is the last message.

    The last `cache_size` messages are kept in one ring, which is the history and the queue of every
    subscriber: a subscriber is a place in it, so that publishing costs the same for one as for a thousand,
    and a stalled one costs nothing. Messages may be published from any thread. With `isolation="auto"` dicts,
    lists and sets are copied when they are published, and for each subscriber.

    With `persistent=True` every message is appended to the log `file_path` as well, and is on the disk when
    `publish` returns; it must be something that JSON can hold. Subscribers can then begin at any message
    since the last `clear`, after a restart too, and one that falls behind the ring reads from the log: it
    misses nothing, unless its `queue_size` says so. One unit at a time may have the log open.

    """

    data_type: ClassVar[DataUnitType] = DataUnitType.STREAM

    def __init__(self, config: DataUnitConfig | None = None) -> None:
        """Prepare the unit; nothing is opened yet.

        Raises:
            InvalidOptionError: `config` is not one of a stream unit.

        """
        super().__init__(config)
        self._log = self._make_log()
        self._commits: GroupCommit[_Job] = GroupCommit(self._mutex, self._apply)
        self._ring = MessageRing(self.config.cache_size, 0)
        self._subscribers = SubscriberList(self._make_room)
        self._room = Wakeup()
        self._at = time.time()
        self._opened_version = 0
        self._dropped = 0
        self._copies = False
        self._updating = False

    def _make_log(self) -> StreamLog | None:
        config = self.config
        if config.file_path is None:
            return None
        path = resolve_path(config.file_path)
        return StreamLog(path, durable=config.durability == "full", lock_timeout_s=config.lock_timeout_s)

    @property
    def file_path(self) -> str | None:
        """The log file: an absolute path, links followed; `None` if the unit is not persistent."""
        return self._log.path if self._log else None

    # -- publishing ------------------------------------------------------------------------------------------

    async def set(self, data: Any, if_version: int | None = None) -> int:
        """Publish a message; the same as `publish`, but for `if_version`; see `DataUnitBase.set`."""
        if if_version is None:
            version = self._publish_at_once(data)
            if version is not None:
                return version
        return await super().set(data, if_version)

    async def publish(self, data: Any) -> int:
        """Publish a message to all subscribers.

        Returns:
            The version of the stream with this message.

        Raises:
            InvalidValueError: the stream is persistent, and JSON cannot hold the message.
            SlowSubscriberError: a subscriber with `overflow="block"` made no room within `publish_timeout_s`.
            StorageError: the log cannot be written; nothing was published.

        """
        version = self._publish_at_once(data)
        return await super().set(data) if version is None else version

    def publish_nowait(self, data: Any) -> int:
        """Publish a message at once, from any thread, with or without an event loop.

        Returns:
            The version of the stream with this message.

        Raises:
            SlowSubscriberError: a subscriber with `overflow="block"` has no room.
            StreamError: an `update` is at work, or the stream is persistent: use `await publish(data)`, in a
                thread without an event loop `asyncio.run(stream.publish(data))`.

        """
        version = self._publish_at_once(data)
        if version is not None:
            return version
        self._check_usable()
        with self._mutex.guard:
            if self._log is not None or self._updating:
                why = "an update is at work" if self._log is None else "the stream is persistent"
                raise StreamError(
                    f"{self.name} cannot publish at once, since {why}: use `await publish(data)`"
                )
            if not self._subscribers.room():
                raise self._no_room("at once")
            self._store([data if type(data) in IMMUTABLE else self._admit(data)])
            return self._ring.version

    async def publish_many(self, messages: Iterable[Any]) -> int:
        """Publish messages in a row.

        No others come in between, unless a subscriber that blocks has no room for all of them at once.
        On a persistent stream they share one write, and either all of them are published or none.

        Returns:
            The version of the stream with the last of them.

        """
        self._check_usable()
        admitted = [message if type(message) in IMMUTABLE else self._admit(message) for message in messages]
        return await self._publish_admitted(admitted, None)

    def _publish_at_once(self, data: Any) -> int | None:
        """Publish a message if nothing stands in the way; else return `None`."""
        ring = self._ring
        if not ring.bound:
            return None
        kept = data if type(data) in IMMUTABLE else self._admit(data)
        guard = self._mutex.guard
        guard.acquire()  # without `with`, which takes as long as the rest of the call
        try:
            end = ring.end
            if end >= ring.bound and not self._extend_bound(ring):
                return None
            ring.messages.append(kept)
            ring.end = end = end + 1
            self._at = time.time()
            if kept is not data:
                self._copies = True
            if self._changed.waiters:
                wake(self._changed.take())
            return end + ring.version_offset
        finally:
            guard.release()

    async def _publish_admitted(self, messages: Sequence[Any], if_version: int | None) -> int:
        """Publish in turn with other writers, waiting for room where a subscriber blocks."""
        if self._log is not None:
            await self._wait_for_room()
            version: int = await self._commits.submit(_Job(messages, if_version))
            return version
        todo = list(messages)
        while True:
            await self._wait_for_room()
            async with self._mutex.hold():
                self._check_open()
                self._check_version(if_version, await self._read())
                with self._mutex.guard:
                    room = self._subscribers.room()
                    self._store(todo[:room])
                    del todo[:room]
                    if not todo:
                        return self._ring.version
                if_version = None

    async def _update_held(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        self._set_updating(updating=True)
        try:
            return await super()._update_held(fn)
        finally:
            self._set_updating(updating=False)

    def _set_updating(self, *, updating: bool) -> None:
        """Make publishers wait in line while an update is at work."""
        with self._mutex.guard:
            self._updating = updating
            self._update_bound()

    async def _write_held(self, kept: Any) -> None:
        await self._wait_for_room()
        if self._log is not None:
            await run_in_worker(self._append, [kept], [encode_message(kept, self.name)])
        else:
            self._store([kept])

    # -- subscribing -----------------------------------------------------------------------------------------

    async def subscribe(
        self,
        *,
        replay: int = 0,
        since: int | None = None,
        overflow: Overflow = "error",
        queue_size: int | None = None,
    ) -> Subscription:
        """Begin to read the messages that are published from now on.

        Args:
            replay: begin with so many of the messages before, as far as they are kept.
            since: begin after this version, such as a `Subscription.position`, and miss nothing.
            overflow: what happens when more than `queue_size` messages published since then are unread.
                `error`: the next read raises `SubscriberLaggedError`, which tells how many were missed, and
                the one after it goes on from the oldest that is kept. `drop_oldest`: the same without the
                error; `dropped` counts. `block`: publishers wait, up to `publish_timeout_s`. `disconnect`:
                the next read raises `SlowSubscriberError`, and the subscription ends.
            queue_size: from 1 up to `cache_size`; default: as many as are kept.

        Raises:
            HistoryGapError: messages after `since` are not kept any more; the error tells which are.
            SubscriberLimitError: there are `max_subscribers` already.
            InvalidOptionError: an option has a value that it cannot take.

        """
        self._check_usable()
        check_subscription(replay, since, overflow, queue_size, self.config.cache_size)
        with self._mutex.guard:
            self._check_open()
            ring = self._ring
            limit = self.config.max_subscribers
            if limit is not None and len(self._subscribers) >= limit and not self._subscribers.remove_late():
                message = f"{self.name} has {limit} subscribers already: close one, or raise max_subscribers"
                raise SubscriberLimitError(message, limit=limit)
            cursor = (
                self._place_after(since) if since is not None else max(self._oldest(ring), ring.end - replay)
            )
            if overflow == "block" or (queue_size is None and self._log is None):
                queue_size = queue_size or ring.capacity
            subscription = Subscription(self, ring, cursor, overflow, queue_size)
            self._subscribers.add(subscription)
            self._update_bound()
            return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Leave the stream; does nothing if that was done.

        Raises:
            InvalidOptionError: it is not a subscription to this stream.

        """
        if not isinstance(subscription, Subscription) or subscription._stream is not self:
            message = f"{subscription!r} is not a subscription to {self.name}"
            raise InvalidOptionError(message, option="subscription")
        await subscription.aclose()

    def _place_after(self, since: int) -> int:
        """Return the number of the first message after version `since`."""
        ring = self._ring
        oldest = self._oldest(ring)
        if oldest <= since - ring.version_offset <= ring.end:
            return since - ring.version_offset
        first = oldest + ring.version_offset
        if since > ring.version:
            message = f"{self.name} is at version {ring.version}, and cannot begin after version {since}"
            raise InvalidOptionError(message, option="since")
        message = f"{self.name} does not reach back to version {since}: begin with {first}"
        raise HistoryGapError(message, since=since, oldest=first)

    # -- what subscriptions need -----------------------------------------------------------------------------

    def _oldest(self, ring: MessageRing) -> int:
        """Return the number of the oldest message that can be read."""
        if self._log is None or ring.ended:
            return ring.start
        return self._log.first - 1 - ring.version_offset

    def _read_log(self, version: int, count: int) -> list[Any]:
        if self._log is None:
            return []
        try:
            return self._log.read(version, count)
        except StorageError:
            if self._log.is_open:
                raise
            return []

    def _hand_out_all(self, messages: list[Any]) -> list[Any]:
        return [isolate(message) for message in messages] if self._copies else messages

    def _note_type(self, message: Any) -> None:
        """Remember that there are messages to be copied for each reader."""
        if type(message) not in IMMUTABLE and self.config.isolation == "auto":
            self._copies = True

    def _count_dropped(self, count: int) -> None:
        self._dropped += count

    def _forget(self, subscription: Subscription) -> None:
        with self._mutex.guard:
            subscription._closed = True
            self._subscribers.remove(subscription)
            waiters = self._changed.take()
        wake(waiters)
        self._make_room()

    # -- room for publishers ---------------------------------------------------------------------------------

    def _extend_bound(self, ring: MessageRing) -> bool:
        """Cut off old messages if it is time for that; tell whether a message fits now."""
        if ring.end >= ring.cut_at:
            ring.cut()
            self._update_bound()
        return ring.end < ring.bound

    def _update_bound(self) -> None:
        """Find how far publishers may go without looking at anything else; called with the guard held."""
        ring = self._ring
        if self._log is not None or self._updating or ring.ended:
            ring.bound = 0
        else:
            ring.bound = min(ring.cut_at, ring.end + self._subscribers.room())

    def _make_room(self) -> None:
        """Let publishers go on after a reader that blocks has read, or left."""
        with self._mutex.guard:
            self._update_bound()
            waiters = self._room.take()
        wake(waiters)

    async def _wait_for_room(self) -> None:
        """Wait until readers that block have room for a message.

        Raises:
            SlowSubscriberError: they made none within `publish_timeout_s`.

        """
        deadline = time.monotonic() + self.config.publish_timeout_s
        while True:
            with self._mutex.guard:
                self._check_open()
                if self._subscribers.room():
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._no_room(f"within {self.config.publish_timeout_s:g} s")
                waiter = self._room.join()
            try:
                await asyncio.wait((waiter,), timeout=left)
            finally:
                with self._mutex.guard:
                    self._room.leave(waiter)

    def _no_room(self, when: str) -> SlowSubscriberError:
        full = self._subscribers.count_full()
        return SlowSubscriberError(
            f"{self.name} could not publish: {full} readers with overflow='block' made no room {when}"
        )

    # -- the hooks of the base -------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._ring = MessageRing(self.config.cache_size, self._ring.version + bool(self._ring.messages))
        self._dropped = 0
        self._subscribers.clear()
        if self._log is not None:
            await run_in_worker(self._load, self._log)
        elif self.config.initial_value is not None:
            self._store([self._admit(self.config.initial_value)])
        self._opened_version = self._ring.version
        self._update_bound()

    def _load(self, log: StreamLog) -> None:
        """Fill the ring from the log, or begin a new one."""
        ring: MessageRing | None = None
        for record in log.open():
            self._at = record.at
            if ring is None or record.cleared:
                ring = MessageRing(self.config.cache_size, record.version - (not record.cleared))
            if not record.cleared:
                ring.push(record.data)
                self._note_type(record.data)
        self._ring = ring or MessageRing(self.config.cache_size, 0)
        if ring is None and self.config.initial_value is not None:
            self._append([self.config.initial_value], [encode_message(self.config.initial_value, self.name)])

    async def _close(self) -> None:
        with self._mutex.guard:
            self._ring.ended = True
            waiters = self._changed.take()
        wake(waiters)
        self._make_room()
        if self._log is not None:
            await run_in_worker(self._log.close)

    def _abandon(self) -> None:
        self._ring.bound = 0
        if self._log is not None:
            self._log.close()

    async def _read(self) -> State:
        with self._mutex.guard:
            return State(self._last(), self._ring.version, self._at)

    def _last(self) -> Any:
        messages = self._ring.messages
        return messages[-1] if messages else EMPTY

    def _version(self) -> int:
        return self._ring.version

    def _updated_at(self) -> float:
        return self._at

    async def _write(self, kept: Any, if_version: int | None) -> int:
        if kept is not EMPTY:
            return await self._publish_admitted([kept], if_version)
        if self._log is not None:
            version: int = await self._commits.submit(_Job(None))
            return version
        async with self._mutex.hold():
            self._check_open()
            self._empty(time.time())
            return self._ring.version

    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened; `watchers` counts subscribers and watchers."""
        self._check_open()
        return UnitStats(
            reads=self._reads - sum(max(0, each._ahead - each._cursor) for each in self._subscribers),
            writes=self._ring.version - self._opened_version,
            watchers=self._watchers + len(self._subscribers),
            bytes=self._log.size if self._log else None,
            dropped=self._dropped,
        )

    # -- changing --------------------------------------------------------------------------------------------

    def _apply(self, jobs: Sequence[_Job]) -> list[int | DataUnitError]:
        """Apply a batch in a worker thread: what is published in a row shares a write."""
        answers: list[int | DataUnitError] = []
        for is_clear, group in groupby(jobs, key=lambda job: job.messages is None):
            run = list(group)
            answers += [self._apply_clear() for _ in run] if is_clear else self._apply_messages(run)
        return answers

    def _apply_messages(self, jobs: Sequence[_Job]) -> list[int | DataUnitError]:
        answers: list[int | DataUnitError] = []
        accepted: list[Any] = []
        encoded: list[bytes] = []
        version = self._ring.version
        for job in jobs:
            messages = job.messages or ()
            try:
                self._check_open()
                last = accepted[-1] if accepted else self._last()
                self._check_version(job.if_version, State(last, version + len(accepted), self._at))
                encoded += [encode_message(message, self.name) for message in messages]
                accepted += messages
                answers.append(version + len(accepted))
            except DataUnitError as error:
                answers.append(error)
        try:
            self._append(accepted, encoded)
        except DataUnitError as error:
            return [error] * len(jobs)
        return answers

    def _apply_clear(self) -> int | DataUnitError:
        try:
            self._check_open()
            at = time.time()
            if self._log is not None:
                self._log.clear(at)
        except DataUnitError as error:
            return error
        self._empty(at)
        return self._ring.version

    def _append(self, messages: Sequence[Any], encoded: Sequence[bytes]) -> None:
        """Write messages to the log, then publish them."""
        at = time.time()
        if self._log is not None and encoded:
            self._log.append(at, encoded)
        self._store(messages, at)

    def _store(self, messages: Sequence[Any], at: float | None = None) -> None:
        """Put messages into the ring, as of `at` or now, and wake the readers."""
        if not messages:
            return
        with self._mutex.guard:
            for message in messages:
                self._ring.push(message)
                self._note_type(message)
            self._at = time.time() if at is None else at
            self._update_bound()
            waiters = self._changed.take()
        wake(waiters)

    def _empty(self, at: float) -> None:
        """Drop the history, which is a change of its own."""
        with self._mutex.guard:
            self._ring.clear()
            self._at = time.time() if at is None else at
            self._update_bound()
            waiters = self._changed.take()
        wake(waiters)
        self._make_room()
