"""How `search`, `list`, `show`, `tail` and `stats` are typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import DataCommand
from library.infrastructure.interfaces.cli.grammar.values import ConversationId, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXCLUDED: Final = "\0"
"""Stands before words such as `-oat` while options are read; no argument of a process can hold it."""


class _SearchCommand(DataCommand):
    """A command whose words may begin with one dash, which excludes them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        rest = super().parse_args(ctx, list(self._guarded(args)))
        ctx.params["words"] = tuple(word.removeprefix(_EXCLUDED) for word in ctx.params.get("words") or ())
        return rest

    def _guarded(self, args: list[str]) -> Iterator[str]:
        takes_value = {
            name
            for each in self.params
            if isinstance(each, click.Option) and not each.is_flag
            for name in each.opts
        }
        before = ""
        for place, argument in enumerate(args):
            if argument == "--":
                yield from args[place:]
                return
            is_word = re.match(r"-[^-]", argument) and before not in takes_value and argument != "-h"
            yield f"{_EXCLUDED}{argument}" if is_word else argument
            before = argument


SEARCH: Final = _SearchCommand(
    "search",
    "actions.finding:search",
    """Find exchanges by their words, best first.

    Words are found in any order and inflection. "A phrase" stays together, -word excludes, word* is a
    beginning, OR in capitals is a choice. Quote phrases for the shell: '"oat milk"'.

    In a pipe: message id, time, conversation, snippet.
    """,
    params=[
        click.Argument(["words"], nargs=-1, required=True),
        click.Option(
            ["--limit"],
            type=click.IntRange(1, 1000),
            default=10,
            show_default=True,
            help="Print at most so many.",
        ),
        click.Option(["--conversation"], type=ConversationId(), metavar="ID", help="Search this one only."),
    ],
    examples=[
        "nanobrain-data search oat milk",
        "nanobrain-data search mocha -oat --limit 50",
        "nanobrain-data search '\"oat milk\"' --json | jq -r '.[].conversation_id'",
    ],
)

LIST: Final = DataCommand(
    "list",
    "actions.finding:list_conversations",
    """List conversations, those with the newest exchange first.

    In a pipe: conversation, number of exchanges, first time, last time, first words.
    """,
    params=[
        click.Option(
            ["--limit"],
            type=click.IntRange(min=1),
            default=20,
            show_default=True,
            help="Print at most so many.",
        ),
        click.Option(["--after"], metavar="CURSOR", help="Go on behind this place, which `list` names."),
        click.Option(
            ["--session"], metavar="ID", help="Only those with exchanges of one session, by its full id."
        ),
    ],
    examples=[
        "nanobrain-data list",
        "nanobrain-data list --limit 1000 | cut -f 1",
        "nanobrain-data list --jsonl",
    ],
)

SHOW: Final = DataCommand(
    "show",
    "actions.reading:show",
    """Show a conversation as a chat, or what leads to an exchange.

    WHAT is the id of a conversation, of which the latest exchanges are shown; or the number of an exchange:
    '#12', quoted, since shells take # for a comment; 12 will do where no conversation has that name.

    In a pipe, two lines an exchange: message id, time, user or agent, text.
    """,
    params=[
        click.Argument(["what"], type=ConversationId()),
        click.Option(
            ["--limit"],
            type=click.IntRange(min=1),
            default=20,
            show_default=True,
            help="Show at most so many, the latest.",
        ),
        click.Option(["--all", "shows_all"], is_flag=True, help="Show all."),
        click.Option(
            ["--before"],
            type=click.IntRange(min=1),
            metavar="MESSAGE",
            help="Show what comes before this exchange.",
        ),
    ],
    examples=[
        "nanobrain-data show chat-1",
        "nanobrain-data show chat-1 --before 310",
        "nanobrain-data show '#12'",
        "nanobrain-data show chat-1 --all --json",
    ],
)

TAIL: Final = DataCommand(
    "tail",
    "actions.reading:tail",
    """Show the exchanges that were saved last, and those to come.

    In a pipe, two lines an exchange: message id, time, conversation, user or agent, text.
    """,
    params=[
        click.Argument(["conversation"], type=ConversationId(), required=False),
        click.Option(
            ["--lines"],
            type=click.IntRange(min=1),
            default=10,
            show_default=True,
            help="Begin with so many exchanges.",
        ),
        click.Option(
            ["--follow"], is_flag=True, help="Go on with those that are saved from now on, until Ctrl-C."
        ),
    ],
    examples=[
        "nanobrain-data tail --follow",
        "nanobrain-data tail chat-1 --lines 3",
        "nanobrain-data tail --follow --jsonl | jq .user_input",
    ],
)

STATS: Final = DataCommand(
    "stats",
    "actions.measuring:stats",
    """Show how much was said, and how long responses took.

    Charts show the days, in UTC: how much was said, and how long the median and the slow responses took.

    In a pipe, a line for all and one a day: day, count, and in milliseconds mean, least, p50, p95, p99, most.
    """,
    params=[
        click.Option(
            ["--since"], type=Moment(), metavar="WHEN", help="From then on: 2026-11-23, 7d, yesterday."
        ),
        click.Option(["--conversation"], type=ConversationId(), metavar="ID", help="Of this one only."),
    ],
    examples=[
        "nanobrain-data stats",
        "nanobrain-data stats --since 30d --json",
        "nanobrain-data stats --conversation chat-1",
    ],
)
