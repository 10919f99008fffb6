"""The latest 20 exchanges of a conversation of 1000, in a large table.

The floor is the raw SELECT on one connection of asyncpg, which gives records; a pool of asyncpg's takes one
round trip more, to reset what comes back. Ours gives messages. The peers read among 10,000 exchanges.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg
from benchmarks._harness import FLOOR, Section, in_turns, number, run_async, times
from benchmarks.history_read import CONVERSATIONS, LIMIT, fill, time_ours, time_peer
from benchmarks.history_texts import LONG
from benchmarks.postgresql_floors import latest
from benchmarks.postgresql_peers import PEERS
from benchmarks.postgresql_setup import OURS, POOL, Options, open_unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

AMONG = 10_000
POOLED = f"SELECT with asyncpg, a pool of {POOL}, records"


async def time_raw(server: Any, conversations: Sequence[str], calls: int) -> float:
    """Return microseconds a call."""
    start = perf_counter()
    for conversation in islice(cycle(conversations), calls):
        assert len(await latest(server, conversation, LIMIT)) == LIMIT
    return (perf_counter() - start) / calls * 1e6


async def measure(section: Section, options: Options) -> None:
    large = options.large
    long = large.texts.long[:CONVERSATIONS]
    calls, peer_calls = (100, 10) if options.quick else (1500, 50)
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(large.url)
        stack.push_async_callback(connection.close)
        pool = await stack.enter_async_context(asyncpg.create_pool(large.url, min_size=POOL, max_size=POOL))
        unit = await stack.enter_async_context(open_unit(large.url))
        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(time_raw, connection, long, calls),
            POOLED: partial(time_raw, pool, long, calls),
            OURS: partial(time_ours, unit, long, calls),
        }
        for kind in PEERS:
            peer = kind(await options.new_database(f"read {kind.name}"))
            await peer.open()
            stack.push_async_callback(peer.close)
            sessions = await fill(peer, AMONG // 5 if options.quick else AMONG)
            contenders[peer.name] = partial(time_peer, peer, sessions, peer_calls)
        samples = await in_turns(contenders, 3 if options.quick else 9)
    table = section.table(
        f"The latest {LIMIT} of a conversation of {LONG:,}, among {large.rows:,} exchanges",
        "",
        "us",
        "x",
        note=f"the peers among {AMONG:,}; x: the time of the floor",
    )
    shown = {FLOOR: "floor: SELECT with asyncpg, one connection, records"}
    shown |= {kind.name: f"{kind.name} ({kind.note})" for kind in PEERS}
    for name in (OURS, FLOOR, POOLED, *(kind.name for kind in PEERS)):
        table.add(shown.get(name, name), number(samples.median(name)), times(samples.ratio(name)))
    what = f"the latest {LIMIT} among {large.rows:,}"
    section.at_least(what, 0.8, samples.ratio(FLOOR, OURS), "as fast as raw asyncpg")


def run(options: Options) -> Section:
    section = Section("read")
    section.tables.append(options.large.table())
    run_async(measure(section, options))
    return section
