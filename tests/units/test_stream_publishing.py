"""Publishing: from tasks, loops and threads, one by one and in rows."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitStream,
    InvalidValueError,
    NotInitializedError,
    StreamError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path


@pytest.fixture(params=[False, True], ids=["memory", "persistent"])
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> DataUnitStream:
    """A stream, in memory or with a log."""
    options = {"persistent": True, "file_path": tmp_path / "messages.log"} if request.param else {}
    return DataUnitStream(DataUnitConfig(data_type="stream", cache_size=5000, **options))


async def take(stream: DataUnitStream, count: int) -> list[Any]:
    """Read so many messages from the beginning."""
    async with await stream.subscribe(since=0) as subscription:
        return [await subscription.get() for _ in range(count)]


async def test_every_way_of_publishing_is_one(stream: DataUnitStream) -> None:
    """`publish`, `set`, `update` and `publish_many` each publish, and count the versions."""
    async with stream:
        assert await stream.publish("a") == 1
        assert await stream.set("b") == 2
        assert await stream.update(lambda last: last + "!") == "b!"
        assert await stream.publish_many(["d", "e"]) == 5
        assert await stream.publish_many([]) == 5
        assert await stream.get() == "e"
        assert await take(stream, 5) == ["a", "b", "b!", "d", "e"]


async def test_rows_stay_together(stream: DataUnitStream) -> None:
    """What tasks publish with `publish_many` at the same time is not mixed."""
    async with stream:
        rows = [[(task, number) for number in range(20)] for task in range(20)]
        versions = await asyncio.gather(*(stream.publish_many(row) for row in rows))

        messages = [tuple(message) for message in await take(stream, 400)]
        assert sorted(versions) == list(range(20, 401, 20))
        for task, row in groupby(messages, key=lambda message: message[0]):
            assert rows[task] == list(row)


async def test_all_of_a_row_or_none(tmp_path: Path) -> None:
    """On a persistent stream one bad message keeps the whole row from being published."""
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=tmp_path / "messages.log")
    async with DataUnitStream(config) as stream:
        await stream.publish("before")
        with pytest.raises(InvalidValueError):
            await stream.publish_many(["good", {1, 2}, "good"])
        assert (await stream.entry())[:2] == ("before", 1)
        answers = await asyncio.gather(
            stream.publish_many([1, float("nan")]), stream.publish_many([2, 3]), return_exceptions=True
        )
        assert isinstance(answers[0], InvalidValueError)
        assert answers[1] == 3
        assert await take(stream, 3) == ["before", 2, 3]


async def test_a_row_that_raises(stream: DataUnitStream) -> None:
    """An iterable that fails half way publishes nothing."""

    def row() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    async with stream:
        with pytest.raises(ZeroDivisionError):
            await stream.publish_many(row())
        assert not await stream.exists()


async def test_order_within_a_task(stream: DataUnitStream) -> None:
    """What one task publishes comes in its order, whatever the others do."""

    async def publish(task: int) -> None:
        for number in range(30):
            await stream.publish([task, number])

    async with stream:
        await asyncio.gather(*(publish(task) for task in range(10)))

        messages = await take(stream, 300)
        for task in range(10):
            assert list(range(30)) == [number for owner, number in messages if owner == task]


async def test_publishing_from_a_thread(in_thread: Callable[..., Future[Any]]) -> None:
    """`publish_nowait` works from threads without an event loop; a reader that waits is woken."""
    config = DataUnitConfig(data_type="stream", cache_size=10_000)
    async with DataUnitStream(config) as stream, asyncio.timeout(60):
        subscription = await stream.subscribe()

        def publish(thread: int) -> list[int]:
            return [stream.publish_nowait((thread, number)) for number in range(1000)]

        threads = [in_thread(publish, thread) for thread in range(4)]
        messages = [await subscription.get() for _ in range(4000)]

        versions = [version for each in threads for version in each.result()]
        assert list(range(1, 4001)) == sorted(versions)
        for thread in range(4):
            assert list(range(1000)) == [number for owner, number in messages if owner == thread]


async def test_publishing_from_a_loop_of_ones_own(
    stream: DataUnitStream, in_thread: Callable[..., Future[Any]]
) -> None:
    """In a thread `asyncio.run(stream.publish(message))` works, on a persistent stream too."""
    async with stream, asyncio.timeout(60):
        subscription = await stream.subscribe()

        def publish(thread: int) -> None:
            for number in range(20):
                asyncio.run(stream.publish([thread, number]))

        threads = [in_thread(publish, thread) for thread in range(3)]
        messages = [await subscription.get() for _ in range(60)]
        for each in threads:
            await asyncio.wrap_future(each)
        for thread in range(3):
            assert list(range(20)) == [number for owner, number in messages if owner == thread]


async def test_readers_in_two_loops(stream: DataUnitStream, in_thread: Callable[..., Future[Any]]) -> None:
    """Subscribers in different loops all get all messages."""

    async def read() -> list[int]:
        async with await stream.subscribe(since=0) as subscription:
            return [await subscription.get() for _ in range(500)]

    async with stream, asyncio.timeout(60):
        readers = [asyncio.create_task(read())]
        threads = [in_thread(lambda: asyncio.run(read())) for _ in range(2)]
        for number in range(500):
            await stream.publish(number)

        answers = await asyncio.gather(*readers, *map(asyncio.wrap_future, threads))
        assert [list(range(500))] * 3 == answers


async def test_publishing_at_once_where_that_cannot_be(tmp_path: Path) -> None:
    """`publish_nowait` is refused where it would have to wait: on a log, within an update, before opening."""
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=tmp_path / "messages.log")
    async with DataUnitStream(config) as persistent:
        with pytest.raises(StreamError, match="persistent"):
            persistent.publish_nowait(1)
        assert not await persistent.exists()

    stream = DataUnitStream()
    with pytest.raises(NotInitializedError):
        stream.publish_nowait(1)
    async with stream:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slowly(_: Any) -> str:
            begun.set()
            await go.wait()
            return "updated"

        update = asyncio.create_task(stream.update(slowly))
        await begun.wait()
        with pytest.raises(StreamError, match="update"):
            stream.publish_nowait(1)
        go.set()
        await update
        assert stream.publish_nowait(1) == 2


async def test_an_initial_value(stream: DataUnitStream, tmp_path: Path) -> None:
    """A new stream begins with the initial value as its first message."""
    config = stream.config.model_copy(update={"initial_value": {"hello": "world"}})
    for _ in range(2):
        async with DataUnitStream(config) as begun:
            assert (await begun.entry())[:2] == ({"hello": "world"}, 1)
            assert await take(begun, 1) == [{"hello": "world"}]
