"""What happens when a subscriber reads too slowly, in each of the ways that it can choose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitStream,
    InvalidOptionError,
    SlowSubscriberError,
    StreamClosedError,
    SubscriberLaggedError,
    SubscriberLimitError,
    Subscription,
    UnitClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


def stream_of(cache_size: int, **options: Any) -> DataUnitStream:
    """Build a stream that keeps so many messages."""
    return DataUnitStream(DataUnitConfig(data_type="stream", cache_size=cache_size, **options))


async def publish(stream: DataUnitStream, *numbers: int) -> None:
    """Publish messages one by one."""
    for number in numbers:
        await stream.publish(number)


def unread(subscription: Subscription) -> list[Any]:
    """Read all that is there."""
    return [subscription.get_nowait() for _ in range(subscription.lag)]


async def test_error_tells_how_many_were_missed() -> None:
    """By default the next read raises, and the one after it goes on from the oldest that is kept."""
    async with stream_of(4) as stream:
        subscription = await stream.subscribe()
        await publish(stream, *range(10))
        assert subscription.lag == 4

        with pytest.raises(SubscriberLaggedError) as caught:
            await subscription.get()

        assert (6, 6) == (caught.value.missed, subscription.dropped)
        assert unread(subscription) == [6, 7, 8, 9]
        await publish(stream, 10)
        assert await subscription.get() == 10
        assert (await stream.stats()).dropped == 6


async def test_nothing_is_missed_up_to_the_limit() -> None:
    """As many messages as are kept can be unread; one more is too many."""
    async with stream_of(4) as stream:
        subscription = await stream.subscribe()
        await publish(stream, *range(4))
        assert unread(subscription) == [0, 1, 2, 3]
        await publish(stream, *range(5))
        with pytest.raises(SubscriberLaggedError, match="missed 1 "):
            subscription.get_nowait()


@pytest.mark.parametrize("read", ["get", "get_nowait", "iterate", "batches"])
async def test_every_way_of_reading_tells(read: str) -> None:
    """Whichever way a subscriber reads, it is told once, and goes on."""
    async with stream_of(4) as stream:
        subscription = await stream.subscribe(queue_size=2)
        await publish(stream, *range(5))

        async def first() -> Any:
            match read:
                case "get":
                    return await subscription.get()
                case "get_nowait":
                    return subscription.get_nowait()
                case "iterate":
                    return await anext(aiter(subscription))
                case _:
                    return (await anext(subscription.batches(1)))[0]

        with pytest.raises(SubscriberLaggedError) as caught:
            await first()
        assert caught.value.missed == 3
        assert await first() == 3


async def test_drop_oldest_counts() -> None:
    """The oldest are skipped without an error; `dropped` and the statistics count them."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe(overflow="drop_oldest", queue_size=3)
        await publish(stream, *range(8))

        assert await subscription.get() == 5
        assert subscription.dropped == 5
        assert unread(subscription) == [6, 7]
        await publish(stream, *range(8, 14))
        assert await subscription.get() == 11
        assert subscription.dropped == 8
        assert (await stream.stats()).dropped == 8


async def test_disconnect_ends_the_subscription() -> None:
    """The next read says that it was cut off; the subscription has then ended, and its place is free."""
    async with stream_of(10, max_subscribers=1) as stream:
        subscription = await stream.subscribe(overflow="disconnect", queue_size=2)
        await publish(stream, 0, 1)
        assert await subscription.get() == 0
        await publish(stream, 2, 3)

        with pytest.raises(SlowSubscriberError):
            await subscription.get()
        with pytest.raises(StreamClosedError):
            await subscription.get()
        assert (await stream.stats()).watchers == 0
        await stream.subscribe()


async def test_a_disconnected_subscriber_that_never_reads() -> None:
    """Whoever fell behind gives its place up when it is needed, though it never reads again."""
    async with stream_of(10, max_subscribers=1) as stream:
        late = await stream.subscribe(overflow="disconnect", queue_size=2)
        await publish(stream, 0, 1)
        with pytest.raises(SubscriberLimitError) as caught:
            await stream.subscribe()
        assert caught.value.limit == 1
        await publish(stream, 2)
        await stream.subscribe()
        with pytest.raises((SlowSubscriberError, StreamClosedError)):
            await late.get()


async def test_each_subscriber_has_its_own_way() -> None:
    """One that falls behind does not harm the others."""
    async with stream_of(4) as stream:
        lagging = await stream.subscribe(queue_size=1)
        dropping = await stream.subscribe(overflow="drop_oldest", queue_size=2)
        cut = await stream.subscribe(overflow="disconnect", queue_size=3)
        good = await stream.subscribe()
        await publish(stream, *range(4))

        assert unread(good) == [0, 1, 2, 3]
        assert await dropping.get() == 2
        with pytest.raises(SubscriberLaggedError, match="missed 3 "):
            await lagging.get()
        with pytest.raises(SlowSubscriberError):
            await cut.get()


# -- block ---------------------------------------------------------------------------------------------------


async def test_block_makes_the_publisher_wait() -> None:
    """A publisher waits until the subscriber has read; nothing is missed."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe(overflow="block", queue_size=2)
        await publish(stream, 0, 1)
        waiting = asyncio.create_task(publish(stream, 2, 3))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert subscription.lag == 2

        assert [0, 1, 2, 3] == [await subscription.get() for _ in range(4)]
        await waiting
        assert subscription.dropped == 0


@pytest.mark.parametrize("read", ["get", "get_nowait", "iterate", "batches"])
async def test_every_way_of_reading_makes_room(read: str) -> None:
    """A hundred messages pass through a queue of two, whichever way they are read."""
    async with stream_of(10) as stream, asyncio.timeout(30):
        subscription = await stream.subscribe(overflow="block", queue_size=2)
        publisher = asyncio.create_task(publish(stream, *range(100)))
        found: list[Any] = []
        if read == "iterate":
            async for message in subscription:
                found.append(message)
                if len(found) == 100:
                    break
        elif read == "batches":
            async for batch in subscription.batches():
                found += batch
                if len(found) == 100:
                    break
        while len(found) < 100:
            if read == "get":
                found.append(await subscription.get())
            else:
                found += unread(subscription)
                await asyncio.sleep(0)

        await publisher
        assert list(range(100)) == found


async def test_block_for_too_long() -> None:
    """After `publish_timeout_s` the publisher is told, and its message is not published."""
    async with stream_of(10, publish_timeout_s=0.05) as stream:
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await publish(stream, 0)
        for call in (stream.publish(1), stream.set(1), stream.update(lambda _: 1), stream.publish_many([1])):
            with pytest.raises(SlowSubscriberError):
                await call
        with pytest.raises(SlowSubscriberError):
            stream.publish_nowait(1)

        assert (await stream.entry())[:2] == (0, 1)
        assert unread(subscription) == [0]
        assert stream.publish_nowait(2) == 2


async def test_block_across_loops(in_thread: Callable[..., Future[Any]]) -> None:
    """A publisher in another loop and thread waits for a reader in this one."""
    async with stream_of(10) as stream, asyncio.timeout(30):
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        threads = [in_thread(lambda: asyncio.run(publish(stream, *range(50)))) for _ in range(2)]
        found = [await subscription.get() for _ in range(100)]
        for thread in threads:
            await asyncio.wrap_future(thread)

    assert sorted([*range(50), *range(50)]) == sorted(found)


async def test_a_cancelled_publisher_publishes_nothing() -> None:
    """Cancelled while it waits, a publisher leaves no message, and the next one is not held up."""
    async with stream_of(10) as stream:
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await publish(stream, 0)
        cancelled = asyncio.create_task(stream.publish("cancelled"))
        patient = asyncio.create_task(stream.publish("patient"))
        await asyncio.sleep(0)

        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await subscription.get() == 0
        assert await patient == 2
        assert unread(subscription) == ["patient"]


@pytest.mark.parametrize("ending", ["aclose", "unsubscribe", "context", "clear"])
async def test_a_reader_that_leaves_lets_the_publisher_go_on(ending: str) -> None:
    """Whoever waits for a reader goes on when the reader leaves, or the stream is cleared."""
    async with stream_of(10) as stream, asyncio.timeout(30):
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await publish(stream, 0)
        waiting = asyncio.create_task(stream.publish(1))
        await asyncio.sleep(0)
        match ending:
            case "aclose":
                await subscription.aclose()
            case "unsubscribe":
                await stream.unsubscribe(subscription)
            case "context":
                async with subscription:
                    pass
            case _:
                await stream.clear()
                with pytest.raises(SubscriberLaggedError):
                    subscription.get_nowait()

        assert await waiting == (3 if ending == "clear" else 2)


async def test_a_shutdown_ends_the_wait() -> None:
    """A publisher that waits when the stream is shut down is told so."""
    async with stream_of(10) as stream:
        await stream.subscribe(overflow="block", queue_size=1)
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await publish(stream, 0)
        waiting = asyncio.create_task(stream.publish(1))
        await asyncio.sleep(0)

    with pytest.raises(UnitClosedError):
        await waiting
    assert await subscription.get() == 0


async def test_rows_through_a_narrow_queue() -> None:
    """A row that is longer than the queue is published bit by bit, in order."""
    async with stream_of(10) as stream, asyncio.timeout(30):
        subscription = await stream.subscribe(overflow="block", queue_size=3)
        waiting = asyncio.create_task(stream.publish_many(range(20)))

        assert list(range(20)) == [await subscription.get() for _ in range(20)]
        assert await waiting == 20


async def test_the_slowest_reader_counts() -> None:
    """With several readers that block, the one with the least room decides."""
    async with stream_of(10, publish_timeout_s=0) as stream:
        slow = await stream.subscribe(overflow="block", queue_size=2)
        quick = await stream.subscribe(overflow="block", queue_size=9)
        await publish(stream, 0, 1)
        assert unread(quick) == [0, 1]
        with pytest.raises(SlowSubscriberError):
            await stream.publish(2)
        assert await slow.get() == 0
        assert await stream.publish(2) == 3


# -- options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("queue_size", value) for value in (0, -1, 11, True, 1.5, "1")),
        *(("replay", value) for value in (-1, True, 1.5, "1", None)),
        *(("since", value) for value in (-1, True, 1.5, "1", 4)),
        *(("overflow", value) for value in ("", "explode", None, 1)),
    ],
)
async def test_options_out_of_range(option: str, value: Any) -> None:
    """An option with a value that it cannot take is refused by name, and nobody is subscribed."""
    async with stream_of(10) as stream:
        await publish(stream, 0, 1, 2)
        with pytest.raises(InvalidOptionError) as caught:
            await stream.subscribe(**{option: value})

        assert caught.value.option in {option, "version" if option == "since" else option}
        assert repr(value) in str(caught.value)
        assert (await stream.stats()).watchers == 0


async def test_options_that_contradict_each_other() -> None:
    """A subscription begins at one place."""
    async with stream_of(10) as stream:
        await publish(stream, 0, 1, 2)
        with pytest.raises(InvalidOptionError):
            await stream.subscribe(replay=1, since=1)
