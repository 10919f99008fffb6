"""`sessions`: who is there, who shall leave, and cleaning up. Ids are secrets, and are shown in part only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from library.infrastructure.data import ConversationHistoryUnit
from library.infrastructure.interfaces.cli.exit_codes import Failure, NotFound
from library.infrastructure.interfaces.cli.opening import TABLES, has_table, visiting
from library.infrastructure.interfaces.cli.output.local_time import count, span
from library.infrastructure.interfaces.cli.output.presenter import Visit

if TYPE_CHECKING:
    from datetime import timedelta

    from library.infrastructure.data import ConversationSummary, SessionData, SessionManager
    from library.infrastructure.interfaces.cli.job import Job

_DATED_LENGTH: Final = 54
"""Ids of this length begin with the time, which tells nothing that is secret; see `SessionData`."""
_SHOWN_OF_DATED: Final = 17
_SHOWN: Final = 6
_PAGE: Final = 500
_MOST_CONVERSATIONS: Final = 100


def shown_id(session_id: str, *, in_full: bool) -> str:
    """Return as much of an id as may be seen: too little to guess the rest."""
    if in_full:
        return session_id
    most = _SHOWN_OF_DATED if len(session_id) == _DATED_LENGTH else min(_SHOWN, len(session_id) // 4)
    return f"{session_id[:most]}…"


def list_sessions(
    job: Job,
    user: str | None,
    shows_all: bool,  # noqa: FBT001 - given by name
    limit: int,
    after: str | None,
    full_ids: bool,  # noqa: FBT001 - given by name
    timeout: timedelta,
) -> None:
    """Print sessions, those created last first."""
    sessions = job.run(_list(job, user, limit + 1, after, timeout, shows_all=shows_all))
    job.presenter.visits(
        [Visit(each, shown_id(each.session_id, in_full=full_ids)) for each in sessions[:limit]]
    )
    if not sessions:
        job.say("no sessions" if shows_all else "no active sessions: --all shows the others")
    elif len(sessions) > limit:
        job.say(f"there are more: --after {sessions[limit - 1].cursor}")


async def _list(
    job: Job, user: str | None, limit: int, after: str | None, timeout: timedelta, *, shows_all: bool
) -> list[SessionData]:
    async with visiting(job, timeout) as sessions:
        with job.waiting("listing"):
            active = None if shows_all else True
            return await sessions.list_sessions(user, active=active, limit=limit, after=after)


def show_session(job: Job, session: str, full_ids: bool, timeout: timedelta) -> None:  # noqa: FBT001 - by name
    """Print one session with what is kept of it."""
    found, conversations = job.run(_show(job, session, timeout))
    job.presenter.visit(Visit(found, shown_id(found.session_id, in_full=full_ids)), conversations)


async def _show(
    job: Job, beginning: str, timeout: timedelta
) -> tuple[SessionData, list[ConversationSummary]]:
    async with visiting(job, timeout) as sessions:
        with job.waiting("looking"):
            found = await _find(sessions, beginning)
            adapter = sessions.database_adapter
            if adapter is None or not await has_table(adapter, "conversations", TABLES["conversations"]):
                return found, []
            async with ConversationHistoryUnit(adapter, TABLES["conversations"]) as history:
                return found, await history.list_conversations(
                    _MOST_CONVERSATIONS, session_id=found.session_id
                )


async def _find(sessions: SessionManager, beginning: str) -> SessionData:
    """Return the one session whose id is this, or begins so."""
    beginning = beginning.removesuffix("…")
    matching: list[SessionData] = []
    after = None
    while beginning:
        page = await sessions.list_sessions(limit=_PAGE, after=after)
        for each in page:
            if each.session_id == beginning:
                return each
            if each.session_id.startswith(beginning):
                matching.append(each)
        if len(page) < _PAGE:
            break
        after = page[-1].cursor
    if not matching:
        raise NotFound("no session has an id that begins so: `nanobrain-data sessions list --all` shows them")
    if len(matching) > 1:
        raise Failure(f"{len(matching):,} sessions have ids that begin so: give more of it, see --full-ids")
    return matching[0]


def end_sessions(job: Job, session: str | None, user: str | None, timeout: timedelta) -> None:
    """End one session, or all of a user."""
    if (session is None) == (user is None):
        raise click.UsageError("name a session, or a user with --user")
    ended = job.run(_end(job, session, user, timeout))
    job.presenter.outcome(f"{count(ended, 'session')} ended", {"ended": ended})


async def _end(job: Job, session: str | None, user: str | None, timeout: timedelta) -> int:
    async with visiting(job, timeout) as sessions:
        with job.waiting("ending"):
            if user is not None:
                return await sessions.end_sessions(user)
            found = await _find(sessions, session or "")
            return int(await sessions.end_session(found.session_id))


def clean_up(job: Job, keep: bool, timeout: timedelta) -> None:  # noqa: FBT001 - given by name
    """Delete sessions that have expired, or keep them as inactive."""
    cleaned = job.run(_clean_up(job, timeout, keeps_expired=keep))
    done = "marked as inactive, and kept" if keep else "deleted"
    idle = span(timeout.total_seconds())
    job.presenter.outcome(
        f"{count(cleaned, 'session')} {done}: idle for {idle} or more", {"cleaned": cleaned}
    )


async def _clean_up(job: Job, timeout: timedelta, *, keeps_expired: bool) -> int:
    async with visiting(job, timeout, keeps_expired=keeps_expired) as sessions:
        with job.waiting("cleaning up"):
            return await sessions.cleanup_expired_sessions()
