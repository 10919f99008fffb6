"""How `import` and `export` are typed."""

from __future__ import annotations

from typing import Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import DataCommand
from library.infrastructure.interfaces.cli.grammar.values import (
    EXPORT_FORMATS,
    IMPORT_FORMATS,
    IMPORT_LIMITS,
    ConversationId,
    Limit,
    Mapping,
    Moment,
    NamedChoice,
    Names,
)


def _kind() -> click.Option:
    return click.Option(
        ["--kind"],
        type=NamedChoice(["conversations", "sessions"]),
        default="conversations",
        show_default=True,
        help="What the records are.",
    )


IMPORT: Final = DataCommand(
    "import",
    "actions.transferring:import_files",
    """Import files, whoever wrote them, and say what was in them.

    FILES are paths, or - for standard input. What is compressed (.gz, .zst, .zip) is unpacked. Each file is
    imported whole, or, where something is wrong with it, not at all. The database is made if there is none.
    """,
    params=[
        click.Argument(["files"], nargs=-1, required=True, type=click.Path(allow_dash=True)),
        click.Option(
            ["--format"],
            type=NamedChoice(IMPORT_FORMATS, case_sensitive=False),
            metavar="FORMAT",
            help=f"One of {', '.join(IMPORT_FORMATS)}. [default: told by the file]",
        ),
        click.Option(
            ["--merge"],
            type=NamedChoice(["append", "replace", "skip_duplicates"]),
            default="append",
            show_default=True,
            help="What is there already: it stays; it gives way, by conversations; it is not imported again.",
        ),
        click.Option(
            ["--map", "field_mapping"],
            type=Mapping(),
            multiple=True,
            metavar="FROM=TO",
            help="A field of the file, and what it is here; may be repeated.",
        ),
        click.Option(
            ["--conversation-id"],
            metavar="ID",
            help="The conversation of records that name none.",
        ),
        click.Option(
            ["--encoding"], metavar="NAME", help="Of text. [default: UTF-8, or UTF-16 if it says so]"
        ),
        click.Option(["--delimiter"], metavar="CHARACTER", help="What separates the columns of CSV."),
        click.Option(
            ["--on-error"],
            type=NamedChoice(["raise", "skip"]),
            default="raise",
            show_default=True,
            help="What a record that cannot be imported does: end the import, or be left out and told.",
        ),
        click.Option(
            ["--limit", "limits"],
            type=Limit(),
            multiple=True,
            metavar="NAME=NUMBER",
            help=f"How much a file may ask for, such as max_bytes=100G: {', '.join(IMPORT_LIMITS)}; may be "
            "repeated.",
        ),
        _kind(),
    ],
    examples=[
        "nanobrain-data import chats.jsonl",
        "nanobrain-data import chatgpt-export.zip --merge skip_duplicates",
        "nanobrain-data import log.csv --map question=user_input --map answer=agent_response",
        "nanobrain-data import big.jsonl.gz --limit max_ratio=2000 --limit max_record_bytes=500M",
        "zcat old.json.gz | nanobrain-data import - --format json",
    ],
)

EXPORT: Final = DataCommand(
    "export",
    "actions.transferring:export_file",
    """Export conversations or sessions, all or some of them.

    FILE appears under its name when it is whole; what was there before is replaced. Its name tells the
    format, and whether it is compressed: chats.csv.gz. Without FILE, or with -, JSON Lines go to standard
    output.
    """,
    params=[
        click.Argument(["file"], required=False, default="-", type=click.Path(allow_dash=True)),
        click.Option(
            ["--format"],
            type=NamedChoice(EXPORT_FORMATS, case_sensitive=False),
            metavar="FORMAT",
            help=f"One of {', '.join(EXPORT_FORMATS)}. [default: as FILE ends]",
        ),
        click.Option(
            ["--conversation", "conversations"],
            type=ConversationId(),
            multiple=True,
            metavar="ID",
            help="Only this conversation; may be repeated.",
        ),
        click.Option(
            ["--since"], type=Moment(), metavar="WHEN", help="From then on: 2026-11-23, 7d, yesterday."
        ),
        click.Option(
            ["--until"], type=Moment(), metavar="WHEN", help="Before then; a day is exported whole."
        ),
        click.Option(
            ["--search"], metavar="TEXT", help="Only exchanges that hold all of this; see `search`."
        ),
        click.Option(["--fields"], type=Names(), metavar="A,B", help="Only these fields, in this order."),
        click.Option(["--no-metadata"], is_flag=True, help="Leave metadata out."),
        click.Option(
            ["--missing"],
            type=NamedChoice(["error", "skip"]),
            default="error",
            show_default=True,
            help="What ids that are not there do.",
        ),
        click.Option(
            ["--safe-for-spreadsheets"],
            is_flag=True,
            help="CSV: keep spreadsheets from taking texts for formulas.",
        ),
        _kind(),
        click.Option(
            ["--session", "sessions"],
            multiple=True,
            metavar="ID",
            help="With --kind sessions: only the session of this full id; may be repeated.",
        ),
    ],
    examples=[
        "nanobrain-data export all.jsonl.gz",
        "nanobrain-data export chat.csv --conversation chat-1 --safe-for-spreadsheets",
        "nanobrain-data export --since 7d --search refund | jq .user_input",
        "nanobrain-data export sessions.json --kind sessions",
    ],
)

COPY: Final = DataCommand(
    "copy",
    "actions.copying:copy",
    """Copy conversations and sessions from one database to another, ids and all.

    SOURCE and TARGET are URLs, or paths of SQLite files. What was interrupted goes on when the command is
    given again. In the end both are compared, and must be equal.
    """,
    params=[
        click.Argument(["source"], metavar="SOURCE"),
        click.Argument(["target"], metavar="TARGET"),
        click.Option(
            ["--sessions-table"],
            metavar="NAME",
            default="sessions",
            show_default=True,
            help="The table of sessions; --table is that of conversations.",
        ),
    ],
    examples=[
        "nanobrain-data copy conversations.db postgresql://app@db.example/nanobrain",
        "nanobrain-data copy postgresql://app@db.example/nanobrain sqlite:///backup.db",
    ],
)
