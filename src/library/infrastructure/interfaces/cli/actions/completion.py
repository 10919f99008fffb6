"""`completion`, and what shells complete: conversation ids, read from the database."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING, Final

from click import Command
from click.shell_completion import CompletionItem, get_completion_class

from library.infrastructure.data import ConversationHistoryUnit
from library.infrastructure.interfaces.cli import inventory
from library.infrastructure.interfaces.cli.ending import COMPLETION_VARIABLE
from library.infrastructure.interfaces.cli.opening import table_of, tables_of, url_of
from library.infrastructure.interfaces.cli.output.visible import one_line
from library.infrastructure.interfaces.database import open_adapter

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationSummary
    from library.infrastructure.interfaces.cli.job import Job
    from library.infrastructure.interfaces.cli.settings import Settings

_PROGRAM: Final = "nanobrain-data"
_HARMLESS: Final = re.compile(r"[\w/][\w./@%+,-]*")
"""Ids that a shell takes as they are. Whoever talks to an agent may choose ids: no other is put on a line."""
_LOOKED_THROUGH: Final = 2_000
_OFFERED: Final = 200
_TITLE: Final = 60


def print_script(job: Job, shell: str) -> None:  # noqa: ARG001 - actions are given the job
    """Print what a shell has to run once, to complete what is typed."""
    complete = get_completion_class(shell)
    assert complete is not None  # noqa: S101 - the grammar knows three shells, and so does click
    sys.stdout.write(complete(Command(None), {}, _PROGRAM, COMPLETION_VARIABLE).source())


def conversation_ids(settings: Settings, incomplete: str) -> list[CompletionItem]:
    """Return conversations whose id begins so, newest first; none where anything is in the way."""
    try:
        summaries = asyncio.run(_newest(settings))
    except Exception:  # noqa: BLE001 - the shell is waiting for a list, and nobody for an error
        return []
    fitting = [
        CompletionItem(each.conversation_id, help=one_line(each.first_user_input)[:_TITLE])
        for each in summaries
        if each.conversation_id.startswith(incomplete) and _HARMLESS.fullmatch(each.conversation_id)
    ]
    return fitting[:_OFFERED]


async def _newest(settings: Settings) -> list[ConversationSummary]:
    adapter = open_adapter(url_of(settings))
    file = inventory.file_of(adapter)
    name = table_of(settings, "conversations")
    if file is not None and not file.exists():
        return []
    table = inventory.table_of_kind(await tables_of(adapter), "conversations", name)
    if table is None or not table.is_current:
        return []  # opening it would make it, or migrate it
    async with ConversationHistoryUnit(adapter, name) as history:
        return await history.list_conversations(_LOOKED_THROUGH)
