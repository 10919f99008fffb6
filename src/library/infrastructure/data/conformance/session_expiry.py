"""The contract of sessions, part four: expiry, exact to the microsecond, whatever clocks do."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import InvalidValueError, SessionError, SessionExpiredError
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
from library.infrastructure.data.conformance.session_kinds import (
    Home,
    SessionAbility,
    needs_of_sessions,
)
from library.infrastructure.data.conformance.session_reading import USES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data import SessionManager


class SessionExpiryContract(SessionFoundation):
    """Expiry, exact to the microsecond, whatever clocks do."""

    async def test_a_clock_at_the_beginning_of_time(self, opened: Open, clock: Clock) -> None:
        """It is refused, for nothing can be reckoned with it; sessions are as they were."""
        manager = await opened(retention=HOUR)
        session_id = await manager.create_session("alice")
        now, clock.now = clock.now, datetime(1, 1, 1, tzinfo=UTC)

        for call in (
            manager.create_session("alice"),
            manager.get_session(session_id),
            manager.update_session(session_id, {}),
            manager.touch(session_id),
            manager.end_session(session_id),
            manager.list_sessions(),
            manager.cleanup_expired_sessions(),
        ):
            with pytest.raises(InvalidValueError, match="too early"):
                await call

        clock.now = now
        assert [session_id] == ids_of(await manager.list_sessions(active=True))

    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("timeout", [TICK, timedelta(seconds=1), HOUR, timedelta(days=36_525)])
    async def test_to_the_microsecond(self, opened: Open, clock: Clock, use: str, timeout: timedelta) -> None:
        """It can be used until a microsecond before `last_activity + session_timeout`; then it is gone."""
        manager = await opened(session_timeout=timeout)
        early, exact, late = [await manager.create_session("alice") for _ in range(3)]
        begun = clock.now

        clock.now = begun + timeout - TICK
        await USES[use](manager, early)
        clock.now = begun + timeout
        with pytest.raises(SessionExpiredError) as caught:
            await USES[use](manager, exact)
        assert begun + timeout == caught.value.expired_at
        clock.now = begun + timeout + TICK
        with pytest.raises(SessionExpiredError) as caught:
            await USES[use](manager, late)
        assert begun + timeout == caught.value.expired_at

    @pytest.mark.parametrize("cleanup_policy", ["delete", "deactivate"])
    @pytest.mark.parametrize("is_swept", [False, True])
    async def test_swept_or_not(
        self, opened: Open, clock: Clock, cleanup_policy: str, *, is_swept: bool
    ) -> None:
        """An expired session is gone from everything at the same moment, and cannot be ended any more."""
        manager = await opened(cleanup_policy=cleanup_policy)
        session_id = await manager.create_session("alice")
        clock.forward(HOUR - TICK)
        assert 0 == await manager.cleanup_expired_sessions()
        assert [session_id] == ids_of(await manager.list_sessions(active=True))
        clock.forward(TICK)

        if is_swept:
            assert 1 == await manager.cleanup_expired_sessions()

        assert [] == await manager.list_sessions(active=True)
        assert [] == await manager.list_sessions("alice", active=True)
        kept = [session_id] if cleanup_policy == "deactivate" else []
        for user_id in (None, "alice"):
            for active in (False, None):
                sessions = await manager.list_sessions(user_id, active=active)
                assert kept == ids_of(sessions)
                assert not any(session.is_active for session in sessions)
        assert not await manager.end_session(session_id)
        is_deleted = is_swept and cleanup_policy == "delete"
        assert (NOT_FOUND if is_deleted else EXPIRED) is await refusal_of(manager, session_id)

    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("back", [TICK, HOUR, timedelta(days=1000)])
    async def test_a_clock_that_jumps_back(
        self, opened: Open, clock: Clock, use: str, back: timedelta
    ) -> None:
        """What was once found to have expired stays expired, for every manager and every use."""
        manager, other = await opened(), await opened()
        session_id = await manager.create_session("alice")
        clock.forward(HOUR)
        with pytest.raises(SessionExpiredError):
            await USES[use](manager, session_id)

        clock.forward(-back)

        for each in (manager, other):
            assert EXPIRED is await refusal_of(each, session_id)
            for again in USES.values():
                with pytest.raises(SessionExpiredError):
                    await again(each, session_id)
            assert [] == await each.list_sessions(active=True)
            assert not await each.end_session(session_id)
        assert 1 == await other.cleanup_expired_sessions()
        assert NOT_FOUND is await refusal_of(manager, session_id)

    async def test_a_default_marks_it_too(self, manager: SessionManager, clock: Clock) -> None:
        """Who asks with a `default` has been told that it expired as well."""
        session_id = await manager.create_session("alice")
        clock.forward(HOUR)
        assert await manager.get_session(session_id, default=None) is None

        clock.forward(-HOUR)

        assert EXPIRED is await refusal_of(manager, session_id)

    @pytest.mark.parametrize("cleanup_policy", ["delete", "deactivate"])
    async def test_cleaned_up_for_good(self, opened: Open, clock: Clock, cleanup_policy: str) -> None:
        """A clock that jumps back brings nothing back that was cleaned up."""
        manager = await opened(cleanup_policy=cleanup_policy)
        session_id = await manager.create_session("alice")
        clock.forward(HOUR)
        assert 1 == await manager.cleanup_expired_sessions()

        clock.forward(-HOUR)

        expected = EXPIRED if cleanup_policy == "deactivate" else NOT_FOUND
        assert expected is await refusal_of(manager, session_id)
        assert 0 == await manager.cleanup_expired_sessions()

    async def test_back_before_it_was_created(self, manager: SessionManager, clock: Clock) -> None:
        """A session that is alive stays so; what happens then does not make its last activity earlier."""
        session_id = await manager.create_session("alice")
        before = await manager.get_session(session_id)
        clock.forward(timedelta(days=-30))

        assert before == await manager.get_session(session_id)
        await manager.touch(session_id)
        await manager.update_session(session_id, {"k": 1})
        assert 0 == await manager.cleanup_expired_sessions()
        assert before.last_activity == (await manager.get_session(session_id)).last_activity
        clock.now = before.last_activity + HOUR
        assert EXPIRED is await refusal_of(manager, session_id)

    async def test_far_forward_and_back(self, manager: SessionManager, clock: Clock) -> None:
        """What nobody asked for meanwhile was never found to have expired; the others go on, too."""
        asked, other = await manager.create_session("alice"), await manager.create_session("alice")
        begun = clock.now
        clock.forward(timedelta(days=365))
        assert EXPIRED is await refusal_of(manager, asked)
        late = await manager.create_session("alice")
        clock.now = begun

        assert EXPIRED is await refusal_of(manager, asked)
        assert await refusal_of(manager, other) is None
        assert await refusal_of(manager, late) is None
        assert {other, late} == set(ids_of(await manager.list_sessions(active=True)))
        clock.forward(HOUR)
        assert 2 == await manager.cleanup_expired_sessions()
        assert await refusal_of(manager, late) is None

    async def test_cleaning_up_what_was_found_to_have_expired(
        self, manager: SessionManager, clock: Clock
    ) -> None:
        """Each is cleaned up once, in whatever order they were active, asked for and put back."""
        begun = clock.now
        ids = []
        for seconds in (30, 10, 20, 0, 40):
            clock.now = begun + timedelta(seconds=seconds)
            ids.append(await manager.create_session("alice"))
        await manager.update_session(ids[4], {"last_activity": begun + timedelta(seconds=5)})
        clock.now = begun + 2 * HOUR
        for session_id in (ids[0], ids[2]):
            assert EXPIRED is await refusal_of(manager, session_id)

        assert 5 == await manager.cleanup_expired_sessions()

        assert 0 == await manager.cleanup_expired_sessions()
        assert {NOT_FOUND} == {await refusal_of(manager, session_id) for session_id in ids}

    async def test_expired_beats_ended(self, manager: SessionManager, clock: Clock) -> None:
        """What was ended in time was ended, also when it would have expired since."""
        session_id = await manager.create_session("alice")
        clock.forward(HOUR - TICK)
        assert await manager.end_session(session_id)

        clock.forward(HOUR / 2)

        assert ENDED is await refusal_of(manager, session_id)
        assert 0 == await manager.cleanup_expired_sessions()

    async def test_managers_of_two_minds(self, opened: Open, clock: Clock) -> None:
        """Each manager judges by its own timeout; what the stricter found to have expired is gone for all."""
        strict, lenient = await opened(session_timeout=HOUR / 2), await opened()
        one, two = await strict.create_session("alice"), await lenient.create_session("alice")
        clock.forward(HOUR / 2)

        assert await refusal_of(lenient, one) is None
        assert [] == await strict.list_sessions()
        assert EXPIRED is await refusal_of(strict, one)
        assert EXPIRED is await refusal_of(lenient, one)
        assert await refusal_of(lenient, two) is None

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_expired_for_two_homes(
        self,
        manager: SessionManager,
        opened: Open,
        clock: Clock,
        new_home: Callable[[], Awaitable[Home]],
    ) -> None:
        """What one found to have expired has expired for the other, whatever its clock tells."""
        other_clock = Clock()
        other = await opened(home=await new_home(), clock=other_clock)
        session_id = await manager.create_session("alice")
        assert await refusal_of(other, session_id) is None
        clock.forward(HOUR)

        assert EXPIRED is await refusal_of(manager, session_id)

        with pytest.raises(SessionError):
            await other.touch(session_id)
        assert EXPIRED is await refusal_of(other, session_id)

    @needs_of_sessions(SessionAbility.DURABLE)
    async def test_after_it_was_opened_again(
        self,
        manager: SessionManager,
        home: Home,
        opened: Open,
        clock: Clock,
        new_home: Callable[[], Awaitable[Home]],
    ) -> None:
        """Time goes on while nobody has it open; what has expired once has, for good."""
        marked, other = await manager.create_session("alice"), await manager.create_session("alice")
        clock.forward(HOUR / 2)
        await manager.update_session(other, {})
        clock.forward(HOUR / 2)
        assert EXPIRED is await refusal_of(manager, marked)
        assert home.adapter is not None
        await manager.shutdown()
        await home.adapter.shutdown()
        clock.forward(-HOUR)

        heir = await opened(home=await new_home())
        assert EXPIRED is await refusal_of(heir, marked)
        assert await refusal_of(heir, other) is None
        clock.forward(1.5 * HOUR)
        assert EXPIRED is await refusal_of(heir, other)
