"""The contract of sessions, part thirteen: cleaning up, and who is told of it."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import SessionData, SessionManager
from library.infrastructure.data.conformance.foundation import PATIENCE_S, run_in_threads
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
from library.infrastructure.data.conformance.session_kinds import (
    Home,
    SessionAbility,
    needs_of_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ANY_POLICY = pytest.mark.parametrize("policy", ["delete", "deactivate"])


class SessionCleaningContract(SessionFoundation):
    """Cleaning up, and who is told of it."""

    @ANY_POLICY
    async def test_cleaning_up(self, opened: Open, clock: Clock, policy: str) -> None:
        """Takes what has expired and nothing else, and tells how many; then there is nothing to do."""
        called: list[SessionData] = []
        manager = await opened(cleanup_policy=policy, on_expired=called.append)
        expired = [await manager.create_session("alice", {"n": [number]}) for number in range(3)]
        ended = await manager.create_session("alice")
        expected = await all_of(manager)
        clock.forward(HOUR - TICK)
        await manager.end_session(ended)
        fine = await manager.create_session("alice")
        clock.forward(TICK)

        assert 3 == await manager.cleanup_expired_sessions()

        assert 0 == await manager.cleanup_expired_sessions()
        gone = EXPIRED if policy == "deactivate" else NOT_FOUND
        errors = [await refusal_of(manager, each) for each in (*expired, ended, fine)]
        assert [gone, gone, gone, ENDED, None] == errors
        told = {session.session_id: session for session in called}
        assert 3 == len(called)
        for session in expected:
            if session.session_id in expired:
                session.is_active = False
                assert session == told[session.session_id]

    async def test_cleaning_many_up(self, opened: Open, clock: Clock) -> None:
        """More than are done in one step; those idle for longest are told of first."""
        called: list[SessionData] = []
        manager = await opened(on_expired=called.append)
        await asyncio.gather(*(manager.create_session("alice") for _ in range(1200)))
        clock.seconds(1)
        late = [await manager.create_session("alice") for _ in range(3)]
        clock.forward(HOUR)
        fine = await manager.create_session("alice")

        assert 1203 == await manager.cleanup_expired_sessions()

        assert 1203 == len({session.session_id for session in called})
        assert set(late) == set(ids_of(called[1200:]))
        assert [fine] == ids_of(await all_of(manager))

    async def test_exactly_one_step(self, opened: Open, clock: Clock) -> None:
        """Each number of sessions is cleaned up whole."""
        manager = await opened()
        for count in (1, 499, 500, 501, 1000):
            await asyncio.gather(*(manager.create_session("alice") for _ in range(count)))
            clock.forward(HOUR)
            assert count == await manager.cleanup_expired_sessions()
            assert [] == await all_of(manager, active=None)

    # -- on_expired ------------------------------------------------------------------------------------------

    async def test_an_async_on_expired(self, opened: Open, clock: Clock) -> None:
        """Is awaited, one call after the other, before `cleanup_expired_sessions` returns."""
        told: list[str] = []
        at_work = 0

        async def on_expired(session: SessionData) -> None:
            nonlocal at_work
            at_work += 1
            assert 1 == at_work
            await asyncio.sleep(0)
            told.append(session.session_id)
            at_work -= 1

        manager = await opened(on_expired=on_expired)
        ids = {await manager.create_session("alice") for _ in range(5)}
        clock.forward(HOUR)

        assert 5 == await manager.cleanup_expired_sessions()

        assert ids == set(told)

    async def test_one_that_waits_for_what_was_cancelled(
        self, opened: Open, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Stops nothing either, for it was not the clean-up that was cancelled."""
        told: list[str] = []

        async def wait(session: SessionData) -> None:
            told.append(session.session_id)
            waiting = asyncio.get_running_loop().create_future()
            waiting.cancel()
            await waiting

        manager = await opened(on_expired=wait)
        ids = {await manager.create_session("alice") for _ in range(3)}
        clock.forward(HOUR)

        with caplog.at_level(logging.ERROR):
            assert 3 == await manager.cleanup_expired_sessions()

        assert ids == set(told)
        assert 3 == len(caplog.records)

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_one_that_raises(
        self, opened: Open, clock: Clock, caplog: pytest.LogCaptureFixture, *, is_async: bool
    ) -> None:
        """Stops nothing: the others are told of, too; what it raised is logged, and no session's id is."""
        told: list[str] = []

        def fail(session: SessionData) -> None:
            told.append(session.session_id)
            raise ZeroDivisionError(len(told))

        async def fail_later(session: SessionData) -> None:
            await asyncio.sleep(0)
            fail(session)

        manager = await opened(on_expired=fail_later if is_async else fail, max_sessions=3)
        ids = {await manager.create_session("alice") for _ in range(3)}
        clock.forward(HOUR)

        with caplog.at_level(logging.ERROR):
            created = await manager.create_session("alice")
            assert 2 == await manager.cleanup_expired_sessions()

        assert ids == set(told)
        assert 3 == len(caplog.records)
        assert {ZeroDivisionError} == {each.exc_info[0] for each in caplog.records if each.exc_info}
        assert not any(each in record.getMessage() for each in ids for record in caplog.records)
        assert await refusal_of(manager, created) is None

    async def test_one_that_calls_the_manager(self, opened: Open, clock: Clock) -> None:
        """May do anything with it: none waits for another."""
        seen: list[object] = []

        async def on_expired(session: SessionData) -> None:
            heir = await manager.create_session(session.user_id, session.metadata)
            await manager.touch(heir)
            await manager.update_session(heir, {"heir": True})
            seen.append(await refusal_of(manager, session.session_id))
            seen.append(await manager.cleanup_expired_sessions())
            seen.append(await manager.delete_session(session.session_id))

        manager: SessionManager = await opened(on_expired=on_expired)
        await manager.create_session("alice", {"a": 1})
        clock.forward(HOUR)

        async with asyncio.timeout(PATIENCE_S):
            assert 1 == await manager.cleanup_expired_sessions()

        assert [NOT_FOUND, 0, False] == seen
        (heir,) = await manager.list_sessions()
        assert {"a": 1, "heir": True} == heir.metadata

    async def test_one_that_shuts_the_manager_down(self, opened: Open, clock: Clock) -> None:
        """Lets the call end that told it, with the number of what was cleaned up."""

        async def on_expired(_: SessionData) -> None:
            await manager.shutdown()

        manager: SessionManager = await opened(on_expired=on_expired)
        for _ in range(3):
            await manager.create_session("alice")
        clock.forward(HOUR)

        async with asyncio.timeout(PATIENCE_S):
            assert 3 == await manager.cleanup_expired_sessions()

        assert not manager.is_open

    async def test_deleting_is_not_expiring(self, opened: Open, clock: Clock) -> None:
        """Nobody is told of what was ended, deleted, evicted, or removed after its retention."""
        called: list[SessionData] = []
        manager = await opened(on_expired=called.append, max_sessions=3)
        for _ in range(5):
            clock.seconds(1)
            await manager.create_session("alice")
        await manager.end_session((await manager.list_sessions())[0].session_id)
        for session in await manager.list_sessions(active=True):
            await manager.delete_session(session.session_id)
        clock.forward(10 * HOUR)

        assert 0 == await manager.cleanup_expired_sessions()

        assert [] == await manager.list_sessions()
        assert [] == called

    async def test_found_to_have_expired(self, opened: Open, clock: Clock) -> None:
        """Who finds that a session has expired cleans nothing up: that is told of by the one who does."""
        called: list[SessionData] = []
        manager = await opened(on_expired=called.append)
        session_id = await manager.create_session("alice", {"n": 1})
        begun = clock.now
        clock.forward(HOUR)
        assert EXPIRED is await refusal_of(manager, session_id)
        assert [] == called

        assert 1 == await manager.cleanup_expired_sessions()

        assert [SessionData(session_id, "alice", begun, begun, {"n": 1}, is_active=False)] == called

    # -- several at once -------------------------------------------------------------------------------------

    @ANY_POLICY
    async def test_two_managers_at_once(self, opened: Open, clock: Clock, policy: str) -> None:
        """Each session is cleaned up by one of them, who tells of it."""
        called: list[SessionData] = []
        managers = [await opened(on_expired=called.append, cleanup_policy=policy) for _ in range(2)]
        ids = await asyncio.gather(*(managers[0].create_session("alice") for _ in range(1100)))
        clock.forward(HOUR)

        counts = await asyncio.gather(*(each.cleanup_expired_sessions() for each in managers * 3))

        assert 1100 == sum(counts) == len(called)
        assert set(ids) == set(ids_of(called))

    async def test_cleaning_up_in_four_loops(self, opened: Open, clock: Clock) -> None:
        """So it is across threads with loops of their own, beside others that create and make room."""
        called: list[SessionData] = []
        manager = await opened(on_expired=called.append, max_sessions=700)
        ids = await asyncio.gather(*(manager.create_session("alice") for _ in range(700)))
        clock.forward(HOUR)

        async def clean_up() -> int:
            return await manager.cleanup_expired_sessions()

        async def create() -> int:
            await asyncio.gather(*(manager.create_session("bob") for _ in range(20)))
            return 0

        counts = await asyncio.to_thread(run_in_threads, clean_up, clean_up, create, create)

        assert sum(counts) <= 700 == len(called)
        assert set(ids) == set(ids_of(called))
        assert 40 == len(await all_of(manager))

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_two_homes_clean_up_at_once(
        self, opened: Open, clock: Clock, new_home: Callable[[], Awaitable[Home]]
    ) -> None:
        """So it is across adapters, as across processes."""
        called: list[SessionData] = []
        homes = [None, await new_home()]
        managers = [await opened(home=home, on_expired=called.append) for home in homes]
        ids = await asyncio.gather(*(managers[number % 2].create_session("a") for number in range(700)))
        clock.forward(HOUR)

        counts = await asyncio.gather(*(each.cleanup_expired_sessions() for each in managers))

        assert 700 == sum(counts) == len(called)
        assert set(ids) == set(ids_of(called))
