"""The contract of conversations, part five: conditions on metadata, and on what was said."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import ConversationQuery
from library.infrastructure.data.conformance.conversation_foundation import (
    CROWDS,
    JSON,
    TEXTS,
    ConversationFoundation,
    crowd,
    exchange,
    ids_of,
    property_test,
)
from library.infrastructure.data.conformance.conversation_queries import same

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit

KEYS = (
    "",
    " ",
    "a",
    "a.b",
    "a.b.c",
    '"',
    '""',
    '"a"',
    "'",
    "''",
    "$",
    "$.a",
    "$[0]",
    "a[0]",
    "[0]",
    "0",
    "\\",
    '\\"',
    "'; DROP TABLE conversations; --",
    "%",
    "_",
    "*",
    "?",
    ":a",
    "@a",
    "#",
    "{",
    "}",
    ",",
    "\0",
    "\n",
    "\x1f",
    "\x7f",
    "é",
    "e\u0301",
    "日本語",
    "\u2028",
    "\ufffe",
    "😀",
    "x" * 5000,
    "__proto__",
    "null",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    0.1,
    0.1 + 0.2,
    0.3,
    "",
    "1",
    "1.0",
    "true",
    "null",
    "None",
    "a",
    "A",
    " a",
    "é",
    "e\u0301",
    "\0",
    "'",
    '"',
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    10**30 + 1,
    1e300,
    5e-324,
    [],
    {},
    [[]],
    [{}],
    [1],
    [True],
    ["1"],
    [1, 2],
    [2, 1],
    {"a": 1},
    {"a": True},
    {"a": None},
    {"a": {"a": 1}},
    {"a": 1, "b": 2},
    "[]",
    "{}",
)


def metadata(key: Any, value: Any) -> ConversationQuery:
    """Ask for one condition on metadata."""
    return ConversationQuery().metadata(key, value)


class MetadataContract(ConversationFoundation):
    """Conditions on metadata, and on what was said."""

    async def test_hostile_keys(self, unit: ConversationHistoryUnit) -> None:
        """A key is taken exactly as it is, and never for another one or for syntax."""
        ids = [await unit.save_message(exchange(metadata={key: 1, "other": key})) for key in KEYS]
        await unit.save_message(
            exchange(metadata={"a": {"b": {"c": 1}, "0": 1}, "other": dict.fromkeys(KEYS, 1)})
        )

        found = {key: ids_of(await unit.query_conversations(metadata(key, 1))) for key in KEYS}

        assert {key: [message_id] for key, message_id in zip(KEYS, ids, strict=True)} == found

    async def test_hostile_paths(self, unit: ConversationHistoryUnit) -> None:
        """Each part of a path is taken exactly as it is."""
        ids = [await unit.save_message(exchange(metadata={"at": [{key: {"in": 1}}]})) for key in KEYS]

        found = {
            key: ids_of(await unit.query_conversations(metadata(("at", 0, key, "in"), 1))) for key in KEYS
        }

        assert {key: [message_id] for key, message_id in zip(KEYS, ids, strict=True)} == found

    async def test_hostile_values(self, unit: ConversationHistoryUnit) -> None:
        """A value is found by what is the same, and by nothing else."""
        ids = [await unit.save_message(exchange(metadata={"v": value})) for value in VALUES]
        await unit.save_message(exchange(metadata={"w": None}))
        await unit.save_message(exchange())

        for value in VALUES:
            expected = [each for each, other in zip(ids, VALUES, strict=True) if same(value, other)]
            assert expected == ids_of(await unit.query_conversations(metadata("v", value))), value

    async def test_numbers_are_the_same_by_value(self, unit: ConversationHistoryUnit) -> None:
        """`1` and `1.0` are the same number; `True` and `"1"` are not, however deep they stand."""
        values: list[Any] = [1, 1.0, True, "1", [1], [1.0], [True], {"x": 1}, {"x": 1.0}, {"x": True}]
        ids = [await unit.save_message(exchange(metadata={"v": value})) for value in values]

        for first in (0, 4, 7):
            expected = ids[first : first + 2]
            for value in values[first : first + 2]:
                assert expected == ids_of(await unit.query_conversations(metadata("v", value)))

    async def test_indexes(self, unit: ConversationHistoryUnit) -> None:
        """A number in a path is an index of a list, and a text a key of a dict, never the other way round."""
        in_list = await unit.save_message(exchange(metadata={"v": ["a", "b"]}))
        in_dict = await unit.save_message(exchange(metadata={"v": {"0": "a", "1": "b"}}))
        await unit.save_message(exchange(metadata={"v": "ab"}))

        assert [in_list] == ids_of(await unit.query_conversations(metadata(("v", 1), "b")))
        assert [in_dict] == ids_of(await unit.query_conversations(metadata(("v", "1"), "b")))
        assert [] == await unit.query_conversations(metadata(("v", 2), "b"))
        assert [] == await unit.query_conversations(metadata(("v", 2), None))
        assert [] == await unit.query_conversations(metadata(("v", 2**31 - 1, "x"), None))

    async def test_all_conditions_must_hold(self, unit: ConversationHistoryUnit) -> None:
        """Of several calls."""
        both = await unit.save_message(exchange(metadata={"a": 1, "b": [2]}))
        await unit.save_message(exchange(metadata={"a": 1}))
        await unit.save_message(exchange(metadata={"b": [2]}))

        assert [both] == ids_of(await unit.query_conversations(metadata("a", 1).metadata(("b", 0), 2)))

    @given(stored=st.dictionaries(TEXTS, JSON, min_size=1, max_size=5), other=JSON)
    @property_test(50)
    async def test_any_metadata_are_found(
        self, unit: ConversationHistoryUnit, stored: dict[str, Any], other: Any
    ) -> None:
        """By each of their keys with its value, and not with another value."""
        message_id = await unit.save_message(exchange(metadata=stored))
        query = ConversationQuery().order_by("message_id", descending=True).limit(1)

        for key, value in stored.items():
            assert [message_id] == ids_of(await unit.query_conversations(query.metadata(key, value)))
            found = ids_of(await unit.query_conversations(query.metadata(key, other)))
            assert same(value, other) is (found == [message_id])

    # -- what was said ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("others", CROWDS)
    async def test_contains_text(self, unit: ConversationHistoryUnit, others: int) -> None:
        """What the user or the agent said, in any case, with or without accents; all of several calls."""
        asked = await unit.save_message(exchange("What is Machine Learning?", "A field.", at=1))
        answered = await unit.save_message(exchange("And deep?", "It is machine  learning, too. Café.", at=2))
        await unit.save_message(exchange("A machine", "for nothing", at=3))
        await crowd(unit, others)

        async def found(*texts: str) -> list[int | None]:
            query = ConversationQuery()
            for text in texts:
                query = query.contains_text(text)
            return ids_of(await unit.query_conversations(query))

        assert [asked, answered] == await found("machine learning")
        assert [asked, answered] == await found("MACHINE", "Learning")
        assert [answered] == await found("machine learning", "cafe")
        assert [answered] == await found('"machine learning, too"')
        assert [] == await found("machine learning", "quartz")

    async def test_contains_text_joins_other_filters(self, unit: ConversationHistoryUnit) -> None:
        """Conversation, metadata, order and limit count as ever."""
        ids = [
            await unit.save_message(
                exchange("zebra", conversation_id="ab"[number % 2], at=number, metadata={"n": number // 4})
            )
            for number in range(12)
        ]
        query = ConversationQuery().contains_text("zebra").conversation_id("a")

        assert ids[::2] == ids_of(await unit.query_conversations(query))
        newest = query.order_by("timestamp", descending=True).limit(2)
        assert [ids[10], ids[8]] == ids_of(await unit.query_conversations(newest))
        assert [ids[4], ids[6]] == ids_of(await unit.query_conversations(query.metadata("n", 1)))

    @pytest.mark.parametrize("others", CROWDS)
    async def test_contains_text_is_up_to_date(self, unit: ConversationHistoryUnit, others: int) -> None:
        """What was saved, changed or deleted a moment ago counts."""
        query = ConversationQuery().contains_text("zebra")
        message_id = await unit.save_message(exchange("zebra"))
        await crowd(unit, others)
        assert [message_id] == ids_of(await unit.query_conversations(query))

        await unit.update_message(message_id, user_input="quartz")
        assert [] == await unit.query_conversations(query)

        await unit.update_message(message_id, agent_response="zebra")
        assert [message_id] == ids_of(await unit.query_conversations(query))

        await unit.delete_message(message_id)
        assert [] == await unit.query_conversations(query)
