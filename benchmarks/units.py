"""Measure the data units beside floors and other libraries: `python benchmarks/units.py [section ...]`.

A floor is the least code that does the work at all (a dict, an `asyncio.Queue`, one write and one fsync).
Read the columns `x`, which compare with the floor of the table in the same rounds; for rates more is better,
for times less. The last table holds each promise of the project beside what was measured. See `_harness.py`
for how measurements are taken.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._harness import Section, Table, show

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS = ("memory", "stream", "string", "file", "crash")
PEERS = (
    "orjson",
    "cachebox",
    "cachetools",
    "cashews",
    "aiocache",
    "anyio",
    "broadcaster",
    "culsans",
    "janus",
    "diskcache",
)


def describe_run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Say what was measured, where and when."""
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "os": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "unknown",
        "peers": {name: metadata.version(name) for name in PEERS},
        "quick": arguments.quick,
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the data units beside floors and other libraries.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"what to measure: {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: half a minute in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file as well")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    return arguments


def bars_table(sections: Sequence[Section]) -> Table:
    table = Table("Bars", ["", "bar", "measured", "met"])
    for section in sections:
        for bar in section.bars:
            table.add(bar.what, bar.promised, bar.measured, "yes" if bar.is_met else "MISSED")
    return table


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse(words)
    about = describe_run(arguments)
    peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
    print(f"{about['date']}, {about['python']}, {about['os']}, load {about['load']}")
    print(f"Beside {peers}.")
    print("Medians over rounds in which all contenders take turns; x: against the floor of the same round.")
    gc.collect()
    gc.freeze()
    done, seconds = [], {}
    for name in SECTIONS:
        if arguments.sections and name not in arguments.sections:
            continue
        start = perf_counter()
        section: Section = import_module(f"benchmarks.unit_{name}").run(arguments.quick)
        seconds[name] = round(perf_counter() - start, 1)
        show(section.tables)
        done.append(section)
        sys.stdout.flush()
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
