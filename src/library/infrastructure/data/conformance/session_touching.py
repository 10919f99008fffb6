"""The contract of sessions, part seven: activity that is noted, and written now and then."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data.conformance.foundation import run_in_threads
from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    EXPIRED,
    HOUR,
    NOT_FOUND,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    all_of,
    ids_of,
    refusal_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data.conformance.session_kinds import (
        Home,
    )

    MakeHome = Callable[[], Awaitable[Home]]

MINUTE = timedelta(minutes=1)
HELD = {"touch_interval": 6 * MINUTE}
INTERVALS = [timedelta(0), timedelta(seconds=1), HELD["touch_interval"], HOUR]


class SessionTouchingContract(SessionFoundation):
    """Activity that is noted, and written now and then."""

    @pytest.mark.parametrize("interval", INTERVALS)
    async def test_a_touch_is_activity(self, opened: Open, clock: Clock, interval: timedelta) -> None:
        """Known at once to all managers of the home; it begins the timeout anew, and changes nothing else."""
        manager, other = await opened(touch_interval=interval), await opened(touch_interval=interval)
        session_id = await manager.create_session("alice", {"n": 1})
        before = await manager.get_session(session_id)
        for number in range(10):
            now = clock.seconds(0.3 * number)
            await (manager, other)[number % 2].touch(session_id)
            for each in (manager, other):
                session = await each.get_session(session_id)
                assert now == session.last_activity
                assert [session] == await each.list_sessions()
        before.last_activity = clock.now
        assert before == await manager.get_session(session_id)

        clock.forward(HOUR - TICK)
        assert await refusal_of(other, session_id) is None
        clock.forward(TICK)
        assert EXPIRED is await refusal_of(manager, session_id)

    @pytest.mark.parametrize("interval", INTERVALS)
    async def test_expiry_is_exact(self, opened: Open, clock: Clock, interval: timedelta) -> None:
        """However many touches were held in memory, written or not, the last one decides: swept, too."""
        manager, other = await opened(touch_interval=interval), await opened(touch_interval=interval)
        written, held = await manager.create_session("alice"), await manager.create_session("alice")
        clock.forward(MINUTE)
        await manager.touch(written)
        await manager.touch(held)
        clock.forward(MINUTE)
        await other.touch(written)
        await other.flush()
        clock.forward(MINUTE)
        await other.touch(held)

        clock.forward(HOUR - MINUTE - TICK)
        assert 0 == await manager.cleanup_expired_sessions()
        clock.forward(TICK)
        assert 1 == await other.cleanup_expired_sessions()
        assert NOT_FOUND is await refusal_of(manager, written)
        clock.forward(MINUTE - TICK)
        assert 0 == await other.cleanup_expired_sessions()
        assert [held] == ids_of(await manager.list_sessions(active=True))
        clock.forward(TICK)
        assert [] == await manager.list_sessions(active=True)
        assert EXPIRED is await refusal_of(other, held)

    async def test_between_updates(self, opened: Open, clock: Clock) -> None:
        """A touch counts, whatever was updated between it and the one before."""
        manager = await opened(**HELD)
        session_id = await manager.create_session("alice")
        for turn in range(3):
            clock.forward(MINUTE)
            await manager.touch(session_id)
            clock.forward(MINUTE)
            await manager.update_session(session_id, {"turn": turn})
            now = clock.forward(MINUTE)
            await manager.touch(session_id)
            assert now == (await manager.get_session(session_id)).last_activity
            await manager.flush()
            assert now == (await manager.get_session(session_id)).last_activity

        clock.forward(HOUR - TICK)
        assert await refusal_of(manager, session_id) is None

    @pytest.mark.parametrize("is_flushed", [False, True])
    async def test_an_explicit_last_activity(self, opened: Open, clock: Clock, *, is_flushed: bool) -> None:
        """Counts from when it is set: no touch before it does any more, and each one after it does."""
        manager = await opened(**HELD)
        session_id = await manager.create_session("alice")
        earlier = clock.now - HOUR / 2
        clock.forward(MINUTE)
        await manager.touch(session_id)
        await manager.touch(session_id)

        await manager.update_session(session_id, {"last_activity": earlier})
        if is_flushed:
            await manager.flush()

        assert earlier == (await manager.get_session(session_id)).last_activity
        (listed,) = await manager.list_sessions()
        assert earlier == listed.last_activity
        now = clock.forward(MINUTE)
        await manager.touch(session_id)
        assert now == (await manager.get_session(session_id)).last_activity
        clock.forward(HOUR - TICK)
        assert await refusal_of(manager, session_id) is None

    async def test_touched_by_a_clock_that_jumps_back(self, opened: Open, clock: Clock) -> None:
        """Makes no activity earlier."""
        manager = await opened(**HELD)
        session_id = await manager.create_session("alice")
        latest = clock.forward(MINUTE)
        await manager.touch(session_id)
        for _ in range(3):
            clock.forward(-5 * MINUTE)
            await manager.touch(session_id)

        assert latest == (await manager.get_session(session_id)).last_activity
        await manager.flush()
        assert latest == (await manager.get_session(session_id)).last_activity
        clock.now = latest + HOUR
        assert 1 == await manager.cleanup_expired_sessions()

    async def test_what_was_ended(self, opened: Open, clock: Clock) -> None:
        """Is not brought back by a touch that was held, nor by one that comes later."""
        manager = await opened(**HELD)
        ended, deleted, gone = [await manager.create_session("alice") for _ in range(3)]
        ids = [ended, deleted, gone]
        for _ in range(2):
            clock.seconds(1)
            for session_id in ids:
                await manager.touch(session_id)
        await manager.end_session(ended)
        await manager.delete_session(deleted)
        await manager.update_session(gone, {"is_active": False})

        await manager.flush()

        errors = [ENDED, NOT_FOUND, ENDED]
        for session_id, error in zip(ids, errors, strict=True):
            with pytest.raises(error):
                await manager.touch(session_id)
        await manager.flush()
        assert errors == [await refusal_of(manager, session_id) for session_id in ids]
        assert [] == await manager.list_sessions(active=True)

    async def test_touched_by_many_at_once(self, opened: Open, clock: Clock) -> None:
        """Tasks in several loops may touch a session while it is flushed; the last activity counts."""
        manager = await opened(**HELD)
        ids = [await manager.create_session("alice") for _ in range(5)]

        async def work() -> None:
            for _ in range(10):
                clock.forward(TICK)
                await asyncio.gather(*map(manager.touch, ids), manager.flush())

        await asyncio.to_thread(run_in_threads, work, work, work)

        now = clock.forward(TICK)
        await asyncio.gather(*map(manager.touch, ids))
        assert {now} == {session.last_activity for session in await all_of(manager)}
