"""Sessions in memory: creating, getting and updating them, one after the other.

The floor is a dict behind an `asyncio.Lock`. It gives out what it holds; ours gives out copies, as does ADK,
and a row more of ours has metadata with a list in it, which has to be copied as well. `TTLCache` stands
behind the same lock as the dict, for it is not safe without. Each round creates as many sessions, of 500
users, in a new store; then those of the last round are got and updated, each once in a round.
"""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Samples, Section, in_turns, rate, run_async, times
from benchmarks.session_floors import InCache, InMemory
from benchmarks.session_peers import ADK_MEMORY, adk_in_memory
from benchmarks.session_setup import OURS, STATE, open_manager, ours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.session_setup import Contender, Options

CACHE = "cachetools TTLCache behind an asyncio.Lock"
NESTED = f"{OURS}, a list in the metadata"
FLOOR_NAME = "floor: dict behind an asyncio.Lock"
BARS = {"create": 0.5, "get": 0.4, "update": 0.4}
USERS = [f"user {index}" for index in range(500)]


class Contest:
    """The contenders, and what each has created last."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.stack = AsyncExitStack()
        self.made: dict[str, tuple[Contender, list[Any]]] = {}

    async def new(self, name: str) -> Contender:
        from cachetools import TTLCache

        if name == FLOOR:
            return InMemory({}).contender()
        if name == CACHE:
            return InCache(TTLCache(maxsize=1_000_000, ttl=86_400)).contender()
        if name == ADK_MEMORY:
            return adk_in_memory()
        manager = await self.stack.enter_async_context(open_manager())
        return ours(manager, {**STATE, "tags": ["a", "b"]} if name == NESTED else STATE)

    async def create(self, name: str) -> float:
        self.made.pop(name, None)
        gc.collect()
        contender = await self.new(name)
        sessions = []
        users = [USERS[index % len(USERS)] for index in range(self.sessions)]
        create = contender.create
        start = perf_counter()
        for user in users:
            sessions.append(await create(user))  # noqa: PERF401 - the same loop as below
        spent = perf_counter() - start
        random.Random(5).shuffle(sessions)
        self.made[name] = contender, sessions
        return self.sessions / spent

    async def get(self, name: str) -> float:
        contender, sessions = self.made[name]
        get = contender.get
        start = perf_counter()
        for session in sessions:
            await get(session)
        return self.sessions / (perf_counter() - start)

    async def update(self, name: str) -> float:
        contender, sessions = self.made[name]
        update = contender.update
        start = perf_counter()
        for session in sessions:
            await update(session, 13)
        return self.sessions / (perf_counter() - start)

    async def is_isolated(self) -> bool:
        """Tell whether changing what one got changes nothing that another gets."""
        contender, sessions = self.made[NESTED]
        for taken in (await contender.get(sessions[0]), await contender.update(sessions[0], 14)):
            taken.metadata["tags"].append("c")
            taken.metadata["name"] = "Eve"
        found = await contender.get(sessions[0])
        return bool(found.metadata == {**STATE, "turns": 14, "tags": ["a", "b"]})


async def measure(options: Options) -> Section:
    section = Section("memory")
    contest = Contest(2_000 if options.quick else 10_000)
    names = (FLOOR, OURS, NESTED, CACHE, ADK_MEMORY)
    samples: dict[str, Samples] = {}
    async with contest.stack:
        for what, run in (("create", contest.create), ("get", contest.get), ("update", contest.update)):
            calls: dict[str, Callable[[], Awaitable[float]]] = {name: partial(run, name) for name in names}
            samples[what] = await in_turns(calls, 5 if options.quick else 15)
        is_isolated = await contest.is_isolated()
    columns = [column for what in samples for column in (f"{what}/s", "x")]
    table = section.table("Sessions in memory, five keys of metadata each", "", *columns)
    for name in (OURS, NESTED, FLOOR, CACHE, ADK_MEMORY):
        cells = [
            cell for each in samples.values() for cell in (rate(each.median(name)), times(each.ratio(name)))
        ]
        table.add(FLOOR_NAME if name == FLOOR else name, *cells)
    for what, bar in BARS.items():
        section.at_least(f"in memory, {what}", bar, samples[what].ratio(OURS), "a dict behind a lock")
    for what in BARS:
        section.at_least(f"in memory, {what}", 1, samples[what].ratio(OURS, ADK_MEMORY), ADK_MEMORY)
    section.holds(
        "in memory, a caller's changes", "leak nowhere", "none" if is_isolated else "leaked", is_isolated
    )
    await asyncio.sleep(0)
    return section


def run(options: Options) -> Section:
    return run_async(measure(options))
