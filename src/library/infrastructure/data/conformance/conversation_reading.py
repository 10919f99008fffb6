"""The contract of conversations, part two: what comes back, and the pages of a history."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import (
    ConversationMessage,
    InvalidOptionError,
    InvalidValueError,
    MessageNotFoundError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    JSON,
    METADATA,
    MOMENTS,
    TEXTS,
    ConversationFoundation,
    exchange,
    facts,
    ids_of,
    in_order,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit, ConversationStore

HOSTILE_TEXTS = (
    "",
    " ",
    "\0",
    "before \0 behind",
    "\r\n\r \n\t",
    "".join(map(chr, range(256))),
    "\ufffe\uffff\ufdd0\U0010ffff",
    "\ufeffBOM",
    "e\u0301 and \u00e9 stay apart",
    "\u202eright to left\u2066",
    "'; DROP TABLE conversations; --",
    '{"a": "\\u0000"}',
    "\\x00 \\N \\. \\",
    "👩‍👩‍👧‍👦 日本語 ไทย",
    "x" * 200_000,
    "é\0" * 100_000,
)
HOSTILE_METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"": {"": {}}},
    {"empty": [[], {}, [[]], ""]},
    {"big": [2**63, -(2**63) - 1, 2**64, 10**400, -(10**40)]},
    {"floats": [0.1, -0.0, 1e300, 5e-324, 1.0, 2.0**53, 1e22, 123456789.123456789]},
    {"kinds": [True, 1, 1.0, "1", None, False, 0, 0.0, ""]},
    {"a.b": {"c.d": 1}, '"': '"', "'": "'", "$": "$", "$.a": 1, "a[0]": 2, "\\": "\\\\", "\0": "\0"},
    {"é": "é", "e\u0301": 1, "日本": "\U0010ffff", "\u2028": "\u2029", "\x7f": "\x1f"},
    {"deep": [[[[[[[[[[[[[[[[[[[[{"x": [None]}]]]]]]]]]]]]]]]]]]]]},
    {"large": ["x" * 1000] * 300, "many": {str(number): number for number in range(2000)}},
)
MOMENTS_AT_THE_EDGE = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1900, 2, 28, 1, 2, 3, 1, tzinfo=timezone(timedelta(hours=-11, minutes=-59))),
    datetime(2286, 11, 20, 17, 46, 40, 123_457, tzinfo=UTC),
    datetime(2024, 3, 31, 2, 30, 0, 7),  # noqa: DTZ001 - local time, and there may be none such
)


def is_buildable(fields: dict[str, Any]) -> bool:
    """Tell whether the moment is one in UTC too."""
    try:
        ConversationMessage(**fields)
    except InvalidValueError:
        return False
    return True


FIELDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({
    "conversation_id": TEXTS.filter(bool),
    "user_input": TEXTS,
    "agent_response": TEXTS,
    "timestamp": MOMENTS,
    "response_time_ms": st.floats(0, allow_nan=False, allow_infinity=False) | st.integers(0, 2**60),
    "metadata": METADATA,
})  # fmt: skip
EXCHANGES = FIELDS.filter(is_buildable).map(lambda fields: ConversationMessage(**fields))


class ReadingContract(ConversationFoundation):
    """What comes back, and the pages of a history."""

    @given(messages=st.lists(EXCHANGES, min_size=1, max_size=5))
    @property_test(40)
    async def test_every_field_comes_back(
        self, unit: ConversationHistoryUnit, messages: list[ConversationMessage]
    ) -> None:
        """Equal in value and kind, whichever way it is read."""
        ids = await unit.save_messages_batch(messages)

        for message_id, message in zip(ids, messages, strict=True):
            expected = facts(replace(message, message_id=message_id))
            history = await unit.get_conversation_history(message.conversation_id, limit=None)
            assert expected == facts(await unit.get_message(message_id))
            assert expected in list(map(facts, history))
            assert expected == facts((await unit.get_thread(message_id))[-1])
        assert ids[-1] == (await unit.get()).message_id

    async def test_hostile_texts_come_back(self, unit: ConversationHistoryUnit) -> None:
        """NUL, control characters, non-characters, 200,000 characters: bit for bit, after an update too."""
        for text in HOSTILE_TEXTS:
            message = exchange(text, text[::-1], metadata={text[:1000]: text})
            message_id = await unit.save_message(message)
            assert facts(replace(message, message_id=message_id)) == facts(await unit.get_message(message_id))

            await unit.update_message(message_id, user_input=f"{text}!", metadata={"text": text})
            updated = await unit.get_message(message_id)
            assert (f"{text}!", {"text": text}) == (updated.user_input, updated.metadata)

    async def test_hostile_conversation_ids_are_told_apart(self, unit: ConversationHistoryUnit) -> None:
        """No id is taken for another one: by case, spaces, NUL, accents, or as a pattern."""
        names = [
            "c",
            "C",
            "c ",
            " c",
            "c\0",
            "c\0d",
            "%",
            "_",
            "é",
            "e\u0301",
            "É",
            "'",
            "0",
            "00",
            "x" * 1000,
        ]
        ids = {name: await unit.save_message(exchange(conversation_id=name)) for name in names}

        found = {name: ids_of(await unit.get_conversation_history(name)) for name in names}

        assert {name: [message_id] for name, message_id in ids.items()} == found
        assert set(names) == {each.conversation_id for each in await unit.list_conversations()}

    @pytest.mark.parametrize("metadata", HOSTILE_METADATA, ids=lambda metadata: "-".join(metadata)[:20])
    async def test_hostile_metadata_come_back(
        self, unit: ConversationHistoryUnit, metadata: dict[str, Any]
    ) -> None:
        """Integers of any size, floats exactly, nested empties, any key."""
        message = exchange(metadata=metadata)

        message_id = await unit.save_message(message)

        assert facts(replace(message, message_id=message_id)) == facts(await unit.get_message(message_id))

    @given(metadata=st.dictionaries(TEXTS, JSON, max_size=6))
    @property_test(30)
    async def test_any_metadata_come_back(
        self, unit: ConversationHistoryUnit, metadata: dict[str, Any]
    ) -> None:
        """After an update too."""
        message_id = await unit.save_message(exchange())

        updated = await unit.update_message(message_id, metadata=metadata)

        expected = facts(exchange(message_id=message_id, metadata=metadata))
        assert expected == facts(updated)
        assert expected == facts(await unit.get_message(message_id))

    async def test_tuples_come_back_as_lists(self, unit: ConversationHistoryUnit) -> None:
        """As JSON has it."""
        message_id = await unit.save_message(exchange(metadata={"a": (1, (2,))}))

        assert {"a": [1, [2]]} == (await unit.get_message(message_id)).metadata

    @pytest.mark.parametrize("moment", MOMENTS_AT_THE_EDGE, ids=str)
    async def test_moments_come_back(self, unit: ConversationHistoryUnit, moment: datetime) -> None:
        """From the year 1 to 9999, to the microsecond, in UTC; a naive one is local time."""
        message = exchange()
        message.timestamp = moment

        message_id = await unit.save_message(message)

        assert (moment.astimezone(UTC), UTC) == (
            (await unit.get_message(message_id)).timestamp,
            (await unit.get_message(message_id)).timestamp.tzinfo,
        )

    @pytest.mark.parametrize("duration", [0, -0.0, 5e-324, 0.1, 1, 1e15])
    async def test_durations_come_back(self, unit: ConversationHistoryUnit, duration: float) -> None:
        """Exactly, as a float."""
        message_id = await unit.save_message(exchange(response_time_ms=duration))

        actual = (await unit.get_message(message_id)).response_time_ms
        assert (duration, float) == (actual, type(actual))

    async def test_what_is_not_there(self, unit: ConversationHistoryUnit) -> None:
        """Says so: an error with the id for an exchange, nothing for a conversation."""
        for call in (unit.get_message, unit.get_thread):
            with pytest.raises(MessageNotFoundError) as caught:
                await call(41)
            assert 41 == caught.value.message_id
        assert [] == await unit.get_conversation_history("missing")
        assert [] == await unit.get_context("missing")
        assert not await unit.delete_message(41)
        assert 0 == await unit.delete_conversation("missing")

    @pytest.mark.parametrize("message_id", [0, -1, True, 1.0, "1", None, 2**53, 2**70])
    async def test_what_is_no_id(self, unit: ConversationHistoryUnit, message_id: Any) -> None:
        """Is refused by every call that takes one."""
        for call in (unit.get_message, unit.get_thread, unit.delete_message, unit.update_message):
            with pytest.raises(InvalidValueError):
                await call(message_id)

    # -- histories -------------------------------------------------------------------------------------------

    @given(
        times=st.lists(st.integers(0, 5), min_size=1, max_size=15),
        size=st.integers(1, 6),
    )
    @property_test(30)
    async def test_pages_of_a_history(
        self, unit: ConversationHistoryUnit, times: list[int], size: int
    ) -> None:
        """Oldest first, equal times by id; pages joined are the whole, each what comes before the next."""
        await unit.clear()
        messages = [exchange(f"{number}", at=at) for number, at in enumerate(times)]
        ids = await unit.save_messages_batch(messages)
        await unit.save_messages_batch([exchange(conversation_id="d", at=at) for at in times])
        saved = [replace(message, message_id=each) for message, each in zip(messages, ids, strict=True)]

        joined: list[ConversationMessage] = []
        before: int | None = None
        while page := await unit.get_conversation_history("c", size, before=before):
            assert len(page) == size or ids_of(in_order(saved))[: len(page)] == ids_of(page)
            joined = page + joined
            before = page[0].message_id

        assert in_order(saved) == joined
        assert joined == await unit.get_conversation_history("c", limit=None)
        assert joined[-size:] == await unit.get_conversation_history("c", size)

    async def test_a_page_before_what_is_elsewhere(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """`before` names an exchange of this conversation, or an error says that it does not."""
        await unit.save_message(exchange())
        other = await unit.save_message(exchange(conversation_id="d"))

        for before in (other, 999):
            with pytest.raises(MessageNotFoundError) as caught:
                await unit.get_conversation_history("c", before=before)
            assert before == caught.value.message_id
            with pytest.raises(MessageNotFoundError):
                await store.history("c", None, before)

    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1"])
    async def test_limits_that_are_none(self, unit: ConversationHistoryUnit, limit: Any) -> None:
        """Are refused by every call that takes one."""
        for call in (
            lambda: unit.get_conversation_history("c", limit),
            lambda: unit.list_conversations(limit),
            lambda: unit.search_conversations("c", limit),
        ):
            with pytest.raises(InvalidOptionError) as caught:
                await call()
            assert "limit" == caught.value.option
