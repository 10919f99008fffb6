"""Saving one exchange at a time: one task in sequence, and 64 tasks at once.

The floor is asyncpg itself: a pool of 8, and one INSERT a save, into a table like ours with its indexes; what
the columns take is ready beforehand. A pool of asyncpg's resets a connection that comes back, which takes a
round trip; the line below it has one connection in its hand instead. The texts are real English, about 600
bytes an exchange.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
from benchmarks._harness import FLOOR, Section, in_turns, rate, run_async, times
from benchmarks.history_save import time_in_sequence, time_tasks
from benchmarks.history_texts import RealTexts
from benchmarks.postgresql_floors import INSERT, to_raw
from benchmarks.postgresql_peers import PEERS
from benchmarks.postgresql_setup import OURS, POOL, Options, open_unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.history_peer import Peer
    from benchmarks.history_texts import Exchange

    from library.infrastructure.data import ConversationHistoryUnit

TASKS = 64
HELD = "asyncpg, one INSERT a save, one connection"
SHOWN = {FLOOR: f"floor: asyncpg, one INSERT a save, a pool of {POOL}"}
SHOWN |= {peer.name: f"{peer.name} ({peer.note})" for peer in PEERS}


class OneTask:
    """The contenders of the first table."""

    def __init__(self, options: Options, saves: int) -> None:
        self.options = options
        self.saves = saves
        self.texts = RealTexts()
        self.stack = AsyncExitStack()

    async def contenders(self) -> dict[str, Callable[[], Awaitable[float]]]:
        enter = self.stack.enter_async_context
        new_table = self.options.new_table
        pool = await enter(asyncpg.create_pool(await new_table("one raw"), min_size=POOL, max_size=POOL))
        held = await asyncpg.connect(await new_table("one held"))
        self.stack.push_async_callback(held.close)
        unit = await enter(open_unit(await self.options.new_database("one ours")))
        found: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(self.raw, pool),
            HELD: partial(self.raw, held),
            OURS: partial(self.ours, unit),
        }
        for kind in PEERS:
            peer = kind(await self.options.new_database(f"one {kind.name}"))
            await peer.open()
            self.stack.push_async_callback(peer.close)
            found[peer.name] = partial(self.peer, peer)
        return found

    async def raw(self, server: Any) -> float:
        rows = list(map(to_raw, self.texts.take(self.saves, "one")))
        return await time_in_sequence(lambda row: server.fetchval(INSERT, *row), rows)

    async def ours(self, unit: ConversationHistoryUnit) -> float:
        messages = [exchange.message() for exchange in self.texts.take(self.saves, "one")]
        return await time_in_sequence(unit.save_message, messages)

    async def peer(self, peer: Peer) -> float:
        exchanges = self.texts.take(min(peer.saves[0], self.saves), "one")
        session = await peer.session(f"one {self.texts.count}")
        return await time_in_sequence(partial(peer.save, session), exchanges)


class AtOnce:
    """The contenders of the second table."""

    def __init__(self, options: Options, saves: int) -> None:
        self.options = options
        self.saves = saves
        self.texts = RealTexts()
        self.stack = AsyncExitStack()
        self.errors: dict[str, list[Exception]] = {}

    async def contenders(self) -> dict[str, Callable[[], Awaitable[float]]]:
        enter = self.stack.enter_async_context
        url = await self.options.new_table("64 raw")
        pool = await enter(asyncpg.create_pool(url, min_size=POOL, max_size=POOL))
        unit = await enter(open_unit(await self.options.new_database("64 ours")))
        found: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(self.raw, pool),
            OURS: partial(self.ours, unit),
        }
        for kind in PEERS:
            peer = kind(await self.options.new_database(f"64 {kind.name}"))
            await peer.open()
            self.stack.push_async_callback(peer.close)
            sessions = [await peer.session(f"task {task}") for task in range(TASKS)]
            found[peer.name] = partial(self.peer, peer, sessions)
        return found

    def work(self, saves: int) -> list[list[Exchange]]:
        return [self.texts.take(saves, f"task {task}") for task in range(TASKS)]

    async def timed(
        self, name: str, save: Callable[[int, Any], Awaitable[Any]], work: list[list[Any]]
    ) -> float:
        return await time_tasks(save, work, self.errors.setdefault(name, []))

    async def raw(self, pool: Any) -> float:
        work = [list(map(to_raw, each)) for each in self.work(self.saves)]
        return await self.timed(FLOOR, lambda _, row: pool.fetchval(INSERT, *row), work)

    async def ours(self, unit: ConversationHistoryUnit) -> float:
        work = [[exchange.message() for exchange in each] for each in self.work(self.saves)]
        return await self.timed(OURS, lambda _, message: unit.save_message(message), work)

    async def peer(self, peer: Peer, sessions: list[Any]) -> float:
        work = self.work(min(peer.saves[1], self.saves))
        return await self.timed(peer.name, lambda task, each: peer.save(sessions[task], each), work)


async def in_sequence(section: Section, options: Options) -> None:
    contest = OneTask(options, 50 if options.quick else 300)
    async with contest.stack:
        samples = await in_turns(await contest.contenders(), 3 if options.quick else 9, sync=True)
    table = section.table(
        "One task saves in sequence", "", "saves/s", "x", note="the peers keep no index of the texts"
    )
    for name in (OURS, FLOOR, HELD, *(peer.name for peer in PEERS)):
        table.add(SHOWN.get(name, name), rate(samples.median(name)), times(samples.ratio(name)))
    section.at_least("one task saving", 0.85, samples.ratio(OURS), f"raw asyncpg, a pool of {POOL}")


async def at_once(section: Section, options: Options) -> None:
    contest = AtOnce(options, 5 if options.quick else 50)
    async with contest.stack:
        samples = await in_turns(await contest.contenders(), 3 if options.quick else 9, sync=True)
    table = section.table(
        f"{TASKS} tasks save at once, a conversation each",
        "",
        "saves/s",
        "x",
        "errors",
        note="the peers keep no index of the texts",
    )
    for name in (OURS, FLOOR, *(peer.name for peer in PEERS)):
        table.add(
            SHOWN.get(name, name),
            rate(samples.median(name)),
            times(samples.ratio(name)),
            str(len(contest.errors[name]) or ""),
        )
    section.at_least(f"{TASKS} tasks saving", 1.2, samples.ratio(OURS), f"raw asyncpg, a pool of {POOL}")


def run(options: Options) -> Section:
    section = Section("save")
    run_async(in_sequence(section, options))
    run_async(at_once(section, options))
    return section
