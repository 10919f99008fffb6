"""The errors of sessions: one tree, no ids in their texts, whole on either side of a process border."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DataUnitError,
    MemorySessionStore,
    SessionConfig,
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionLimitError,
    SessionManager,
    SessionNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR = timedelta(hours=1)


class Clock:
    now = datetime(2024, 5, 17, 12, 34, 56, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def manager(clock: Clock) -> AsyncIterator[SessionManager]:
    config = SessionConfig(session_timeout=HOUR, max_sessions_per_user=1, limit_policy="refuse")
    async with SessionManager(config, store=MemorySessionStore(), clock=clock) as manager:
        yield manager


def test_there_is_one_tree() -> None:
    """Who catches `SessionError` catches all four."""
    errors = (SessionNotFoundError, SessionExpiredError, SessionEndedError, SessionLimitError)

    assert {SessionError} == {base for error in errors for base in error.__bases__}
    assert (DataUnitError,) == SessionError.__bases__


async def test_their_texts(manager: SessionManager, clock: Clock) -> None:
    """Say what happened to whose session and when, and what to do; they tell no id, which would open it."""
    ended = await manager.create_session("bob")
    clock.now += HOUR / 2
    await manager.end_session(ended)
    expired = await manager.create_session("al\u00efce")
    clock.now += HOUR
    fine = await manager.create_session("carol")
    unknown = "dGhpcyBpcyBub3QgYSBzZXNzaW9uIGF0IGFsbCwgaXMgaXQ"

    caught: list[Any] = []
    for session_id in (ended, expired, unknown):
        with pytest.raises(SessionError) as refused:
            await manager.get_session(session_id)
        assert session_id not in str(refused.value) + repr(refused.value)
        assert session_id == refused.value.session_id  # type: ignore[attr-defined]  # all three have it
        caught.append(refused.value)
    with pytest.raises(SessionLimitError) as limit:
        await manager.create_session("carol")
    caught.append(limit.value)

    texts = [str(error) for error in caught]
    assert "'bob' was ended at 2024-05-17 13:04:56 UTC" in texts[0]
    assert "'al\u00efce' expired at 2024-05-17 14:04:56 UTC" in texts[1]
    assert "no session has this id" in texts[2]
    assert "'carol'" in texts[3]
    assert fine not in texts[3]
    assert ["create" in text for text in texts[:3]] == [True] * 3
    for error in caught:
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(error) is type(other)
            assert (str(error), vars(error)) == (str(other), vars(other))


async def test_an_evicted_session(clock: Clock) -> None:
    """That it had to make room is said; it has ended."""
    config = SessionConfig(max_sessions=1, cleanup_policy="deactivate")
    async with SessionManager(config, store=MemorySessionStore(), clock=clock) as manager:
        first = await manager.create_session("alice")
        clock.now += HOUR
        await manager.create_session("bob")
        with pytest.raises(SessionEndedError, match="make room") as caught:
            await manager.get_session(first)

    assert clock.now == caught.value.ended_at


async def test_at_the_end_of_time(clock: Clock) -> None:
    """A session that expires when there are no more dates is told of like any other."""
    store = MemorySessionStore()
    async with SessionManager(SessionConfig(session_timeout=HOUR), store=store, clock=clock) as manager:
        session_id = await manager.create_session("alice")
        await manager.update_session(session_id, {"last_activity": datetime(9999, 12, 31, 22, tzinfo=UTC)})
        clock.now = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
        with pytest.raises(SessionExpiredError):
            await manager.get_session(session_id)
        lenient = SessionManager(SessionConfig(session_timeout=5 * HOUR), store=store, clock=clock)
        async with lenient:
            with pytest.raises(SessionExpiredError):
                await lenient.get_session(session_id)
