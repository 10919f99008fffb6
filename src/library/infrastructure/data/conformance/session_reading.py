"""The contract of sessions, part three: reading, and the three errors."""

# ruff: noqa: S101 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    InvalidValueError,
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)
from library.infrastructure.data.conformance.session_foundation import (
    HOUR,
    Clock,
    Open,
    SessionFoundation,
    ids_of,
)
from library.infrastructure.data.conformance.session_kinds import (
    Home,
    SessionAbility,
    needs_of_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


USES: dict[str, Callable[[SessionManager, str], Awaitable[object]]] = {
    "get_session": lambda manager, session_id: manager.get_session(session_id),
    "touch": lambda manager, session_id: manager.touch(session_id),
    "update_session": lambda manager, session_id: manager.update_session(session_id, {"k": 1}),
    "update_session by a function": lambda manager, session_id: manager.update_session(
        session_id, lambda _: {"k": 1}
    ),
}
HOSTILE = ["", " ", "\0", "x", "'", '"; --', "%", "\ud800", "\U0001f9e0" * 10, "x" * 100_000, "A" * 43]


class SessionReadingContract(SessionFoundation):
    """Reading, and the three errors."""

    @pytest.mark.parametrize("use", USES)
    async def test_three_errors(self, manager: SessionManager, clock: Clock, use: str) -> None:
        """Tell whether a session never was, has expired or was ended, and when; no message tells its id."""
        begun = clock.now
        expired, ended = await manager.create_session("alice"), await manager.create_session("bob")
        ended_at = clock.forward(HOUR / 2)
        await manager.end_session(ended)
        clock.forward(HOUR / 2)

        caught: dict[type[SessionError], Any] = {}
        for session_id in (expired, ended, "unknown"):
            with pytest.raises(SessionError) as each:
                await USES[use](manager, session_id)
            assert session_id == each.value.session_id  # type: ignore[attr-defined]  # all three have it
            assert session_id not in str(each.value)
            assert "create" in str(each.value)
            copied = pickle.loads(pickle.dumps(each.value))  # noqa: S301 - our own
            assert vars(each.value) == vars(copied)
            assert str(each.value) == str(copied)
            caught[type(each.value)] = each.value
        assert {SessionExpiredError, SessionEndedError, SessionNotFoundError} == set(caught)
        assert begun + HOUR == caught[SessionExpiredError].expired_at
        assert ended_at == caught[SessionEndedError].ended_at

    async def test_a_default(self, manager: SessionManager, clock: Clock) -> None:
        """Is returned in place of each of them, whatever it is."""
        expired, ended = await manager.create_session("alice"), await manager.create_session("bob")
        await manager.end_session(ended)
        clock.forward(HOUR)
        fine = await manager.create_session("alice")
        marker = object()

        for session_id in (expired, ended, "unknown"):
            assert await manager.get_session(session_id, default=None) is None
            assert await manager.get_session(session_id, None) is None
            assert marker is await manager.get_session(session_id, default=marker)
        assert fine == (await manager.get_session(fine, default=None)).session_id  # type: ignore[union-attr]

    @pytest.mark.parametrize("session_id", HOSTILE)
    async def test_any_text_may_be_asked_for(self, manager: SessionManager, session_id: str) -> None:
        """There is no session with such an id, and that is all."""
        mine = await manager.create_session("alice")

        for use in USES.values():
            with pytest.raises(SessionNotFoundError):
                await use(manager, session_id)
        assert await manager.get_session(session_id, default=None) is None
        assert not await manager.end_session(session_id)
        assert not await manager.delete_session(session_id)
        assert [mine] == ids_of(await manager.list_sessions())

    @pytest.mark.parametrize("session_id", [None, 5, b"id", ["id"], object()])
    async def test_an_id_that_is_no_text(self, manager: SessionManager, session_id: Any) -> None:
        """Is refused."""
        for use in (*USES.values(), SessionManager.end_session, SessionManager.delete_session):
            with pytest.raises(InvalidValueError, match="session_id"):
                await use(manager, session_id)
        with pytest.raises(InvalidValueError, match="session_id"):
            await manager.get_session(session_id, default=None)

    async def test_almost_the_id(self, manager: SessionManager) -> None:
        """Is not the id: case, white space and each character matter."""
        session_id = await manager.create_session("alice")

        for other in (
            session_id.swapcase(),
            session_id + " ",
            session_id[:-1],
            session_id + "\0",
            session_id * 2,
        ):
            assert await manager.get_session(other, default=None) is None

    async def test_reading_is_no_activity(self, manager: SessionManager, clock: Clock) -> None:
        """`get_session` and `list_sessions` keep no session alive."""
        session_id = await manager.create_session("alice")
        before = await manager.get_session(session_id)
        for _ in range(9):
            clock.forward(HOUR / 10)
            assert before == await manager.get_session(session_id)
            assert [before] == await manager.list_sessions()

        clock.forward(HOUR / 10)

        assert await manager.get_session(session_id, default=None) is None

    async def test_two_managers_see_each_other(self, manager: SessionManager, opened: Open) -> None:
        """See each other's changes at once."""
        other = await opened()
        session_id = await manager.create_session("alice", {"n": 0})
        for number in range(1, 6):
            for writer, reader in ((manager, other), (other, manager)):
                written = await writer.update_session(session_id, {"n": number})
                assert written == await reader.get_session(session_id)
                assert [written] == await reader.list_sessions()

        await other.end_session(session_id)

        with pytest.raises(SessionEndedError):
            await manager.get_session(session_id)
        await manager.delete_session(session_id)
        with pytest.raises(SessionNotFoundError):
            await other.get_session(session_id)

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_two_homes_see_each_other(
        self, manager: SessionManager, opened: Open, new_home: Callable[[], Awaitable[Home]]
    ) -> None:
        """See each other's changes at once, too, however hot a session is."""
        other = await opened(home=await new_home())
        session_id = await manager.create_session("alice", {"n": 0})
        for number in range(1, 6):
            for writer, reader in ((manager, other), (other, manager)):
                written = await writer.update_session(session_id, {"n": number})
                for _ in range(3):
                    assert written == await reader.get_session(session_id)

        await other.end_session(session_id)

        with pytest.raises(SessionEndedError):
            await manager.get_session(session_id)
        await manager.delete_session(session_id)
        with pytest.raises(SessionNotFoundError):
            await other.get_session(session_id)

    @needs_of_sessions(SessionAbility.DATABASE)
    async def test_tables_are_apart(self, opened: Open) -> None:
        """Managers of several tables in one database have nothing in common but the file."""
        names = ["sessions", "sessions_by_user", "select", "Order", "x" * 48, "a1"]
        managers = [await opened(table_name=name, max_sessions=2) for name in names]
        ids = [await manager.create_session("alice", {"n": n}) for n, manager in enumerate(managers)]

        for number, manager in enumerate(managers):
            (session,) = await manager.list_sessions()
            assert (ids[number], {"n": number}) == (session.session_id, session.metadata)
            for other in {*ids} - {ids[number]}:
                assert await manager.get_session(other, default=None) is None
                assert not await manager.end_session(other)
                assert not await manager.delete_session(other)
