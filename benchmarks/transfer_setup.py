"""What the parts of the run share: the options, exchanges, a database of them, and files of all formats."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
from benchmarks._harness import run_async
from benchmarks.history_setup import open_unit
from benchmarks.history_texts import BATCH, RealTexts

from library.infrastructure.data import ConversationMessage, ExportManager

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = (
    "SELECT id, conversation_id, timestamp, user_input, agent_response, response_time_ms, parent_id, metadata"
    " FROM conversations"
)
COLUMNS = (
    "message_id",
    "conversation_id",
    "timestamp",
    "user_input",
    "agent_response",
    "response_time_ms",
    "parent_id",
    "metadata",
)
EXCHANGES_A_CONVERSATION = 25


class Form(NamedTuple):
    """A way to write exchanges into a file."""

    name: str
    file: str
    """The name of the file; its suffix tells the format."""


JSONL = Form("JSON Lines", "lines.jsonl")
JSON = Form("JSON", "array.json")
CSV = Form("CSV", "table.csv")
XML = Form("XML", "document.xml")
PARQUET = Form("Parquet", "columns.parquet")
OWN = (JSON, JSONL, CSV, XML, PARQUET)
"""What both managers are promised for."""

GZIP = Form("JSON Lines, gzip", "lines.jsonl.gz")
ZSTANDARD = Form("JSON Lines, Zstandard", "lines.jsonl.zst")
PACKED = (GZIP, ZSTANDARD)

PRETTY = Form("JSON, indented", "pretty.json")
ONE_LINE = Form("JSON, all on one line", "one_line.json")
FOREIGN = (PRETTY, ONE_LINE)
"""Layouts that other programs give to the same array."""


@dataclass
class Options:
    """What was asked for on the command line."""

    quick: bool
    rows: int
    folder: Path

    @property
    def many(self) -> int:
        """Exchanges of the larger database, where it is compared with that of `rows`."""
        return 3 * self.rows

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="bench-transfer-", dir=self.folder) as name:
            yield Path(name)

    @cached_property
    def stock(self) -> Stock:
        return Stock(self, self.rows)

    @cached_property
    def large_stock(self) -> Stock:
        return Stock(self, self.many)

    def close(self) -> None:
        for name in ("stock", "large_stock"):
            if name in vars(self):
                vars(self)[name].folder.cleanup()


class Stock:
    """So many exchanges in a database of ours, and in files that are made of it when they are asked for."""

    def __init__(self, options: Options, rows: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="bench-transfer-", dir=options.folder)
        self.rows = rows
        self.database = str(Path(self.folder.name, "stock.db"))
        run_async(fill(self.database, rows))

    def file(self, form: Form) -> Path:
        path = Path(self.folder.name, form.file)
        if not path.exists():
            if form in FOREIGN:
                write_foreign(self.file(JSONL), path, indent=2 if form == PRETTY else None)
            else:
                run_async(export(self.database, path))
        return path


async def fill(path: str, rows: int) -> None:
    messages = make_messages(rows)
    async with open_unit(path) as (unit, _):
        while batch := list(islice(messages, BATCH)):
            await unit.save_messages_batch(batch)
        await unit.search_conversations("nowhere", limit=1)


async def export(database: str, path: Path) -> None:
    async with open_unit(database) as (_, adapter):
        await ExportManager(adapter).export_conversations(output_file=path)


def make_messages(rows: int) -> Iterator[ConversationMessage]:
    """Make exchanges of 500 to 700 bytes with metadata such as agents keep; always the same ones."""
    texts = RealTexts()
    for index in range(rows):
        message = texts.next(f"conversation {index // EXCHANGES_A_CONVERSATION}").message()
        message.metadata = {"model": "small-2026", "tokens": 100 + index % 400, "tools": ["search"]}
        yield message


def write_foreign(lines: Path, path: Path, *, indent: int | None) -> None:
    """Write an array as `json.dump` lays it out, some elements at a time."""
    with lines.open(encoding="utf-8") as records, path.open("w", encoding="utf-8") as file:
        separator = "["
        for line in records:
            element = json.dumps(json.loads(line), indent=indent)
            if indent:
                file.write(separator + "\n" + " " * indent + element.replace("\n", "\n" + " " * indent))
                separator = ","
            else:
                file.write(separator + element)
                separator = ", "
        file.write("\n]" if indent else "]")


def open_floor(database: str) -> apsw.Connection:
    """Open the database of ours without any of our code."""
    return apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def read_all(connection: apsw.Connection) -> Any:
    return connection.execute(EVERYTHING)
