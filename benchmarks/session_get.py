"""Getting sessions out of a database of 100,000: each another one, after a commit, and the same again.

The floor is a SELECT by id in process, by stdlib `sqlite3`: a tuple, whose metadata is JSON text yet (one row
more decodes it). *Another each time* goes through the database in any order, so that nobody has it ready.
*After a commit* has another session updated before each get, ours by the writer of the library, the floor's
by a second connection; only the gets are timed. *The same again* asks for one session all the time. ADK's
service holds 64 sessions only.

Then a process of its own ends sessions, each while it is asked for all the time here; from when that process
has said so, nobody may get the session any more.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import AsyncExitStack
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, ROOT, Samples, Section, in_turns, rate, run_async, times
from benchmarks.session_floors import OnDisk
from benchmarks.session_peers import ADK_DATABASE, ADK_WAL, open_adk_database
from benchmarks.session_setup import MIDDLE, OURS, open_manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.session_setup import Options, Pair

    from library.infrastructure.data import SessionManager

DECODED = "the same, metadata decoded"
COLD, COMMIT, HOT = "another each time", "after a commit", "the same again"


class Contest:
    """The contenders, by what they are asked for."""

    def __init__(self, pair: Pair, manager: SessionManager, gets: int, commits: int) -> None:
        self.manager = manager
        self.raw, self.other = OnDisk(pair.raw), OnDisk(pair.raw)
        self.gets, self.commits = gets, commits
        self.hot, self.raw_hot = pair.ids[0], pair.raw_ids[0]
        chance = random.Random(9)
        self.ids = cycle(chance.sample(pair.ids, len(pair.ids)))
        self.raw_ids = cycle(chance.sample(pair.raw_ids, len(pair.raw_ids)))

    def close(self) -> None:
        self.raw.close()
        self.other.close()

    async def time_ours(self, ids: list[str]) -> float:
        get = self.manager.get_session
        start = perf_counter()
        for session_id in ids:
            await get(session_id)
        return len(ids) / (perf_counter() - start)

    def time_floor(self, get: Callable[[str], Any], ids: list[str]) -> float:
        start = perf_counter()
        for session_id in ids:
            get(session_id)
        return len(ids) / (perf_counter() - start)

    def cold(self) -> dict[str, Callable[[], Awaitable[float]]]:
        async def floor() -> float:
            return self.time_floor(self.raw.get, list(islice(self.raw_ids, self.gets)))

        async def decoded() -> float:
            return self.time_floor(self.raw.get_decoded, list(islice(self.raw_ids, self.gets)))

        async def own() -> float:
            return await self.time_ours(list(islice(self.ids, self.gets)))

        return {FLOOR: floor, DECODED: decoded, OURS: own}

    def hot_ones(self) -> dict[str, Callable[[], Awaitable[float]]]:
        async def floor() -> float:
            return self.time_floor(self.raw.get, [self.raw_hot] * self.gets)

        async def decoded() -> float:
            return self.time_floor(self.raw.get_decoded, [self.raw_hot] * self.gets)

        async def own() -> float:
            return await self.time_ours([self.hot] * self.gets)

        return {FLOOR: floor, DECODED: decoded, OURS: own}

    def after_commits(self) -> dict[str, Callable[[], Awaitable[float]]]:
        def floor_of(get: Callable[[str], Any]) -> Callable[[], Awaitable[float]]:
            async def floor() -> float:
                spent = 0.0
                for turns in range(self.commits):
                    self.other.update(self.raw_hot, turns)
                    session_id = next(self.raw_ids)
                    start = perf_counter()
                    get(session_id)
                    spent += perf_counter() - start
                return self.commits / spent

            return floor

        async def own() -> float:
            spent = 0.0
            for turns in range(self.commits):
                await self.manager.update_session(self.hot, {"turns": turns})
                session_id = next(self.ids)
                start = perf_counter()
                await self.manager.get_session(session_id)
                spent += perf_counter() - start
            return self.commits / spent

        return {FLOOR: floor_of(self.raw.get), DECODED: floor_of(self.raw.get_decoded), OURS: own}


async def adk_contender(stack: AsyncExitStack, folder: str) -> Callable[[], Awaitable[float]]:
    path = str(Path(folder, "adk.db"))
    contender = await stack.enter_async_context(open_adk_database(path, "WAL"))
    sessions = [await contender.create(f"user {index}") for index in range(64)]

    async def run() -> float:
        start = perf_counter()
        for session in sessions:
            await contender.get(session)
        return len(sessions) / (perf_counter() - start)

    return run


async def measure(section: Section, options: Options, pair: Pair, folder: str) -> None:
    rounds = 3 if options.quick else 9
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(open_manager(pair.ours))
        contest = Contest(pair, manager, 2_000 if options.quick else 10_000, 30 if options.quick else 200)
        stack.callback(contest.close)
        adk = await adk_contender(stack, folder)
        results: dict[str, Samples] = {
            COLD: await in_turns(contest.cold() | {ADK_WAL: adk}, rounds),
            COMMIT: await in_turns(contest.after_commits(), rounds, sync=True),
            HOT: await in_turns(contest.hot_ones(), rounds),
        }
        rounds = 50 if options.quick else 300
        stale, hidden = await end_elsewhere(manager, pair, rounds)
    columns = [column for what in results for column in (f"{what}, gets/s", "x")]
    table = section.table(f"Getting a session of {MIDDLE:,}", "", *columns)
    for name in (OURS, FLOOR, DECODED, ADK_WAL):
        cells = []
        for samples in results.values():
            known = name in samples
            cells += [rate(samples.median(name)), times(samples.ratio(name))] if known else ["", ""]
        table.add({FLOOR: "floor: sqlite3, SELECT by id", ADK_WAL: ADK_DATABASE}.get(name, name), *cells)
    for what, bar in ((COLD, 0.3), (COMMIT, 0.3), (HOT, 1)):
        section.at_least(f"get, {what}", bar, results[what].ratio(OURS), "raw SELECT by id")
    what = f"get after another process's end_session, {rounds} rounds"
    section.holds(what, "0 stale, 0 gone too early", f"{stale} stale, {hidden} too early", not stale + hidden)


# -- another process -----------------------------------------------------------------------------------------


async def end_elsewhere(manager: SessionManager, pair: Pair, rounds: int) -> tuple[int, int]:
    """Return how often a session was got that had ended, and how often one was not that had not."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.session_get",
        pair.ours,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin
    assert child.stdout
    stale = hidden = 0
    assert await child.stdout.readline() == b"ready\n"
    for _ in range(rounds):
        session_id = pair.ids.pop()
        hidden += await manager.get_session(session_id, None) is None
        reply = asyncio.create_task(child.stdout.readline())
        child.stdin.write(f"{session_id}\n".encode())
        while not reply.done():
            await manager.get_session(session_id, None)
            await asyncio.sleep(0)
        assert reply.result() == b"True\n"
        stale += await manager.get_session(session_id, None) is not None
    child.stdin.close()
    assert await child.wait() == 0
    return stale, hidden


async def end_what_is_named(path: str) -> None:
    async with open_manager(path) as manager:
        print("ready", flush=True)
        for line in sys.stdin:
            print(await manager.end_session(line.strip()), flush=True)


def run(options: Options) -> Section:
    section = Section("get")
    pair = options.filled.middle
    with options.new_folder() as folder:
        run_async(measure(section, options, pair, folder))
    return section


if __name__ == "__main__":
    asyncio.run(end_what_is_named(sys.argv[1]))
