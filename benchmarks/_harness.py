"""Taking measurements in turns, and printing them as tables beside the bars they are held against.

A *floor* is the least code that does the work at all: a dict, an `asyncio.Queue`, one write and one fsync. It
has no versions, no checks and no isolation; it says what the machine and the interpreter cost. Ratios against
it travel from machine to machine, the other numbers do not.

How things are measured: in rounds. In each round every contender does the same work once, in an order that
is shuffled from round to round, after a garbage collection, so that a busy moment of the machine hits all of
them alike. What is printed is the median over the rounds; a ratio is the median of the ratios within each
round. The first round warms up, and is thrown away.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent
FLOOR = "floor"
"""The name under which a floor runs; its row says what it is."""


class Samples:
    """What each contender measured in each round."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.by_name.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def median(self, name: str) -> float:
        return median(self.by_name[name])

    def ratio(self, name: str, base: str = FLOOR) -> float:
        """Return the median over the rounds of `name` divided by `base`."""
        pairs = zip(self.by_name[name], self.by_name[base], strict=True)
        return median(ours / theirs for ours, theirs in pairs)


async def in_turns(
    contenders: Mapping[str, Callable[[], Awaitable[float]]],
    rounds: int,
    *,
    collect: bool = True,
    sync: bool = False,
) -> Samples:
    """Run the contenders by turns; each returns one measurement.

    Args:
        contenders: by name; they are called in another order each time.
        rounds: how often, after the one that warms up.
        collect: whether to collect garbage before each call.
        sync: whether to let the disk finish before each call, so that none pays for what another left in the
            system's cache.

    """
    samples = Samples()
    names = list(contenders)
    order = random.Random(3)
    samples.by_name = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in order.sample(names, len(names)):
            if collect:
                gc.collect()
            if sync:
                os.sync()
            value = await contenders[name]()
            if turn:
                samples.add(name, value)
    return samples


def in_child(module: str, *arguments: object, timeout_s: float = 120) -> Any:
    """Run a module in a process of its own, and return the JSON that it prints: for memory and for kills."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=timeout_s)
    return json.loads(done.stdout)


def memory_mb(field_name: str) -> float:
    """Return VmRSS (now) or VmHWM (the most so far) in MB; `ru_maxrss` would count the parent of an exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(field_name)


HAS_PROC = Path("/proc/self/status").exists()


# -- results -------------------------------------------------------------------------------------------------


@dataclass
class Table:
    """Rows of text under a title; the first column is the name of a contender."""

    title: str
    columns: list[str]
    note: str = ""
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        self.rows.append([*cells, *[""] * (len(self.columns) - len(cells))])


@dataclass
class Bar:
    """What was promised, and what was measured."""

    what: str
    promised: str
    measured: str
    is_met: bool


@dataclass
class Section:
    """The outcome of one part of the run."""

    name: str
    tables: list[Table] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def table(self, title: str, *columns: str, note: str = "") -> Table:
        self.tables.append(Table(title, list(columns), note))
        return self.tables[-1]

    def at_least(self, what: str, bar: float, measured: float, of: str) -> None:
        self.bars.append(Bar(what, f">= {bar:g}x {of}", times(measured), measured >= bar))

    def at_most(self, what: str, bar: float, measured: float, unit: str) -> None:
        self.bars.append(Bar(what, f"<= {bar:g}{unit}", f"{number(measured)}{unit}", measured <= bar))

    def holds(self, what: str, promised: str, measured: str, is_met: bool) -> None:
        self.bars.append(Bar(what, promised, measured, is_met))


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def times(ratio: float) -> str:
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def rate(operations_per_s: float) -> str:
    return f"{operations_per_s:,.0f}"


def show(tables: Iterable[Table]) -> None:
    """Print tables: drawn on a terminal, as markdown into a pipe."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        _draw(tables)
        return
    for table in tables:
        print(f"\n**{table.title}**" + (f" ({table.note})" if table.note else "") + "\n")
        _print_markdown(table)


def _draw(tables: Iterable[Table]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    for table in tables:
        drawn = RichTable(title=table.title, caption=table.note, box=box.SIMPLE_HEAD, title_justify="left")
        for column in table.columns:
            drawn.add_column(column, justify="left" if column == table.columns[0] else "right")
        for row in table.rows:
            style = "bold" if row[0].startswith("DataUnit") else "red" if row[-1] == "MISSED" else None
            drawn.add_row(*row, style=style)
        console.print(drawn)


def _print_markdown(table: Table) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]

    def row(cells: list[str]) -> str:
        padded = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "| " + " | ".join([cells[0].ljust(widths[0]), *padded]) + " |"

    print(row(table.columns))
    print("| " + " | ".join(["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]) + " |")
    for cells in table.rows:
        print(row(cells))


def run_async(main: Awaitable[Any]) -> Any:
    """Run a coroutine in a fresh loop."""

    async def wrapped() -> Any:
        return await main

    return asyncio.run(wrapped())
