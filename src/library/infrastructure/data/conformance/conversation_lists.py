"""The contract of conversations, part fifteen: lists of conversations, and of those of a session."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import ConversationSummary, InvalidOptionError, InvalidValueError
from library.infrastructure.data.conformance.conversation_foundation import (
    JSON,
    METADATA,
    TEXTS,
    ConversationFoundation,
    exchange,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit

SESSION_IDS = [
    "s",
    "",
    " s",
    "S",
    "' OR 1=1 --",
    '"; DROP TABLE conversations; --',
    "%",
    "\x00",
    "s\x00",
    "\u732b \u00e9 e\u0301 \U0001f431",
    "long" * 50_000,
    "long" * 50_000 + "!",
]


class Place(Enum):
    """Text that is no `str` until it is written as JSON."""

    HERE = "here"


async def names_in(unit: ConversationHistoryUnit, session_id: str) -> list[str]:
    """List the conversations of a session."""
    return [each.conversation_id for each in await unit.list_conversations(None, session_id=session_id)]


class ListContract(ConversationFoundation):
    """Lists of conversations, and of those of a session."""

    @given(
        saved=st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(-3, 3)), max_size=20),
        size=st.integers(1, 5),
    )
    @property_test(30)
    async def test_lists_of_conversations(
        self, unit: ConversationHistoryUnit, saved: list[tuple[str, int]], size: int
    ) -> None:
        """Those with the newest exchange first; pages joined, by summary or by cursor, are the whole."""
        await unit.clear()
        ids = await unit.save_messages_batch(
            exchange(f"{number}", conversation_id=name, at=at) for number, (name, at) in enumerate(saved)
        )
        places = [
            (message.timestamp, message_id, message.conversation_id, message.user_input)
            for message_id, message in [(each, await unit.get_message(each)) for each in ids]
        ]
        expected = []
        for name in {name for name, _ in saved}:
            own = sorted(place for place in places if place[2] == name)
            summary = ConversationSummary(name, len(own), own[0][0], own[-1][0], own[0][3], own[-1][1])
            expected.append(summary)
        expected.sort(key=lambda each: (each.last_message_at, each.last_message_id), reverse=True)

        joined: list[ConversationSummary] = []
        while page := await unit.list_conversations(
            size, after=(joined[-1] if size % 2 else joined[-1].cursor) if joined else None
        ):
            joined += page

        assert expected == joined
        assert expected == await unit.list_conversations(limit=None)

    @pytest.mark.parametrize("count", [499, 501, 1200])
    async def test_many_conversations_are_listed(self, unit: ConversationHistoryUnit, count: int) -> None:
        """However many there are, the pages joined are all of them once, the newest first."""
        await unit.save_messages_batch(
            exchange(conversation_id=f"{number % count}", at=number) for number in range(count + 300)
        )

        joined: list[ConversationSummary] = []
        while page := await unit.list_conversations(97, after=joined[-1] if joined else None):
            joined += page

        newest_first = dict.fromkeys(f"{number % count}" for number in reversed(range(count + 300)))
        assert list(newest_first) == [each.conversation_id for each in joined]
        assert {1 + (int(each.conversation_id) < 300) == each.message_count for each in joined} == {True}

    @pytest.mark.parametrize("after", ["", "1", "1.x", "abc.1", 5, " 1.2", "1.2\n", "9" * 30 + ".1"])
    async def test_cursors_that_are_none(self, unit: ConversationHistoryUnit, after: Any) -> None:
        """Are refused."""
        with pytest.raises(InvalidOptionError) as caught:
            await unit.list_conversations(after=after)

        assert "after" == caught.value.option

    # -- of a session ----------------------------------------------------------------------------------------

    async def test_conversations_of_a_session(self, unit: ConversationHistoryUnit) -> None:
        """Those with an exchange that names it, described whole; the newest first, as in every list."""
        await unit.save_messages_batch(
            [
                exchange("first", conversation_id="a", at=1),
                exchange(conversation_id="a", at=2, metadata={"session_id": "s", "more": [2**70, None]}),
                exchange(conversation_id="a", at=9, metadata={"session_id": "other"}),
                exchange(conversation_id="b", at=5, metadata={"session_id": "s"}),
                exchange(conversation_id="b", at=6, metadata={"session_id": "s"}),
                exchange(conversation_id="c", at=7, metadata={"session": "s", "a": {"session_id": "s"}}),
                exchange(conversation_id="d", at=8, metadata={"text": '"session_id":"s"'}),
            ]
        )
        everything = await unit.list_conversations(None)

        expected = [each for each in everything if each.conversation_id in "ab"]
        assert expected == await unit.list_conversations(session_id="s")
        assert [("a", 3, "first"), ("b", 2, "hello")] == [
            (each.conversation_id, each.message_count, each.first_user_input) for each in expected
        ]
        assert ["a"] == await names_in(unit, "other")
        assert [] == await names_in(unit, "unknown")

    async def test_session_ids_are_told_apart(self, unit: ConversationHistoryUnit) -> None:
        """Any text may name a session, and names that session only."""
        for session_id in SESSION_IDS:
            await unit.save_message(
                exchange(
                    conversation_id=f"{SESSION_IDS.index(session_id)}", metadata={"session_id": session_id}
                )
            )

        found = [await names_in(unit, session_id) for session_id in SESSION_IDS]

        assert [[f"{number}"] for number in range(len(SESSION_IDS))] == found

    @pytest.mark.parametrize("value", [5, 2**70, 0.5, True, None, ["5"], {"session_id": "5"}, {"5": "5"}])
    async def test_what_is_no_text_names_no_session(self, unit: ConversationHistoryUnit, value: Any) -> None:
        """Metadata may hold anything under that name."""
        await unit.save_message(exchange(metadata={"session_id": value}))

        for session_id in ("5", f"{value}", "", "null", "true", "1180591620717411303424"):
            assert [] == await names_in(unit, session_id)

    async def test_what_becomes_text_names_a_session(self, unit: ConversationHistoryUnit) -> None:
        """What counts is what is read back: of an enumeration, the value of the member."""
        await unit.save_message(exchange(metadata={"session_id": Place.HERE}))

        assert ["c"] == await names_in(unit, "here")

    @pytest.mark.parametrize("session_id", [5, b"s", ["s"], True, "\ud800"])
    async def test_session_ids_that_are_none(self, unit: ConversationHistoryUnit, session_id: Any) -> None:
        """Are refused."""
        with pytest.raises(InvalidValueError) as caught:
            await unit.list_conversations(session_id=session_id)

        assert "session_id" in str(caught.value)

    @pytest.mark.parametrize("count", [3, 1200])
    async def test_pages_of_a_session(self, unit: ConversationHistoryUnit, count: int) -> None:
        """Joined, by summary or by cursor, they are the whole, however many conversations it has."""
        await unit.save_messages_batch(
            exchange(
                conversation_id=f"{number % (2 * count)}",
                at=number * 7919 % count,
                metadata={"session_id": f"s{number % 2}"},
            )
            for number in range(3 * count)
        )
        everything = await unit.list_conversations(None)

        for size in (1 if count < 10 else 211, 10 * count):
            joined: list[ConversationSummary] = []
            while page := await unit.list_conversations(
                size,
                after=(joined[-1] if size % 2 else joined[-1].cursor) if joined else None,
                session_id="s1",
            ):
                joined += page
            assert [each for each in everything if int(each.conversation_id) % 2] == joined

    async def test_updates_move_conversations_between_sessions(self, unit: ConversationHistoryUnit) -> None:
        """A conversation is in a session for as long as one of its exchanges names it."""
        first, second = await unit.save_messages_batch([exchange(), exchange(metadata={"session_id": "s"})])

        await unit.update_message(first, metadata={"session_id": "s"})
        await unit.update_message(second, metadata={"session_id": "t"})
        assert [["c"], ["c"]] == [await names_in(unit, "s"), await names_in(unit, "t")]
        await unit.update_message(first, user_input="other")
        assert ["c"] == await names_in(unit, "s")
        await unit.update_message(first, metadata={"session_id": 5})
        assert [[], ["c"]] == [await names_in(unit, "s"), await names_in(unit, "t")]
        await unit.update_message(second, conversation_id="d")
        assert ["d"] == await names_in(unit, "t")
        await unit.update_message(second, metadata={})
        assert [] == await names_in(unit, "t")

    async def test_forks_stay_in_the_session(self, unit: ConversationHistoryUnit) -> None:
        """Copies keep their metadata, and so their session."""
        ids = await unit.save_messages_batch(
            [exchange(), exchange(metadata={"session_id": "s", "n": 2**70}), exchange()]
        )
        await unit.fork_conversation("c", at=ids[0], new_id="before")
        await unit.fork_conversation("c", at=ids[2], new_id="behind")

        assert {"c", "behind"} == set(await names_in(unit, "s"))

    async def test_what_was_erased_is_in_no_session(self, unit: ConversationHistoryUnit) -> None:
        """Conversations leave it when they are deleted, or the only exchange that names it is."""
        saved = [(name, at) for name in "abcde" for at in (0, 1)]
        ids = await unit.save_messages_batch(
            exchange(
                conversation_id=name, at=at + (name == "e"), metadata={"session_id": "s"} if not at else {}
            )
            for name, at in saved
        )

        await unit.delete_conversation("a")
        await unit.delete_message(ids[saved.index(("b", 0))])
        await unit.delete_message(ids[saved.index(("c", 1))])
        assert ["e", "d", "c"] == await names_in(unit, "s")
        await unit.purge(exchange(at=0.5).timestamp)
        assert ["e"] == await names_in(unit, "s")
        await unit.clear()
        assert [] == await names_in(unit, "s")

    @given(
        saved=st.lists(
            st.tuples(
                st.sampled_from("abcdef"),
                st.integers(-3, 3),
                st.none() | st.sampled_from(["s", "t"]) | TEXTS | JSON,
                METADATA,
            ),
            max_size=15,
        ),
        size=st.integers(1, 4),
    )
    @property_test(40)
    async def test_sessions_of_any_name(
        self, unit: ConversationHistoryUnit, saved: list[tuple[str, int, Any, dict[str, Any]]], size: int
    ) -> None:
        """The list of a session is that of all conversations, without those that never name it."""
        await unit.clear()
        members: dict[str, set[str]] = {"s": set(), "t": set()}
        for name, at, session_id, metadata in saved:
            named = {**metadata, "session_id": session_id}
            await unit.save_message(exchange(conversation_id=name, at=at, metadata=named))
            if isinstance(session_id, str):
                members.setdefault(session_id, set()).add(name)
        everything = await unit.list_conversations(None)

        for session_id, names in members.items():
            joined: list[ConversationSummary] = []
            while page := await unit.list_conversations(
                size, after=joined[-1] if joined else None, session_id=session_id
            ):
                joined += page
            assert [each for each in everything if each.conversation_id in names] == joined

    async def test_a_session_while_others_save(self, unit: ConversationHistoryUnit) -> None:
        """What was acknowledged is listed; what is saved in one batch is never listed in part."""

        async def converse(number: int) -> None:
            session_id = f"s{number % 2}"
            await unit.save_messages_batch(
                exchange(
                    conversation_id=f"{number}", at=at, metadata={"session_id": session_id} if at == 1 else {}
                )
                for at in range(3)
            )
            found = await unit.list_conversations(None, session_id=session_id)
            names = {int(each.conversation_id) for each in found}
            assert number in names
            assert {number % 2} == {each % 2 for each in names}
            assert {3} == {each.message_count for each in found}

        await asyncio.gather(*map(converse, range(60)))
