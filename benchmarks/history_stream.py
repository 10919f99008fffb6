"""Streaming a large database: how much memory it takes, how fast it is, how long other tasks wait.

Each contender runs in a process of its own. The floor is `SELECT *` stepped through in the process itself;
it builds tuples, blocks the loop, and holds a read transaction from the first row to the last. Memory is the
most that the process ever had (VmHWM) less what it had before the first exchange. Another task sleeps for a
millisecond, again and again, and writes down how much later than that it wakes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import HAS_PROC, Section, in_child, memory_mb, number, rate, times
from benchmarks.history_floors import EVERYTHING, open_apsw
from benchmarks.history_setup import OURS, open_unit, percentile

from library.infrastructure.data import ConversationQuery

if TYPE_CHECKING:
    from benchmarks.history_setup import Options

TICK_S = 0.001


async def beat(late_ms: list[float]) -> None:
    while True:
        start = perf_counter()
        await asyncio.sleep(TICK_S)
        late_ms.append((perf_counter() - start - TICK_S) * 1e3)


async def stream_ours(path: str) -> dict[str, Any]:
    late_ms: list[float] = []
    async with open_unit(path) as (unit, _):
        async for _ in unit.stream_conversations(ConversationQuery().limit(100)):
            pass
        heart = asyncio.create_task(beat(late_ms))
        await asyncio.sleep(0.1)
        late_ms.clear()
        before = memory_mb("VmRSS")
        rows = 0
        start = perf_counter()
        async for _ in unit.stream_conversations(ConversationQuery()):
            rows += 1
        spent = perf_counter() - start
        grown = memory_mb("VmHWM") - before
        heart.cancel()
    return {"rows": rows, "seconds": spent, "grown_mb": grown, "late_ms": late_ms}


def stream_raw(path: str) -> dict[str, Any]:
    connection = open_apsw(path)
    connection.execute(f"{EVERYTHING} LIMIT 100").fetchall()
    before = memory_mb("VmRSS")
    rows = 0
    start = perf_counter()
    for _ in connection.execute(EVERYTHING):
        rows += 1
    spent = perf_counter() - start
    grown = memory_mb("VmHWM") - before
    connection.close()
    return {"rows": rows, "seconds": spent, "grown_mb": grown, "late_ms": []}


def run(options: Options) -> Section:
    section = Section("stream")
    large = options.large
    if not HAS_PROC:
        return section
    ours, raw = [], []
    for _ in range(1 if options.quick else 3):
        ours.append(in_child("history_stream", "ours", large.ours, timeout_s=300))
        raw.append(in_child("history_stream", "raw", large.raw, timeout_s=300))
    for done in (*ours, *raw):
        assert done["rows"] == large.rows, done["rows"]
    ratio = median(floor["seconds"] / done["seconds"] for done, floor in zip(ours, raw, strict=True))
    late_ms = [each for done in ours for each in done["late_ms"]]
    grown = max(done["grown_mb"] for done in ours)
    worst = median(max(done["late_ms"]) for done in ours)
    table = section.table(
        f"Streaming {large.rows:,} exchanges",
        "",
        "exchanges/s",
        "x",
        "memory grows by, MB",
        "a task waits p99, ms",
        "at most, ms",
        note="in a process of its own; at most: the median over the runs of each one's worst",
    )
    table.add(
        f"{OURS}.stream_conversations",
        rate(large.rows / median(done["seconds"] for done in ours)),
        times(ratio),
        number(grown),
        number(percentile(late_ms, 0.99)),
        number(worst),
    )
    table.add(
        "floor: SELECT * in process, apsw",
        rate(large.rows / median(done["seconds"] for done in raw)),
        "1.00x",
        number(max(done["grown_mb"] for done in raw)),
        "all the time",
    )
    what = f"streaming {large.rows:,}"
    section.at_least(what, 0.3, ratio, "SELECT * in process")
    section.at_most(f"{what}, memory", 50, grown, " MB")
    section.at_most(f"{what}, another task waits", 20, worst, " ms")
    return section


if __name__ == "__main__":
    outcome = asyncio.run(stream_ours(sys.argv[2])) if sys.argv[1] == "ours" else stream_raw(sys.argv[2])
    print(json.dumps(outcome))
