"""Cleaning up half a million expired sessions of a million, while a task gets others all the time.

Each contender runs in a process of its own, on a copy of a database that was filled before. The floor deletes
500 in a transaction, in a thread, until there are no more, and gets by a second connection in the task.
Another task sleeps for a millisecond, again and again, and writes down how much later than that it wakes; it
has to wait for the gets as well, each of which lets others have their turn.
What else the machine was doing shows in the row of the floor as well.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Section, in_child, number, rate, times
from benchmarks.history_setup import percentile
from benchmarks.history_stream import beat
from benchmarks.session_fill import TIMEOUT
from benchmarks.session_floors import OnDisk
from benchmarks.session_setup import OURS, SAMPLE, open_manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.session_setup import Options

BATCH = 500
BAR_MS = 50


async def beside(
    cleaning_up: Awaitable[int], get: Callable[[str], Awaitable[Any]], ids: list[str]
) -> dict[str, Any]:
    """Get sessions for as long as another task cleans up; tell how long that took, and each of the gets."""
    chance = random.Random(13)
    took_ms: list[float] = []
    late_ms: list[float] = []
    heart = asyncio.create_task(beat(late_ms))
    for _ in range(1000):
        await get(chance.choice(ids))
        await asyncio.sleep(0)
    late_ms.clear()
    began = perf_counter()
    cleaning = asyncio.ensure_future(cleaning_up)
    while not cleaning.done():
        session_id = chance.choice(ids)
        start = perf_counter()
        await get(session_id)
        took_ms.append((perf_counter() - start) * 1e3)
        await asyncio.sleep(0)
    seconds = perf_counter() - began
    heart.cancel()
    return {
        "cleaned": await cleaning,
        "seconds": seconds,
        "gets": len(took_ms),
        "get_p50_ms": percentile(took_ms, 0.5),
        "get_p999_ms": percentile(took_ms, 0.999),
        "get_max_ms": max(took_ms),
        "late_p999_ms": percentile(late_ms, 0.999),
        "late_max_ms": max(late_ms),
    }


async def clean_ours(path: str, ids: list[str]) -> dict[str, Any]:
    async with open_manager(path) as manager:
        done = await beside(manager.cleanup_expired_sessions(), manager.get_session, ids)
        assert await manager.cleanup_expired_sessions() == 0
    return done


async def clean_floor(path: str, ids: list[str]) -> dict[str, Any]:
    writer, reader = OnDisk(path), OnDisk(path)
    cutoff = time() - TIMEOUT.total_seconds()

    def clean_up() -> int:
        cleaned = 0
        while deleted := writer.clean_up(cutoff, BATCH):
            cleaned += deleted
        return cleaned

    async def get(session_id: str) -> Any:
        return reader.get(session_id)

    done = await beside(asyncio.to_thread(clean_up), get, ids)
    writer.close()
    reader.close()
    return done


def in_a_copy(kind: str, path: str, ids: str, folder: str) -> dict[str, Any]:
    copy = str(Path(folder, f"{kind}.db"))
    shutil.copyfile(path, copy)
    done: dict[str, Any] = in_child("session_cleanup", kind, copy, ids, timeout_s=900)
    for left in Path(folder).glob(f"{kind}.db*"):
        left.unlink()
    return done


def run(options: Options) -> Section:
    section = Section("cleanup")
    filled, large = options.filled, options.filled.large
    chance = random.Random(17)
    ids, raw_ids = (
        filled.write_ids(f"cleanup {kind}", chance.sample(each, min(SAMPLE, len(each))))
        for kind, each in (("ours", large.ids), ("raw", large.raw_ids))
    )
    ours, raw = [], []
    with options.new_folder() as folder:
        for _ in range(1 if options.quick else 3):
            ours.append(in_a_copy("ours", large.ours, ids, folder))
            raw.append(in_a_copy("raw", large.raw, raw_ids, folder))
    expired = options.sessions // 2
    for done in (*ours, *raw):
        assert done["cleaned"] == expired, done["cleaned"]
    section.tables.append(large.table(options.sessions))
    table = section.table(
        f"Cleaning up {expired:,} of {options.sessions:,} sessions, beside gets",
        "",
        "seconds",
        "x",
        "gets/s",
        "get p50, ms",
        "p99.9, ms",
        "at most, ms",
        "a task waits p99.9, ms",
        "at most, ms",
        note="in a process of its own; at most: the median over the runs of each one's worst",
    )
    ratio = median(floor["seconds"] / done["seconds"] for done, floor in zip(ours, raw, strict=True))
    columns = ("get_p50_ms", "get_p999_ms", "get_max_ms", "late_p999_ms", "late_max_ms")
    for name, runs, x in (
        (OURS, ours, ratio),
        (f"floor: sqlite3, {BATCH} a transaction, in a thread", raw, 1),
    ):
        table.add(
            name,
            number(median(each["seconds"] for each in runs)),
            times(x),
            rate(median(each["gets"] / each["seconds"] for each in runs)),
            *(number(median(each[column] for each in runs)) for column in columns),
        )
    what = f"cleaning up {expired:,}"
    section.at_most(f"{what}, a get takes", BAR_MS, median(each["get_max_ms"] for each in ours), " ms")
    section.at_most(
        f"{what}, another task waits", BAR_MS, median(each["late_max_ms"] for each in ours), " ms"
    )
    return section


if __name__ == "__main__":
    names = json.loads(Path(sys.argv[3]).read_text())
    clean = clean_ours if sys.argv[1] == "ours" else clean_floor
    print(json.dumps(asyncio.run(clean(sys.argv[2], names))))
