"""Importing files into a new database until all is found by a search, against saving ready records.

The floor saves records that were built before the clock started, in batches of 10,000, with the same search
after them: no file is read, nothing is parsed, and a crash in the middle leaves a part.
"""

from __future__ import annotations

import gc
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks._harness import FLOOR, Section, in_turns, number, rate, run_async, times
from benchmarks.history_setup import open_unit
from benchmarks.history_texts import BATCH
from benchmarks.transfer_setup import (
    CSV,
    GZIP,
    JSON,
    JSONL,
    ONE_LINE,
    PARQUET,
    PRETTY,
    XML,
    Form,
    make_messages,
    megabytes,
)

from library.infrastructure.data import ImportManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from benchmarks.transfer_setup import Options

    from library.infrastructure.data import ConversationHistoryUnit

FLOOR_NAME = "floor: save_messages_batch, ready records"
BARS = {JSONL: 0.8, CSV: 0.8, PARQUET: 0.8, JSON: 0.6, PRETTY: 0.6, ONE_LINE: 0.6, XML: 0.6}
SHOWN = (JSONL, JSON, PRETTY, ONE_LINE, CSV, XML, PARQUET, GZIP)


async def wait_for_index(unit: ConversationHistoryUnit) -> None:
    await unit.search_conversations("nowhere", limit=1)


async def measure(section: Section, files: dict[Form, Path], rows: int, rounds: int, folder: Path) -> None:

    def new_database() -> str:
        for each in folder.iterdir():
            each.unlink()
        return str(folder / "new.db")

    async def floor() -> float:
        messages = list(make_messages(rows))
        gc.freeze()  # as the records of an application: it does not look at them while it saves
        async with open_unit(new_database()) as (unit, _):
            start = perf_counter()
            for first in range(0, rows, BATCH):
                await unit.save_messages_batch(messages[first : first + BATCH])
            await wait_for_index(unit)
            spent = perf_counter() - start
        return rows / spent

    async def ours(form: Form) -> float:
        async with open_unit(new_database()) as (unit, adapter):
            start = perf_counter()
            report = await ImportManager(adapter).import_conversations(files[form])
            await wait_for_index(unit)
            spent = perf_counter() - start
            assert report.written == rows, report
        return rows / spent

    contenders: dict[str, Callable[[], Awaitable[float]]] = {
        FLOOR: floor,
        **{form.name: partial(ours, form) for form in SHOWN},
    }
    samples = await in_turns(contenders, rounds, sync=True)
    table = section.table(
        f"Importing {rows:,} exchanges, and a search that finds all of them",
        "",
        "exchanges/s",
        "x",
        "MB",
        note="into a new file, synchronous=FULL; ours also writes all rows to a file beside the"
        " database, with an fsync, before it stores the first",
    )
    for form in SHOWN:
        ratio = samples.ratio(form.name)
        size = number(megabytes(files[form]))
        table.add(f"ImportManager, {form.name}", rate(samples.median(form.name)), times(ratio), size)
        if form in BARS:
            section.at_least(f"import, {form.name}", BARS[form], ratio, "save_messages_batch")
    table.add(FLOOR_NAME, rate(samples.median(FLOOR)), "1.00x")


def run(options: Options) -> Section:
    section = Section("import")
    files = {form: options.stock.file(form) for form in SHOWN}
    with options.new_folder() as folder:
        run_async(measure(section, files, options.rows, 1 if options.quick else 3, folder))
    return section
