"""How `delete` and `purge` are typed."""

from __future__ import annotations

from typing import Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import DataCommand
from library.infrastructure.interfaces.cli.grammar.values import ConversationId, Moment


def _yes() -> click.Option:
    return click.Option(["--yes", "is_agreed"], is_flag=True, help="Do not ask.")


DELETE: Final = DataCommand(
    "delete",
    "actions.erasing:delete",
    """Erase conversations, or single exchanges.

    What was erased is gone from the table and the search index, and on SQLite from the bytes of the file;
    a PostgreSQL server keeps bytes until its vacuum. Backups stay. You are asked first. Where nobody can be
    asked, nothing is erased without --yes.
    """,
    params=[
        click.Argument(["conversations"], type=ConversationId(), nargs=-1),
        click.Option(
            ["--message", "messages"],
            type=click.IntRange(min=1),
            multiple=True,
            metavar="ID",
            help="Erase this exchange; may be repeated.",
        ),
        _yes(),
    ],
    examples=[
        "nanobrain-data delete chat-1 chat-2",
        "nanobrain-data delete --message 12 --yes",
    ],
)

PURGE: Final = DataCommand(
    "purge",
    "actions.erasing:purge",
    """Erase all exchanges that are older than some time.

    They go as with `delete`, and you are asked first. Call it once a day, with --yes, where
    conversations may be kept for so long only.
    """,
    params=[
        click.Option(
            ["--older-than"],
            type=Moment(),
            required=True,
            metavar="WHEN",
            help="A time span, such as 30d or 12h, or a day.",
        ),
        _yes(),
    ],
    examples=[
        "nanobrain-data purge --older-than 30d",
        "nanobrain-data purge --older-than 2026-01-01 --yes",
    ],
)
