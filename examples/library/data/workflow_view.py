"""What the conversation workflow shows: progress while it runs, and a summary at the end."""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from workflow_steps import RESPONSE_LENGTHS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from workflow_steps import Exchange, SourceTotals, Totals

    from library.infrastructure.data import CacheInfo, Subscription


class Reader(NamedTuple):
    """A subscriber of the stream, as people see it."""

    name: str
    manner: str
    when_behind: str
    subscription: Subscription

    @property
    def read(self) -> int:
        """How many messages it has read: all up to its place in the stream, but for those it missed."""
        return self.subscription.received


class Progress(NamedTuple):
    """How far the workflow is."""

    done: int
    total: int
    readers: Sequence[Reader]
    shown: Exchange | None


class Display(Protocol):
    """Shows progress for as long as it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """Show how far the workflow is now; called ten times a second."""


class PipedConsole(Console):
    """A console that reports a closed pipe, as of `| head`, as the `OSError` that it is."""

    def on_broken_pipe(self) -> None:
        """Write nowhere from now on, so that Python does not try again when it exits."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BrokenPipeError(errno.EPIPE, "whoever read the output has left")


def make_display(console: Console) -> Display:
    """Return what suits the console: a live table on a terminal, else a few plain lines."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay:
    """Prints a line each time that another fifth is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fifths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, progress: Progress) -> None:
        """Print a line if there is news."""
        fifths = progress.done * 5 // progress.total
        if fifths > self._fifths:
            self._fifths = fifths
            lags = ", ".join(f"{each.name} {each.subscription.lag}" for each in progress.readers)
            done = (
                f"{progress.done:>7,} of {progress.total:,} exchanges ({progress.done / progress.total:4.0%})"
            )
            self._console.print(f"{done}; unread: {lags}", highlight=False, soft_wrap=True)


class LiveDisplay:
    """Keeps a progress bar and a table of the readers on the terminal; they go when it is left."""

    def __init__(self, console: Console) -> None:
        # Drawn when `show` is called, and not by a thread of its own.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._started = time.monotonic()
        self._first: int | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw everything anew."""
        parts = (self._bar(progress), readers_table(progress.readers), self._preview(progress.shown))
        self._live.update(Group(*parts), refresh=True)

    def _bar(self, progress: Progress) -> Table:
        done, total = progress.done, progress.total
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=total, completed=done, width=40),
            f"{done / total:4.0%}",
            f"{done:,} of {total:,} exchanges",
            Text(self._time_left(done, total), style="dim"),
        )
        return grid

    def _time_left(self, done: int, total: int) -> str:
        if self._first is None:
            self._first = done
        elapsed = time.monotonic() - self._started
        if done == self._first or elapsed < 1:
            return ""
        return f"{math.ceil((total - done) * elapsed / (done - self._first))} s left"

    @staticmethod
    def _preview(shown: Exchange | None) -> Table:
        """Show an exchange in three lines, however long it is, so that the picture keeps its height."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(style="dim", min_width=len("preview"))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        place = f"{shown.conversation_id}, exchange {shown.turn}" if shown else ""
        rows = {
            "preview": place,
            "user": shown.user_input if shown else "",
            "agent": shown.agent_response if shown else "",
        }
        for label, text in rows.items():
            # What other programs wrote may hold control characters, which a terminal would obey.
            grid.add_row(label, Text("".join(each if each.isprintable() else " " for each in text)))
        return grid


def readers_table(readers: Sequence[Reader]) -> Table:
    """Show what each subscriber has read, missed, and not read yet."""
    table = _table()
    for heading in ("reader", "speed", "if it is late"):
        table.add_column(heading)
    for heading in ("read", "dropped", "unread"):
        table.add_column(heading, justify="right", min_width=6)
    for each in readers:
        dropped = each.subscription.dropped
        table.add_row(
            f"[bold]{each.name}[/]",
            each.manner,
            each.when_behind,
            f"{each.read:,}",
            f"[yellow]{dropped:,}[/]" if dropped else "0",
            f"{each.subscription.lag:,}",
        )
    return table


def print_summary(
    console: Console,
    totals: Totals,
    readers: Sequence[Reader],
    cache: CacheInfo,
    files: Sequence[tuple[Path, str]],
) -> None:
    """Print what was counted, how the readers fared, and where the files are."""
    _print(console, _sources_table(totals))
    longest = f"{totals.longest_conversation}, {totals.longest_turns} exchanges"
    _print(console, f"[bold]longest conversation[/]  {escape(longest)}\n")
    _print(console, "[bold]most telling words[/]")
    _print(console, _words_table(totals))
    _print(console, "[bold]length of the agent's responses[/], in characters")
    _print(console, _lengths_table(totals.response_lengths))
    if readers:
        _print(console, "[bold]readers of the stream[/], in this run")
        _print(console, readers_table(readers))
        for each in readers:
            if each.subscription.dropped:
                lost = f"{each.name} missed {each.subscription.dropped:,} exchanges"
                _print(console, f"{lost}, as it may: it reads with overflow='drop_oldest'.")
        looked_up = cache.hits + cache.misses
        hits = f"{cache.hits:,} of {looked_up:,} texts came from the keyed cache"
        _print(console, f"{hits}, which holds up to {cache.max_size:,}.\n")
    _print(console, "[bold]files[/]")
    for path, what in files:
        console.print(f"  {path}  [dim]{what}[/]", highlight=False, soft_wrap=True)


def _print(console: Console, part: Table | str) -> None:
    console.print(part, highlight=False)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)


def _sources_table(totals: Totals) -> Table:
    table = _table()
    table.add_column("source")
    table.add_column("language")
    for heading in ("conversations", "exchanges", "user words", "agent words"):
        table.add_column(heading, justify="right")

    def row(name: str, languages: str, sources: Sequence[SourceTotals]) -> None:
        sums = (
            sum(each.conversations for each in sources),
            sum(each.exchanges for each in sources),
            sum(each.user_words for each in sources),
            sum(each.agent_words for each in sources),
        )
        table.add_row(escape(name), languages, *(f"{each:,}" for each in sums))

    for name, source in totals.sources.items():
        row(name, ", ".join(source.languages), [source])
    table.add_section()
    languages = sorted({language for source in totals.sources.values() for language in source.languages})
    for language in languages if len(languages) > 1 else ():
        spoken = [source for source in totals.sources.values() if source.languages == [language]]
        if len(spoken) > 1:
            row(f"all {language}", language, spoken)
    row("all", ", ".join(languages), list(totals.sources.values()))
    return table


def _words_table(totals: Totals) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, words in telling_words(totals).items():
        grid.add_row(f"  {escape(name)}", Text(" ".join(words)))
    grid.add_row()
    return grid


def telling_words(totals: Totals, count: int = 8) -> dict[str, list[str]]:
    """Return for each source its most frequent words that every other source uses 4 times less."""
    shares = {name: _shares(source) for name, source in totals.sources.items()}
    found = {}
    for name, share in shares.items():
        others = [other for each, other in shares.items() if each != name]
        telling = [
            word
            for word, part in share.items()
            # A single letter or character tells little.
            if len(word) > 1 and all(part > 4 * other.get(word, 0) for other in others)
        ]
        # Words of equal frequency stand in the order of the alphabet, so that every run shows the same.
        found[name] = sorted(telling, key=lambda word, share=share: (-share[word], word))[:count]  # type: ignore[misc]
    return found


def _shares(source: SourceTotals) -> dict[str, float]:
    size = sum(source.words.values())
    return {word: number / size for word, number in source.words.items()}


def _lengths_table(counts: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    names = [*(f"  up to {bound:,}" for bound in RESPONSE_LENGTHS), "longer"]
    for name, count in zip(names, counts, strict=True):
        grid.add_row(name, f"{count:,}", Text("█" * math.ceil(40 * count / max(*counts, 1)), style="cyan"))
    grid.add_row()
    return grid
