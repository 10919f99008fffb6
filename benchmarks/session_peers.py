"""The session services of Google's ADK, called as its documentation shows.

An update is an event with a `state_delta`, appended to the `Session` that `create_session` returned: its
users would first get that, which is not timed here. ADK keeps each event, and knows no expiry. The database
service is measured as it opens its file, with a rollback journal, and once more on a file that was put into
WAL before, which SQLite remembers; `synchronous` is FULL, SQLite's default, in both.
"""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.session_setup import STATE, Contender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADK_MEMORY = "ADK InMemorySessionService"
ADK_DATABASE = "ADK DatabaseSessionService"
ADK_WAL = f"{ADK_DATABASE}, WAL"
JOURNALS = {ADK_DATABASE: "DELETE", ADK_WAL: "WAL"}


def adk(service: Any) -> Contender:
    from google.adk.events import Event, EventActions

    def update(session: Any, turns: int) -> Any:
        return service.append_event(
            session, Event(author="user", actions=EventActions(state_delta={"turns": turns}))
        )

    return Contender(
        lambda user: service.create_session(app_name="app", user_id=user, state=STATE),
        lambda session: service.get_session(app_name="app", user_id=session.user_id, session_id=session.id),
        update,
    )


def adk_in_memory() -> Contender:
    from google.adk.sessions import InMemorySessionService

    return adk(InMemorySessionService())


@asynccontextmanager
async def open_adk_database(path: str, journal: str) -> AsyncIterator[Contender]:
    from google.adk.sessions import DatabaseSessionService

    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.close()
    service = DatabaseSessionService(f"sqlite+aiosqlite:///{path}")
    try:
        yield adk(service)
    finally:
        await service.close()
