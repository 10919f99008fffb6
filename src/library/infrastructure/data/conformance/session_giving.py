"""The contract of sessions, part twelve: limits, where a session is given to another user."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import pytest

from library.infrastructure.data import SessionLimitError
from library.infrastructure.data.conformance.session_foundation import (
    NOT_FOUND,
    Clock,
    Open,
    SessionFoundation,
    refusal_of,
)
from library.infrastructure.data.conformance.session_limits import active, create


class SessionGivingContract(SessionFoundation):
    """Limits, where a session is given to another user."""

    async def test_given_to_a_user_who_has_enough(self, opened: Open, clock: Clock) -> None:
        """That user's longest idle one makes room; the number of all stays as it is."""
        manager = await opened(max_sessions=3, max_sessions_per_user=2)
        of_alice, first, second = await create(manager, clock, "alice", "bob", "bob")
        clock.seconds(1)

        assert "bob" == (await manager.update_session(of_alice, {"user_id": "bob"})).user_id

        assert {of_alice, second} == await active(manager, "bob") == await active(manager)
        assert NOT_FOUND is await refusal_of(manager, first)
        await manager.update_session(of_alice, {"user_id": "bob"})
        assert 2 == len(await active(manager))

    async def test_given_to_a_user_is_refused(self, opened: Open, clock: Clock) -> None:
        """With `refuse`, and nothing is changed: neither the session nor its activity."""
        manager = await opened(max_sessions_per_user=1, limit_policy="refuse")
        of_alice, of_bob = await create(manager, clock, "alice", "bob")
        before = await manager.list_sessions()
        clock.seconds(1)

        for changes in ({"user_id": "bob", "k": 1}, lambda _: {"user_id": "bob", "k": 1}):
            with pytest.raises(SessionLimitError):
                await manager.update_session(of_alice, changes)

        assert before == await manager.list_sessions()
        await manager.update_session(of_alice, {"user_id": "alice", "k": 1})
        await manager.end_session(of_bob)
        await manager.update_session(of_alice, {"user_id": "bob"})
        assert {of_alice} == await active(manager, "bob")

    async def test_given_away_below_a_lowered_limit(self, opened: Open, clock: Clock) -> None:
        """The session that is given away never makes room for itself."""
        ids = await create(await opened(), clock, "alice", "bob", "bob", "bob")
        manager = await opened(max_sessions=2)

        updated = await manager.update_session(ids[0], {"user_id": "carol"})

        assert updated == await manager.get_session(ids[0])
        assert {ids[0]} == await active(manager, "carol")
