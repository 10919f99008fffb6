"""The memory that sessions on disk take: of a process that opens a database, and uses 20,000 of its sessions.

Each is got and touched, in a process of its own. What is compared is the most memory that the process ever
had (VmHWM), less what it had before it opened the database. SQLite's caches take what they are allowed to,
33 MB of pages for the writer and 8 MB for a reader, as soon as the database has so much: one of 10,000
sessions has 3 MB; one of 250,000, a quarter of the largest, has 73.
So the bar compares the largest with the quarter; it means something at a million sessions only: with
`--quick`, the quarter fills no cache.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import HAS_PROC, Section, in_child, memory_mb, number, rate
from benchmarks.session_setup import OURS, SAMPLE, SMALL, open_manager

if TYPE_CHECKING:
    from benchmarks.session_setup import Options

AT_ONCE = 100


async def use(path: str, ids: list[str]) -> dict[str, Any]:
    before = memory_mb("VmRSS")
    async with open_manager(path) as manager:
        opened = memory_mb("VmRSS")
        start = perf_counter()
        for first in range(0, len(ids), AT_ONCE):
            part = ids[first : first + AT_ONCE]
            for session_id in part:
                await manager.get_session(session_id)
            await asyncio.gather(*map(manager.touch, part))
        spent = perf_counter() - start
        grown = memory_mb("VmHWM") - before
    return {"opened_mb": opened - before, "grown_mb": grown, "seconds": spent}


def run(options: Options) -> Section:
    section = Section("size")
    if not HAS_PROC:
        return section
    filled = options.filled
    quarter = options.sessions // 4
    pairs = {SMALL: filled.small, quarter: filled.quarter, options.sessions: filled.large}
    chance = random.Random(19)
    runs: dict[int, list[dict[str, Any]]] = {sessions: [] for sessions in pairs}
    files = {
        sessions: filled.write_ids(f"size {sessions}", chance.choices(pair.ids, k=SAMPLE))
        for sessions, pair in pairs.items()
    }
    for _ in range(1 if options.quick else 3):
        for sessions, pair in pairs.items():
            runs[sessions].append(in_child("session_size", pair.ours, files[sessions], timeout_s=300))
    table = section.table(
        f"Memory of a process that uses {SAMPLE:,} sessions",
        "",
        "when opened, MB",
        "at most, MB",
        "get and touch/s",
        note="beyond what the process had before",
    )
    grown = {}
    for sessions, done in runs.items():
        grown[sessions] = median(each["grown_mb"] for each in done)
        table.add(
            f"{OURS}, {sessions:,} on disk",
            number(median(each["opened_mb"] for each in done)),
            number(grown[sessions]),
            rate(SAMPLE / median(each["seconds"] for each in done)),
        )
    more = max(0.0, grown[options.sessions] - grown[quarter])
    section.at_most(f"memory with {options.sessions:,} sessions, above {quarter:,}", 5, more, " MB")
    return section


if __name__ == "__main__":
    names = json.loads(Path(sys.argv[2]).read_text())
    print(json.dumps(asyncio.run(use(sys.argv[1], names))))
