"""The stream unit: fan-out in one loop; what else is measured of it is in `unit_stream_more`.

Floor of the fan-out: the publisher does `put_nowait` on as many `asyncio.Queue` as there are subscribers, and
lets the loop turn once in 64 messages; each subscriber does `await queue.get()`. Ratios are deliveries per
second (messages times subscribers) against the floor's. Every subscriber counts its messages and looks at the
last one; a run in which one is missing fails.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import (
    FLOOR,
    Section,
    in_turns,
    rate,
    run_async,
    times,
)

from library.infrastructure.data import DataUnitStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    Consumer = Callable[[int, "Finish"], Coroutine[Any, Any, None]]
    """Takes so many messages, and then arrives at the finish."""

YIELD_EVERY = 64
MESSAGES = {1: 50_000, 100: 2_560, 1000: 640}
"""How many messages, by how many subscribers; slow peers publish a part of that."""


class Finish:
    """Where consumers wait for each other after their last message, so that no clean-up is timed."""

    def __init__(self, consumers: int, last: int) -> None:
        self.missing = consumers
        self.last = last
        self.everybody_has_all: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def arrive(self, message: Any) -> None:
        assert message == self.last, "messages were lost"
        self.missing -= 1
        if not self.missing:
            self.everybody_has_all.set_result(perf_counter())
        else:
            await asyncio.wait([self.everybody_has_all])


async def fan_out(
    consumers: Sequence[Consumer],
    publish: Callable[[int], Any],
    messages: int,
    *,
    awaited: bool,
) -> float:
    """Publish `messages` to consumers that are waiting already; return deliveries per second."""
    finish = Finish(len(consumers), messages - 1)
    tasks = [asyncio.ensure_future(consumer(messages, finish)) for consumer in consumers]
    for _ in range(3):
        await asyncio.sleep(0)
    start = perf_counter()
    if awaited:
        for message in range(messages):
            await publish(message)
            if message % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
    else:
        for message in range(messages):
            publish(message)
            if message % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
    taken = await finish.everybody_has_all - start
    await asyncio.gather(*tasks)
    return messages * len(consumers) / taken


def take_by_get(get: Callable[[], Awaitable[Any]]) -> Consumer:
    async def take(messages: int, finish: Finish) -> None:
        message = None
        for _ in range(messages):
            message = await get()
        await finish.arrive(message)

    return take


def take_by_iteration(subscription: Any) -> Consumer:
    async def take(messages: int, finish: Finish) -> None:
        count = 0
        async for message in subscription:
            count += 1
            if count == messages:
                await finish.arrive(message)
                break

    return take


def take_batches(subscription: Any) -> Consumer:
    async def take(messages: int, finish: Finish) -> None:
        count = 0
        async for batch in subscription.batches():
            count += len(batch)
            if count >= messages:
                assert count == messages
                await finish.arrive(batch[-1])
                break

    return take


async def queues(subscribers: int, messages: int) -> float:
    made = [asyncio.Queue[int]() for _ in range(subscribers)]

    def publish(message: int) -> None:
        for queue in made:
            queue.put_nowait(message)

    return await fan_out([take_by_get(q.get) for q in made], publish, messages, awaited=False)


def ours(take: Callable[[Any], Consumer], *, awaited: bool) -> Callable[[int, int], Awaitable[float]]:
    async def run(subscribers: int, messages: int) -> float:
        async with DataUnitStream() as stream:
            made = [await stream.subscribe() for _ in range(subscribers)]
            publish = stream.publish if awaited else stream.publish_nowait
            result = await fan_out([take(s) for s in made], publish, messages, awaited=awaited)
            assert not sum(subscription.dropped for subscription in made)
            return result

    return run


async def anyio_streams(subscribers: int, messages: int) -> float:
    import anyio

    made = [anyio.create_memory_object_stream[int](math.inf) for _ in range(subscribers)]
    sends = [send.send_nowait for send, _ in made]

    def publish(message: int) -> None:
        for send in sends:
            send(message)

    consumers = [take_by_get(receive.receive) for _, receive in made]
    result = await fan_out(consumers, publish, messages, awaited=False)
    for send, receive in made:
        send.close()
        receive.close()
    return result


async def broadcaster_memory(subscribers: int, messages: int) -> float:
    from broadcaster import Broadcast

    def take(subscriber: Any) -> Consumer:
        async def consume(count: int, finish: Finish) -> None:
            message = None
            for _ in range(count):
                message = (await subscriber.get()).message
            await finish.arrive(message)

        return consume

    async with AsyncExitStack() as stack:
        broadcast = await stack.enter_async_context(Broadcast("memory://"))
        made = [
            await stack.enter_async_context(broadcast.subscribe(channel="all")) for _ in range(subscribers)
        ]
        return await fan_out(
            [take(each) for each in made], lambda m: broadcast.publish("all", m), messages, awaited=True
        )


async def janus_queues(subscribers: int, messages: int) -> float:
    import janus

    made = [janus.Queue[int]() for _ in range(subscribers)]
    puts = [queue.async_q.put_nowait for queue in made]

    def publish(message: int) -> None:
        for put in puts:
            put(message)

    consumers = [take_by_get(queue.async_q.get) for queue in made]
    result = await fan_out(consumers, publish, messages, awaited=False)
    for queue in made:
        await queue.aclose()
    return result


async def culsans_queues(subscribers: int, messages: int) -> float:
    import culsans

    made = [culsans.Queue[int]() for _ in range(subscribers)]
    puts = [queue.async_q.put_nowait for queue in made]

    def publish(message: int) -> None:
        for put in puts:
            put(message)

    consumers = [take_by_get(queue.async_q.get) for queue in made]
    result = await fan_out(consumers, publish, messages, awaited=False)
    for queue in made:
        queue.shutdown()
    return result


OURS_BY_MESSAGE = "DataUnitStream, publish_nowait, async for"
OURS_AWAITED = "DataUnitStream, await publish, async for"
OURS_BATCHES = "DataUnitStream, publish_nowait, batches()"
OURS_BATCHES_AWAITED = "DataUnitStream, await publish, batches()"
FAN_OUT: dict[str, Callable[[int, int], Awaitable[float]]] = {
    FLOOR: queues,
    OURS_BY_MESSAGE: ours(take_by_iteration, awaited=False),
    OURS_AWAITED: ours(take_by_iteration, awaited=True),
    "DataUnitStream, publish_nowait, await get()": ours(
        lambda subscription: take_by_get(subscription.get), awaited=False
    ),
    OURS_BATCHES: ours(take_batches, awaited=False),
    OURS_BATCHES_AWAITED: ours(take_batches, awaited=True),
}
PEERS: dict[str, Callable[[int, int], Awaitable[float]]] = {
    "broadcaster memory://": broadcaster_memory,
    "culsans.Queue": culsans_queues,
    "anyio memory object streams": anyio_streams,
    "janus.Queue": janus_queues,
}


async def measure_fan_out(section: Section, rounds: int, share: int) -> None:
    """Measure 1, 100 and 1000 subscribers."""
    columns = []
    for subscribers, most in MESSAGES.items():
        messages = most // share
        contenders = {name: partial(run, subscribers, messages) for name, run in FAN_OUT.items()}
        fewer = max(messages // 8, YIELD_EVERY)
        contenders |= {name: partial(run, subscribers, fewer) for name, run in PEERS.items()}
        columns.append(await in_turns(contenders, rounds))
    heads = [head for subscribers in MESSAGES for head in (f"{subscribers:,} subs", "x")]
    table = section.table("Stream: deliveries per second, one loop", "", *heads)
    for name in (*FAN_OUT, *PEERS):
        label = "floor: put_nowait on N asyncio.Queue" if name == FLOOR else name
        cells = [cell for s in columns for cell in (rate(s.median(name)), times(s.ratio(name)))]
        table.add(label, *cells)
    for samples, (subscribers, bar) in zip(columns, {1: 1.5, 100: 2.2, 1000: 2.2}.items(), strict=True):
        of = "asyncio.Queue"
        for how, name in (("publish_nowait", OURS_BY_MESSAGE), ("await publish", OURS_AWAITED)):
            what = f"stream, {subscribers:,} subscribers, per message, {how}"
            section.at_least(what, bar, samples.ratio(name), of)
        if subscribers > 1:
            for how, name in (("publish_nowait", OURS_BATCHES), ("await publish", OURS_BATCHES_AWAITED)):
                what = f"stream, {subscribers:,} subscribers, in batches, {how}"
                section.at_least(what, 6, samples.ratio(name), of)


async def measure(quick: bool) -> Section:
    from benchmarks import unit_stream_more as more

    section = Section("stream")
    await measure_fan_out(section, 2 if quick else 7, 4 if quick else 1)
    await more.measure_threads(section, 3 if quick else 9, 10_000 if quick else 50_000)
    more.measure_stalled(section)
    await more.measure_durable(section, 3 if quick else 11)
    return section


def run(quick: bool) -> Section:
    return run_async(measure(quick))
