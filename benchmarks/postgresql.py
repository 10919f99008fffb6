"""Measure the conversation history on PostgreSQL: `python benchmarks/postgresql.py [section ...]`.

Beside it stand floors, the least code that does the work with asyncpg, and libraries that keep conversations
in PostgreSQL. All of them use one server that the run starts by itself, in a temporary folder, and that has
on the disk what was committed. Read the columns `x`, which compare with the floor of the table in the same
rounds. The last table holds each promise of the project beside what was measured. See `_harness.py` for how
measurements are taken.

The whole run takes about ten minutes and 10 GB of disk: a table of a million exchanges is built.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import warnings
from dataclasses import asdict
from datetime import datetime
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._harness import Section, run_async, show
from benchmarks.postgresql_setup import Options
from benchmarks.units import bars_table

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = ("save", "batch", "read", "search", "processes", "transfer")
PEERS = ("asyncpg", "openai-agents", "SQLAlchemy", "langgraph-checkpoint-postgres", "psycopg")


def describe_run(options: Options) -> dict[str, Any]:
    """Say what was measured, where and when."""
    version = run_async(options.server.fetch("SHOW server_version"))[0][0]
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": f"PostgreSQL {version}",
        "os": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown",
        "peers": {name: metadata.version(name) for name in PEERS},
        "rows": options.rows,
        "quick": options.quick,
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the conversation history on PostgreSQL.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure: {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a minute in all")
    parser.add_argument("--rows", type=int, metavar="N", help="exchanges of the large table: 1,000,000")
    parser.add_argument("--seconds", type=int, metavar="N", help="how long processes save and read: 60")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    arguments.rows = arguments.rows or (50_000 if arguments.quick else 1_000_000)
    if arguments.rows < 10_000:
        parser.error("--rows: 10,000 is the least")
    arguments.seconds = arguments.seconds or (8 if arguments.quick else 60)
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse(words)
    options = Options(quick=arguments.quick, rows=arguments.rows, seconds=arguments.seconds)
    done, seconds = [], {}
    try:
        about = describe_run(options)
        peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
        print(f"{about['date']}, {about['python']}, {about['os']}, load {about['load']}")
        print(f"On {about['server']}, beside {peers}.")
        print(
            "Medians over rounds in which all contenders take turns; x: against the floor of the same round."
        )
        warnings.simplefilter("ignore", DeprecationWarning)
        gc.collect()
        gc.freeze()
        for name in SECTIONS:
            if arguments.sections and name not in arguments.sections:
                continue
            start = perf_counter()
            section: Section = import_module(f"benchmarks.postgresql_{name}").run(options)
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
