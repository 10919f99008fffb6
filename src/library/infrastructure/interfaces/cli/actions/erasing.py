"""`delete` and `purge`: erasing exchanges, once somebody has agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from library.infrastructure.interfaces.cli.actions.measuring import start_of
from library.infrastructure.interfaces.cli.exit_codes import NotFound
from library.infrastructure.interfaces.cli.opening import reading
from library.infrastructure.interfaces.cli.output.local_time import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from library.infrastructure.interfaces.cli.job import Job


def delete(job: Job, conversations: Sequence[str], messages: Sequence[int], is_agreed: bool) -> None:  # noqa: FBT001 - by name
    """Erase conversations, or exchanges."""
    conversations, messages = list(dict.fromkeys(conversations)), list(dict.fromkeys(messages))
    if not conversations and not messages:
        raise click.UsageError("name a conversation, or an exchange with --message")
    doomed = job.run(_count(job, conversations, messages))
    where = f" of {count(len(conversations), 'conversation')}" if conversations else ""
    job.confirm(f"erase {count(doomed, 'exchange')}{where} for good", is_agreed=is_agreed)
    erased = job.run(_delete(job, conversations, messages))
    job.presenter.outcome(f"{count(erased, 'exchange')} erased", {"erased": erased})


async def _count(job: Job, conversations: Sequence[str], messages: Sequence[int]) -> int:
    """Count what would go; what is not there is told before anything goes."""
    async with reading(job) as history:
        total = 0
        for conversation in conversations:
            found = (await history.get_performance_metrics(conversation)).count
            if not found:
                raise NotFound(f"no conversation {conversation!r}: nothing was erased")
            total += found
        for message in messages:
            exchange = await history.get_message(message)
            total += exchange.conversation_id not in conversations
        return total


async def _delete(job: Job, conversations: Sequence[str], messages: Sequence[int]) -> int:
    async with reading(job) as history:
        with job.waiting("erasing"):
            erased = 0
            for message in messages:
                erased += await history.delete_message(message)
            for conversation in conversations:
                erased += await history.delete_conversation(conversation)
            return erased


def purge(job: Job, older_than: date, is_agreed: bool) -> None:  # noqa: FBT001 - by name
    """Erase what is older than a moment."""
    moment = start_of(older_than)
    doomed = job.run(_count_older(job, moment))
    if doomed:
        older = f"{count(doomed, 'exchange')} from before {moment.astimezone():%Y-%m-%d %H:%M}"
        job.confirm(f"erase {older} for good", is_agreed=is_agreed)
        doomed = job.run(_purge(job, moment))
    job.presenter.outcome(f"{count(doomed, 'exchange')} erased", {"erased": doomed})


async def _count_older(job: Job, moment: datetime) -> int:
    async with reading(job) as history:
        with job.waiting("counting"):
            everything = await history.get_performance_metrics()
            newer = await history.get_performance_metrics(since=moment)
            return max(0, everything.count - newer.count)


async def _purge(job: Job, moment: datetime) -> int:
    async with reading(job) as history:
        with job.waiting("erasing"):
            return await history.purge(moment)
