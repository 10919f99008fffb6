"""The contract of sessions, part two: what callers do to what they gave or got changes no session."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.conformance.session_foundation import Clock, Open, SessionFoundation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data import SessionData, SessionManager

METADATA: dict[str, Any] = {"flat": 1, "list": [1, {"inner": [2]}], "dict": {"a": {"b": []}}}


def spoil(metadata: dict[str, Any]) -> None:
    """Change a dict everywhere."""
    metadata["list"][1]["inner"].append("spoilt")
    metadata["list"].append("spoilt")
    metadata["dict"]["a"]["b"].append("spoilt")
    metadata["dict"]["spoilt"] = True
    metadata["flat"] = "spoilt"
    metadata["spoilt"] = True


async def _listed(manager: SessionManager, session_id: str) -> SessionData:
    (session,) = [each for each in await manager.list_sessions() if each.session_id == session_id]
    return session


WAYS: dict[str, Callable[[SessionManager, str], Awaitable[SessionData]]] = {
    "get_session": lambda manager, session_id: manager.get_session(session_id),
    "list_sessions": _listed,
    "update_session": lambda manager, session_id: manager.update_session(session_id, {}),
    "update_session by a function": lambda manager, session_id: manager.update_session(
        session_id, lambda _: None
    ),
}


class SessionIsolationContract(SessionFoundation):
    """What callers do to what they gave or got changes no session."""

    @pytest.mark.parametrize("way", WAYS)
    async def test_what_was_got(self, manager: SessionManager, way: str) -> None:
        """Is the caller's own, all the way down."""
        session_id = await manager.create_session("alice", METADATA)
        for _ in range(2):
            session = await WAYS[way](manager, session_id)
            assert METADATA == session.metadata
            spoil(session.metadata)
            session.user_id, session.is_active = "spoilt", False
            session.last_activity = session.created_at = session.created_at.replace(year=1999)

            for other in WAYS.values():
                again = await other(manager, session_id)
                assert ("alice", METADATA, True) == (again.user_id, again.metadata, again.is_active)
                assert 2024 == again.created_at.year == again.last_activity.year

    async def test_what_was_given(self, manager: SessionManager) -> None:
        """Is copied: the caller may go on using it."""
        given = copy.deepcopy(METADATA)
        created = await manager.create_session("alice", given)
        replaced = await manager.create_session("alice")
        await manager.update_session(replaced, {"metadata": given})
        merged = await manager.create_session("alice")
        await manager.update_session(merged, given)
        returned = await manager.create_session("alice")
        await manager.update_session(returned, lambda _: {"metadata": given})
        spoil(given)

        for session_id in (created, replaced, merged, returned):
            assert METADATA == (await manager.get_session(session_id)).metadata

    async def test_flat_metadata(self, manager: SessionManager) -> None:
        """Is the caller's own too."""
        given = {"a": 1}
        session_id = await manager.create_session("alice", given)
        given["a"] = 2
        for way in WAYS.values():
            session = await way(manager, session_id)
            session.metadata["a"] = 3

        assert {"a": 1} == (await manager.get_session(session_id)).metadata
        nested = await manager.update_session(session_id, {"b": [1]})
        nested.metadata["b"].append(2)
        assert {"a": 1, "b": [1]} == (await manager.get_session(session_id)).metadata

    async def test_what_a_function_keeps(self, manager: SessionManager) -> None:
        """Is no way in, once the update is done."""
        session_id = await manager.create_session("alice", METADATA)
        kept: list[SessionData] = []

        def keep(session: SessionData) -> None:
            session.metadata["list"][1]["inner"].append(3)
            kept.append(session)

        updated = await manager.update_session(session_id, keep)
        expected = copy.deepcopy(updated.metadata)
        for session in (*kept, updated):
            spoil(session.metadata)

        assert [2, 3] == expected["list"][1]["inner"]
        assert expected == (await manager.get_session(session_id)).metadata

    async def test_what_a_function_spoils_before_it_fails(self, manager: SessionManager) -> None:
        """Is not seen by anybody."""
        session_id = await manager.create_session("alice", METADATA)

        def fail(session: SessionData) -> None:
            spoil(session.metadata)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await manager.update_session(session_id, fail)

        assert METADATA == (await manager.get_session(session_id)).metadata

    async def test_two_callers(self, manager: SessionManager, opened: Open) -> None:
        """Never get the same object, from whatever manager."""
        other = await opened()
        session_id = await manager.create_session("alice", METADATA)

        sessions = [await each.get_session(session_id) for each in (manager, other, manager, other)]

        inner = [session.metadata["list"][1]["inner"] for session in sessions]
        assert 4 == len({id(each) for each in sessions}) == len({id(each) for each in inner})

    @pytest.mark.parametrize("cleanup_policy", ["delete", "deactivate"])
    async def test_what_on_expired_was_given(self, opened: Open, clock: Clock, cleanup_policy: str) -> None:
        """Is its own."""

        def spoil_it(session: SessionData) -> None:
            spoilt.append(copy.deepcopy(session.metadata))
            spoil(session.metadata)

        spoilt: list[Any] = []
        manager = await opened(on_expired=spoil_it, cleanup_policy=cleanup_policy)
        session_id = await manager.create_session("alice", METADATA)
        clock.forward(manager.config.session_timeout)

        await manager.cleanup_expired_sessions()

        assert [METADATA] == spoilt
        kept = [session.metadata for session in await manager.list_sessions()]
        assert kept == ([METADATA] if cleanup_policy == "deactivate" else [])
        assert await manager.get_session(session_id, default=None) is None
