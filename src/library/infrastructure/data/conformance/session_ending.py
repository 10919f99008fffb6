"""The contract of sessions, part nine: ending, deleting, and for how long what was ended is kept."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    EXPIRED,
    HOUR,
    NOT_FOUND,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    ids_of,
    refusal_of,
)

if TYPE_CHECKING:
    from library.infrastructure.data import SessionManager

DAY = timedelta(days=1)


class SessionEndingContract(SessionFoundation):
    """Ending, deleting, and for how long what was ended is kept."""

    async def test_ending(self, manager: SessionManager, opened: Open, clock: Clock) -> None:
        """It cannot be used from then on, by any manager; it is kept as it was, but for being active."""
        other = await opened()
        session_id = await manager.create_session("alice", {"n": [1]})
        expected = await manager.get_session(session_id)
        expected.is_active = False
        clock.seconds(5)

        assert await manager.end_session(session_id) is True

        for each in (manager, other):
            assert ENDED is await refusal_of(each, session_id)
            assert [expected] == await each.list_sessions() == await each.list_sessions(active=False)
            assert [] == await each.list_sessions(active=True)
            assert await each.end_session(session_id) is False

    async def test_ending_an_expired_one(self, manager: SessionManager, clock: Clock) -> None:
        """Tells that it could not be used before; it has expired for good, and was not ended."""
        session_id = await manager.create_session("alice")
        clock.forward(HOUR)

        assert await manager.end_session(session_id) is False

        clock.forward(-HOUR)
        assert EXPIRED is await refusal_of(manager, session_id)
        assert 1 == await manager.cleanup_expired_sessions()

    @pytest.mark.parametrize("state", ["active", "expired", "ended"])
    async def test_deleting(self, manager: SessionManager, clock: Clock, state: str) -> None:
        """Whatever its state, nothing of it is left."""
        session_id = await manager.create_session("alice")
        if state == "ended":
            await manager.end_session(session_id)
        clock.forward(HOUR if state == "expired" else TICK)
        other = await manager.create_session("alice")

        assert await manager.delete_session(session_id) is True

        assert NOT_FOUND is await refusal_of(manager, session_id)
        assert (
            [other] == ids_of(await manager.list_sessions()) == ids_of(await manager.list_sessions("alice"))
        )
        assert await manager.delete_session(session_id) is False
        assert await manager.end_session(session_id) is False
        assert 0 == await manager.cleanup_expired_sessions()

    async def test_many_end_it_at_once(self, opened: Open) -> None:
        """One of them is told that it did."""
        managers = await opened(), await opened()
        session_id = await managers[0].create_session("alice")

        ended = await asyncio.gather(*(managers[n % 2].end_session(session_id) for n in range(20)))
        deleted = await asyncio.gather(*(managers[n % 2].delete_session(session_id) for n in range(20)))

        assert 1 == sum(ended) == sum(deleted)

    async def test_ending_beside_updates(self, manager: SessionManager) -> None:
        """Each update happened before the end, or is refused; nothing is changed afterwards."""
        session_id = await manager.create_session("alice")
        updates = [
            asyncio.create_task(manager.update_session(session_id, {f"k{number}": number}))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        await manager.end_session(session_id)
        (kept,) = await manager.list_sessions()
        updated = await asyncio.gather(*updates, return_exceptions=True)

        done = {
            f"k{number}": number for number, each in enumerate(updated) if not isinstance(each, Exception)
        }
        assert done == kept.metadata
        assert {ENDED} >= {type(each) for each in updated if isinstance(each, Exception)}
        assert [kept] == await manager.list_sessions()

    # -- retention -------------------------------------------------------------------------------------------

    async def test_logging_out_everywhere(self, opened: Open, clock: Clock) -> None:
        """All sessions of a user end, however many, and none of another."""
        manager = await opened()
        expired = await manager.create_session("alice")
        clock.forward(HOUR)
        ids = await asyncio.gather(*(manager.create_session("alice") for _ in range(1203)))
        await manager.end_session(ids[0])
        other = await manager.create_session("bob")

        assert 1202 == await manager.end_sessions("alice")

        assert [] == await manager.list_sessions("alice", active=True)
        assert ENDED is await refusal_of(manager, ids[-1])
        assert EXPIRED is await refusal_of(manager, expired)
        assert [other] == ids_of(await manager.list_sessions(active=True))
        assert 0 == await manager.end_sessions("alice")
        assert 0 == await manager.end_sessions("nobody")

    async def test_the_last_touch_of_what_was_ended(self, manager: SessionManager, clock: Clock) -> None:
        """It is kept with the time of its last activity, touches included."""
        session_id = await manager.create_session("alice")
        for _ in range(2):
            clock.forward(TICK)
            await manager.touch(session_id)
        touched = clock.now
        clock.forward(TICK)

        await manager.end_session(session_id)

        (ended,) = await manager.list_sessions(active=False)
        assert touched == ended.last_activity

    @pytest.mark.parametrize("policy", ["delete", "deactivate"])
    @pytest.mark.parametrize("retention", [None, timedelta(0), TICK, HOUR / 2, DAY])
    async def test_what_was_ended_is_kept(
        self, opened: Open, clock: Clock, policy: str, retention: timedelta | None
    ) -> None:
        """For `retention`, by default one timeout, or for ever if deactivated; then clean-up removes it."""
        manager = await opened(cleanup_policy=policy, retention=retention)
        session_id = await manager.create_session("alice")
        ended_at = clock.seconds(5)
        await manager.end_session(session_id)
        kept_for = HOUR if retention is None and policy == "delete" else retention

        if kept_for is None:
            clock.forward(1000 * DAY)
        elif kept_for:
            clock.now = ended_at + kept_for - TICK
        if kept_for != timedelta(0):
            assert 0 == await manager.cleanup_expired_sessions()
            assert ENDED is await refusal_of(manager, session_id)
            assert [session_id] == ids_of(await manager.list_sessions(active=False))
        if kept_for is not None:
            clock.now = ended_at + kept_for
            assert 0 == await manager.cleanup_expired_sessions()
            assert NOT_FOUND is await refusal_of(manager, session_id)
            assert [] == await manager.list_sessions()

    async def test_what_expired_is_kept(self, opened: Open, clock: Clock) -> None:
        """With `deactivate`, for `retention` from when it was cleaned up."""
        manager = await opened(cleanup_policy="deactivate", retention=DAY)
        session_id = await manager.create_session("alice", {"n": [1]})
        expected = await manager.get_session(session_id)
        expected.is_active = False
        clock.forward(3 * HOUR)
        assert [expected] == await manager.list_sessions()

        assert 1 == await manager.cleanup_expired_sessions()

        assert (
            [expected] == await manager.list_sessions() == await manager.list_sessions("alice", active=False)
        )
        clock.forward(DAY - TICK)
        assert 0 == await manager.cleanup_expired_sessions()
        assert EXPIRED is await refusal_of(manager, session_id)
        clock.forward(TICK)
        assert 0 == await manager.cleanup_expired_sessions()
        assert NOT_FOUND is await refusal_of(manager, session_id)

    async def test_many_that_were_ended(self, opened: Open, clock: Clock) -> None:
        """Are removed all at once, and no others."""
        manager = await opened(retention=DAY)
        ids = [await manager.create_session("alice") for _ in range(1203)]
        await asyncio.gather(*(manager.end_session(session_id) for session_id in ids[:1200]))
        clock.seconds(1)
        await manager.end_session(ids[1200])
        clock.forward(DAY - timedelta(seconds=1))
        for session_id in ids[1201:]:
            assert EXPIRED is await refusal_of(manager, session_id)

        assert 2 == await manager.cleanup_expired_sessions()

        assert ids[1200:1201] == ids_of(await manager.list_sessions(limit=None))
