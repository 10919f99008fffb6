"""Measure sessions: `python benchmarks/sessions.py [section ...]`.

Beside them stand floors, the least code that does the work at all, and what people keep sessions in today.
Read the columns `x`, which compare with the floor of the table in the same rounds; for rates more is better,
for times less. The last table holds each promise of the project beside what was measured. See `_harness.py`
for how measurements are taken.

The whole run takes about ten minutes and 2 GB of disk: databases of up to a million sessions are filled in a
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
from benchmarks.session_setup import MIDDLE, Options
from benchmarks.units import bars_table

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = ("memory", "save", "get", "touch", "cleanup", "size")
PEERS = ("apsw", "cachetools", "google-adk", "SQLAlchemy", "aiosqlite")


def describe_run(options: Options) -> dict[str, Any]:
    """Say what was measured, where and when."""
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite3": f"SQLite {sqlite3.sqlite_version}",
        "os": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown",
        "peers": {name: metadata.version(name) for name in PEERS},
        "sessions": options.sessions,
        "quick": options.quick,
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure sessions, in memory and on SQLite.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure: {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a minute in all")
    parser.add_argument("--sessions", type=int, metavar="N", help="sessions of the large database: 1,000,000")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the databases are made"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    arguments.sessions = arguments.sessions or (200_000 if arguments.quick else 1_000_000)
    if arguments.sessions <= MIDDLE:
        parser.error(f"--sessions: more than {MIDDLE:,}, since the database in the middle has as many")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse(words)
    options = Options(quick=arguments.quick, sessions=arguments.sessions, folder=arguments.folder)
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
            section: Section = import_module(f"benchmarks.session_{name}").run(options)
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
