"""How `backup`, `check`, `migrate`, `info`, `demo` and `completion` are typed."""

from __future__ import annotations

from typing import Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import DataCommand
from library.infrastructure.interfaces.cli.grammar.values import NamedChoice

BACKUP: Final = DataCommand(
    "backup",
    "actions.upkeep:backup",
    """Copy the database while it is in use.

    FILE appears under its name when it is whole and on the disk.
    """,
    params=[
        click.Argument(["file"], type=click.Path(dir_okay=False)),
        click.Option(["--overwrite"], is_flag=True, help="Replace FILE if it is there."),
    ],
    examples=["nanobrain-data backup monday.db", "nanobrain-data backup latest.db --overwrite"],
)

CHECK: Final = DataCommand(
    "check",
    "actions.upkeep:check",
    """Look for damage, in the search index too.

    Prints a problem a line; the exit code is 1 if there is any.
    """,
    examples=["nanobrain-data check", "nanobrain-data check --database chats.db --json"],
)

MIGRATE: Final = DataCommand(
    "migrate",
    "actions.upkeep:migrate",
    """Bring the tables to the schema of this version.

    Opening a table does so, too; this does it for all, at a time of your choice. Prints the versions before
    and after.
    """,
    examples=["nanobrain-data backup before.db && nanobrain-data migrate"],
)

INFO: Final = DataCommand(
    "info",
    "actions.upkeep:info",
    """Print versions, the database and its tables.

    That is what a report of a problem should say. Nothing is changed, and nothing is made.
    """,
    examples=["nanobrain-data info", "nanobrain-data info --json"],
)

DEMO: Final = DataCommand(
    "demo",
    "actions.demonstration:demo",
    """Make a database of made-up conversations, to try things on.

    It is a new file: nanobrain-demo.db, or the one that --database names.
    """,
    examples=["nanobrain-data demo", "nanobrain-data demo --database /tmp/try.db"],
)

COMPLETION: Final = DataCommand(
    "completion",
    "actions.completion:print_script",
    """Print what makes a shell complete what is typed.

    It completes commands, options and conversation ids.

    Put the line below for your shell into its configuration: ~/.bashrc, ~/.zshrc, or
    ~/.config/fish/config.fish.
    """,
    params=[click.Argument(["shell"], type=NamedChoice(["bash", "zsh", "fish"]))],
    examples=[
        'eval "$(nanobrain-data completion bash)"',
        'eval "$(nanobrain-data completion zsh)"',
        "nanobrain-data completion fish | source",
    ],
)
