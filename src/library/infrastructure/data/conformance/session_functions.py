"""The contract of sessions, part six: updates by a function."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import InvalidOptionError, InvalidValueError, SessionError
from library.infrastructure.data.conformance.foundation import PATIENCE_S, run_in_threads
from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    EXPIRED,
    HOUR,
    NOON,
    NOT_FOUND,
    Clock,
    Open,
    SessionFoundation,
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


def count(session: SessionData) -> dict[str, Any]:
    """Count in the metadata."""
    return {"n": session.metadata.get("n", 0) + 1}


def count_in_place(session: SessionData) -> None:
    """Count in the metadata of what was given."""
    session.metadata["n"] = session.metadata.get("n", 0) + 1


class SessionFunctionsContract(SessionFoundation):
    """Updates by a function."""

    async def test_it_is_given_the_session(self, manager: SessionManager, clock: Clock) -> None:
        """As `get_session` would return it, and what it returns is what changes."""
        session_id = await manager.create_session("alice", {"n": 1, "inner": []})
        before = await manager.get_session(session_id)
        now = clock.seconds(5)
        given: list[SessionData] = []

        def look(session: SessionData) -> dict[str, Any]:
            given.append(copy.copy(session))
            return count(session)

        updated = await manager.update_session(session_id, look)

        assert [before] == given
        assert ({"n": 2, "inner": []}, now) == (updated.metadata, updated.last_activity)
        assert updated == await manager.get_session(session_id)

    async def test_it_changes_what_it_was_given(self, manager: SessionManager) -> None:
        """And returns nothing: keys may go, come and change, deep inside too, and so may the user."""
        session_id = await manager.create_session("alice", {"gone": 1, "inner": {"list": [1]}})

        def change(session: SessionData) -> None:
            del session.metadata["gone"]
            session.metadata["inner"]["list"].append(2)
            session.metadata["new"] = (3,)
            session.user_id = "bob"

        updated = await manager.update_session(session_id, change)

        assert ("bob", {"inner": {"list": [1, 2]}, "new": [3]}) == (updated.user_id, updated.metadata)
        assert updated == await manager.get_session(session_id)
        assert [updated] == await manager.list_sessions("bob")

    async def test_it_changes_nothing(self, manager: SessionManager, clock: Clock) -> None:
        """That is activity, as with a dict."""
        session_id = await manager.create_session("alice", {"n": 1})
        now = clock.seconds(5)

        updated = await manager.update_session(session_id, lambda _: None)

        assert ({"n": 1}, now) == (updated.metadata, updated.last_activity)

    async def test_it_sets_the_last_activity(self, manager: SessionManager, clock: Clock) -> None:
        """In what it returns, or in what it was given."""
        session_id = await manager.create_session("alice")
        earlier = NOON - HOUR / 3
        clock.seconds(5)

        def set_it(session: SessionData) -> None:
            session.last_activity = earlier.astimezone().replace(tzinfo=None)

        assert earlier == (await manager.update_session(session_id, set_it)).last_activity
        later = await manager.update_session(session_id, lambda _: {"last_activity": NOON})
        assert NOON == later.last_activity

    async def test_it_ends_the_session(self, manager: SessionManager) -> None:
        """In what it returns, or in what it was given."""
        one, two = await manager.create_session("alice"), await manager.create_session("alice")

        def end(session: SessionData) -> None:
            session.is_active = False

        assert not (await manager.update_session(one, end)).is_active
        assert not (await manager.update_session(two, lambda _: {"is_active": False})).is_active
        assert ENDED is await refusal_of(manager, one)
        assert ENDED is await refusal_of(manager, two)

    async def test_it_raises(self, manager: SessionManager, clock: Clock) -> None:
        """What it raises reaches the caller as it is; nothing was changed, and it is no activity."""
        session_id = await manager.create_session("alice", {"n": 1})
        before = await manager.get_session(session_id)
        clock.seconds(5)
        error = ZeroDivisionError("by the user")

        def fail(session: SessionData) -> None:
            session.metadata.clear()
            raise error

        with pytest.raises(ZeroDivisionError) as caught:
            await manager.update_session(session_id, fail)

        assert error is caught.value
        assert before == await manager.get_session(session_id)

    async def test_it_is_async(self, manager: SessionManager) -> None:
        """That is refused, with nothing changed, and without a warning of what was never awaited."""
        session_id = await manager.create_session("alice", {"n": 1})

        async def change(_: SessionData) -> dict[str, Any]:
            return {"n": 2}

        for fn in (change, lambda _: asyncio.get_running_loop().create_future()):
            with pytest.raises(InvalidOptionError, match="async") as caught:
                await manager.update_session(session_id, fn)  # type: ignore[arg-type]  # refused
            assert "changes" == caught.value.option
        assert {"n": 1} == (await manager.get_session(session_id)).metadata

    @pytest.mark.parametrize("returned", [5, "text", True, object()])
    async def test_it_returns_something_else(self, manager: SessionManager, returned: Any) -> None:
        """That is refused."""
        session_id = await manager.create_session("alice")

        with pytest.raises(InvalidOptionError):
            await manager.update_session(session_id, lambda _: returned)

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("session_id", "other", InvalidOptionError),
            ("created_at", NOON.replace(year=1999), InvalidOptionError),
            ("user_id", "", InvalidValueError),
            ("user_id", None, InvalidValueError),
            ("is_active", 0, InvalidValueError),
            ("metadata", [], InvalidValueError),
            ("metadata", {"k": float("nan")}, InvalidValueError),
            ("last_activity", "now", InvalidValueError),
        ],
    )
    async def test_it_changes_what_it_may_not(
        self, manager: SessionManager, field: str, value: Any, error: type[Exception]
    ) -> None:
        """That is refused, in what it was given and in what it returns; nothing was changed."""
        session_id = await manager.create_session("alice", {"n": 1})
        before = await manager.get_session(session_id)

        with pytest.raises(error, match=field if field != "metadata" else None):
            await manager.update_session(session_id, lambda session: setattr(session, field, value))
        with pytest.raises(error):
            await manager.update_session(session_id, lambda _: {field: value, "k": 1})

        assert before == await manager.get_session(session_id)

    async def test_it_is_not_called_in_vain(self, manager: SessionManager, clock: Clock) -> None:
        """A session that cannot be used calls nothing."""
        ended, expired = await manager.create_session("alice"), await manager.create_session("alice")
        await manager.end_session(ended)
        clock.forward(HOUR)
        called: list[SessionData] = []

        for session_id, error in ((ended, ENDED), (expired, EXPIRED), ("unknown", NOT_FOUND)):
            with pytest.raises(SessionError) as caught:
                await manager.update_session(session_id, called.append)
            assert error is caught.type
        assert [] == called

    # -- many at once ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fn", [count, count_in_place])
    async def test_64_counters(self, opened: Open, fn: Callable[[SessionData], Any]) -> None:
        """Lose nothing, with two managers between them, whatever else is changed meanwhile."""
        managers = await opened(), await opened()
        session_id = await managers[0].create_session("alice")

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(
                *(managers[number % 2].update_session(session_id, fn) for number in range(64)),
                *(managers[number % 2].update_session(session_id, {f"k{number}": 1}) for number in range(16)),
                *(managers[number % 2].touch(session_id) for number in range(16)),
            )

        expected = {"n": 64} | {f"k{number}": 1 for number in range(16)}
        assert expected == (await managers[1].get_session(session_id)).metadata

    async def test_counters_in_four_loops(self, manager: SessionManager) -> None:
        """Counters lose nothing either, in threads with loops of their own."""
        session_id = await manager.create_session("alice")

        async def work() -> None:
            await asyncio.gather(*(manager.update_session(session_id, count) for _ in range(8)))

        await asyncio.to_thread(run_in_threads, *[work] * 4)

        assert 32 == (await manager.get_session(session_id)).metadata["n"]

    async def test_it_is_called_again(self, opened: Open) -> None:
        """When another manager changed the session behind its back: each time with what is new."""
        manager, other = await opened(), await opened()
        session_id = await manager.create_session("alice", {"n": 10})
        seen: list[int] = []

        def meddle() -> None:
            async def change() -> None:
                await other.update_session(session_id, count)

            run_in_threads(change)

        def slowly(session: SessionData) -> dict[str, Any]:
            seen.append(session.metadata["n"])
            if len(seen) < 3:
                meddle()
            return {"n": session.metadata["n"] + 100}

        updated = await manager.update_session(session_id, slowly)

        assert [10, 11, 12] == seen
        assert 112 == updated.metadata["n"]
        assert updated == await other.get_session(session_id)

    @pytest.mark.parametrize("ending", ["end_session", "delete_session"])
    async def test_it_is_ended_meanwhile(self, opened: Open, ending: str) -> None:
        """Then the change is not made, and the error tells why."""
        manager, other = await opened(), await opened()
        session_id = await manager.create_session("alice")

        def slowly(_: SessionData) -> dict[str, Any]:
            async def end() -> None:
                assert await getattr(other, ending)(session_id)

            run_in_threads(end)
            return {"late": 1}

        with pytest.raises(ENDED if ending == "end_session" else NOT_FOUND):
            await manager.update_session(session_id, slowly)
        assert [] == [session for session in await manager.list_sessions() if session.metadata]

    @needs_of_sessions(SessionAbility.SHARED)
    async def test_functions_of_two_homes(
        self, manager: SessionManager, opened: Open, new_home: Callable[[], Awaitable[Home]]
    ) -> None:
        """Counters lose nothing across adapters, as across processes."""
        other = await opened(home=await new_home())
        session_id = await manager.create_session("alice")

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(
                *(each.update_session(session_id, count) for each in (manager, other) for _ in range(10))
            )

        assert 20 == (await manager.get_session(session_id)).metadata["n"]
