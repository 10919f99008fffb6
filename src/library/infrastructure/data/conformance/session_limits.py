"""The contract of sessions, part eleven: how many there may be."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import SessionError, SessionLimitError
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

    from library.infrastructure.data import SessionData, SessionManager

ANY_LIMIT = pytest.mark.parametrize("limit", ["max_sessions", "max_sessions_per_user"])


async def create(manager: SessionManager, clock: Clock, *users: str) -> list[str]:
    """Create sessions, each a little later than the one before."""
    ids = []
    for user in users:
        clock.seconds(1)
        ids.append(await manager.create_session(user))
    return ids


async def active(manager: SessionManager, user_id: str | None = None) -> set[str]:
    """Return the ids of those that can be used."""
    return set(ids_of(await manager.list_sessions(user_id, active=True, limit=None)))


class SessionLimitsContract(SessionFoundation):
    """How many there may be."""

    @ANY_LIMIT
    @pytest.mark.parametrize("policy", ["delete", "deactivate"])
    async def test_the_oldest_makes_room(self, opened: Open, clock: Clock, limit: str, policy: str) -> None:
        """That is the one that was idle for longest, however old it is; `on_expired` is not called."""
        called: list[SessionData] = []
        manager = await opened(**{limit: 3}, cleanup_policy=policy, on_expired=called.append)
        first, second, third = await create(manager, clock, *["alice"] * 3)
        clock.seconds(1)
        await manager.touch(first)
        clock.seconds(1)
        await manager.update_session(second, {})

        (fourth,) = await create(manager, clock, "alice")

        assert {first, second, fourth} == await active(manager)
        assert (ENDED if policy == "deactivate" else NOT_FOUND) is await refusal_of(manager, third)
        (fifth,) = await create(manager, clock, "alice")
        assert {second, fourth, fifth} == await active(manager)
        inactive = [third, first] if policy == "deactivate" else []
        assert inactive == ids_of(await manager.list_sessions(active=False))
        assert [] == called

    @ANY_LIMIT
    async def test_refused(self, opened: Open, clock: Clock, limit: str) -> None:
        """With `refuse` a new one is refused while all are active, and nothing is changed by that."""
        manager = await opened(**{limit: 2}, limit_policy="refuse")
        ids = await create(manager, clock, "alice", "alice")
        before = await manager.list_sessions()

        for _ in range(3):
            clock.seconds(1)
            with pytest.raises(SessionLimitError) as caught:
                await manager.create_session("alice", {"k": 1})
            assert 2 == caught.value.limit
            assert [] == [each for each in ids if each in str(caught.value)]

        assert before == await manager.list_sessions()
        await manager.end_session(ids[0])
        (third,) = await create(manager, clock, "alice")
        with pytest.raises(SessionLimitError):
            await manager.create_session("alice")
        await manager.delete_session(third)
        (fourth,) = await create(manager, clock, "alice")
        assert {ids[1], fourth} == await active(manager)

    @pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
    async def test_each_user_has_a_limit(self, opened: Open, clock: Clock, limit_policy: str) -> None:
        """Whatever others have."""
        manager = await opened(max_sessions_per_user=2, limit_policy=limit_policy)
        users = ["alice", "bob", "Alice", "alice ", "\u00e9", "e\u0301"]
        ids = {user: await create(manager, clock, user, user) for user in users}

        assert {user: set(each) for user, each in ids.items()} == {
            user: await active(manager, user) for user in users
        }
        if limit_policy == "evict_oldest":
            (third,) = await create(manager, clock, "bob")
            assert {ids["bob"][1], third} == await active(manager, "bob")
        else:
            with pytest.raises(SessionLimitError):
                await manager.create_session("bob")
        assert set(ids["alice"]) == await active(manager, "alice")
        assert 12 == len(await active(manager))

    async def test_both_limits(self, opened: Open, clock: Clock) -> None:
        """Both hold; who makes room for the one makes room for the other."""
        manager = await opened(max_sessions=4, max_sessions_per_user=2)
        oldest, *_ = await create(manager, clock, "bob")
        first, second = await create(manager, clock, "alice", "alice")
        (fourth,) = await create(manager, clock, "carol")

        (third,) = await create(manager, clock, "alice")
        assert {oldest, second, third, fourth} == await active(manager)
        (last,) = await create(manager, clock, "dave")
        assert {second, third, fourth, last} == await active(manager)
        assert NOT_FOUND is await refusal_of(manager, first)

    async def test_both_limits_refuse(self, opened: Open, clock: Clock) -> None:
        """The error tells which of them it was."""
        manager = await opened(max_sessions=3, max_sessions_per_user=2, limit_policy="refuse")
        await create(manager, clock, "alice", "alice")
        with pytest.raises(SessionLimitError, match="alice") as of_user:
            await manager.create_session("alice")
        await create(manager, clock, "bob")
        with pytest.raises(SessionLimitError) as of_store:
            await manager.create_session("carol")

        assert (2, 3) == (of_user.value.limit, of_store.value.limit)
        assert "carol" not in str(of_store.value)
        assert 3 == len(await active(manager))

    # -- who does not count ----------------------------------------------------------------------------------

    @ANY_LIMIT
    @pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
    @pytest.mark.parametrize("policy", ["delete", "deactivate"])
    async def test_expired_ones_do_not_count(
        self, opened: Open, clock: Clock, limit: str, limit_policy: str, policy: str
    ) -> None:
        """They make room before any that can be used, swept or not, and `on_expired` is called for each."""
        called: list[SessionData] = []
        options: dict[str, Any] = {limit: 3, "limit_policy": limit_policy, "cleanup_policy": policy}
        manager = await opened(**options, on_expired=called.append)
        ids = await create(manager, clock, *["alice"] * 3)
        await manager.touch(ids[0])
        clock.forward(HOUR - TICK)
        await manager.touch(ids[0])
        clock.forward(TICK)

        created = [await manager.create_session("alice") for _ in range(2)]

        assert {ids[0], *created} == await active(manager)
        assert set(ids[1:]) == set(ids_of(called))
        assert not any(session.is_active for session in called)
        expected = EXPIRED if policy == "deactivate" else NOT_FOUND
        assert [expected] * 2 == [await refusal_of(manager, each) for each in ids[1:]]
        assert 0 == await manager.cleanup_expired_sessions()
        assert 2 == len(called)
        if limit_policy == "refuse":
            with pytest.raises(SessionLimitError):
                await manager.create_session("alice")

    async def test_room_of_those_found_to_have_expired(self, opened: Open, clock: Clock) -> None:
        """They make room first, also when the clock has jumped back since."""
        manager = await opened(max_sessions=2, limit_policy="refuse")
        one, two = await create(manager, clock, "alice", "bob")
        await manager.touch(one)
        clock.forward(HOUR)
        assert EXPIRED is await refusal_of(manager, two)
        clock.forward(-HOUR)

        third = await manager.create_session("carol")

        assert {one, third} == await active(manager)

    @pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
    async def test_lowered_limits(self, opened: Open, clock: Clock, limit_policy: str) -> None:
        """Hold from the next one that is created: as many make room as it takes, or it is refused."""
        ids = await create(await opened(), clock, *["alice"] * 6)
        manager = await opened(max_sessions=3, limit_policy=limit_policy)
        assert set(ids) == await active(manager)

        if limit_policy == "refuse":
            with pytest.raises(SessionLimitError):
                await manager.create_session("alice")
            assert set(ids) == await active(manager)
        else:
            (last,) = await create(manager, clock, "alice")
            assert {*ids[4:], last} == await active(manager)

    # -- many at once ----------------------------------------------------------------------------------------

    @ANY_LIMIT
    async def test_64_at_once(self, opened: Open, limit: str) -> None:
        """Exactly as many as allowed are created, by two managers between them."""
        managers = [await opened(**{limit: 10}, limit_policy="refuse") for _ in range(2)]

        created = await asyncio.gather(
            *(managers[number % 2].create_session("alice") for number in range(64)), return_exceptions=True
        )

        ids = {each for each in created if isinstance(each, str)}
        assert 10 == len(ids)
        assert {SessionLimitError} == {type(each) for each in created} - {str}
        assert ids == await active(managers[0])

    @ANY_LIMIT
    async def test_64_at_once_evict(self, opened: Open, limit: str) -> None:
        """All are created, and no more are left than allowed."""
        managers = [await opened(**{limit: 10}) for _ in range(2)]

        created = await asyncio.gather(
            *(managers[number % 2].create_session("alice") for number in range(64))
        )

        left = await active(managers[0])
        assert 10 == len(left)
        assert left <= set(created)

    async def test_limits_in_four_loops(self, opened: Open) -> None:
        """Limits hold across threads with loops of their own."""
        manager = await opened(max_sessions=10, max_sessions_per_user=4, limit_policy="refuse")

        async def work() -> list[str]:
            users = [str(number % 4) for number in range(16)]
            created = await asyncio.gather(*map(manager.create_session, users), return_exceptions=True)
            assert {str, SessionLimitError} >= {type(each) for each in created}
            return [each for each in created if isinstance(each, str)]

        created = [each for ids in await asyncio.to_thread(run_in_threads, *[work] * 4) for each in ids]

        assert 10 == len(created)
        assert set(created) == await active(manager)
        assert max([len(await active(manager, str(user))) for user in range(4)]) <= 4

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_limits_in_two_homes(self, opened: Open, new_home: Callable[[], Awaitable[Home]]) -> None:
        """Limits hold across adapters, as across processes."""
        homes = [None, await new_home()]
        managers = [await opened(home=home, max_sessions=7, limit_policy="refuse") for home in homes]

        created = await asyncio.gather(
            *(managers[number % 2].create_session(str(number)) for number in range(30)),
            return_exceptions=True,
        )

        assert {str, SessionLimitError} == {type(each) for each in created}
        assert 7 == sum(isinstance(each, str) for each in created) == len(await active(managers[1]))
        with pytest.raises(SessionError):
            await managers[1].create_session("alice")
