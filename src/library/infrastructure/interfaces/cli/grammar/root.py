"""The root of the command line: all commands, and what `nanobrain-data --help` says."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import Program
from library.infrastructure.interfaces.cli.grammar.erasing import DELETE, PURGE
from library.infrastructure.interfaces.cli.grammar.reading import LIST, SEARCH, SHOW, STATS, TAIL
from library.infrastructure.interfaces.cli.grammar.sessions import SESSIONS
from library.infrastructure.interfaces.cli.grammar.transfer import COPY, EXPORT, IMPORT
from library.infrastructure.interfaces.cli.grammar.upkeep import (
    BACKUP,
    CHECK,
    COMPLETION,
    DEMO,
    INFO,
    MIGRATE,
)


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - click calls it so
    if is_asked and not context.resilient_parsing:
        metadata: Any = import_module("importlib.metadata")  # which takes as long to import as click
        click.echo(f"nanobrain-data {metadata.version('nanobrain-data')}")
        context.exit()


ROOT: Final = Program(
    "nanobrain-data",
    """Search, read, move and erase the conversations and sessions of AI agents.

    Results go to standard output: as tables on a terminal, as lines with tabs in a pipe, as JSON with
    --json or --jsonl. Everything else goes to standard error.

    Exit codes: 0 done (also of a search that finds nothing), 1 error, 2 wrong usage, 3 not found,
    130 interrupted.
    """,
    sections={
        "Read": [SEARCH, LIST, SHOW, TAIL, STATS],
        "Move": [IMPORT, EXPORT, COPY, BACKUP],
        "Sessions": [SESSIONS],
        "Erase": [DELETE, PURGE],
        "Look after": [CHECK, MIGRATE, INFO, DEMO, COMPLETION],
    },
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
    examples=[
        "nanobrain-data demo                         # something to try all this on",
        "nanobrain-data search oat milk",
        "nanobrain-data --database chats.db list",
        "nanobrain-data import chatgpt-export.zip",
    ],
)
