"""What the conversation history shows: found exchanges, a chat, a tree, visits, response times."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from session_steps import Row

    from library.infrastructure.data import ConversationMessage, PerformanceMetrics, SearchResult

WIDEST = 100
"""Longer lines are hard to read, and wrap badly in a mail."""
MARKS = ("\ue000", "\ue001")
"""Around what was found; no text uses them, since they are private."""
BAR = 40
STATE_STYLES = {"active": "green", "expired": "yellow", "ended": "yellow", "gone": "dim"}


class Run(NamedTuple):
    """The response times of one run."""

    name: str
    metrics: PerformanceMetrics


def say(console: Console, text: str | Text = "", style: str = "") -> None:
    """Print a line as it is."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def print_heading(console: Console, heading: str, explanation: str = "") -> None:
    """Begin a part of the output."""
    text = Text("\n" + heading, style="bold").append(
        f"  {explanation}" if explanation else "", "not bold dim"
    )
    console.print(text, highlight=False)


def clean(text: str) -> str:
    """Replace what a terminal would obey: other programs wrote these texts."""
    return "".join(each if each.isprintable() else " " for each in text)


def snippet_length(console: Console) -> int:
    """Return how many characters of a found text fit beside the rest of its line."""
    return max(20, console.width - 25)


def print_results(console: Console, query: str, results: Sequence[SearchResult], took_ms: float) -> None:
    """Print what a search found, a line each."""
    found = f"{len(results)} best" if results else "nothing found"
    say(console, Text("  ").append(query, "bold cyan").append(f"  {found}, {took_ms:.1f} ms", "dim"))
    for each in results:
        source: Any = each.metadata.get("source", each.conversation_id)
        if isinstance(source, dict):  # of an import
            source = source.get("format", each.conversation_id)
        label = (f"{f'#{each.message_id}':>9} {clean(str(source)):<12} ", "dim")
        line = Text.assemble(label, marked(console, each.snippet))
        line.truncate(console.width, overflow="ellipsis")  # in columns: a Chinese character takes two
        say(console, line)


def marked(console: Console, snippet: str) -> Text:
    """Show what was found in colour, or in brackets where there are no colours."""
    is_plain = console.color_system is None or console.no_color
    text = Text()
    for number, part in enumerate(snippet.replace(MARKS[1], MARKS[0]).split(MARKS[0])):
        is_match = number % 2 == 1
        text.append(f"[{clean(part)}]" if is_match and is_plain else clean(part), "green" if is_match else "")
    return text


def print_chat(console: Console, messages: Iterable[ConversationMessage], found: int | None = None) -> None:
    """Print exchanges as a chat: the user on the left, the agent a little to the right."""
    for each in messages:
        style = "reverse" if each.message_id == found else ""
        _print_turn(console, Text(f"#{each.message_id}", "dim"), "user", each.user_input, "cyan", style)
        _print_turn(console, Text(), "agent", each.agent_response, "green", style, indent=4)


def _print_turn(
    console: Console, label: Text, speaker: str, text: str, color: str, style: str, indent: int = 0
) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", min_width=7)
    grid.add_column(min_width=5)
    grid.add_column()
    lines = "\n".join(map(clean, text.strip().splitlines()))
    grid.add_row(label, Text(speaker, color), Text(lines, style))
    console.print(Padding(grid, (0, 4 - indent, 0, indent)), highlight=False)


def print_tree(console: Console, conversation_id: str, messages: Sequence[ConversationMessage]) -> None:
    """Print exchanges below those that they follow, and how those beside others came about."""
    root = Tree(Text(clean(conversation_id), "dim"), guide_style="dim")
    branches: dict[int | None, Tree] = {None: root}
    asked: dict[int | None, set[str]] = {}
    for each in messages:
        before = asked.setdefault(each.parent_id, set())
        reason = "" if not before else "regenerated" if each.user_input in before else "edited"
        before.add(each.user_input)
        line = Text(no_wrap=True, overflow="ellipsis").append(f"#{each.message_id} ", "dim")
        line.append(f"{reason}  " if reason else "", "yellow")
        if reason != "regenerated":
            line.append(f"{clean(each.user_input)}\n", "cyan")
        line.append(clean(each.agent_response), "green")
        branches[each.message_id] = branches[each.parent_id].add(line)
    console.print(Padding(root, (0, 0, 0, 2)), highlight=False)


def print_visits(console: Console, rows: Sequence[Row], saved: Mapping[str, int]) -> None:
    """Print what became of the sessions of visitors, a line each moment, and how much each has saved."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=7, justify="right", no_wrap=True)
    grid.add_column()
    for _ in saved:
        grid.add_column(no_wrap=True)
    grid.add_row("", "", *(Text(clean(name), "cyan") for name in saved))
    for row in rows:
        states = (Text(state, STATE_STYLES.get(state, "")) for state in row.states)
        grid.add_row(Text(f"{row.at.astimezone():%H:%M}", "dim"), row.what, *states)
    found = (Text(f"{count} saved") for count in saved.values())
    grid.add_row("", "list_conversations(session_id=) finds", *found)
    console.print(grid, highlight=False)


def print_metrics(console: Console, runs: Sequence[Run]) -> None:
    """Print the distributions of the response times of runs."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1))
    table.add_column("run")
    for heading in ("answers", "mean", "p50", "p95", "p99", "max ms"):
        table.add_column(heading, justify="right")
    for name, metrics in runs:
        times = (metrics.mean_ms, metrics.p50_ms, metrics.p95_ms, metrics.p99_ms, metrics.max_ms)
        shown = ("-" if each is None else f"{each:.1f}" for each in times)
        table.add_row(clean(name), f"{metrics.count:,}", *shown)
    console.print(table, highlight=False)


def print_histogram(console: Console, times_ms: Sequence[float]) -> None:
    """Print how many responses took how long, each row twice as long as the one before."""
    rows = histogram(times_ms)
    longest = max((count for _, count in rows), default=1)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", min_width=16)
    grid.add_column(justify="right", min_width=4)
    grid.add_column()
    for bound, count in rows:
        grid.add_row(
            f"up to {bound:g} ms", f"{count:,}", Text("█" * math.ceil(BAR * count / longest), "cyan")
        )
    console.print(grid, highlight=False)


def histogram(times_ms: Sequence[float]) -> list[tuple[float, int]]:
    """Count times by powers of two, from the class of the fastest to that of the slowest."""
    if not times_ms:
        return []
    first = _class_of(min(times_ms))
    bounds = [2.0**power for power in range(first, _class_of(max(times_ms)) + 1)]
    counts = [sum(time <= bounds[0] for time in times_ms)]
    counts += [sum(low < time <= high for time in times_ms) for low, high in pairwise(bounds)]
    return list(zip(bounds, counts, strict=True))


def _class_of(time_ms: float) -> int:
    return math.ceil(math.log2(max(time_ms, 0.125)))


def print_next(console: Console, commands: Iterable[tuple[str, str]]) -> None:
    """Print what to try, and what that does."""
    commands = list(commands)
    width = max(cell_len(command) for command, _ in commands)
    for command, what in commands:
        say(console, Text(f"  {command:<{width}}  ").append(what, "dim"))
