"""Results for people on a terminal: tables, chats and charts, by rich."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from library.infrastructure.interfaces.cli.output.aligned import aligned, shortened
from library.infrastructure.interfaces.cli.output.chart import bars, columns_of, with_times
from library.infrastructure.interfaces.cli.output.chat_notes import noted
from library.infrastructure.interfaces.cli.output.local_time import (
    duration_ms,
    local,
    short_day,
    short_time,
)
from library.infrastructure.interfaces.cli.output.presenter import MARKS, Presenter, Visit
from library.infrastructure.interfaces.cli.output.visible import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data import (
        ConversationMessage,
        ConversationSummary,
        DailyResponseTimes,
        PerformanceMetrics,
        SearchResult,
    )
    from library.infrastructure.interfaces.cli.job import Job

_WIDEST: Final = 110
"""Longer lines of text are hard to read."""
_MATCH: Final = re.compile(f"{MARKS[0]}(.*?){MARKS[1]}")
_CHART_LINES: Final = 5
_LABEL: Final = 9
_FIRST_WORDS: Final = 1_000
"""Of a text whose beginning is shown: more characters than a line has."""
_MOST_IN_A_TABLE: Final = 1_000
_UNLIMITED: Final = 100_000


class TerminalPresenter(Presenter):
    """Prints what people like to read; nothing in a text is taken for markup."""

    def __init__(self, job: Job) -> None:
        """Begin; the width is that of the terminal."""
        super().__init__(job)
        self._console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
        self._now = datetime.now(UTC)
        self._shown: str | None = None

    def found(self, results: Sequence[SearchResult]) -> None:
        """Print two lines each: where, and what."""
        for each in results:
            head = Text.assemble((f"#{each.message_id}", "cyan"), "  ", one_line(each.conversation_id), "  ")
            head.append(short_time(each.timestamp, self._now), "dim")
            self._line(head)
            self._wrapped(self._marked(each.snippet), 4)

    def conversations(self, summaries: Sequence[ConversationSummary]) -> None:
        """Print a table; long ids are shortened, since they would take lines and lines."""
        rows = [
            (
                shortened(one_line(each.conversation_id), self._console.width // 3),
                f"{each.message_count:,}",
                short_time(each.last_message_at, self._now),
                one_line(each.first_user_input[:_FIRST_WORDS]),
            )
            for each in summaries
        ]
        table = _table("conversation", "exchanges", "last", "first words")
        table.columns[0].style = "cyan"
        table.columns[1].justify = table.columns[2].justify = "right"
        table.columns[2].style = "dim"
        table.columns[3].ratio = 1
        for column in table.columns:
            column.no_wrap, column.overflow = True, "ellipsis"
        table.expand = True
        self._print_table(table, rows)

    def exchanges(self, messages: Sequence[ConversationMessage]) -> None:
        """Print a chat."""
        for each in noted(messages):
            if each.day or each.silence:
                parts = " · ".join(filter(None, (each.day, each.silence)))
                self._line(Text(f"{'──' if each.day else '  '} {parts}\n", "dim"))
            if each.branch:
                self._line(Text(f"{'':9}↳ {each.branch}", "yellow"))
            self._exchange(each.message)

    def log(self, messages: Sequence[ConversationMessage]) -> None:
        """Print chats, each with its name where another was printed before."""
        for each in messages:
            if each.conversation_id != self._shown:
                when = short_time(each.timestamp, self._now)
                self._line(
                    Text.assemble(("── ", "dim"), one_line(each.conversation_id), (f"  {when}\n", "dim"))
                )
                self._shown = each.conversation_id
            self._exchange(each)
        sys.stdout.flush()

    def metrics(self, metrics: PerformanceMetrics) -> None:
        """Print a table and two charts."""
        table = _table("exchanges", "mean", "fastest", "p50", "p95", "p99", "slowest")
        for column in table.columns:
            column.justify = "right"
        times = (
            metrics.mean_ms,
            metrics.min_ms,
            metrics.p50_ms,
            metrics.p95_ms,
            metrics.p99_ms,
            metrics.max_ms,
        )
        table.add_row(f"{metrics.count:,}", *map(duration_ms, times))
        self._console.print(table)
        days, untimed = with_times(metrics.per_day)
        if days:
            self._charts(days)
        if untimed and days:
            self._fitted(Text(f"without {untimed:,} of 1 January 1970, which tell no time", "dim"))

    def visits(self, visits: Sequence[Visit]) -> None:
        """Print a table."""
        rows = [
            (
                one_line(each.shown_id),
                one_line(each.session.user_id),
                short_time(each.session.created_at, self._now),
                short_time(each.session.last_activity, self._now),
                "active" if each.session.is_active else "inactive",
            )
            for each in visits
        ]
        table = _table("session", "user", "created", "last active", "")
        table.columns[0].overflow = table.columns[1].overflow = "fold"
        table.columns[0].style = "cyan"
        table.columns[2].justify = table.columns[3].justify = "right"
        table.columns[2].style = table.columns[3].style = "dim"
        self._print_table(table, rows, {"active": "green", "inactive": "yellow"})

    def visit(self, visit: Visit, conversations: Sequence[ConversationSummary]) -> None:
        """Print a grid."""
        session = visit.session
        grid = _grid()
        grid.add_row("session", Text(one_line(visit.shown_id), "cyan"))
        grid.add_row("user", one_line(session.user_id))
        grid.add_row("created", f"{local(session.created_at):%Y-%m-%d %H:%M:%S}")
        grid.add_row("last active", f"{local(session.last_activity):%Y-%m-%d %H:%M:%S}")
        grid.add_row("state", Text("active", "green") if session.is_active else Text("inactive", "yellow"))
        for name, value in session.metadata.items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            grid.add_row(Text(one_line(name), "dim"), one_line(shown))
        for each in conversations:
            grid.add_row("conversation", Text(one_line(each.conversation_id), "cyan"))
        self._console.print(grid)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Print a grid; lists of facts are tables of their own below."""
        grid = _grid()
        tables = []
        for name, value in facts.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                tables.append(value)
            else:
                shown = ", ".join(map(_fact, value)) if isinstance(value, list) else _fact(value)
                grid.add_row(name.replace("_", " "), Text(shown or "-"))
        if grid.row_count:
            self._console.print(grid)
        for place, rows in enumerate(tables):
            if place or grid.row_count:
                self._console.print()
            self._print_facts_table(rows)

    def problems(self, problems: Sequence[str]) -> None:
        """Print a problem a line."""
        for each in problems:
            self._wrapped(Text.assemble(("✗ ", "red"), one_line(each)), 0)

    def _exchange(self, message: ConversationMessage) -> None:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(justify="right", min_width=7, no_wrap=True)
        grid.add_column(min_width=5, no_wrap=True)
        grid.add_column(max_width=min(_WIDEST, self._console.width) - 18, overflow="fold")
        number = Text(f"#{message.message_id}", "dim")
        took = Text(duration_ms(message.response_time_ms) if message.response_time_ms else "", "dim")
        said = Text.assemble(visible(message.user_input.strip(), keeps_lines=True))
        said.append(f"  {local(message.timestamp):%H:%M}", "dim")
        grid.add_row(number, Text("user", "cyan"), said)
        answered = visible(message.agent_response.strip(), keeps_lines=True)
        grid.add_row(took, Text("agent", "green"), Text(answered))
        self._console.print(grid)
        self._console.print()

    def _charts(self, measured: Sequence[DailyResponseTimes]) -> None:
        room = max(10, min(self._console.width - _LABEL - 3, _WIDEST))
        columns, days = columns_of(measured, room)
        repeat = max(1, min(3, room // len(columns)))
        each = "a day" if days == 1 else f"every {days} days"
        volume = bars([column.count for column in columns], _CHART_LINES)
        self._chart(f"exchanges {each}", f"{max(column.count for column in columns):,}", volume, repeat)
        p95 = [column.p95_ms for column in columns]
        slow = bars([column.p50_ms for column in columns], _CHART_LINES, p95)
        title = "response time, █ median and ░ p95" + ("" if days == 1 else ", of the slowest day each")
        self._chart(title, duration_ms(max(p95)), slow, repeat)
        first, last = short_day(measured[0].day), short_day(measured[-1].day)
        gap = len(columns) * repeat - len(first) - len(last)
        dates = f"{first}{' ' * gap}{last}" if gap > 0 else first if first == last else f"{first} - {last}"
        self._fitted(Text(f"{'':>{_LABEL}}   {dates}", "dim"))

    def _chart(self, title: str, top: str, lines: Sequence[str], repeat: int) -> None:
        self._fitted(Text(f"{'':>{_LABEL}}   {title}", "dim"))
        for number, line in enumerate(lines):
            label = top if number == 0 else "0" if number == len(lines) - 1 else ""
            axis = f"{label:>{_LABEL}} {'┤' if label else '│'} "
            self._fitted(Text.assemble((axis, "dim"), ("".join(cell * repeat for cell in line), "cyan")))
        self._console.print()

    def _marked(self, snippet: str) -> Text:
        """Show matches in colour, or in brackets where there are no colours."""
        is_plain = self._console.color_system is None or self._console.no_color
        snippet = one_line(snippet)
        text, end = Text(), 0
        for match in _MATCH.finditer(snippet):
            text.append(snippet[end : match.start()])
            text.append(f"[{match[1]}]" if is_plain else match[1], "bold yellow")
            end = match.end()
        return text.append(snippet[end:])

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _fitted(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis")

    def _wrapped(self, text: Text, indent: int) -> None:
        width = min(_WIDEST, self._console.width)
        self._console.print(Padding(text, (0, 0, 0, indent)), width=width, overflow="fold")

    def _print_facts_table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print a table of facts; where it is wider than the terminal, a line a fact."""
        table = _facts_table(rows)
        unlimited = self._console.options.update(max_width=_UNLIMITED)
        if self._console.measure(table, options=unlimited).maximum <= self._console.width:
            self._console.print(table)
            return
        grid = _grid()
        for place, row in enumerate(rows):
            if place:
                grid.add_row()
            for name, value in row.items():
                grid.add_row(name.replace("_", " "), Text(_fact(value)))
        self._console.print(grid)

    def _print_table(
        self, table: Table, rows: Sequence[Sequence[str]], styles: Mapping[str, str] | None = None
    ) -> None:
        """Print rows: in a table; as lines without colours where there are so many that rich is slow.

        Args:
            table: its columns.
            rows: the texts of their cells.
            styles: how the texts of the last column look.

        """
        if len(rows) > _MOST_IN_A_TABLE:
            is_right = [column.justify == "right" for column in table.columns]
            headings = [str(column.header) for column in table.columns]
            for line in aligned(headings, rows, is_right, self._console.width):
                sys.stdout.write(f"{line}\n")
        elif rows:
            for *cells, last in rows:
                table.add_row(*map(Text, cells), Text(last, (styles or {}).get(last, "")))
            self._console.print(table)


def _table(*headings: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0), show_edge=False
    )
    for heading in headings:
        table.add_column(heading)
    return table


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _facts_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make a table of facts of several things, of which some may lack some."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = _table(*(name.replace("_", " ") for name in names))
    for name, column in zip(names, table.columns, strict=True):
        column.justify = "right" if any(isinstance(row.get(name), int) for row in rows) else "left"
    for row in rows:
        table.add_row(*(Text(_fact(row.get(name))) for name in names))
    return table


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else one_line(str(value))
