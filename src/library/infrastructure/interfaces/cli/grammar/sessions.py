"""How `sessions` and its commands are typed."""

from __future__ import annotations

from typing import Final

import click

from library.infrastructure.interfaces.cli.grammar.data_command import DataCommand, DataGroup
from library.infrastructure.interfaces.cli.grammar.values import Duration


def _timeout() -> click.Option:
    return click.Option(
        ["--timeout"],
        type=Duration(),
        default="24h",
        show_default=True,
        metavar="TIME",
        help="How long sessions live without activity: the session_timeout of your application.",
    )


def _full_ids() -> click.Option:
    return click.Option(
        ["--full-ids"], is_flag=True, help="Show ids whole; whoever knows one has the session."
    )


_LIST: Final = DataCommand(
    "list",
    "actions.visiting:list_sessions",
    """List sessions, those created last first.

    In a pipe: session, user, time of creation, last activity, active or inactive.
    """,
    params=[
        click.Option(["--user"], metavar="USER", help="Only those of this user."),
        click.Option(["--all", "shows_all"], is_flag=True, help="Those that have ended or expired, too."),
        click.Option(
            ["--limit"],
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            help="Print at most so many.",
        ),
        click.Option(["--after"], metavar="CURSOR", help="Go on behind this place, which the list names."),
        _full_ids(),
        _timeout(),
    ],
    examples=[
        "nanobrain-data sessions list",
        "nanobrain-data sessions list --user user_123 --all",
        "nanobrain-data sessions list --timeout 30m --json",
    ],
)

_SHOW: Final = DataCommand(
    "show",
    "actions.visiting:show_session",
    """Show a session with its metadata and its conversations.

    SESSION is its id, or a beginning that no other has. This is no activity.
    """,
    params=[click.Argument(["session"]), _full_ids(), _timeout()],
    examples=["nanobrain-data sessions show 032aa1f00b1Qw"],
)

_END: Final = DataCommand(
    "end",
    "actions.visiting:end_sessions",
    """End a session, or all sessions of a user: log out everywhere.

    SESSION is its id, or a beginning that no other has.
    """,
    params=[
        click.Argument(["session"], required=False),
        click.Option(["--user"], metavar="USER", help="End all sessions of this user."),
        _timeout(),
    ],
    examples=[
        "nanobrain-data sessions end 032aa1f00b1Qw",
        "nanobrain-data sessions end --user user_123",
    ],
)

_CLEANUP: Final = DataCommand(
    "cleanup",
    "actions.visiting:clean_up",
    """Delete sessions that have expired.

    Those that were ended go, too, once that is as long ago. Applications do so on their own while they run.
    Give the --timeout of yours: with a shorter one, sessions go that are still in use.
    """,
    params=[
        click.Option(
            ["--keep"], is_flag=True, help='Keep them as inactive, as cleanup_policy="deactivate" does.'
        ),
        _timeout(),
    ],
    examples=["nanobrain-data sessions cleanup --timeout 30m"],
)

SESSIONS: Final = DataGroup(
    "sessions",
    """List, show, end and clean up sessions.

    Ids are secrets, so only their beginnings are shown, and accepted where no other session begins so.
    """,
    sections={"Commands": [_LIST, _SHOW, _END, _CLEANUP]},
    examples=["nanobrain-data sessions list", "nanobrain-data sessions end --user user_123"],
)
