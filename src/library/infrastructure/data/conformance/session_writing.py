"""The contract of sessions, part eight: how often activity is written, and what of it."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from library.infrastructure.data.conformance.session_foundation import (
    EXPIRED,
    HOUR,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    commits,
    refusal_of,
)
from library.infrastructure.data.conformance.session_kinds import (
    Home,
    SessionAbility,
    needs_of_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeHome = Callable[[], Awaitable[Home]]

MINUTE = timedelta(minutes=1)
HELD = {"touch_interval": 6 * MINUTE}
INTERVALS = [timedelta(0), timedelta(seconds=1), HELD["touch_interval"], HOUR]


class SessionWritingContract(SessionFoundation):
    """How often activity is written, and what of it."""

    # -- how often it is written -----------------------------------------------------------------------------

    @needs_of_sessions(SessionAbility.COUNTED)
    async def test_many_touches_are_few_commits(self, opened: Open, home: Home, clock: Clock) -> None:
        """A thousand in a second are written once or twice."""
        manager = await opened()
        session_id = await manager.create_session("alice")
        before = await commits(home)

        for _ in range(1000):
            clock.seconds(0.001)
            await manager.touch(session_id)

        assert clock.now == (await manager.get_session(session_id)).last_activity
        assert await commits(home) - before <= 2

    @needs_of_sessions(SessionAbility.COUNTED)
    async def test_every_interval(self, opened: Open, home: Home, clock: Clock) -> None:
        """It is written once, if it goes on; many sessions at once share the commits."""
        manager = await opened(touch_interval=timedelta(seconds=1))
        ids = [await manager.create_session("alice") for _ in range(20)]
        before = await commits(home)

        for _ in range(50):
            clock.seconds(0.2)
            await asyncio.gather(*(manager.touch(session_id) for session_id in ids))

        # Ten seconds: each second all 20 are written, 200 times in all, in few commits: more on a busy
        # machine.
        assert await commits(home) - before <= 100

    @needs_of_sessions(SessionAbility.COUNTED)
    async def test_listing_is_no_commit(self, opened: Open, home: Home, clock: Clock) -> None:
        """It tells what is held in memory, and leaves it there."""
        manager = await opened(**HELD)
        session_id = await manager.create_session("alice")
        await manager.touch(session_id)
        clock.forward(MINUTE)
        await manager.touch(session_id)
        before = await commits(home)

        (session,) = await manager.list_sessions("alice", active=True)

        assert clock.now == session.last_activity
        assert before == await commits(home)
        clock.forward(HOUR)
        assert [] == await manager.list_sessions("alice", active=True)

    @needs_of_sessions(SessionAbility.COUNTED)
    async def test_nothing_held_is_no_commit(self, opened: Open, home: Home) -> None:
        """Flushing, reading and listing write nothing then."""
        manager = await opened()
        session_id = await manager.create_session("alice")
        before = await commits(home)

        for _ in range(3):
            await manager.flush()
            await manager.get_session(session_id)
            await manager.list_sessions()

        assert before == await commits(home)

    # -- what is written -------------------------------------------------------------------------------------

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_the_other_home(self, opened: Open, clock: Clock, new_home: MakeHome) -> None:
        """Never finds a session expired that is in use, and sees the exact time once it is flushed."""
        manager, other = await opened(**HELD), await opened(home=await new_home(), **HELD)
        session_id = await manager.create_session("alice")
        for _ in range(30):
            clock.forward(4 * MINUTE)
            await manager.touch(session_id)
            assert await refusal_of(other, session_id) is None
            assert 0 == await other.cleanup_expired_sessions()

        await manager.flush()

        assert clock.now == (await other.get_session(session_id)).last_activity
        clock.forward(HOUR - TICK)
        assert await refusal_of(other, session_id) is None
        clock.forward(TICK)
        assert EXPIRED is await refusal_of(other, session_id)

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_touched_in_both_homes(self, opened: Open, clock: Clock, new_home: MakeHome) -> None:
        """The later one counts, in whatever order they are written; it may live an interval longer."""
        for turn in range(2):
            managers = await opened(**HELD), await opened(home=await new_home(), **HELD)
            session_id = await managers[0].create_session("alice")
            for number in range(4):
                clock.forward(MINUTE)
                await managers[number % 2].touch(session_id)

            now = clock.now
            await managers[turn].flush()
            await managers[1 - turn].flush()

            for manager in managers:
                assert now == (await manager.get_session(session_id)).last_activity
            clock.now = now + HOUR - TICK
            assert await refusal_of(managers[turn], session_id) is None
            clock.forward(HELD["touch_interval"] + TICK)
            assert EXPIRED is await refusal_of(managers[turn], session_id)

    @needs_of_sessions(SessionAbility.DURABLE)
    async def test_shutdown_writes_it(
        self, home: Home, opened: Open, clock: Clock, new_home: MakeHome
    ) -> None:
        """The next one to open it knows the last activity."""
        manager = await opened(**HELD)
        session_id = await manager.create_session("alice")
        for _ in range(3):
            clock.forward(MINUTE)
            await manager.touch(session_id)
        assert home.adapter is not None
        await manager.shutdown()
        await home.adapter.shutdown()

        heir = await opened(home=await new_home())

        assert clock.now == (await heir.get_session(session_id)).last_activity
        clock.forward(HOUR)
        assert 1 == await heir.cleanup_expired_sessions()

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_one_manager_of_two_shuts_down(
        self, opened: Open, clock: Clock, new_home: MakeHome
    ) -> None:
        """What either noted is written then."""
        manager, other, elsewhere = (
            await opened(**HELD),
            await opened(**HELD),
            await opened(home=await new_home()),
        )
        ids = [await each.create_session("alice") for each in (manager, other)]
        for _ in range(2):
            clock.forward(MINUTE)
            for each, session_id in zip((manager, other), ids, strict=True):
                await each.touch(session_id)

        await manager.shutdown()

        for session_id in ids:
            assert clock.now == (await elsewhere.get_session(session_id)).last_activity

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_it_is_written_in_the_background(
        self, opened: Open, clock: Clock, new_home: MakeHome
    ) -> None:
        """A while later, without anybody asking."""
        interval = timedelta(milliseconds=5)
        manager, other = await opened(touch_interval=interval), await opened(home=await new_home())
        session_id = await manager.create_session("alice")
        clock.seconds(1)
        await manager.touch(session_id)
        now = clock.forward(interval - TICK)
        await manager.touch(session_id)
        clock.forward(TICK)

        async with asyncio.timeout(20):
            while (await other.get_session(session_id)).last_activity != now:  # noqa: ASYNC110 - another home
                await asyncio.sleep(0)
