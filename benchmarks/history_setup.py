"""What the parts of the run share: the options, our unit on a file, and the large database."""

from __future__ import annotations

import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Samples, Table, number, rate, run_async
from benchmarks.history_floors import open_apsw, save_explicitly
from benchmarks.history_texts import Vocabulary, ZipfTexts

from library.infrastructure.data import ConversationHistoryUnit
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

OURS = "ConversationHistoryUnit"
OURS_SEARCHED = f"{OURS}, and a search after them"
"""Ours may leave the index for later, but not beyond the next search: this has that search in its time."""
SMALL = 10_000


@asynccontextmanager
async def open_unit(path: str) -> AsyncIterator[tuple[ConversationHistoryUnit, SQLiteAdapter]]:
    """Open our history on a file, with an fsync for each commit."""
    adapter = SQLiteAdapter(path, synchronous="full")
    await adapter.initialize()
    try:
        async with ConversationHistoryUnit(database_adapter=adapter, table_name="conversations") as unit:
            yield unit, adapter
    finally:
        await adapter.shutdown()


class Stopwatch:
    """Times what is saved with ours, and once more with the search that follows and finds all of it indexed.

    The search also sees to it that nothing is left to be done while the next contender is timed.
    """

    def __init__(self, unit: ConversationHistoryUnit) -> None:
        self.unit = unit
        self.searched: list[float] = []

    async def rate(self, saves: int, saving: Awaitable[Any]) -> float:
        start = perf_counter()
        await saving
        saved = perf_counter()
        await self.unit.search_conversations("nowhere", limit=1)
        self.searched.append(saves / (perf_counter() - start))
        return saves / (saved - start)

    def add_to(self, samples: Samples) -> None:
        """Add what was timed with the search, without the round that warmed up."""
        samples.by_name[OURS_SEARCHED] = self.searched[1:]


@dataclass
class Options:
    """What was asked for on the command line."""

    quick: bool
    rows: int
    kills: int
    folder: Path
    locomo: Path | None = None

    def new_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="bench-history-", dir=self.folder)

    @cached_property
    def large(self) -> Large:
        return Large(self)

    def close(self) -> None:
        if "large" in vars(self):
            self.large.folder.cleanup()


class Large:
    """The same exchanges in a file of ours and in a bare one; and a small file of ours beside them.

    They are built once in a run. The bare one is filled without triggers, with an index row after each row.
    """

    def __init__(self, options: Options) -> None:
        self.folder = options.new_folder()
        self.rows = options.rows
        self.ours, self.raw, self.small, self.small_raw = (
            str(Path(self.folder.name, f"{name}.db")) for name in ("ours", "raw", "small", "small_raw")
        )
        self.vocabulary = Vocabulary()
        print(f"\nBuilding two databases of {self.rows:,} exchanges in {self.folder.name}.", file=sys.stderr)
        self.texts = ZipfTexts(self.vocabulary, self.rows)
        self.small_texts = ZipfTexts(self.vocabulary, SMALL)
        run_async(fill_ours(self.small_texts, self.small))
        fill_raw(self.small_texts, self.small_raw)
        self.seconds = (run_async(fill_ours(self.texts, self.ours)), fill_raw(self.texts, self.raw))
        del self.vocabulary.slots, self.texts.slots, self.small_texts.slots

    def table(self) -> Table:
        table = Table(
            f"The large database: {self.rows:,} exchanges",
            ["", "seconds", "exchanges/s", "MB"],
            note="in batches of 10,000, with the making of the texts, until all is indexed; no triggers",
        )
        for name, path, spent in zip(
            (OURS, "floor: apsw, FTS5"), (self.ours, self.raw), self.seconds, strict=True
        ):
            size = sum(each.stat().st_size for each in Path(path).parent.glob(f"{Path(path).name}*"))
            table.add(name, number(spent), rate(self.rows / spent), number(size / 1e6))
        return table


async def fill_ours(texts: ZipfTexts, path: str) -> float:
    """Return the seconds until everything is indexed, the making of the texts included."""
    start = perf_counter()
    async with open_unit(path) as (unit, _):
        for batch in texts.batches():
            await unit.save_messages_batch([exchange.message() for exchange in batch])
        await unit.search_conversations("nowhere", limit=1)
        return perf_counter() - start


def fill_raw(texts: ZipfTexts, path: str) -> float:
    start = perf_counter()
    connection = open_apsw(path)
    for batch in texts.batches():
        save_explicitly(connection, batch)
    spent = perf_counter() - start
    connection.close()
    return spent


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
