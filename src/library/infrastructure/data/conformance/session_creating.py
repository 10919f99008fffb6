"""The contract of sessions, part one: creating, and what a session can hold."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import enum
import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given

from library.infrastructure.data import InvalidValueError, SessionData
from library.infrastructure.data.conformance.conversation_foundation import property_test
from library.infrastructure.data.conformance.session_foundation import (
    METADATA,
    NOON,
    USER_IDS,
    Clock,
    Open,
    SessionFoundation,
    all_of,
    ids_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.data import SessionManager


class Name(str):  # noqa: SLOT000 - what users pass in
    """Text of a kind of its own."""


class Colour(enum.StrEnum):
    """Text of a kind of its own, too."""

    RED = "red"


class SessionCreatingContract(SessionFoundation):
    """Creating, and what a session can hold."""

    async def test_what_is_created(self, manager: SessionManager, clock: Clock) -> None:
        """Is there at once, with the time of its creation as its last activity."""
        session_id = await manager.create_session("alice", {"theme": "dark"})

        expected = SessionData(session_id, "alice", clock.now, clock.now, {"theme": "dark"}, is_active=True)
        assert expected == await manager.get_session(session_id)
        assert [expected] == await manager.list_sessions()

    async def test_ids(self, manager: SessionManager) -> None:
        """End in 43 random characters that may stand in a URL, and are never given twice."""
        ids = [await manager.create_session("alice") for _ in range(20)]
        ids += await asyncio.gather(*(manager.create_session("alice") for _ in range(80)))

        assert 100 == len(set(ids))
        assert [] == [each for each in ids if not re.fullmatch(r"([0-9a-f]{11})?[A-Za-z0-9_-]{43}", each)]
        assert set(ids) == set(ids_of(await manager.list_sessions()))
        # Each place of these takes many values: none of it is a counter or a time.
        columns = zip(*(each[-43:-1] for each in ids), strict=True)
        assert 15 < min(len(set(column)) for column in columns)

    async def test_without_metadata(self, manager: SessionManager) -> None:
        """It is an empty dict, one of its own each time."""
        one, two = await manager.create_session("a"), await manager.create_session("a", {})
        await manager.update_session(one, {"k": 1})

        assert {} == (await manager.get_session(two)).metadata

    # -- user ids --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "user_id",
        [
            " ",
            "\0",
            "a\0b",
            "\ud7ff\ue000\U0010ffff",
            "e\u0301",
            "\u00e9",
            "'; DROP TABLE sessions; --",
            '"',
            "%",
            "_",
            "NULL",
            "../../etc/passwd",
            "\u202egnp.exe",
            "\r\n\x1b[0m",
            "\ufeff",
            "x" * 1000,
            "\U0001f9e0" * 1000,
            "00",
            "0",
        ],
    )
    async def test_user_ids_of_any_kind(self, manager: SessionManager, user_id: str) -> None:
        """Come back bit for bit, and are told apart from what looks alike."""
        session_id = await manager.create_session(user_id)
        for other in (user_id[:-1] + "y", "e\u0301", "\u00e9", "\0\0", "0.0", "a", "A"):
            if other != user_id:
                await manager.create_session(other)

        assert user_id == (await manager.get_session(session_id)).user_id
        assert [session_id] == ids_of(await manager.list_sessions(user_id))

    @property_test(40)
    @given(user_id=USER_IDS)
    async def test_user_ids_that_are_made_up(self, manager: SessionManager, user_id: str) -> None:
        """Come back as they were, and find their session."""
        session_id = await manager.create_session(user_id)

        assert user_id == (await manager.get_session(session_id)).user_id
        assert session_id in ids_of(await all_of(manager, user_id=user_id))

    @pytest.mark.parametrize(
        "user_id", ["", "\ud800", "a\udc80", "x" * 1001, None, 5, b"alice", ["alice"], True, {"a": 1}]
    )
    async def test_user_ids_that_are_none(self, manager: SessionManager, user_id: Any) -> None:
        """Are refused, wherever they are given, before anything happens."""
        session_id = await manager.create_session("alice")

        with pytest.raises(InvalidValueError, match="user_id"):
            await manager.create_session(user_id)
        with pytest.raises(InvalidValueError, match="user_id"):
            await manager.update_session(session_id, {"user_id": user_id, "k": 1})
        if user_id is not None:
            with pytest.raises(InvalidValueError, match="user_id"):
                await manager.list_sessions(user_id)
        (session,) = await manager.list_sessions()
        assert ("alice", {}) == (session.user_id, session.metadata)

    @pytest.mark.parametrize("user_id", [Name("alice"), Colour.RED])
    async def test_text_of_other_kinds(self, manager: SessionManager, user_id: str) -> None:
        """Is the text that it holds, which is what comes back."""
        session_id = await manager.create_session(user_id)

        session = await manager.get_session(Name(session_id))
        assert str is type(session.user_id)
        assert str.__str__(user_id) == session.user_id
        assert [session] == await manager.list_sessions(user_id)

    # -- metadata --------------------------------------------------------------------------------------------

    @property_test(60)
    @given(metadata=METADATA)
    @example(metadata={"big": 2**200, "small": -(2**200), "edge": [2**63, -(2**63) - 1, 2**64]})
    @example(metadata={"": {"": [[], {}, None, ""]}, "\0": "\0", "a.b": {"$": 1}})
    @example(metadata={"float": [0.1, -0.0, 1e308, 5e-324, 1.0], "int": [1, 0], "bool": [True, False]})
    async def test_metadata_is_any_json(self, manager: SessionManager, metadata: dict[str, Any]) -> None:
        """It comes back exact, each number in its kind, created with it or updated to it."""
        session_id = await manager.create_session("alice", metadata)
        other = await manager.create_session("alice", {"former": 1})
        await manager.update_session(other, {"metadata": metadata})

        for each in (session_id, other):
            got = (await manager.get_session(each)).metadata
            assert json.dumps(metadata, sort_keys=True) == json.dumps(got, sort_keys=True)

    async def test_what_json_makes_of_it(self, manager: SessionManager) -> None:
        """Tuples become lists, and text of other kinds plain text, for every store alike."""
        given_ = {
            "t": (1, (2, 3)),
            Name("n"): Name("x"),
            "c": Colour.RED,
            "inner": {"t": ()},
            "big": (2**99,),
        }
        expected = {"t": [1, [2, 3]], "n": "x", "c": "red", "inner": {"t": []}, "big": [2**99]}
        session_id = await manager.create_session("alice", given_)
        other = await manager.create_session("alice")

        assert expected == (await manager.update_session(other, given_)).metadata
        for each in (session_id, other):
            metadata = (await manager.get_session(each)).metadata
            assert expected == metadata
            assert {str} == {type(key) for key in metadata} | {type(metadata["n"]), type(metadata["c"])}

    async def test_deep_and_large(self, manager: SessionManager) -> None:
        """As deep as JSON libraries go, and of a megabyte."""
        deep: Any = 1
        for _ in range(100):
            deep = [{"k": deep}]
        metadata = {"deep": deep, "long": "\u00e9" * 500_000, "many": {str(n): n for n in range(5000)}}

        session_id = await manager.create_session("alice", metadata)

        assert metadata == (await manager.get_session(session_id)).metadata
        assert metadata | {"k": 1} == (await manager.update_session(session_id, {"k": 1})).metadata

    @pytest.mark.parametrize(
        "make_metadata",
        [
            lambda: {"k": float("nan")},
            lambda: {"k": [float("inf")]},
            lambda: {"k": {"k": float("-inf")}},
            lambda: {"k": "\ud800"},
            lambda: {"\ud800": 1},
            lambda: {1: 1},
            lambda: {None: 1},
            lambda: {("a",): 1},
            lambda: {"k": {1: 1}},
            lambda: {"k": b"bytes"},
            lambda: {"k": {1, 2}},
            lambda: {"k": object()},
            lambda: {"k": 1j},
            lambda: {"k": itself()},
            lambda: [("k", 1)],
            lambda: "text",
            lambda: 5,
        ],
    )
    async def test_metadata_that_is_no_json(
        self, manager: SessionManager, make_metadata: Callable[[], Any]
    ) -> None:
        """Is refused, wherever it is given, before anything happens."""
        session_id = await manager.create_session("alice", {"kept": 1})

        with pytest.raises(InvalidValueError):
            await manager.create_session("alice", make_metadata())
        with pytest.raises(InvalidValueError):
            await manager.update_session(session_id, {"metadata": make_metadata()})
        with pytest.raises(InvalidValueError):
            await manager.update_session(session_id, lambda _: {"metadata": make_metadata()})
        if isinstance(make_metadata(), dict):
            with pytest.raises(InvalidValueError):
                await manager.update_session(session_id, make_metadata())
        (session,) = await manager.list_sessions()
        assert {"kept": 1} == session.metadata

    # -- times -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "now",
        [
            NOON.astimezone(timezone(timedelta(hours=5, minutes=45))),
            NOON.astimezone().replace(tzinfo=None),
            NOON.replace(microsecond=999_999),
            NOON.replace(year=1969, microsecond=1),
            NOON.replace(year=9000),
            NOON.replace(year=3),
        ],
    )
    async def test_clocks_of_any_kind(self, opened: Open, now: datetime) -> None:
        """Whatever zone the clock shows, what comes back is the moment, in UTC; naive is local time."""
        manager = await opened(clock=lambda: now)

        session = await manager.get_session(await manager.create_session("alice"))

        assert now.astimezone() == session.created_at == session.last_activity
        assert timedelta(0) == session.created_at.utcoffset()

    @pytest.mark.parametrize("now", [None, 1_700_000_000.0, "2024-05-17", NOON.date()])
    async def test_a_clock_that_tells_no_time(self, opened: Open, now: Any) -> None:
        """Is reported as what is wrong."""
        manager = await opened(clock=lambda: now)

        with pytest.raises(InvalidValueError, match="clock"):
            await manager.create_session("alice")


def itself() -> list[Any]:
    """Return a list that holds itself."""
    endless: list[Any] = []
    endless.append(endless)
    return endless
