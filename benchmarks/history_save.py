"""Saving one exchange at a time: one task in sequence, and 64 tasks at once.

The floor of the first table runs in the task itself: stdlib `sqlite3`, one transaction a save with the row
and its FTS5 row (unicode61), WAL, `synchronous=FULL`. The floor of the second is one thread on apsw that
takes all that the tasks have queued into one transaction, and wakes them with one call. Each contender saves
into one file through all rounds. The texts are real English, about 600 bytes an exchange.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Samples, Section, in_turns, rate, run_async, times
from benchmarks.history_floors import (
    GroupCommit,
    open_apsw,
    open_stdlib,
    save_with_apsw,
    save_with_stdlib,
)
from benchmarks.history_fsync import fsyncs_a_save
from benchmarks.history_peers import PEERS
from benchmarks.history_peers_more import Llm
from benchmarks.history_setup import OURS, OURS_SEARCHED, Options, Stopwatch, open_unit
from benchmarks.history_texts import RealTexts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.history_peer import Peer
    from benchmarks.history_texts import Exchange

TASKS = 64
PEER_NAMES = [peer.name for peer in PEERS]
OPENAI_NAMES = [name for name in PEER_NAMES if name.startswith("OpenAI")]
STDLIB_FLOOR = "floor: sqlite3, a transaction a save"
GROUP_FLOOR = "floor: apsw thread, group commit"
APSW, TRIGGERS, ALONE = (
    "apsw, a transaction a save",
    "the same with triggers",
    "the same, a transaction a save",
)


async def time_in_sequence(save: Callable[[Any], Awaitable[Any]], exchanges: Sequence[Any]) -> float:
    start = perf_counter()
    for exchange in exchanges:
        await save(exchange)
    return len(exchanges) / (perf_counter() - start)


async def time_tasks(
    save: Callable[[int, Any], Awaitable[Any]], work: Sequence[Sequence[Any]], errors: list[Exception]
) -> float:
    """Return saves per second of as many tasks as there are lists; what fails is kept, and not counted."""

    async def one(task: int) -> int:
        saved = 0
        for exchange in work[task]:
            try:
                await save(task, exchange)
                saved += 1
            except Exception as error:  # noqa: BLE001 - which errors a library raises here is its own affair
                errors.append(error)
        return saved

    start = perf_counter()
    saved = await asyncio.gather(*(one(task) for task in range(len(work))))
    return sum(saved) / (perf_counter() - start)


class OneTask:
    """The contenders of the first table."""

    def __init__(self, folder: str, saves: int) -> None:
        self.folder = folder
        self.saves = saves
        self.texts = RealTexts()
        self.stack = AsyncExitStack()

    def path(self, name: str) -> str:
        return str(Path(self.folder, f"1 {name}.db"))

    async def contenders(self) -> dict[str, Callable[[], Awaitable[float]]]:
        stdlib, bare = open_stdlib(self.path("stdlib")), open_apsw(self.path("apsw"))
        self.stack.callback(stdlib.close)
        self.stack.callback(bare.close)
        unit, _ = await self.stack.enter_async_context(open_unit(self.path("ours")))
        self.stopwatch = Stopwatch(unit)
        found: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(self.bare, partial(save_with_stdlib, stdlib)),
            APSW: partial(self.bare, partial(save_with_apsw, bare)),
            OURS: self.ours,
        }
        for kind in PEERS:
            peer = kind(self.path(kind.name))
            await peer.open()
            self.stack.push_async_callback(peer.close)
            found[peer.name] = partial(self.peer, peer)
        return found

    async def bare(self, save: Callable[[Exchange], int]) -> float:
        exchanges = self.texts.take(self.saves, "one")
        start = perf_counter()
        for exchange in exchanges:
            save(exchange)
        return len(exchanges) / (perf_counter() - start)

    async def ours(self) -> float:
        messages = [exchange.message() for exchange in self.texts.take(self.saves, "one")]
        saving = time_in_sequence(self.stopwatch.unit.save_message, messages)
        return await self.stopwatch.rate(len(messages), saving)

    async def peer(self, peer: Peer) -> float:
        exchanges: list[Any] = self.texts.take(min(peer.saves[0], self.saves), "one")
        session = await peer.session(f"one {self.texts.count}")
        if isinstance(peer, Llm):
            exchanges = peer.responses(exchanges)
        return await time_in_sequence(partial(peer.save, session), exchanges)


class AtOnce:
    """The contenders of the second table."""

    def __init__(self, folder: str, saves: int) -> None:
        self.folder = folder
        self.saves = saves
        self.texts = RealTexts()
        self.stack = AsyncExitStack()
        self.errors: dict[str, list[Exception]] = {}

    def path(self, name: str) -> str:
        return str(Path(self.folder, f"64 {name}.db"))

    async def contenders(self) -> dict[str, Callable[[], Awaitable[float]]]:
        found: dict[str, Callable[[], Awaitable[float]]] = {}
        for name, trigger, alone in ((FLOOR, False, False), (TRIGGERS, True, False), (ALONE, False, True)):
            writer = GroupCommit(self.path(name), trigger=trigger, alone=alone)
            self.stack.push_async_callback(writer.close)
            found[name] = partial(self.bare, name, writer)
        unit, _ = await self.stack.enter_async_context(open_unit(self.path("ours")))
        self.stopwatch = Stopwatch(unit)
        found[OURS] = self.ours
        for kind in PEERS:
            if not kind.concurrent:
                continue
            peer = kind(self.path(kind.name))
            await peer.open()
            self.stack.push_async_callback(peer.close)
            sessions = [await peer.session(f"task {task}") for task in range(TASKS)]
            found[peer.name] = partial(self.peer, peer, sessions)
        return found

    def work(self, saves: int) -> list[list[Exchange]]:
        return [self.texts.take(saves, f"task {task}") for task in range(TASKS)]

    async def bare(self, name: str, writer: GroupCommit) -> float:
        return await time_tasks(
            lambda _, exchange: writer.save(exchange),
            self.work(self.saves),
            self.errors.setdefault(name, []),
        )

    async def ours(self) -> float:
        work = [[exchange.message() for exchange in each] for each in self.work(self.saves)]
        save = self.stopwatch.unit.save_message
        errors = self.errors.setdefault(OURS, [])
        saving = time_tasks(lambda _, message: save(message), work, errors)
        return await self.stopwatch.rate(TASKS * self.saves, saving)

    async def peer(self, peer: Peer, sessions: list[Any]) -> float:
        return await time_tasks(
            lambda task, exchange: peer.save(sessions[task], exchange),
            self.work(min(peer.saves[1], self.saves)),
            self.errors.setdefault(peer.name, []),
        )


async def in_sequence(section: Section, options: Options, folder: str) -> None:
    contest = OneTask(folder, 50 if options.quick else 200)
    async with contest.stack:
        samples = await in_turns(await contest.contenders(), 3 if options.quick else 9, sync=True)
    contest.stopwatch.add_to(samples)
    table = section.table(
        "One task saves in sequence",
        "",
        "saves/s",
        "x",
        "fsyncs a save",
        note="WAL, synchronous=FULL; the peers keep no index, except for llm",
    )
    fsyncs = {name: fsyncs_a_save(name, folder) for name in ("floor", "ours")}
    notes = {peer.name: f" ({peer.note})" for peer in PEERS}
    for name in (OURS, OURS_SEARCHED, FLOOR, APSW, *PEER_NAMES):
        counted = fsyncs.get("ours" if name == OURS else name)
        table.add(
            (STDLIB_FLOOR if name == FLOOR else name) + notes.get(name, ""),
            rate(samples.median(name)),
            times(samples.ratio(name)),
            "" if counted is None else f"{counted:.2f}",
        )
    section.at_least("one task saving", 0.75, samples.ratio(OURS), "raw sqlite3 with FTS5")
    if fsyncs["ours"] is None:
        section.tables[-1].note += "; fsyncs not measured: no strace that may trace"
    else:
        section.at_most("fsyncs of a save of one task", 1.05, fsyncs["ours"], "")
    best = best_of(samples, PEER_NAMES)
    section.at_least("one task saving", 1, samples.ratio(OURS, best), best)


async def at_once(section: Section, options: Options, folder: str) -> None:
    contest = AtOnce(folder, 5 if options.quick else 50)
    async with contest.stack:
        samples = await in_turns(await contest.contenders(), 3 if options.quick else 7, sync=True)
    contest.stopwatch.add_to(samples)
    table = section.table(
        f"{TASKS} tasks save at once, a conversation each",
        "",
        "saves/s",
        "x",
        "errors",
        note="WAL, synchronous=FULL; the peers keep no index",
    )
    notes = {peer.name: f" ({peer.note})" for peer in PEERS}
    for name in (OURS, OURS_SEARCHED, FLOOR, TRIGGERS, ALONE, *PEER_NAMES):
        if name in samples:
            table.add(
                (GROUP_FLOOR if name == FLOOR else name) + notes.get(name, ""),
                rate(samples.median(name)),
                times(samples.ratio(name)),
                str(len(contest.errors.get(name, ())) or ""),
            )
    what = f"{TASKS} tasks saving"
    section.at_least(what, 0.7, samples.ratio(OURS), "bare group commit on apsw")
    best = best_of(samples, OPENAI_NAMES)
    section.at_least(what, 7, samples.ratio(OURS, best), best)
    section.at_least(what, 1, samples.ratio(OURS, "LangGraph AsyncSqliteStore"), "LangGraph AsyncSqliteStore")


def best_of(samples: Samples, names: Sequence[str]) -> str:
    return max((name for name in names if name in samples), key=samples.median)


def run(options: Options) -> Section:
    section = Section("save")
    with options.new_folder() as folder:
        run_async(in_sequence(section, options, folder))
        run_async(at_once(section, options, folder))
    return section
