"""Importing and exporting a file, and what a session costs: without bars, to know the order of size.

Imports go into a new table, in one transaction, with all indexes; beside them stands saving as many ready
records in batches of 10,000.
"""

from __future__ import annotations

import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Section, in_turns, rate, run_async, times
from benchmarks.history_save import TASKS, time_in_sequence, time_tasks
from benchmarks.history_texts import BATCH
from benchmarks.postgresql_setup import POOL, TABLE, Options, open_unit
from benchmarks.session_setup import STATE
from benchmarks.transfer_setup import JSONL, make_messages

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ExportManager,
    ImportManager,
    SessionConfig,
    SessionManager,
)
from library.infrastructure.interfaces.database import PostgreSQLAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

IMPORT, EXPORT = "ImportManager, JSON Lines", "ExportManager, JSON Lines"


async def transfer(section: Section, options: Options, folder: Path) -> None:
    rows = 2_000 if options.quick else 2 * BATCH
    numbers = count()
    messages = list(make_messages(rows))
    file = folder / JSONL.file
    url = await options.new_database("transfer")

    async def save() -> float:
        async with (
            PostgreSQLAdapter(url) as adapter,
            ConversationHistoryUnit(database_adapter=adapter, table_name=f"saved{next(numbers)}") as unit,
        ):
            start = perf_counter()
            for first in range(0, rows, BATCH):
                await unit.save_messages_batch(messages[first : first + BATCH])
            return rows / (perf_counter() - start)

    async def load() -> float:
        async with PostgreSQLAdapter(url) as adapter:
            manager = ImportManager(adapter, table_name=f"loaded{next(numbers)}")
            start = perf_counter()
            report = await manager.import_conversations(file)
            assert report.written == rows
            return rows / (perf_counter() - start)

    async def export() -> float:
        async with PostgreSQLAdapter(url) as adapter:
            start = perf_counter()
            report = await ExportManager(adapter, table_name=TABLE).export_conversations(output_file=file)
            assert report.written == rows
            return rows / (perf_counter() - start)

    async with open_unit(url) as unit:
        await unit.save_messages_batch(messages)
    await export()
    contenders = {FLOOR: save, IMPORT: load, EXPORT: export}
    samples = await in_turns(contenders, 2 if options.quick else 3, sync=True)
    table = section.table(f"A file of {rows:,} exchanges", "", "exchanges/s", "x")
    for name in (IMPORT, EXPORT, FLOOR):
        shown = "floor: save_messages_batch, ready records" if name == FLOOR else name
        table.add(shown, rate(samples.median(name)), times(samples.ratio(name)))


async def sessions(section: Section, options: Options) -> None:
    calls = 50 if options.quick else 300
    url = await options.new_database("sessions")
    numbers = count()
    async with (
        PostgreSQLAdapter(url, max_size=POOL) as adapter,
        SessionManager(SessionConfig(cleanup_interval=None), adapter) as manager,
    ):
        ids: list[Any] = [await manager.create_session(f"user {task}", STATE) for task in range(TASKS)]

        def operations(task: int) -> dict[str, Callable[[], Awaitable[Any]]]:
            session = ids[task]
            return {
                "create_session": lambda: manager.create_session(f"user {task}", STATE),
                "get_session": lambda: manager.get_session(session),
                "update_session": lambda: manager.update_session(session, {"turns": next(numbers)}),
            }

        async def alone(name: str) -> float:
            return await time_in_sequence(lambda call: call(), [operations(0)[name]] * calls)

        async def at_once(name: str) -> float:
            work = [[operations(task)[name]] * (calls // 10) for task in range(TASKS)]
            errors: list[Exception] = []
            spent = await time_tasks(lambda _, call: call(), work, errors)
            assert not errors, errors[0]
            return spent

        table = section.table("Sessions", "", "one task, calls/s", f"{TASKS} tasks, calls/s")
        for name in operations(0):
            contenders = {"alone": partial(alone, name), "at once": partial(at_once, name)}
            samples = await in_turns(contenders, 3, sync=True)
            table.add(name, rate(samples.median("alone")), rate(samples.median("at once")))


def run(options: Options) -> Section:
    section = Section("transfer")
    with tempfile.TemporaryDirectory(prefix="bench-postgresql-") as folder:
        run_async(transfer(section, options, Path(folder)))
    run_async(sessions(section, options))
    return section
