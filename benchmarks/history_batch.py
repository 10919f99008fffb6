"""Saving 10,000 exchanges in one call, one transaction; ours also with the search that follows.

The floor is what people write first: `executemany` into a table whose FTS5 index (unicode61, external
content) is kept by a trigger, with stdlib `sqlite3`. FTS5 then writes its pages at each row; with the index
rows inserted explicitly, after the rows themselves, it writes them once, which is the last line.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Section, in_turns, rate, run_async, times
from benchmarks.history_floors import open_apsw, open_stdlib, save_explicitly, save_many
from benchmarks.history_setup import OURS, OURS_SEARCHED, Options, Stopwatch, open_unit
from benchmarks.history_texts import BATCH, RealTexts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.history_texts import Exchange

FLOOR_NAME = "floor: sqlite3 executemany, triggers"
APSW, EXPLICIT = "apsw executemany, triggers", "apsw executemany, explicit index rows"


async def measure(section: Section, options: Options, folder: str) -> None:
    size = BATCH // 10 if options.quick else BATCH
    texts = RealTexts()
    exchanges = [texts.next(f"conversation {index // 25}") for index in range(size)]

    async def bare(save: Callable[[Any, list[Exchange]], None], connection: Any) -> float:
        start = perf_counter()
        save(connection, exchanges)
        return size / (perf_counter() - start)

    async def ours(stopwatch: Stopwatch) -> float:
        messages = [exchange.message() for exchange in exchanges]
        return await stopwatch.rate(size, stopwatch.unit.save_messages_batch(messages))

    def path(name: str) -> str:
        return str(Path(folder, f"{name}.db"))

    async with AsyncExitStack() as stack:
        stdlib = open_stdlib(path("stdlib"), trigger=True)
        triggers, explicit = open_apsw(path("triggers"), trigger=True), open_apsw(path("explicit"))
        for connection in (stdlib, triggers, explicit):
            stack.callback(connection.close)
        unit, _ = await stack.enter_async_context(open_unit(path("ours")))
        stopwatch = Stopwatch(unit)
        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(bare, save_many, stdlib),
            APSW: partial(bare, save_many, triggers),
            EXPLICIT: partial(bare, save_explicitly, explicit),
            OURS: partial(ours, stopwatch),
        }
        samples = await in_turns(contenders, 3 if options.quick else 5, sync=True)
        stopwatch.add_to(samples)
    table = section.table(
        f"{size:,} exchanges in one call",
        "",
        "exchanges/s",
        "x",
        note="one transaction, WAL, synchronous=FULL, real texts of 600 bytes",
    )
    for name in (OURS, OURS_SEARCHED, FLOOR, APSW, EXPLICIT):
        shown = FLOOR_NAME if name == FLOOR else name
        table.add(shown, rate(samples.median(name)), times(samples.ratio(name)))
    section.at_least(
        f"a batch of {size:,}", 1.2, samples.ratio(OURS), "sqlite3 executemany with FTS5 triggers"
    )
    section.at_least(
        f"a batch of {size:,}, and a search", 1.2, samples.ratio(OURS_SEARCHED), "sqlite3, the same"
    )


def run(options: Options) -> Section:
    section = Section("batch")
    with options.new_folder() as folder:
        run_async(measure(section, options, folder))
    return section
