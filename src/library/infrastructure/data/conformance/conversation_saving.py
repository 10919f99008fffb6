"""The contract of conversations, part one: what is saved, under which ids, and what is refused."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import DuplicateMessageError, InvalidValueError
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    ids_of,
    property_test,
)
from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID
from library.infrastructure.data.storage import StaleVersion

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit, ConversationStore


def spoiled(**fields: Any) -> Any:
    """Make an exchange that was fine when it was built, and cannot be held any more."""
    message = exchange()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


REFUSED: dict[str, dict[str, Any]] = {
    "surrogate": {"user_input": "\ud800"},
    "surrogate in the response": {"agent_response": "a\udfff"},
    "no text": {"user_input": None},
    "no conversation": {"conversation_id": ""},
    "long conversation": {"conversation_id": "x" * 1001},
    "no time": {"timestamp": 5},
    "negative": {"response_time_ms": -1},
    "not finite": {"response_time_ms": math.inf},
    "not a number": {"response_time_ms": math.nan},
    "id zero": {"message_id": 0},
    "id too large": {"message_id": MAX_MESSAGE_ID + 1},
    "id True": {"message_id": True},
    "no dict": {"metadata": [1]},
    "no JSON": {"metadata": {"a": object()}},
    "nan in metadata": {"metadata": {"a": [math.nan]}},
    "key that is no text": {"metadata": {1: "a"}},
    "surrogate in metadata": {"metadata": {"a": "\ud800"}},
    "surrogate in a key": {"metadata": {"\ud800": 1}},
    "missing parent": {"parent_id": 12_345},
    "own parent": {"message_id": 7777, "parent_id": 7777},
}


class SavingContract(ConversationFoundation):
    """What is saved, under which ids, and what is refused."""

    async def test_ids_grow(self, unit: ConversationHistoryUnit) -> None:
        """Each exchange is given an id greater than all before, in a batch in its order."""
        ids = [
            await unit.save_message(exchange()),
            *await unit.save_messages_batch(exchange(at=-number) for number in range(150)),
            await unit.save_message(exchange(at=-1000)),
        ]

        assert sorted(set(ids)) == ids
        assert set(ids) == set(ids_of(await unit.get_conversation_history("c", limit=None)))

    async def test_ids_are_never_given_twice(self, unit: ConversationHistoryUnit) -> None:
        """Not after a deletion, a purge, a clearing, nor after a batch that failed half-way."""
        ids = await unit.save_messages_batch([exchange() for _ in range(3)])
        await unit.delete_message(ids[-1])
        ids.append(await unit.save_message(exchange()))
        await unit.delete_conversation("c")
        ids.append(await unit.save_message(exchange()))
        await unit.clear()
        ids.append(await unit.save_message(exchange(message_id=ids[-1] + 100)))
        await unit.delete_message(ids[-1])
        ids.append(await unit.save_message(exchange()))

        assert sorted(set(ids)) == ids

    async def test_given_ids_are_kept(self, unit: ConversationHistoryUnit) -> None:
        """Exchanges keep the ids that they bring, in any order; what brings none goes behind them."""
        assert [7, 3, 8] == await unit.save_messages_batch(
            [exchange(message_id=7), exchange(message_id=3), exchange()]
        )
        assert 5 == await unit.save_message(exchange("five", message_id=5))
        assert 9 == await unit.save_message(exchange())

        assert "five" == (await unit.get_message(5)).user_input
        assert [3, 5, 7, 8, 9] == ids_of(await unit.get_conversation_history("c"))

    async def test_the_greatest_id(self, unit: ConversationHistoryUnit) -> None:
        """It can be used; behind it there is none, and that is said."""
        assert MAX_MESSAGE_ID == await unit.save_message(exchange(message_id=MAX_MESSAGE_ID))

        with pytest.raises(InvalidValueError):
            await unit.save_message(exchange())

        assert [MAX_MESSAGE_ID] == ids_of(await unit.get_conversation_history("c"))
        assert 2 == await unit.save_message(exchange(message_id=2))

    async def test_the_exchange_that_was_given_stays_as_it_is(self, unit: ConversationHistoryUnit) -> None:
        """Saving does not write into it: it can be saved twice, as two exchanges."""
        message = exchange(metadata={"a": (1, 2)})

        first, second = await unit.save_message(message), await unit.save_message(message)

        assert first != second
        assert message.message_id is None
        assert {"a": (1, 2)} == message.metadata

    async def test_what_is_changed_after_the_call_does_not_count(self, unit: ConversationHistoryUnit) -> None:
        """An exchange is saved as it was when `save_message` returned, and is nobody's afterwards."""
        message = exchange(metadata={"items": [1]})
        message_id = await unit.save_message(message)

        message.metadata["items"].append(2)
        (await unit.get_message(message_id)).metadata["items"].append(3)

        assert {"items": [1]} == (await unit.get_message(message_id)).metadata

    async def test_nothing_to_save(self, unit: ConversationHistoryUnit, store: ConversationStore) -> None:
        """An empty batch gives no ids, and is no change."""
        before = await store.state()

        assert [] == await unit.save_messages_batch([])
        assert before == await store.state()

    # -- refusing --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", REFUSED)
    async def test_what_cannot_be_held_is_refused(self, unit: ConversationHistoryUnit, name: str) -> None:
        """Alone and within a batch; then nothing of the batch is saved, and ids are not used up."""
        first = await unit.save_message(exchange())

        for batch in ([spoiled(**REFUSED[name])], [exchange(), spoiled(**REFUSED[name]), exchange()]):
            with pytest.raises(InvalidValueError):
                await unit.save_messages_batch(batch)
        with pytest.raises(InvalidValueError):
            await unit.save_messages_batch([exchange() for _ in range(120)] + [spoiled(**REFUSED[name])])

        assert [first] == ids_of(await unit.get_conversation_history("c", limit=None))
        assert first + 1 == await unit.save_message(exchange())

    @pytest.mark.parametrize("given", [None, "text", {"user_input": "a"}, 5, object()])
    async def test_what_is_no_exchange_is_refused(self, unit: ConversationHistoryUnit, given: Any) -> None:
        """By `save_message` and in a batch."""
        with pytest.raises(InvalidValueError):
            await unit.save_message(given)
        with pytest.raises(InvalidValueError):
            await unit.save_messages_batch([exchange(), given])

        assert [] == await unit.get_conversation_history("c")

    async def test_an_id_that_is_stored_is_refused(self, unit: ConversationHistoryUnit) -> None:
        """`DuplicateMessageError` names it, and nothing is stored, of the batch neither."""
        await unit.save_message(exchange("first", message_id=4))

        for batch in (
            [exchange("second", message_id=4)],
            [exchange(), exchange("second", message_id=4)],
            [exchange(message_id=9), exchange(), exchange("second", message_id=4)],
        ):
            with pytest.raises(DuplicateMessageError) as caught:
                await unit.save_messages_batch(batch)
            assert 4 == caught.value.message_id

        assert ["first"] == [m.user_input for m in await unit.get_conversation_history("c")]
        assert 5 == await unit.save_message(exchange())

    async def test_an_id_that_comes_twice_is_refused(self, unit: ConversationHistoryUnit) -> None:
        """Nothing of the batch is stored."""
        with pytest.raises(DuplicateMessageError) as caught:
            await unit.save_messages_batch([exchange(message_id=4), exchange(message_id=4)])

        assert 4 == caught.value.message_id
        assert [] == await unit.get_conversation_history("c")

    async def test_of_many_saves_at_once_only_the_bad_ones_fail(self, unit: ConversationHistoryUnit) -> None:
        """Saves that share a transaction do not share an error."""
        taken = await unit.save_message(exchange("taken"))
        bad: dict[int, dict[str, Any]] = {
            7: {"message_id": taken},
            30: {"parent_id": 999_999},
            63: {"message_id": taken},
        }
        messages = [exchange(str(number), at=number, **bad.get(number, {})) for number in range(64)]

        results = await asyncio.gather(*map(unit.save_message, messages), return_exceptions=True)

        failed = {number: type(each) for number, each in enumerate(results) if not isinstance(each, int)}
        assert {
            7: DuplicateMessageError,
            30: InvalidValueError,
            63: DuplicateMessageError,
        } == failed
        saved = {m.message_id: m.user_input for m in await unit.get_conversation_history("c", limit=None)}
        good = {each: str(number) for number, each in enumerate(results) if isinstance(each, int)}
        assert {taken: "taken", **good} == saved

    async def test_a_save_on_condition(self, store: ConversationStore) -> None:
        """`if_version` saves only if nothing was changed in between; of many at once, one succeeds."""
        saved = await store.save([exchange()])
        assert saved.version == (await store.state())[0]

        later = await store.save([exchange(), exchange()], saved.version)
        with pytest.raises(StaleVersion):
            await store.save([exchange("stale")], saved.version)
        results = await asyncio.gather(
            *(store.save([exchange("one")], later.version) for _ in range(10)), return_exceptions=True
        )

        assert 9 == sum(isinstance(each, StaleVersion) for each in results)
        texts = [message.user_input for message in await store.history("c", None, None)]
        assert ["hello"] * 3 + ["one"] == texts

    @given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6), bad=st.integers(0, 5))
    @property_test(20)
    async def test_batches_are_all_or_nothing(
        self, unit: ConversationHistoryUnit, sizes: list[int], bad: int
    ) -> None:
        """Of batches saved at once, each is there whole and in its order, and the bad one not at all."""
        await unit.clear()
        batches = [
            [exchange(f"{number}.{part}") for part in range(size)] for number, size in enumerate(sizes)
        ]
        if bad < len(batches):
            batches[bad].append(exchange("bad", parent_id=MAX_MESSAGE_ID))

        results = await asyncio.gather(*map(unit.save_messages_batch, batches), return_exceptions=True)

        saved = {m.message_id: m.user_input for m in await unit.get_conversation_history("c", limit=None)}
        expected: dict[int | None, str] = {}
        for number, (batch, ids) in enumerate(zip(batches, results, strict=True)):
            assert (number == bad) is isinstance(ids, InvalidValueError)
            if isinstance(ids, list):
                assert sorted(ids) == ids
                expected |= {each: message.user_input for each, message in zip(ids, batch, strict=True)}
        assert expected == saved
