"""Persistent streams: what comes back after a restart, and reading from the log."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitStream,
    HistoryGapError,
    InvalidOptionError,
    InvalidValueError,
    SlowSubscriberError,
    SubscriberLaggedError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> DataUnitConfig:
    """A stream with a log, of which only 16 messages are kept in memory."""
    return DataUnitConfig(
        data_type="stream",
        persistent=True,
        file_path=tmp_path / "messages.log",
        cache_size=16,
        durability="os",
    )


async def read(stream: DataUnitStream, since: int, count: int) -> list[Any]:
    """Read so many messages after a version."""
    async with await stream.subscribe(since=since) as subscription:
        return [await subscription.get() for _ in range(count)]


async def test_the_history_after_a_restart(config: DataUnitConfig) -> None:
    """Value, version and time come back, and a subscriber can begin at any message."""
    async with DataUnitStream(config) as stream:
        await stream.publish_many({"number": number} for number in range(1, 101))
        entry = await stream.entry()
    async with DataUnitStream(config) as stream:
        assert entry.value == await stream.get()
        assert entry.version == (await stream.entry()).version == 100
        assert abs((entry.updated_at - (await stream.entry()).updated_at).total_seconds()) < 1
        for since in (0, 1, 50, 83, 84, 85, 99, 100):
            expected = [{"number": number} for number in range(since + 1, 101)]
            assert expected == await read(stream, since, 100 - since)
        assert await stream.publish("next") == 101
        with pytest.raises(InvalidOptionError):
            await stream.subscribe(since=102)


async def test_a_reader_goes_on_after_a_restart(config: DataUnitConfig) -> None:
    """The position of a reader of a former process is where a new one begins."""
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(60))
        for _ in range(7):
            await subscription.get()
        position = subscription.position
    async with DataUnitStream(config) as stream:
        await stream.publish_many(range(60, 80))
        assert list(range(7, 80)) == await read(stream, position, 73)


async def test_replay_reaches_into_the_log(config: DataUnitConfig) -> None:
    """`replay` brings more messages than are kept in memory."""
    async with DataUnitStream(config) as stream:
        await stream.publish_many(range(100))
        subscription = await stream.subscribe(replay=60)
        assert list(range(40, 100)) == [await subscription.get() for _ in range(60)]
        everything = await stream.subscribe(replay=10_000)
        assert list(range(100)) == [await everything.get() for _ in range(100)]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["get", "iterate", "batches"])
async def test_catching_up_while_others_publish(way: str, config: DataUnitConfig) -> None:
    """A reader that begins far behind gets every message once, in order, and reaches the newest."""
    async with DataUnitStream(config) as stream, asyncio.timeout(60):
        await stream.publish_many(range(3000))

        async def publish() -> None:
            for number in range(3000, 4000, 5):
                await stream.publish_many(range(number, number + 5))

        publisher = asyncio.create_task(publish())
        subscription = await stream.subscribe(since=0)
        found: list[int] = []
        if way == "iterate":
            async for message in subscription:
                found.append(message)
                if len(found) == 4000:
                    break
        elif way == "batches":
            async for batch in subscription.batches(100):
                found += batch
                if len(found) == 4000:
                    break
        else:
            found = [await subscription.get() for _ in range(4000)]
        await publisher

    assert list(range(4000)) == found


async def test_one_that_falls_behind_misses_nothing(config: DataUnitConfig) -> None:
    """Without a `queue_size` a slow reader of a persistent stream reads from the log what it missed."""
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe()
        await stream.publish_many(range(500))
        assert subscription.lag == 500
        assert list(range(500)) == [await subscription.get() for _ in range(500)]
        assert subscription.dropped == 0


async def test_a_queue_size_holds_for_a_log_as_well(config: DataUnitConfig) -> None:
    """With a `queue_size` a slow reader is treated as in memory."""
    async with DataUnitStream(config) as stream:
        lagging = await stream.subscribe(queue_size=10)
        dropping = await stream.subscribe(queue_size=10, overflow="drop_oldest")
        cut = await stream.subscribe(queue_size=10, overflow="disconnect")
        await stream.publish_many(range(100))
        with pytest.raises(SubscriberLaggedError, match="missed 90 "):
            await lagging.get()
        with pytest.raises(SlowSubscriberError):
            await cut.get()
        assert [90, 90] == [await lagging.get(), await dropping.get()]
        assert dropping.dropped == 90


async def test_blocking_on_a_log(config: DataUnitConfig) -> None:
    """A publisher to a log waits for a reader that blocks, too."""
    async with DataUnitStream(config) as stream, asyncio.timeout(30):
        subscription = await stream.subscribe(overflow="block", queue_size=1)
        await stream.publish(0)
        waiting = asyncio.create_task(stream.publish(1))
        await asyncio.sleep(0)
        assert subscription.lag == 1
        assert [0, 1] == [await subscription.get() for _ in range(2)]
        assert await waiting == 2


async def test_clear_and_restart(config: DataUnitConfig, tmp_path: Path) -> None:
    """`clear` empties the log; versions go on, and older ones are a gap, before and after a restart."""
    async with DataUnitStream(config) as stream:
        await stream.publish_many(range(50))
        await stream.clear()
        assert (await stream.entry()).version == 51
    assert (tmp_path / "messages.log").stat().st_size < 100
    for version in (51, 53):
        async with DataUnitStream(config) as stream:
            assert (await stream.entry()).version == version
            with pytest.raises(HistoryGapError) as caught:
                await stream.subscribe(since=50)
            assert caught.value.oldest == 51
            assert len(await read(stream, 51, version - 51)) == version - 51
            assert await stream.publish_many(["a", "b"]) == version + 2


async def test_clear_while_a_reader_is_behind(config: DataUnitConfig) -> None:
    """A reader that was reading from the log is told how many messages are gone, and goes on."""
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe(since=0)
        await stream.publish_many(range(1000))
        assert [0, 1, 2] == [await subscription.get() for _ in range(3)]
        await stream.clear()
        await stream.publish_many(range(1000, 1100))
        with pytest.raises(SubscriberLaggedError) as caught:
            await subscription.get()
        assert caught.value.missed == 997
        assert list(range(1000, 1100)) == [await subscription.get() for _ in range(100)]


@pytest.mark.slow
async def test_clear_during_a_read(config: DataUnitConfig) -> None:
    """Whenever a `clear` comes, a reader gets later messages only, and each of them once."""
    total = 0
    async with DataUnitStream(config) as stream, asyncio.timeout(60):
        subscription = await stream.subscribe(since=0)

        async def publish() -> None:
            nonlocal total
            for _ in range(150):
                for _ in range(3):
                    await stream.publish_many(range(total, total + 40))
                    total += 40
                await stream.clear()
            await stream.publish("end")

        publisher = asyncio.create_task(publish())
        found: list[Any] = []
        missed = 0
        while not found or found[-1] != "end":
            try:
                found.append(await subscription.get())
            except SubscriberLaggedError as error:
                missed += error.missed
        await publisher

    assert found.pop() == "end"
    assert sorted(set(found)) == found
    assert total == len(found) + missed


@pytest.mark.parametrize("text", ["x" * 3_000_000, "é€😀\n\r\0\u2028" * 300_000])
async def test_large_messages(text: str, config: DataUnitConfig) -> None:
    """Messages of several MB pass through the log, each on one line."""
    messages = [{"text": text, "number": number} for number in range(3)]
    async with DataUnitStream(config) as stream:
        await stream.publish_many(messages)
        await stream.publish("small")
        assert [*messages, "small"] == await read(stream, 0, 4)
    async with DataUnitStream(config) as stream:
        assert [*messages, "small"] == await read(stream, 0, 4)


async def test_messages_that_are_written_in_slices(config: DataUnitConfig) -> None:
    """A message that is large because it has many parts is one line as well."""
    message = {"rows": [{"number": number, "text": "a\nb"} for number in range(30_000)]}
    async with DataUnitStream(config) as stream:
        await stream.publish(message)
    async with DataUnitStream(config) as stream:
        assert message == await stream.get()


async def test_what_a_log_looks_like(config: DataUnitConfig, tmp_path: Path) -> None:
    """Each line is a JSON object with version, time and message, for other programs to read."""
    async with DataUnitStream(config) as stream:
        await stream.publish_many([{"a": "é"}, None])
    first, second = map(json.loads, (tmp_path / "messages.log").read_bytes().splitlines())

    assert (1, {"a": "é"}) == (first["version"], first["data"])
    assert (2, None) == (second["version"], second["data"])
    assert first["at"] <= second["at"]


@pytest.mark.parametrize("message", [{1, 2}, float("nan"), {"a": object()}, {1: 2}, "\ud800", b"bytes"])
async def test_what_a_log_cannot_hold(message: Any, config: DataUnitConfig) -> None:
    """Such a message is refused, nobody reads it, and no version is used up."""
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe()
        for call in (stream.publish(message), stream.set(message), stream.update(lambda _: message)):
            with pytest.raises(InvalidValueError):
                await call
        assert subscription.lag == 0
        assert await stream.publish("good") == 1


async def test_the_end_is_told_to_one_far_behind(config: DataUnitConfig) -> None:
    """Whoever is behind when the stream is shut down reads all the rest, or is told how much is lost."""
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe(since=0)
        await stream.publish_many(range(1000))
        found = [await subscription.get() for _ in range(10)]
    missed = 0
    while True:
        try:
            found += [message async for message in subscription]
        except SubscriberLaggedError as error:
            missed += error.missed
        else:
            break

    assert found[-1] == 999
    assert sorted(set(found)) == found
    assert len(found) + missed == 1000
