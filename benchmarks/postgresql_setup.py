"""What the parts of the run share: the server, its databases, and the large table."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg
from benchmarks._harness import ROOT, Table, number, rate, run_async
from benchmarks.history_texts import Vocabulary, ZipfTexts
from benchmarks.postgresql_floors import copy, lines, to_raw

from library.infrastructure.data import ConversationHistoryUnit
from library.infrastructure.interfaces.database import PostgreSQLAdapter

sys.path.insert(0, str(ROOT / "tests/servers"))
from postgresql_server import PostgreSQLServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.history_texts import Exchange

OURS = "ConversationHistoryUnit"
POOL = 8
"""Connections of everybody."""
TABLE = "conversations"


def database(name: str) -> str:
    """Return a name that stands in each library's URL as it is."""
    return name.replace(" ", "_").lower()


@asynccontextmanager
async def open_unit(url: str) -> AsyncIterator[ConversationHistoryUnit]:
    """Open our history in a database."""
    async with (
        PostgreSQLAdapter(url, max_size=POOL, command_timeout_s=600) as adapter,
        ConversationHistoryUnit(database_adapter=adapter, table_name=TABLE) as unit,
    ):
        yield unit


@dataclass
class Options:
    """What was asked for on the command line."""

    quick: bool
    rows: int
    seconds: int

    @cached_property
    def server(self) -> PostgreSQLServer:
        """The one that everybody is measured on: what was committed is on the disk."""
        return PostgreSQLServer(is_durable=True)

    async def new_database(self, name: str) -> str:
        """Make a database, and return its URL."""
        name = database(name)
        await self.server.execute(f'CREATE DATABASE "{name}"')
        return self.server.url(name)

    async def new_table(self, name: str) -> str:
        """Make a database with an empty table of ours, whose ids the server gives; return its URL."""
        url = await self.new_database(name)
        async with open_unit(url):
            pass
        statement = f"""ALTER TABLE {TABLE} ALTER message_id SET DEFAULT nextval('"nb:{TABLE}:ids"')"""
        await self.server.execute(statement, database(name))
        return url

    @cached_property
    def large(self) -> Large:
        return Large(self)

    def close(self) -> None:
        if "server" in vars(self):
            self.server.remove()


class Large:
    """The large table, built once in a run: filled by COPY, its indexes made afterwards."""

    def __init__(self, options: Options) -> None:
        self.rows = options.rows
        self.vocabulary = Vocabulary()
        self.texts = ZipfTexts(self.vocabulary, self.rows)
        print(f"\nBuilding a table of {self.rows:,} exchanges in {options.server.folder}.", file=sys.stderr)
        self.steps: dict[str, float] = {}
        self.bytes = 0
        self.url = run_async(self._build(options))
        del self.vocabulary.slots, self.texts.slots

    async def _build(self, options: Options) -> str:
        url = await options.new_table("large")
        connection = await asyncpg.connect(url)
        await connection.execute("SET maintenance_work_mem = '1GB'; SET synchronous_commit = off")
        found = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%:key'",
            TABLE,
        )
        for name, _ in found:
            await connection.execute(f'DROP INDEX "{name}"')
        start = perf_counter()
        await self._fill(connection)
        self.steps["rows, by COPY"] = perf_counter() - start
        start = perf_counter()
        for _, definition in found:
            await connection.execute(definition)
        self.steps["indexes, afterwards"] = perf_counter() - start
        start = perf_counter()
        await connection.execute(f"VACUUM ANALYZE {TABLE}")
        await connection.execute("CHECKPOINT")
        self.steps["VACUUM ANALYZE, CHECKPOINT"] = perf_counter() - start
        self.bytes = await connection.fetchval(f"SELECT pg_total_relation_size('{TABLE}')")
        await connection.close()
        return url

    async def _fill(self, connection: Any) -> None:
        """Make the next rows while the server takes the former ones."""

        def next_lines() -> bytes:
            batch: list[Exchange] | None = next(batches, None)
            return b"" if batch is None else lines(map(to_raw, batch))

        batches = self.texts.batches()
        data = next_lines()
        while data:
            following = asyncio.ensure_future(asyncio.to_thread(next_lines))
            await copy(connection, TABLE, data)
            data = await following

    def table(self) -> Table:
        table = Table(
            f"The large table: {self.rows:,} exchanges",
            ["", "seconds", "exchanges/s"],
            note=f"{number(self.bytes / 1e6)} MB in all; with the making of the texts; not a measure of ours",
        )
        for name, seconds in self.steps.items():
            table.add(name, number(seconds), rate(self.rows / seconds))
        return table
