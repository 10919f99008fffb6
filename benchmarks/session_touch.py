"""A thousand touches a second: what they cost in commits.

As in a server, each is a task of its own, begun when it is due. The sessions are touched by turns: one takes
all thousand, a hundred take ten a second each, a thousand one each. The `touch_interval` is one second, and,
for the thousand, its default too, a minute: there nearly all commits fall into the first second, in which
each is touched for the first time. Who writes each touch makes up to a thousand commits a second of it. The
commits are those that the adapter counts; the time of a touch counts from when it was due.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks._harness import Section, number, rate, run_async
from benchmarks.history_setup import percentile
from benchmarks.session_setup import OURS, open_manager

if TYPE_CHECKING:
    from benchmarks.session_setup import Options

    from library.infrastructure.data import SessionManager

RATE = 1000
CASES = [(1, timedelta(seconds=1)), (100, timedelta(seconds=1)), (1000, timedelta(seconds=1)), (1000, None)]
"""How many sessions, and the `touch_interval`."""


async def commits(manager: SessionManager) -> int:
    assert manager.database_adapter
    return int((await manager.database_adapter.stats())["commits"])


async def touch_all(
    manager: SessionManager, ids: list[str], seconds: float
) -> tuple[float, float, list[float]]:
    """Return touches a second, commits for a second's touches, and how long each touch took, in ms."""
    took_ms: list[float] = []

    async def touch(session_id: str, due: float) -> None:
        await manager.touch(session_id)
        took_ms.append((perf_counter() - due) * 1e3)

    before = await commits(manager)
    begun: list[asyncio.Task[None]] = []
    start = perf_counter()
    while len(begun) < RATE * seconds:
        due = start + len(begun) / RATE
        if (wait := due - perf_counter()) > 0:
            await asyncio.sleep(wait)
        begun.append(asyncio.create_task(touch(ids[len(begun) % len(ids)], due)))
    await asyncio.gather(*begun)
    spent = perf_counter() - start
    return len(begun) / spent, (await commits(manager) - before) * RATE / len(begun), took_ms


async def measure(options: Options, folder: str) -> Section:
    section = Section("touch")
    table = section.table(
        f"{RATE:,} touches a second",
        "",
        "touches/s",
        "commits/s",
        "touches a commit",
        "p50, ms",
        "p99, ms",
        note="for ten seconds, synchronous=FULL",
    )
    seconds = 3 if options.quick else 10
    for sessions, interval in CASES:
        path = str(Path(folder, f"{sessions} {interval}.db"))
        async with open_manager(path, touch_interval=interval) as manager:
            users = [f"user {index}" for index in range(sessions)]
            ids = await asyncio.gather(*map(manager.create_session, users))
            touched, committed, took_ms = await touch_all(manager, ids, seconds)
        table.add(
            f"{OURS}, {sessions:,} session{'s' if sessions > 1 else ''}, {'1 s' if interval else '1 min'}",
            rate(touched),
            number(committed),
            number(touched / committed),
            number(percentile(took_ms, 0.5)),
            number(percentile(took_ms, 0.99)),
        )
        if sessions == 1:
            section.at_most(f"one session touched {RATE:,} times a second", 2, committed, " commits/s")
    return section


def run(options: Options) -> Section:
    with options.new_folder() as folder:
        return run_async(measure(options, folder))
