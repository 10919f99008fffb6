"""Saving 10,000 exchanges in one call, one transaction.

The raw ways put rows whose columns are ready, the text of the `tsvector` included, into a table like ours
with its indexes: by COPY in its text form, by `executemany`, and by one INSERT out of arrays. Ours makes the
vectors within its time; so does the fastest of the raw ways in another line, before it begins. The bar is
held against the fastest whose rows are ready. The peers, which keep no index, save a tenth.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

import asyncpg
from benchmarks._harness import Section, in_turns, rate, run_async, times
from benchmarks.history_texts import BATCH, RealTexts
from benchmarks.postgresql_floors import save_by_copy, save_by_executemany, save_by_unnest, to_raw
from benchmarks.postgresql_peers import PEERS
from benchmarks.postgresql_setup import OURS, Options, open_unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.history_peer import Peer
    from benchmarks.history_texts import Exchange

    from library.infrastructure.data import ConversationHistoryUnit

RAW: dict[str, Callable[[Any, list[Any]], Awaitable[None]]] = {
    "asyncpg COPY, rows ready": save_by_copy,
    "asyncpg executemany, rows ready": save_by_executemany,
    "asyncpg INSERT out of arrays, rows ready": save_by_unnest,
}
MADE = {
    "asyncpg COPY, and the making of the vectors": save_by_copy,
    "asyncpg INSERT out of arrays, and the making of the vectors": save_by_unnest,
}


async def ready(
    connection: Any, save: Callable[[Any, list[Any]], Awaitable[None]], exchanges: list[Exchange]
) -> float:
    rows = list(map(to_raw, exchanges))
    start = perf_counter()
    await save(connection, rows)
    return len(exchanges) / (perf_counter() - start)


async def made(
    connection: Any, save: Callable[[Any, list[Any]], Awaitable[None]], exchanges: list[Exchange]
) -> float:
    start = perf_counter()
    await save(connection, list(map(to_raw, exchanges)))
    return len(exchanges) / (perf_counter() - start)


async def ours(unit: ConversationHistoryUnit, exchanges: list[Exchange]) -> float:
    messages = [exchange.message() for exchange in exchanges]
    start = perf_counter()
    await unit.save_messages_batch(messages)
    return len(exchanges) / (perf_counter() - start)


async def saved_by_peer(peer: Peer, exchanges: list[Exchange]) -> float:
    some = exchanges[: len(exchanges) // 10]
    session = await peer.session(f"batch {perf_counter_ns()}")
    start = perf_counter()
    await peer.save_many(session, some)
    return len(some) / (perf_counter() - start)


async def measure(section: Section, options: Options) -> None:
    size = BATCH // 10 if options.quick else BATCH
    texts = RealTexts()
    exchanges = [texts.next(f"conversation {index // 25}") for index in range(size)]
    async with AsyncExitStack() as stack:
        contenders: dict[str, Callable[[], Awaitable[float]]] = {}
        for timed, ways in ((ready, RAW), (made, MADE)):
            for name, save in ways.items():
                connection = await asyncpg.connect(await options.new_table(f"batch {len(contenders)}"))
                stack.push_async_callback(connection.close)
                contenders[name] = partial(timed, connection, save, exchanges)
        unit = await stack.enter_async_context(open_unit(await options.new_database("batch ours")))
        contenders[OURS] = partial(ours, unit, exchanges)
        for kind in PEERS:
            peer = kind(await options.new_database(f"batch {kind.name}"))
            await peer.open()
            stack.push_async_callback(peer.close)
            contenders[peer.name] = partial(saved_by_peer, peer, exchanges)
        samples = await in_turns(contenders, 3 if options.quick else 5, sync=True)
    fastest = max(RAW, key=samples.median)
    fastest_made = max(MADE, key=samples.median)
    table = section.table(
        f"{size:,} exchanges in one call",
        "",
        "exchanges/s",
        "x",
        note=f"one transaction, real texts of 600 bytes, the same indexes; x: of {fastest}",
    )
    shown = {kind.name: f"{kind.name} ({kind.note})" for kind in PEERS}
    for name in (OURS, *RAW, *MADE, *shown):
        table.add(shown.get(name, name), rate(samples.median(name)), times(samples.ratio(name, fastest)))
    section.at_least(f"a batch of {size:,}", 0.8, samples.ratio(OURS, fastest), fastest)
    beside = times(samples.ratio(OURS, fastest_made))
    section.tables[-1].note += f"; ours is {beside} of {fastest_made}"


def run(options: Options) -> Section:
    section = Section("batch")
    run_async(measure(section, options))
    return section
