"""Measure export and import of conversations: `python benchmarks/transfer.py [section ...]`.

Beside each format stands a floor: the least code that moves the same exchanges. Read the columns `x`, which
compare with the floor in the same rounds; more is better. The last table holds each promise of the project
beside what was measured. See `_harness.py` for how measurements are taken.

The whole run takes about a quarter of an hour, and 2 GB of disk in a temporary folder, which is deleted in
the end. Ours waits for the disk where the floors do not; `--folder /dev/shm` leaves the disk out.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from datetime import datetime
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._harness import Section, show
from benchmarks.transfer_setup import Options
from benchmarks.units import bars_table

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = ("export", "import", "memory", "loop")
PEERS = ("apsw", "orjson", "pyarrow")


def describe_run(options: Options) -> dict[str, Any]:
    """Say what was measured, where and when."""
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "os": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown",
        "peers": {name: metadata.version(name) for name in PEERS},
        "rows": options.rows,
        "quick": options.quick,
        "folder": str(options.folder),
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure export and import of conversations.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure: {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer exchanges and rounds: two minutes in all")
    parser.add_argument(
        "--rows", type=int, metavar="N", help="exchanges to be moved: 100,000; and three times as many"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where files are made; /dev/shm leaves the disk out",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    arguments.rows = arguments.rows or (20_000 if arguments.quick else 100_000)
    if arguments.rows <= 10_000:
        parser.error("--rows: 10,001 is the least, since fewer are imported in one transaction")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse(words)
    options = Options(quick=arguments.quick, rows=arguments.rows, folder=arguments.folder)
    about = describe_run(options)
    peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
    print(f"{about['date']}, {about['python']}, {about['os']}, load {about['load']}")
    print(f"With {peers}; files in {options.folder}.")
    print("Medians over rounds in which all contenders take turns; x: against the floor of the same round.")
    gc.collect()
    gc.freeze()
    done, seconds = [], {}
    try:
        for name in SECTIONS:
            if arguments.sections and name not in arguments.sections:
                continue
            start = perf_counter()
            section: Section = import_module(f"benchmarks.transfer_{name}").run(options)
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
