"""Measure the conversation history on SQLite: `python benchmarks/history.py [section ...]`.

Beside it stand floors, the least code that does the work at all, and the libraries in which people keep
conversations today. Read the columns `x`, which compare with the floor of the table in the same rounds; for
rates more is better, for times less. The last table holds each promise of the project beside what was
measured. See `_harness.py` for how measurements are taken.

The whole run takes about ten minutes and 6 GB of disk: two databases of a million exchanges are built in a
temporary folder, and deleted in the end. The folder has to be on a disk whose fsync waits for it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sqlite3
import sys
import tempfile
import warnings
from dataclasses import asdict
from datetime import datetime
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._harness import Section, show
from benchmarks.history_setup import Options
from benchmarks.units import bars_table

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = ("save", "batch", "read", "search", "locomo", "stream", "processes", "crash")
PEERS = (
    "apsw",
    "openai-agents",
    "SQLAlchemy",
    "aiosqlite",
    "langchain-community",
    "langgraph-checkpoint-sqlite",
    "google-adk",
    "llm",
)


def describe_run(options: Options) -> dict[str, Any]:
    """Say what was measured, where and when."""
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite3": f"SQLite {sqlite3.sqlite_version}",
        "os": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown",
        "peers": {name: metadata.version(name) for name in PEERS},
        "rows": options.rows,
        "quick": options.quick,
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the conversation history on SQLite.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure: {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: two minutes in all")
    parser.add_argument("--rows", type=int, metavar="N", help="exchanges of the large database: 1,000,000")
    parser.add_argument("--kills", type=int, metavar="N", help="how many writers are killed: 100")
    parser.add_argument(
        "--locomo", type=Path, metavar="FILE", help="questions in the form of LoCoMo, as JSON"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the databases are made"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    arguments.rows = arguments.rows or (50_000 if arguments.quick else 1_000_000)
    if arguments.rows < 10_000:
        parser.error("--rows: 10,000 is the least, since the small database has as many")
    arguments.kills = arguments.kills or (10 if arguments.quick else 100)
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse(words)
    options = Options(
        quick=arguments.quick,
        rows=arguments.rows,
        kills=arguments.kills,
        folder=arguments.folder,
        locomo=arguments.locomo,
    )
    about = describe_run(options)
    peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
    print(f"{about['date']}, {about['python']}, {about['os']}, load {about['load']}")
    print(f"Beside stdlib sqlite3 with {about['sqlite3']}, {peers}.")
    print("Medians over rounds in which all contenders take turns; x: against the floor of the same round.")
    warnings.simplefilter("ignore", DeprecationWarning)
    gc.collect()
    gc.freeze()
    done, seconds = [], {}
    try:
        for name in SECTIONS:
            if arguments.sections and name not in arguments.sections:
                continue
            start = perf_counter()
            section: Section = import_module(f"benchmarks.history_{name}").run(options)
            seconds[name] = round(perf_counter() - start, 1)
            show(section.tables)
            done.append(section)
            sys.stdout.flush()
    finally:
        options.close()
    show([bars_table(done)])
    missed = sum(not bar.is_met for section in done for bar in section.bars)
    spent = ", ".join(f"{name} {each}" for name, each in seconds.items())
    print(f"\n{missed} bars missed; seconds: {spent}")
    if arguments.json:
        outcome = {**about, "seconds": seconds, "sections": [asdict(section) for section in done]}
        arguments.json.write_text(json.dumps(outcome, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
