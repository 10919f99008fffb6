"""The contract of sessions, part ten: lists, and their pages."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import InvalidOptionError, SessionData
from library.infrastructure.data.conformance.conversation_foundation import property_test
from library.infrastructure.data.conformance.session_foundation import (
    HOUR,
    NOON,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    all_of,
    ids_of,
)

if TYPE_CHECKING:
    from library.infrastructure.data import SessionManager

USERS = ["alice", "bob", "\u00e9", "e\u0301"]
STATES = ["active", "expired", "ended"]


async def pages(manager: SessionManager, size: int, **options: Any) -> list[list[SessionData]]:
    """Read a list page by page."""
    found: list[list[SessionData]] = []
    after: str | None = None
    while page := await manager.list_sessions(limit=size, after=after, **options):
        found.append(page)
        after = page[-1].cursor
    return found


async def delete_all(manager: SessionManager) -> None:
    """Begin with nothing, for one of many examples."""
    for policy in (None, False):
        for session in await all_of(manager, active=policy):
            await manager.delete_session(session.session_id)


class SessionListsContract(SessionFoundation):
    """Lists, and their pages."""

    async def test_an_empty_list(self, manager: SessionManager) -> None:
        """Is empty, for whomever."""
        for active in (None, True, False):
            assert [] == await manager.list_sessions(active=active)
            assert [] == await manager.list_sessions("nobody", active=active, limit=None)

    async def test_newest_first(self, manager: SessionManager, clock: Clock) -> None:
        """What was created last comes first, whatever was used since; a hundred, unless told otherwise."""
        ids = []
        for _ in range(105):
            ids.append(await manager.create_session("alice"))
            clock.forward(TICK)
        await manager.touch(ids[0])
        await manager.update_session(ids[1], {"k": 1})
        ids.reverse()

        assert ids[:100] == ids_of(await manager.list_sessions())
        assert ids[:100] == ids_of(await manager.list_sessions("alice"))
        assert ids[:7] == ids_of(await manager.list_sessions(limit=7))
        assert ids == ids_of(await manager.list_sessions(limit=None))
        assert ids == ids_of(await manager.list_sessions("alice", limit=10**12))

    async def test_one_among_thousands(self, manager: SessionManager) -> None:
        """It is found, however many stand before it that are not wanted."""
        first = await manager.create_session("alice")
        await manager.end_session(first)
        await asyncio.gather(*(manager.create_session("alice") for _ in range(4500)))

        assert [first] == ids_of(await manager.list_sessions(active=False, limit=1))
        assert [first] == ids_of(await manager.list_sessions("alice", active=False, limit=None))

    async def test_thousands_of_one_moment(self, manager: SessionManager) -> None:
        """Each is there, once: also where what a store finds sessions by comes twice."""
        ids = await asyncio.gather(*(manager.create_session("alice") for _ in range(5000)))

        assert 5000 == len(set(ids))
        assert sorted(ids) == sorted(ids_of(await manager.list_sessions(limit=None)))
        for session_id in ids[::50]:
            assert session_id == (await manager.get_session(session_id)).session_id

    async def test_more_than_a_step(self, manager: SessionManager, clock: Clock) -> None:
        """Long lists are whole, though read in steps; what was created at one moment has an order, too."""
        await asyncio.gather(*(manager.create_session(USERS[number % 2]) for number in range(1300)))
        clock.seconds(1)
        last = await manager.create_session("bob")

        everything = await all_of(manager)

        assert 1301 == len(set(ids_of(everything)))
        assert last == everything[0].session_id
        assert everything[:1001] == await manager.list_sessions(limit=1001)
        assert [each for each in everything if each.user_id == "bob"] == await all_of(manager, user_id="bob")
        assert everything == [session for page in await pages(manager, 700) for session in page]

    @pytest.mark.parametrize("policy", ["delete", "deactivate"])
    @property_test(25)
    @given(
        made=st.lists(
            st.tuples(st.sampled_from(USERS), st.sampled_from(STATES), st.integers(0, 3)), max_size=25
        ),
        size=st.integers(1, 8),
        user_id=st.none() | st.sampled_from(USERS),
        active=st.sampled_from([None, True, False]),
    )
    async def test_pages(
        self,
        opened: Open,
        clock: Clock,
        policy: str,
        made: list[tuple[str, str, int]],
        size: int,
        user_id: str | None,
        active: bool | None,  # noqa: FBT001 - hypothesis passes it by name
    ) -> None:
        """Of any size, one after the other are the whole list, in order, each session once."""
        clock.now = NOON
        manager = await opened(cleanup_policy=policy)
        await delete_all(manager)
        expected = []
        for user, state, seconds in made:
            clock.now = NOON + timedelta(seconds=seconds)
            session_id = await manager.create_session(user)
            if state == "expired":
                await manager.update_session(session_id, {"last_activity": NOON - HOUR})
            if state == "ended":
                await manager.end_session(session_id)
            is_shown = state != "expired" or policy == "deactivate"
            if is_shown and user_id in (None, user) and active in (None, state == "active"):
                expected.append((seconds, session_id))

        whole = await all_of(manager, user_id=user_id, active=active)
        parts = await pages(manager, size, user_id=user_id, active=active)

        assert {session_id for _, session_id in expected} == set(ids_of(whole))
        assert sorted((seconds for seconds, _ in expected), reverse=True) == [
            int((session.created_at - NOON).total_seconds()) for session in whole
        ]
        assert whole == [session for page in parts for session in page]
        assert [size] * (len(whole) // size) == [len(page) for page in parts if len(page) == size]
        for number, session in enumerate(whole):
            rest = await all_of(manager, user_id=user_id, active=active, after=session.cursor)
            assert whole[number + 1 :] == rest
        await manager.shutdown()

    async def test_pages_while_others_work(self, manager: SessionManager, clock: Clock) -> None:
        """What is there all the time is found once, whatever is created, used and deleted meanwhile."""
        staying, leaving = [], []
        for _ in range(30):
            clock.forward(TICK)
            staying.append(await manager.create_session("alice"))
            leaving.append(await manager.create_session("alice"))
        found: list[str] = []
        after = None
        while page := await manager.list_sessions("alice", limit=7, after=after):
            found += ids_of(page)
            after = page[-1].cursor
            clock.forward(TICK)
            await manager.delete_session(
                page[-1].session_id if page[-1].session_id in leaving else leaving[0]
            )
            await manager.create_session("alice")
            await manager.touch(staying[len(found) % 30])
            await manager.update_session(staying[len(found) % 7], {"k": len(found)})
            await manager.end_session(leaving[-1 - len(found) % 11])

        assert len(found) == len(set(found))
        assert set(staying) <= set(found) <= {*staying, *leaving}
        assert staying[::-1] == [each for each in found if each in staying]

    async def test_a_cursor_of_what_was_deleted(self, manager: SessionManager, clock: Clock) -> None:
        """Is as good as any; so is one of another list, or of what is not there at all."""
        ids = []
        for user in ("alice", "bob") * 3:
            clock.forward(TICK)
            ids.append(await manager.create_session(user))
        third = (await manager.get_session(ids[3])).cursor
        await manager.delete_session(ids[3])
        stranger = SessionData("x", "y", NOON.replace(year=1999), NOON, {})

        assert ids[2::-1] == ids_of(await manager.list_sessions(after=third))
        assert [ids[2], ids[0]] == ids_of(await manager.list_sessions("alice", after=third))
        assert [] == await manager.list_sessions(after=stranger.cursor)
        stranger.created_at = NOON.replace(year=9999)
        assert ids[:3] + ids[4:] == ids_of(await manager.list_sessions(after=stranger.cursor))[::-1]

    async def test_cursors(self, manager: SessionManager) -> None:
        """May stand in a URL, and do not tell the id; two sessions never have the same."""
        sessions = [await manager.get_session(await manager.create_session("a")) for _ in range(50)]

        assert 50 == len({session.cursor for session in sessions})
        for session in sessions:
            assert set(session.cursor) <= set("-.0123456789")

    # -- refused ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "after",
        [
            "",
            " ",
            "1",
            "1.",
            ".1",
            "1.1\n",
            " 1.1",
            "1.1.1",
            "1,1",
            "+1.1",
            "1e3.1",
            "0x1.1",
            "1_0.1",
            "\u0661.\u0661",
            "nan.nan",
            "'; --",
            "\ud800",
            "1.1\0",
            "9" * 18 + ".1",
            "9" * 5000 + ".1",
            "1." + "9" * 5000,
            f"1.{2**63}",
            f"1.{-(2**63) - 1}",
            "1.9999999999999999999",
            "-99999999999999999.1",
            5,
            1.1,
            b"1.1",
            ["1.1"],
            True,
        ],
    )
    async def test_hostile_cursors(self, manager: SessionManager, after: Any) -> None:
        """What is no cursor is refused, with a word on what to do."""
        await manager.create_session("alice")

        for user_id in (None, "alice"):
            with pytest.raises(InvalidOptionError, match="first page") as caught:
                await manager.list_sessions(user_id, after=after)
            assert "after" == caught.value.option

    @property_test(60)
    @given(after=st.text() | st.from_regex(r"-?\d{1,20}\.-?\d{1,21}", fullmatch=True))
    async def test_cursors_that_are_made_up(self, manager: SessionManager, after: str) -> None:
        """Show what is behind that place, or are refused; they break nothing."""
        try:
            found = await manager.list_sessions(after=after)
        except InvalidOptionError:
            return
        assert [] == found

    @pytest.mark.parametrize("limit", [0, -1, 1.5, "1", True, 1 << 63])
    async def test_limits_that_are_none(self, manager: SessionManager, limit: Any) -> None:
        """Are refused."""
        with pytest.raises(InvalidOptionError) as caught:
            await manager.list_sessions(limit=limit)

        assert "limit" == caught.value.option

    @pytest.mark.parametrize("active", [0, 1, "yes", ()])
    async def test_active_that_is_no_bool(self, manager: SessionManager, active: Any) -> None:
        """Is refused."""
        with pytest.raises(InvalidOptionError) as caught:
            await manager.list_sessions(active=active)

        assert "active" == caught.value.option
