"""`show` and `tail`: reading what was said."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import click

from library.infrastructure.data import ConversationQuery, MessageNotFoundError
from library.infrastructure.interfaces.cli.exit_codes import NotFound
from library.infrastructure.interfaces.cli.opening import reading
from library.infrastructure.interfaces.cli.output.local_time import count

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
    from library.infrastructure.interfaces.cli.job import Job

_SUGGESTED_FROM: Final = 1_000
"""Among how many conversations, the newest, one is looked for that may have been meant."""
_PAGE: Final = 500


def show(job: Job, what: str, limit: int, before: int | None, shows_all: bool) -> None:  # noqa: FBT001 - by name
    """Print a conversation, its latest exchanges; or the thread that leads to an exchange."""
    messages, total = job.run(_show(job, what, None if shows_all else limit, before))
    job.presenter.exchanges(messages)
    if total > len(messages):
        above = f"--before {messages[0].message_id} shows those above" if messages else "none are above"
        job.say(f"{len(messages):,} of {count(total, 'exchange')}: {above}, --all shows all")


async def _show(
    job: Job, what: str, limit: int | None, before: int | None
) -> tuple[list[ConversationMessage], int]:
    async with reading(job) as history:
        with job.waiting("reading"):
            if not what.startswith("#"):
                found = await history.get_conversation_history(what, limit, before=before)
                if found or before is not None:
                    return found, (await history.get_performance_metrics(what)).count
            number = what.removeprefix("#")
            if not (number.isascii() and number.isdigit()):
                raise await _not_found(history, what)
            try:
                thread = await history.get_thread(int(number))
            except MessageNotFoundError as error:
                raise NotFound(f"no exchange #{number}, and no conversation of that name") from error
            return thread, 0


async def _not_found(history: ConversationHistoryUnit, conversation_id: str) -> NotFound:
    """Say that there is no such conversation, and which one may have been meant."""
    known = [each.conversation_id for each in await history.list_conversations(_SUGGESTED_FROM)]
    near = get_close_matches(conversation_id, known, 1) or [
        each for each in known if each.startswith(conversation_id)
    ]
    hint = f"did you mean {near[0]!r}?" if near else "`nanobrain-data list` shows what there is"
    return NotFound(f"no conversation {conversation_id!r}: {hint}")


def tail(job: Job, conversation: str | None, lines: int, follow: bool) -> None:  # noqa: FBT001 - by name
    """Print the exchanges that were saved last, and go on with those that follow."""
    if follow and job.settings.output == "json":
        raise click.UsageError("--follow never ends, and a JSON document has to: take --jsonl")
    job.run(_tail(job, conversation, lines, follow=follow))


async def _tail(job: Job, conversation: str | None, lines: int, *, follow: bool) -> None:
    query = ConversationQuery().order_by("message_id")
    if conversation is not None:
        query = query.conversation_id(conversation)
    async with reading(job) as history:
        version = (await history.entry()).version if follow else 0
        newest_first = query.order_by("message_id", descending=True).limit(lines)
        found = (await history.query_conversations(newest_first))[::-1]
        if conversation is not None and not found and not follow:
            raise await _not_found(history, conversation)
        job.presenter.log(found)
        if follow:
            await _follow(job, history, query.after(found[-1]) if found else query, version)


async def _follow(job: Job, history: ConversationHistoryUnit, query: ConversationQuery, version: int) -> None:
    """Print what is saved from now on, for ever."""
    async for _ in history.watch(since=version):
        while page := await history.query_conversations(query.limit(_PAGE)):
            job.presenter.log(page)
            query = query.after(page[-1])
