"""The stream unit, continued: from a thread into a loop, a stalled subscriber, publishing durably.

Floor of the first: `loop.call_soon_threadsafe(queue.put_nowait, message)`, message by message. A stalled
subscriber is measured in a process of its own: how far its memory grows, and the longest single `publish`.
Floor of the last: one write and one fsync in a thread; each row is the time for one message.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, HAS_PROC, Section, in_child, in_turns, memory_mb, number, rate, times
from benchmarks.unit_stream import YIELD_EVERY, Finish, take_batches, take_by_get, take_by_iteration

from library.infrastructure.data import DataUnitConfig, DataUnitStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.unit_stream import Consumer

STALLED_MESSAGES = 200_000


# -- a thread publishes, a loop reads ------------------------------------------------------------------------


async def from_thread(put: Callable[[int], Any], consumer: Consumer, messages: int) -> float:
    """Publish from a thread to a consumer that is waiting already; return messages per second."""
    finish = Finish(1, messages - 1)
    task = asyncio.ensure_future(consumer(messages, finish))
    for _ in range(3):
        await asyncio.sleep(0)

    def work() -> None:
        for message in range(messages):
            put(message)

    thread = threading.Thread(target=work)
    start = perf_counter()
    thread.start()
    taken = await finish.everybody_has_all - start
    await task
    thread.join()
    return messages / taken


async def thread_floor(messages: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue()
    call = asyncio.get_running_loop().call_soon_threadsafe
    return await from_thread(lambda m: call(queue.put_nowait, m), take_by_get(queue.get), messages)


async def thread_janus(messages: int) -> float:
    import janus

    queue = janus.Queue[int]()
    result = await from_thread(queue.sync_q.put, take_by_get(queue.async_q.get), messages)
    await queue.aclose()
    return result


async def thread_culsans(messages: int) -> float:
    import culsans

    queue = culsans.Queue[int]()
    result = await from_thread(queue.sync_q.put, take_by_get(queue.async_q.get), messages)
    queue.shutdown()
    return result


def thread_ours(take: Callable[[Any], Consumer]) -> Callable[[int], Awaitable[float]]:
    async def run(messages: int) -> float:
        async with DataUnitStream(DataUnitConfig(data_type="stream", cache_size=messages)) as stream:
            subscription = await stream.subscribe()
            return await from_thread(stream.publish_nowait, take(subscription), messages)

    return run


async def measure_threads(section: Section, rounds: int, messages: int) -> None:
    """Measure one thread that publishes to one loop."""
    name = "DataUnitStream, publish_nowait, async for"
    contenders: dict[str, Callable[[], Awaitable[float]]] = {
        FLOOR: lambda: thread_floor(messages),
        name: lambda: thread_ours(take_by_iteration)(messages),
        "DataUnitStream, publish_nowait, batches()": lambda: thread_ours(take_batches)(messages),
        "janus.Queue": lambda: thread_janus(messages),
        "culsans.Queue": lambda: thread_culsans(messages),
    }
    samples = await in_turns(contenders, rounds)
    table = section.table("Stream: a thread publishes, a loop reads", "", "messages/s", "x", "x janus")
    for each in contenders:
        label = "floor: call_soon_threadsafe(queue.put_nowait)" if each == FLOOR else each
        vs_janus = times(samples.ratio(each, "janus.Queue"))
        table.add(label, rate(samples.median(each)), times(samples.ratio(each)), vs_janus)
    section.at_least("thread to loop, per message", 3, samples.ratio(name, "janus.Queue"), "janus")


# -- a subscriber that does not read -------------------------------------------------------------------------


def stall(policy: str) -> dict[str, Any]:
    """Publish to a subscriber that never reads, in this process, and say what that took."""
    longest = 0.0

    async def publish_all(publish: Callable[[Any], Awaitable[Any] | Any], *, awaited: bool) -> float:
        nonlocal longest
        before = memory_mb("VmRSS")
        for index in range(STALLED_MESSAGES):
            start = perf_counter()
            result = publish({"index": index, "text": f"message {index}"})
            if awaited:
                await result
            longest = max(longest, perf_counter() - start)
            if index % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return max(memory_mb("VmHWM"), memory_mb("VmRSS")) - before

    async def queue() -> float:
        stalled: asyncio.Queue[Any] = asyncio.Queue()
        return await publish_all(stalled.put_nowait, awaited=False)

    async def broadcaster() -> float:
        from broadcaster import Broadcast

        async with Broadcast("memory://") as broadcast, broadcast.subscribe(channel="all"):
            return await publish_all(lambda message: broadcast.publish("all", message), awaited=True)

    async def stream(overflow: Any) -> float:
        async with DataUnitStream() as unit:
            subscription = await unit.subscribe(overflow=overflow)
            grown = await publish_all(unit.publish, awaited=True)
            assert (await unit.entry()).version == STALLED_MESSAGES
            assert subscription.lag
            return grown

    start = perf_counter()
    runs = {"asyncio.Queue": queue, "broadcaster memory://": broadcaster}
    grown = asyncio.run(runs[policy]() if policy in runs else stream(policy))
    return {"mb": grown, "seconds": perf_counter() - start, "longest_ms": longest * 1e3}


def measure_stalled(section: Section) -> None:
    """Measure 200,000 messages beside a subscriber that does not read."""
    if not HAS_PROC:
        return
    table = section.table(
        "Stream: one stalled subscriber, 200,000 messages", "", "grows, MB", "seconds", "longest publish, ms"
    )
    for policy in ("asyncio.Queue", "broadcaster memory://", "error", "drop_oldest", "disconnect"):
        result = in_child("unit_stream_more", policy)
        is_ours = policy in {"error", "drop_oldest", "disconnect"}
        label = f"DataUnitStream, overflow={policy!r}" if is_ours else f"{policy} (unbounded)"
        table.add(label, *(number(result[key]) for key in ("mb", "seconds", "longest_ms")))
        if is_ours:
            measured = f"{max(0, result['mb']):.1f} MB, {result['longest_ms']:.1f} ms"
            is_met = result["mb"] < 5 and result["longest_ms"] < 100
            promised = "< 5 MB, publisher does not wait"
            section.holds(f"stalled subscriber, {policy}", promised, measured, is_met)


# -- a persistent stream -------------------------------------------------------------------------------------


async def measure_durable(section: Section, rounds: int) -> None:
    """Measure publishing to the log, alone and together."""
    with tempfile.TemporaryDirectory(prefix="bench-stream-") as folder:
        descriptor = os.open(Path(folder, "floor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        config = DataUnitConfig(data_type="stream", persistent=True, file_path=str(Path(folder, "log")))
        message = {"event": "user_login", "user": 17}
        line = json.dumps(message).encode() + b"\n"

        def append() -> None:
            os.write(descriptor, line)
            os.fsync(descriptor)

        async def floor() -> float:
            start = perf_counter()
            for _ in range(20):
                await asyncio.to_thread(append)
            return (perf_counter() - start) / 20 * 1e6

        async with DataUnitStream(config) as stream:

            async def alone() -> float:
                start = perf_counter()
                for _ in range(20):
                    await stream.publish(message)
                return (perf_counter() - start) / 20 * 1e6

            async def together() -> float:
                start = perf_counter()
                await asyncio.gather(*(stream.publish(message) for _ in range(100)))
                return (perf_counter() - start) / 100 * 1e6

            async def many() -> float:
                start = perf_counter()
                await stream.publish_many([message] * 100)
                return (perf_counter() - start) / 100 * 1e6

            contenders = {
                FLOOR: floor,
                "DataUnitStream.publish": alone,
                "DataUnitStream.publish, 100 concurrent, each": together,
                "DataUnitStream.publish_many, 100, each": many,
            }
            samples = await in_turns(contenders, rounds)
        os.close(descriptor)
    table = section.table("Stream: persistent, with fsync", "", "us", "x")
    for name in contenders:
        label = "floor: write and fsync in a thread" if name == FLOOR else name
        table.add(label, number(samples.median(name)), times(samples.ratio(name)))


if __name__ == "__main__":
    print(json.dumps(stall(sys.argv[1])))
