"""The contract of sessions, part five: updates by a dict."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import InvalidOptionError, InvalidValueError
from library.infrastructure.data.conformance.conversation_foundation import property_test
from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    EXPIRED,
    HOUR,
    JSON,
    NOON,
    TEXTS,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    ids_of,
    refusal_of,
)

if TYPE_CHECKING:
    from library.infrastructure.data import SessionManager

FIELDS = {"user_id", "last_activity", "is_active", "metadata", "session_id", "created_at"}


class SessionUpdatingContract(SessionFoundation):
    """Updates by a dict."""

    async def test_unknown_fields(self, manager: SessionManager, clock: Clock) -> None:
        """Are keys of the metadata; the other keys stay, and nothing is merged below that."""
        session_id = await manager.create_session("alice", {"kept": [1], "inner": {"a": 1}})
        created_at = clock.now
        now = clock.seconds(5)

        updated = await manager.update_session(session_id, {"new": None, "inner": {"b": 2}})

        assert {"kept": [1], "inner": {"b": 2}, "new": None} == updated.metadata
        assert ("alice", created_at, now, True) == (
            updated.user_id,
            updated.created_at,
            updated.last_activity,
            updated.is_active,
        )
        assert updated == await manager.get_session(session_id)

    @property_test(40)
    @given(
        changes=st.lists(
            st.dictionaries((TEXTS | st.sampled_from("abc")).filter(lambda key: key not in FIELDS), JSON),
            max_size=4,
        )
    )
    async def test_changes_that_are_made_up(
        self, manager: SessionManager, changes: list[dict[str, Any]]
    ) -> None:
        """Leave what a dict would be left with by `update`."""
        session_id = await manager.create_session("alice")
        expected: dict[str, Any] = {}
        for each in changes:
            expected.update(each)
            await manager.update_session(session_id, each)

        assert repr(sorted(expected.items())) == repr(
            sorted((await manager.get_session(session_id)).metadata.items())
        )

    async def test_metadata_as_a_whole(self, manager: SessionManager) -> None:
        """`metadata` takes the place of all that was there; other keys are set in the new one."""
        session_id = await manager.create_session("alice", {"old": 1})

        assert {"a": [1]} == (await manager.update_session(session_id, {"metadata": {"a": [1]}})).metadata
        both = await manager.update_session(session_id, {"b": 2, "metadata": {"b": 1, "metadata": 3}})
        assert {"b": 2, "metadata": 3} == both.metadata
        assert {} == (await manager.update_session(session_id, {"metadata": {}})).metadata
        assert {} == (await manager.get_session(session_id)).metadata

    async def test_another_user(self, manager: SessionManager) -> None:
        """`user_id` gives the session to another, in whose list it stands from then on."""
        session_id = await manager.create_session("alice", {"a": 1})
        before = await manager.get_session(session_id)

        updated = await manager.update_session(session_id, {"user_id": "b\u00f6b", "b": 2})

        assert ("b\u00f6b", {"a": 1, "b": 2}) == (updated.user_id, updated.metadata)
        assert [] == await manager.list_sessions("alice")
        assert [updated] == await manager.list_sessions("b\u00f6b") == await manager.list_sessions()
        assert before.cursor == updated.cursor
        back = await manager.update_session(session_id, {"user_id": "alice"})
        assert [back] == await manager.list_sessions("alice")

    async def test_nothing_to_change(self, manager: SessionManager, clock: Clock) -> None:
        """Is activity all the same."""
        session_id = await manager.create_session("alice", {"a": 1})
        now = clock.seconds(5)

        updated = await manager.update_session(session_id, {})

        assert ({"a": 1}, now) == (updated.metadata, updated.last_activity)

    async def test_an_update_is_activity(self, manager: SessionManager, clock: Clock) -> None:
        """It begins the timeout anew."""
        session_id = await manager.create_session("alice")
        clock.forward(HOUR - TICK)
        await manager.update_session(session_id, {"k": 1})

        clock.forward(HOUR - TICK)

        assert await refusal_of(manager, session_id) is None
        clock.forward(TICK)
        assert EXPIRED is await refusal_of(manager, session_id)

    # -- last_activity ---------------------------------------------------------------------------------------

    async def test_an_earlier_last_activity(self, manager: SessionManager, clock: Clock) -> None:
        """Is taken as it is: the session expires earlier."""
        session_id = await manager.create_session("alice")
        earlier = clock.now - HOUR / 2

        assert earlier == (await manager.update_session(session_id, {"last_activity": earlier})).last_activity

        assert earlier == (await manager.get_session(session_id)).last_activity
        clock.now = earlier + HOUR - TICK
        assert await refusal_of(manager, session_id) is None
        clock.forward(TICK)
        assert EXPIRED is await refusal_of(manager, session_id)

    async def test_a_later_last_activity(self, manager: SessionManager, clock: Clock) -> None:
        """Is taken as it is: the session expires later, and no activity before makes it earlier."""
        session_id = await manager.create_session("alice")
        later = clock.now + 3 * HOUR
        await manager.update_session(session_id, {"last_activity": later, "k": 1})
        clock.forward(2 * HOUR)

        await manager.update_session(session_id, {"k": 2})
        await manager.touch(session_id)

        assert later == (await manager.get_session(session_id)).last_activity
        assert 0 == await manager.cleanup_expired_sessions()
        clock.now = later + HOUR
        assert EXPIRED is await refusal_of(manager, session_id)

    async def test_one_so_early_that_it_has_expired(self, manager: SessionManager, clock: Clock) -> None:
        """Lets it expire at once."""
        session_id = await manager.create_session("alice")

        updated = await manager.update_session(session_id, {"last_activity": clock.now - HOUR})

        assert (clock.now - HOUR, False) == (updated.last_activity, updated.is_active)
        assert EXPIRED is await refusal_of(manager, session_id)
        assert 1 == await manager.cleanup_expired_sessions()

    @pytest.mark.parametrize(
        "moment",
        [
            NOON.astimezone().replace(tzinfo=None),
            NOON.astimezone(timezone(-timedelta(hours=9, minutes=30))),
            (NOON + TICK).astimezone().replace(tzinfo=None),
        ],
    )
    async def test_other_zones(self, manager: SessionManager, moment: datetime) -> None:
        """A naive one is local time, an aware one is what it is; both come back in UTC."""
        session_id = await manager.create_session("alice")

        updated = await manager.update_session(session_id, {"last_activity": moment})

        assert moment.astimezone() == updated.last_activity
        assert timedelta(0) == updated.last_activity.utcoffset()
        assert updated == await manager.get_session(session_id)

    # -- is_active -------------------------------------------------------------------------------------------

    async def test_is_active(self, manager: SessionManager, clock: Clock) -> None:
        """`False` ends the session, with the other changes done; `True` is no change."""
        session_id = await manager.create_session("alice")
        now = clock.seconds(5)

        assert (await manager.update_session(session_id, {"is_active": True})).is_active
        ended = await manager.update_session(session_id, {"is_active": False, "why": "logout"})

        assert (False, {"why": "logout"}, now) == (ended.is_active, ended.metadata, ended.last_activity)
        assert ENDED is await refusal_of(manager, session_id)
        assert [ended] == await manager.list_sessions(active=False)
        assert not await manager.end_session(session_id)

    # -- refused ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("field", ["session_id", "created_at"])
    async def test_what_cannot_be_changed(self, manager: SessionManager, field: str) -> None:
        """Is refused by name, even with the value that it has; nothing else is changed either."""
        session_id = await manager.create_session("alice")
        session = await manager.get_session(session_id)

        for value in ("other", NOON, getattr(session, field)):
            with pytest.raises(InvalidOptionError, match=field) as caught:
                await manager.update_session(session_id, {"k": 1, field: value})
            assert field == caught.value.option
        assert session == await manager.get_session(session_id)

    @pytest.mark.parametrize(
        "changes",
        [
            {"last_activity": None},
            {"last_activity": "2024-05-17"},
            {"last_activity": 5},
            {"last_activity": NOON.date()},
            {"last_activity": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
            {"is_active": None},
            {"is_active": 0},
            {"is_active": "no"},
            {"metadata": None},
            {"metadata": []},
            {"user_id": None},
            {5: 1},
            {None: 1},
            {"k": object()},
        ],
    )
    async def test_values_of_the_wrong_type(self, manager: SessionManager, changes: dict[Any, Any]) -> None:
        """Are refused, and nothing is changed: it is no activity, either."""
        session_id = await manager.create_session("alice", {"a": 1})
        before = await manager.get_session(session_id)

        with pytest.raises(InvalidValueError):
            await manager.update_session(session_id, {"valid": 1, **changes})
        with pytest.raises(InvalidValueError):
            await manager.update_session(session_id, lambda _: {"valid": 1, **changes})

        assert before == await manager.get_session(session_id)

    @pytest.mark.parametrize("changes", [None, 5, "text", True, object()])
    async def test_what_is_no_dict(self, manager: SessionManager, changes: Any) -> None:
        """Nor a function is refused."""
        session_id = await manager.create_session("alice")

        with pytest.raises(InvalidOptionError) as caught:
            await manager.update_session(session_id, changes)

        assert "changes" == caught.value.option

    async def test_other_mappings(self, manager: SessionManager) -> None:
        """Are as good as a dict, for creating a session and for changing it."""
        session_id = await manager.create_session("alice", OrderedDict(a=1))
        other = await manager.create_session("alice", MappingProxyType({"a": 1}))

        for changes in (MappingProxyType({"b": 2}), OrderedDict(b=2)):
            for each in (session_id, other):
                assert {"a": 1, "b": 2} == (await manager.update_session(each, changes)).metadata

    # -- many at once ----------------------------------------------------------------------------------------

    async def test_64_tasks_with_a_key_each(self, opened: Open) -> None:
        """Lose none, with two managers between them."""
        managers = await opened(), await opened()
        session_id = await managers[0].create_session("alice", {"first": []})

        await asyncio.gather(
            *(
                managers[number % 2].update_session(session_id, {f"key {number}": [number]})
                for number in range(64)
            )
        )

        expected: dict[str, Any] = {"first": [], **{f"key {number}": [number] for number in range(64)}}
        for manager in managers:
            assert expected == (await manager.get_session(session_id)).metadata

    async def test_users_change_at_once(self, manager: SessionManager) -> None:
        """A session that is given to and fro stands in one list, that of its user."""
        session_id = await manager.create_session("0")

        await asyncio.gather(
            *(manager.update_session(session_id, {"user_id": str(number % 5)}) for number in range(40))
        )

        session = await manager.get_session(session_id)
        lists = {str(number): ids_of(await manager.list_sessions(str(number))) for number in range(5)}
        assert {user: [session_id] if user == session.user_id else [] for user in lists} == lists
