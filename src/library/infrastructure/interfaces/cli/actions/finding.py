"""`search` and `list`: finding what was said, and where."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from library.infrastructure.interfaces.cli.opening import reading
from library.infrastructure.interfaces.cli.output.local_time import count
from library.infrastructure.interfaces.cli.output.presenter import MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data import ConversationSummary, SearchResult
    from library.infrastructure.interfaces.cli.job import Job


def search(job: Job, words: Sequence[str], limit: int, conversation: str | None) -> None:
    """Print what a search finds."""
    results, took_ms = job.run(_search(job, " ".join(words), limit, conversation))
    job.presenter.found(results)
    more = f", --limit {min(4 * limit, 1000)} shows more" if len(results) == limit < 1000 else ""
    job.say(
        f"{count(len(results), 'exchange')} found in {took_ms:.1f} ms{more}" if results else "nothing found"
    )


async def _search(
    job: Job, words: str, limit: int, conversation: str | None
) -> tuple[list[SearchResult], float]:
    async with reading(job) as history:
        with job.waiting("searching"):
            began = time.perf_counter()
            results = await history.search_conversations(words, limit, conversation, highlight=MARKS)
            return results, 1000 * (time.perf_counter() - began)


def list_conversations(job: Job, limit: int, after: str | None, session: str | None) -> None:
    """Print conversations, those with the newest exchange first."""
    summaries = job.run(_list(job, limit + 1, after, session))
    job.presenter.conversations(summaries[:limit])
    if not summaries:
        job.say("no conversations")
    elif len(summaries) > limit:
        job.say(f"there are more: --after {summaries[limit - 1].cursor}")


async def _list(job: Job, limit: int, after: str | None, session: str | None) -> list[ConversationSummary]:
    async with reading(job) as history:
        with job.waiting("listing"):
            return await history.list_conversations(limit, after=after, session_id=session)
