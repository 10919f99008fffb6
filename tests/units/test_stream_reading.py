"""Subscriptions: where they begin, how they are read, and how they end."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitStream,
    HistoryGapError,
    InvalidOptionError,
    NoMessageError,
    StreamClosedError,
    SubscriberLaggedError,
    SubscriberLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future


def stream_of(cache_size: int, **options: Any) -> DataUnitStream:
    """Build a stream that keeps so many messages."""
    return DataUnitStream(DataUnitConfig(data_type="stream", cache_size=cache_size, **options))


async def begin(stream: DataUnitStream, **options: Any) -> list[Any]:
    """Return what a new subscriber finds."""
    async with await stream.subscribe(**options) as subscription:
        return [await subscription.get() for _ in range(subscription.lag)]


async def test_where_a_subscription_begins() -> None:
    """Without options with the next message, else so many before, or after a version."""
    async with stream_of(5) as stream:
        for number in range(1, 9):
            await stream.publish(number)

        assert await begin(stream) == []
        assert await begin(stream, replay=2) == [7, 8]
        assert await begin(stream, replay=5) == await begin(stream, replay=1000) == [4, 5, 6, 7, 8]
        assert await begin(stream, since=8) == []
        assert await begin(stream, since=6) == [7, 8]
        assert await begin(stream, since=3) == [4, 5, 6, 7, 8]


async def test_a_gap_in_the_history() -> None:
    """A version that the history no longer reaches back to is refused; the error tells from where it does."""
    async with stream_of(5) as stream:
        for number in range(1, 9):
            await stream.publish(number)
        for since in (0, 1, 2):
            with pytest.raises(HistoryGapError) as caught:
                await stream.subscribe(since=since)
            assert (since, 3) == (caught.value.since, caught.value.oldest)

        assert await begin(stream, since=caught.value.oldest) == [4, 5, 6, 7, 8]
        with pytest.raises(InvalidOptionError):
            await stream.subscribe(since=9)


async def test_replayed_messages_do_not_overflow() -> None:
    """Only what is published after the subscription counts against its `queue_size`."""
    async with stream_of(10) as stream:
        await stream.publish_many(range(8))
        subscription = await stream.subscribe(replay=8, queue_size=2)
        await stream.publish_many([8, 9])

        assert list(range(10)) == [subscription.get_nowait() for _ in range(10)]


async def test_going_on_from_a_position() -> None:
    """`position` is what `since` needs to go on without a gap or a repetition, over a `clear` as well."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(5))
        for _ in range(3):
            await subscription.get()
        assert subscription.position == 3
        assert await begin(stream, since=subscription.position) == [3, 4]
        await stream.clear()
        with pytest.raises(SubscriberLaggedError):
            await subscription.get()
        assert subscription.position == 6
        await stream.publish("next")
        assert await begin(stream, since=subscription.position) == ["next"]


async def test_the_limit_of_subscribers() -> None:
    """Beyond `max_subscribers` nobody is subscribed; whoever leaves makes room."""
    async with stream_of(10, max_subscribers=2) as stream:
        first, second = await stream.subscribe(), await stream.subscribe()
        for _ in range(2):
            with pytest.raises(SubscriberLimitError) as caught:
                await stream.subscribe()
            assert caught.value.limit == 2
        await stream.unsubscribe(first)
        await stream.unsubscribe(first)
        third = await stream.subscribe()
        assert (await stream.stats()).watchers == 2
        await second.aclose()
        await third.aclose()


async def test_a_stranger_cannot_be_unsubscribed() -> None:
    """A subscription to another stream, or something else, is refused."""
    async with stream_of(10) as stream, stream_of(10) as other:
        subscription = await other.subscribe()
        for stranger in (subscription, None, "subscription"):
            with pytest.raises(InvalidOptionError):
                await stream.unsubscribe(stranger)  # type: ignore[arg-type]


async def test_a_forgotten_subscription() -> None:
    """One that nobody holds any more is collected, frees its place, and holds up no publisher."""
    async with stream_of(10, max_subscribers=1, publish_timeout_s=30) as stream:
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await stream.publish(0)
        waiting = asyncio.create_task(stream.publish(1))
        await asyncio.sleep(0)
        assert (await stream.stats()).watchers == 1

        del subscription
        gc.collect()

        assert await waiting == 2
        assert (await stream.stats()).watchers == 0
        await stream.subscribe()


async def test_nothing_to_read() -> None:
    """`get_nowait` says so with an error that those who know queues expect."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe()
        with pytest.raises(NoMessageError) as caught:
            subscription.get_nowait()
        assert isinstance(caught.value, asyncio.QueueEmpty)
        await stream.publish(None)
        assert subscription.get_nowait() is None
        await subscription.aclose()
        with pytest.raises(StreamClosedError):
            subscription.get_nowait()


async def test_none_is_a_message() -> None:
    """`None` is neither the end nor nothing."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many([None, 0, "", None])
    assert [None, 0, "", None] == [message async for message in subscription]


async def test_the_end_of_the_stream() -> None:
    """What is unread can be read after the stream was shut down; then iteration ends, and `get` raises."""
    async with stream_of(10) as stream:
        subscriptions = [await stream.subscribe() for _ in range(4)]
        await stream.publish_many(range(5))

    one, two, three, four = subscriptions
    assert list(range(5)) == [message async for message in one]
    assert [[0, 1, 2], [3, 4]] == [batch async for batch in two.batches(3)]
    assert list(range(5)) == [await three.get() for _ in range(5)]
    assert list(range(5)) == [four.get_nowait() for _ in range(5)]
    for subscription in subscriptions:
        with pytest.raises(StreamClosedError):
            await subscription.get()
        with pytest.raises(StreamClosedError):
            subscription.get_nowait()
        assert [] == [message async for message in subscription]
        assert [] == [batch async for batch in subscription.batches()]


async def test_the_end_wakes_those_who_wait() -> None:
    """Readers that wait when the stream is shut down, or their subscription closed, are woken."""
    for ending in ("shutdown", "aclose"):
        async with stream_of(10) as stream, asyncio.timeout(30):
            subscription = await stream.subscribe()

            async def iterate() -> list[Any]:
                return [message async for message in subscription]  # noqa: B023 - used up within the round

            waiting = [asyncio.create_task(iterate()), asyncio.create_task(subscription.get())]
            await asyncio.sleep(0)
            if ending == "aclose":
                await subscription.aclose()
            else:
                await stream.shutdown()

            assert await waiting[0] == []
            with pytest.raises(StreamClosedError):
                await waiting[1]


async def test_a_subscription_of_a_former_life() -> None:
    """A stream that is opened again begins anew: old subscriptions have ended, versions go on."""
    stream = stream_of(10)
    async with stream:
        old = await stream.subscribe()
        await stream.publish(1)
        version = (await stream.entry()).version
    async with stream:
        assert not await stream.exists()
        new = await stream.subscribe()
        assert await stream.publish(2) > version
        assert [1] == [message async for message in old]
        assert await new.get() == 2


async def test_batches() -> None:
    """All that is unread comes at once, up to so many."""
    async with stream_of(1000) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(1000))
        sizes = []
        async for batch in subscription.batches(max=300):
            sizes.append(len(batch))
            if subscription.lag == 0:
                break
        assert sizes == [300, 300, 300, 100]
        for wrong in (0, -1, True, 1.5, "1", None):
            with pytest.raises(InvalidOptionError):
                await anext(subscription.batches(wrong))  # type: ignore[arg-type]


async def test_clear_is_told_to_readers() -> None:
    """Whoever had unread messages learns how many are gone; whoever had none just goes on."""
    async with stream_of(10) as stream:
        behind, dropping = await stream.subscribe(), await stream.subscribe(overflow="drop_oldest")
        await stream.publish_many(range(3))
        current = await stream.subscribe()
        await stream.clear()
        await stream.publish("next")

        with pytest.raises(SubscriberLaggedError) as caught:
            await behind.get()
        assert caught.value.missed == 3
        assert ["next"] * 3 == [await each.get() for each in (behind, dropping, current)]
        assert [3, 3, 0] == [each.dropped for each in (behind, dropping, current)]
        with pytest.raises(HistoryGapError) as gap:
            await stream.subscribe(since=1)
        assert gap.value.oldest == 4


@pytest.mark.parametrize("read", ["get", "iterate", "batches", "mixed"])
async def test_readers_who_share_a_subscription(read: str) -> None:
    """Tasks that share a subscription share its messages: each goes to one of them, none is lost."""
    found: list[int] = []

    async def reader(number: int) -> None:
        way = ["get", "iterate", "batches"][number % 3] if read == "mixed" else read
        match way:
            case "get":
                while True:
                    try:
                        found.append(await subscription.get())
                    except StreamClosedError:
                        return
                    await asyncio.sleep(0)
            case "iterate":
                async for message in subscription:
                    found.append(message)
                    await asyncio.sleep(0)
            case _:
                async for batch in subscription.batches(3):
                    found.extend(batch)
                    await asyncio.sleep(0)

    async with stream_of(10_000) as stream:
        subscription = await stream.subscribe()
        readers = [asyncio.create_task(reader(number)) for number in range(6)]
        for number in range(2000):
            await stream.publish(number)
            if number % 7 == 0:
                await asyncio.sleep(0)
    await asyncio.gather(*readers)

    assert list(range(2000)) == sorted(found)


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.slow
@pytest.mark.usefixtures("hurried_threads")
async def test_readers_in_two_loops_share_a_subscription(in_thread: Callable[..., Future[Any]]) -> None:
    """The same holds for readers in two threads, each with an event loop of its own."""

    async def read() -> list[int]:
        found = []
        while True:
            try:
                found.append(await subscription.get())
            except StreamClosedError:
                return found

    async with stream_of(40_000) as stream:
        subscription = await stream.subscribe()
        threads = [in_thread(lambda: asyncio.run(read())) for _ in range(3)]
        await stream.publish_many(range(30_000))
    found = [await asyncio.wrap_future(thread) for thread in threads]

    assert list(range(30_000)) == sorted(number for each in found for number in each)


async def test_a_cancelled_reader_loses_nothing() -> None:
    """A `get` that is cancelled, or times out, took no message."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe()
        for number in range(20):
            reader = asyncio.create_task(subscription.get())
            await asyncio.sleep(0)
            await stream.publish(number)
            if number % 2:
                reader.cancel()
            answer = (await asyncio.gather(reader, return_exceptions=True))[0]
            assert number == (await subscription.get() if isinstance(answer, BaseException) else answer)


async def test_leaving_an_iteration_loses_nothing() -> None:
    """After `break` the next read goes on with the next message."""
    async with stream_of(1000) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(600))
        async for message in subscription:
            if message == 300:
                break
        assert await subscription.get() == 301
        assert (subscription.lag, subscription.position) == (298, 302)


async def test_reads_are_counted() -> None:
    """The statistics count the messages that subscribers took, however they read."""
    async with stream_of(1000) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(10))
        await subscription.get()
        subscription.get_nowait()
        await anext(subscription.batches(3))
        assert (await stream.stats()).reads == 5
        async for _ in subscription:
            break
        assert (await stream.stats()).reads == 6


@pytest.mark.parametrize("ending", ["aclose", "clear"])
async def test_an_iteration_ends_with_its_subscription(ending: str) -> None:
    """What was closed yields nothing more, and what was cleared is not handed out any more."""
    async with stream_of(1000) as stream:
        subscription = await stream.subscribe(overflow="drop_oldest")
        await stream.publish_many(range(10))
        found = []
        async for message in subscription:
            found.append(message)
            if message == 2:
                await (subscription.aclose() if ending == "aclose" else stream.clear())
                await stream.publish("end")
            if message == "end":
                break

    assert found == [0, 1, 2] if ending == "aclose" else [0, 1, 2, "end"]


@pytest.mark.slow
async def test_a_stalled_subscriber_costs_nothing() -> None:
    """Two hundred thousand messages pass one that never reads; the memory held does not grow with them."""
    async with stream_of(1000) as stream:
        stalled = [await stream.subscribe(overflow=overflow) for overflow in ("error", "drop_oldest")]
        tracemalloc.start()
        try:
            for number in range(200_000):
                stream.publish_nowait({"number": number, "text": f"message {number}"})
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert held < 2_000_000
        assert [1000, 1000] == [each.lag for each in stalled]
        assert (await stalled[1].get())["number"] == 199_000
