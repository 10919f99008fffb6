"""How much memory an export and an import take, each in a process of its own.

It is the most that the process ever had (VmHWM) less what it had after its imports (VmRSS); for Parquet that
includes pyarrow, which is loaded when it is needed. The caches of the database are part of it: 32 MB for the
connection that writes, 8 MB for each that reads, if they get full.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import HAS_PROC, Section, in_child, memory_mb, number, rate

import library.infrastructure.data
import library.infrastructure.interfaces.database

BASELINE_MB = memory_mb("VmRSS") if HAS_PROC else 0.0

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.transfer_setup import Options, Stock

MOST_MB, GROWTH_MB = 60, 5
PARQUET_MOST_MB, PARQUET_GROWTH_MB = 320, 20


async def move(direction: str, database: str, file: str) -> dict[str, Any]:
    """Export a database into a file, or import the file into it."""
    adapter = library.infrastructure.interfaces.database.SQLiteAdapter(database, synchronous="full")
    async with library.infrastructure.data.ConversationHistoryUnit(
        database_adapter=adapter, table_name="conversations"
    ) as unit:
        start = perf_counter()
        if direction == "export":
            exporting = library.infrastructure.data.ExportManager(adapter)
            rows = (await exporting.export_conversations(output_file=file)).written
        else:
            importing = library.infrastructure.data.ImportManager(adapter)
            rows = (await importing.import_conversations(file)).written
            await unit.search_conversations("nowhere", limit=1)
        spent = perf_counter() - start
    await adapter.shutdown()
    return {"rows": rows, "seconds": spent, "grown_mb": memory_mb("VmHWM") - BASELINE_MB}


def in_process(direction: str, stock: Stock, name: str, file: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="moved-", dir=stock.folder.name) as folder:
        export = direction == "export"
        database = stock.database if export else f"{folder}/new.db"
        target = f"{folder}/{name}" if export else file
        done: dict[str, Any] = in_child("transfer_memory", direction, database, target, timeout_s=600)
    assert done["rows"] == stock.rows, done
    return done


def run(options: Options) -> Section:
    from benchmarks.transfer_setup import ONE_LINE, OWN, PARQUET

    section = Section("memory")
    if not HAS_PROC:
        return section
    few, many = options.rows, options.many
    table = section.table(
        "Memory over that of the interpreter with its imports",
        "",
        f"MB, {few:,}",
        f"MB, {many:,}",
        f"exchanges/s, {many:,}",
        note="the most that a process ever had, for one export or import; pyarrow is no import of ours",
    )
    for direction in ("export", "import"):
        for form in (*OWN, ONE_LINE) if direction == "import" else OWN:
            done = [
                in_process(direction, stock, form.file, stock.file(form))
                for stock in (options.stock, options.large_stock)
            ]
            small, large = (each["grown_mb"] for each in done)
            speed = rate(many / done[1]["seconds"])
            table.add(f"{direction}, {form.name}", number(small), number(large), speed)
            is_parquet = form == PARQUET
            most, growth = (PARQUET_MOST_MB, PARQUET_GROWTH_MB) if is_parquet else (MOST_MB, GROWTH_MB)
            what = f"{direction}, {form.name}, memory"
            section.at_most(f"{what} of {many:,}", most, large, " MB")
            section.at_most(f"{what} of {many:,} less that of {few:,}", growth, large - small, " MB")
    return section


if __name__ == "__main__":
    print(json.dumps(asyncio.run(move(*sys.argv[1:]))))
