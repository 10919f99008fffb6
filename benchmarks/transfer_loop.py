"""How long other tasks wait for the event loop while something is moved, and saves for an import.

Each runs in a process of its own. Another task sleeps for a millisecond, again and again, and writes down how
much later than that it wakes; beside an import, yet another saves an exchange every ten milliseconds, and
writes down how long that takes. What the machine itself adds is what the same task finds where nothing else
happens.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Section, in_child, number
from benchmarks.history_setup import open_unit, percentile
from benchmarks.history_stream import beat
from benchmarks.transfer_setup import JSONL, ONE_LINE, OWN

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ExportManager,
    ImportManager,
)

if TYPE_CHECKING:
    from benchmarks.transfer_setup import Options, Stock

IDLE_S = 2.0
SAVE_EVERY_S = 0.01
MOST_LATE_MS = 20
LONGEST_SAVE_MS = 1000


async def move(direction: str, database: str, file: str) -> dict[str, Any]:
    """Export a database into a file, or import the file into it, while other tasks look at the clock."""
    late_ms: list[float] = []
    saves_ms: list[float] = []
    async with open_unit(database) as (unit, adapter):
        others = [asyncio.create_task(beat(late_ms))]
        if direction == "save":
            others.append(asyncio.create_task(save_steadily(unit, saves_ms)))
        await asyncio.sleep(0.1)
        late_ms.clear()
        saves_ms.clear()
        if direction == "export":
            await ExportManager(adapter).export_conversations(output_file=file)
        elif direction == "idle":
            await asyncio.sleep(IDLE_S)
        else:
            await ImportManager(adapter).import_conversations(file)
            await unit.search_conversations("nowhere", limit=1)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    return {"late_ms": late_ms, "saves_ms": saves_ms}


async def save_steadily(unit: ConversationHistoryUnit, saves_ms: list[float]) -> None:
    while True:
        start = perf_counter()
        await unit.save_message(
            ConversationMessage("live", "What is the weather?", "It is raining.", datetime.now(UTC), 12.5)
        )
        saves_ms.append((perf_counter() - start) * 1e3)
        await asyncio.sleep(SAVE_EVERY_S)


def in_process(direction: str, stock: Stock, file: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="moved-", dir=stock.folder.name) as folder:
        export = direction == "export"
        database = stock.database if export else f"{folder}/new.db"
        target = f"{folder}/{file.name}" if export else file
        done: dict[str, Any] = in_child("transfer_loop", direction, database, target, timeout_s=600)
    return done


def run(options: Options) -> Section:
    section = Section("loop")
    stock, rounds = options.stock, 1 if options.quick else 3
    table = section.table(
        f"A task that sleeps for a millisecond, while {stock.rows:,} exchanges are moved",
        "",
        "late p99, ms",
        "at most, ms",
        note="imports with the search after them; at most: the median over the runs of each one's worst",
    )

    def add(name: str, done: list[dict[str, Any]]) -> float:
        worst = median(max(each["late_ms"]) for each in done)
        late_ms = [value for each in done for value in each["late_ms"]]
        table.add(name, number(percentile(late_ms, 0.99)), number(worst))
        return worst

    for direction in ("export", "import"):
        for form in (*OWN, ONE_LINE) if direction == "import" else OWN:
            what = f"{direction}, {form.name}"
            done = [in_process(direction, stock, stock.file(form)) for _ in range(rounds)]
            section.at_most(f"{what}, another task waits", MOST_LATE_MS, add(what, done), " ms")
    add("nothing, for two seconds", [in_process("idle", stock, Path()) for _ in range(rounds)])

    large = options.large_stock
    saves_ms = in_process("save", large, large.file(JSONL))["saves_ms"]
    saving = section.table(
        f"A task that saves every ten milliseconds, while {large.rows:,} exchanges are imported",
        "",
        "saves",
        "median, ms",
        "p99, ms",
        "at most, ms",
        note="JSON Lines, into the same table, with the search after them",
    )
    saving.add(
        "save_message",
        number(len(saves_ms)),
        number(median(saves_ms)),
        number(percentile(saves_ms, 0.99)),
        number(max(saves_ms)),
    )
    what = f"import of {large.rows:,}, a save waits"
    section.at_most(what, LONGEST_SAVE_MS, max(saves_ms), " ms")
    return section


if __name__ == "__main__":
    print(json.dumps(asyncio.run(move(*sys.argv[1:]))))
