"""What a type checker has to see of sessions: checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationSummary,
    DatabaseAdapter,
    MemorySessionStore,
    SessionConfig,
    SessionData,
    SessionManager,
)


def count(session: SessionData) -> None:
    """Change what is given."""
    session.metadata["seen"] = session.metadata.get("seen", 0) + 1


async def announce(session: SessionData) -> None:
    """Take what has expired, and wait for something."""


async def use(adapter: DatabaseAdapter, history: ConversationHistoryUnit) -> None:
    """Call what there is."""
    async with SessionManager(SessionConfig(), adapter, on_expired=announce) as sessions:
        assert_type(sessions, SessionManager)
        session_id = await sessions.create_session("user", {"client": "web"})
        assert_type(session_id, str)
        assert_type(await sessions.get_session(session_id), SessionData)
        assert_type(await sessions.get_session(session_id, default=None), SessionData | None)
        assert_type(await sessions.get_session(session_id, 0), SessionData | int)
        assert_type(await sessions.update_session(session_id, {"page_views": 5}), SessionData)
        assert_type(await sessions.update_session(session_id, count), SessionData)
        assert_type(await sessions.update_session(session_id, lambda _: {"seen": 1}), SessionData)
        assert_type(await sessions.list_sessions("user", active=True, limit=None), list[SessionData])
        assert_type(await sessions.end_session(session_id), bool)
        assert_type(await sessions.cleanup_expired_sessions(), int)
        assert_type(await history.list_conversations(session_id=session_id), list[ConversationSummary])
    SessionManager(store=MemorySessionStore(), on_expired=count)
