"""The main job: it imports what other programs exported, says what it found, and searches it.

The files in `exports/` are as people get them from ChatGPT, Claude.ai, Open WebUI, `llm`, LangChain, from two
data sets, and from a spreadsheet. Each is told by its content; what its format has beyond texts is kept as
metadata. Run it again, and nothing is imported twice.

In the end all of it is exported in each format of our own, and imported again, and must be equal.

Run `python import_exports.py --help` for the options.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from history_view import MARKS, WIDEST, print_heading, print_next, print_results, say, snippet_length
from rich import box
from rich.table import Table
from workflow_view import PipedConsole

from library.infrastructure.data import (
    ConversationHistoryUnit,
    DataUnitError,
    ExportManager,
    ImportManager,
    ImportReport,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

EXPORTS = Path(__file__).parent / "exports"
TABLE_OF_A_SPREADSHEET: dict[str, Any] = {
    "field_mapping": {
        "question": "user_input",
        "answer": "agent_response",
        "asked_at": "timestamp",
        "chat": "conversation_id",
    }
}
"""Its columns have names of their own; what is not named here goes to the metadata."""
SEARCHES = ("yellow leaves", '"regular expression" OR awk', "how do I learn drawing?")
RESULTS = 2
FORMATS = ("json", "jsonl", "jsonl.zst", "csv", "xml")
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


async def import_all(importer: ImportManager, files: Sequence[Path]) -> list[ImportReport]:
    """Import files of whatever format; what is there already is skipped."""
    reports = []
    for file in files:
        options = TABLE_OF_A_SPREADSHEET if file.suffix == ".csv" else {}
        report = await importer.import_conversations(file, merge_strategy="skip_duplicates", **options)
        reports.append(report)
    return reports


def print_reports(console: Console, reports: Sequence[ImportReport], database: Path) -> None:
    """Print what was found in each file."""
    print_heading(console, "Imported", "each format was told by its content")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("file", no_wrap=True)
    table.add_column("format", no_wrap=True)
    for name in ("conversations", "exchanges", "new"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in reports:
        counts = (f"{each.conversations:,}", f"{each.read:,}", f"{each.written:,}")
        table.add_row(Path(each.path).name, each.format.value, *counts)
    console.print(table)
    new, known = sum(each.written for each in reports), sum(each.skipped for each in reports)
    seconds = sum(each.seconds for each in reports)
    was_there = f"; {known:,} were there already" if known else ""
    say(console, f"  {new:,} exchanges are new in {database}, after {seconds:.2f} s{was_there}", "dim")


async def search(console: Console, history: ConversationHistoryUnit) -> None:
    """Search for words, phrases and a whole question."""
    print_heading(console, "Searched", 'words, a "phrase", OR, whole questions')
    for query in SEARCHES:
        started = time.perf_counter()
        results = await history.search_conversations(
            query, RESULTS, highlight=MARKS, snippet_characters=snippet_length(console)
        )
        print_results(console, query, results, (time.perf_counter() - started) * 1000)


async def round_trips(console: Console, history: ConversationHistoryUnit) -> None:
    """Export everything in each format, import that into an empty database, and compare."""
    print_heading(console, "Exported", "in formats of our own, and imported again, which must be equal")
    expected = [each async for each in history.stream_conversations()]
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            file = Path(folder, f"everything.{name}")
            exported = await ExportManager(history.database_adapter).export_conversations(output_file=file)
            async with SQLiteAdapter(":memory:") as empty, ConversationHistoryUnit(empty) as copy:
                imported = await ImportManager(empty).import_conversations(file)
                found = [each async for each in copy.stream_conversations()]
            is_equal = "equal" if found == expected else "NOT EQUAL"
            seconds = exported.seconds + imported.seconds
            say(console, f"  {file.name:<22}{exported.bytes / 1000:6.0f} kB {seconds:6.2f} s   {is_equal}")


async def work(options: argparse.Namespace, console: Console) -> None:
    """Do all of it."""
    files = sorted(each for each in options.files or EXPORTS.iterdir() if each.suffix != ".md")
    async with (
        SQLiteAdapter(options.database) as adapter,
        ConversationHistoryUnit(adapter) as history,
    ):
        reports = await import_all(ImportManager(adapter), files)
        print_reports(console, reports, options.database)
        await search(console, history)
        await round_trips(console, history)
        print_heading(console, "Try next")
        newest = (await history.list_conversations(1))[0]
        print_next(console, suggestions(options.database, newest.conversation_id))


def suggestions(database: Path, conversation_id: str) -> list[tuple[str, str]]:
    """Return what to try next."""
    command = f"{Path(sys.executable).parent / 'nanobrain-data'} --database {database}"
    here = f"{Path.cwd()}/"
    return [
        (text.replace(here, ""), explanation)
        for text, explanation in (
            (f"{command} search 'sourdough OR tomato'", "find what you like"),
            (f"{command} show {conversation_id}", "read a conversation"),
            (f"{command} export everything.csv", "take all of it with you"),
        )
    ]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong options end the program."""
    parser = argparse.ArgumentParser(description="Import the exports of other programs, and search them.")
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="exports of yours (default: those beside this)"
    )
    parser.add_argument(
        "--database",
        type=Path,
        default=Path(".nanobrain-data/exports.db"),
        help="the SQLite file (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Run the program; return its exit code."""
    options = parse()
    console = PipedConsole()
    console.width = min(console.width, WIDEST)
    try:
        options.database.parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(work(options, console))
    except KeyboardInterrupt:
        print("Stopped. What was imported is kept; run it again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` has
        return EXIT_FAILED
    except (DataUnitError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
