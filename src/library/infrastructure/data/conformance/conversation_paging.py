"""The contract of conversations, part four: pages and streams while others save and delete."""

# ruff: noqa: S101 - a contract consists of assertions

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationMessage, ConversationQuery
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    ids_of,
)
from library.infrastructure.data.conformance.conversation_queries import ORDERS, answer, numbered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from library.infrastructure.data import ConversationHistoryUnit

STAYING = 1100


def some(chance: random.Random, count: int, text: str) -> list[ConversationMessage]:
    """Make exchanges in any order, with many ties."""
    return [
        exchange(
            text,
            conversation_id=chance.choice("abc"),
            at=chance.randrange(count // 3 + 1),
            response_time_ms=float(chance.randrange(20)),
        )
        for _ in range(count)
    ]


@asynccontextmanager
async def unrest(unit: ConversationHistoryUnit, chance: random.Random) -> AsyncIterator[set[int]]:
    """Save, change and delete other exchanges for the length of the block; tells the ids of those changed."""
    ended = False
    changed: set[int] = set()

    async def work() -> None:
        while not ended:
            ids = await unit.save_messages_batch(some(chance, 7, "going"))
            await asyncio.gather(*map(unit.delete_message, ids[:3]))
            changed.add(ids[4])
            await unit.update_message(ids[4], response_time_ms=3.0, agent_response="changed")
            await asyncio.gather(*map(unit.delete_message, ids[3:]))

    task = asyncio.create_task(work())
    try:
        yield changed
    finally:
        ended = True
        await task


class PagingContract(ConversationFoundation):
    """Pages and streams while others save and delete."""

    @pytest.mark.parametrize(("field", "descending"), ORDERS)
    async def test_pages_in_unrest(
        self, unit: ConversationHistoryUnit, field: Any, *, descending: bool
    ) -> None:
        """What is there all the time comes exactly once and in order, in pages and in a stream."""
        chance = random.Random(f"{field} {descending}")  # noqa: S311 - not for secrets
        staying = await numbered(unit, some(chance, STAYING, "staying"))
        query = ConversationQuery().order_by(field, descending=descending)
        expected = ids_of(answer(query, staying))
        stay = set(expected)
        going = [await unit.save_message(message) for message in some(chance, 20, "going")]

        async with unrest(unit, chance) as changed:
            streamed = [message.message_id async for message in unit.stream_conversations(query)]
            paged: list[int | None] = []
            next_page = query.limit(chance.randrange(100, 300))
            while page := ids_of(found := await unit.query_conversations(next_page)):
                paged += page
                next_page = query.limit(chance.randrange(1, 300)).after(query.cursor(found[-1]))
                if going:
                    await unit.delete_message(going.pop())
            whole = ids_of(await unit.query_conversations(query))

        assert changed
        for found_ids in (streamed, paged, whole):
            assert expected == [each for each in found_ids if each in stay]
            # One that is moved in the order meanwhile may come at both places.
            unmoved = [each for each in found_ids if each not in changed]
            assert len(set(unmoved)) == len(unmoved)

    async def test_a_history_in_unrest(self, unit: ConversationHistoryUnit) -> None:
        """Pages of a history neither skip nor repeat what is there all the time."""
        chance = random.Random(5)  # noqa: S311 - not for secrets
        staying = await numbered(unit, some(chance, 600, "staying"))
        query = ConversationQuery().conversation_id("a")
        expected = ids_of(answer(query, staying))
        stay = set(expected)

        async with unrest(unit, chance):
            joined: list[int | None] = []
            page = ids_of(await unit.get_conversation_history("a", 10))
            while page:
                joined = page + joined
                # An exchange that goes in between is no place to go on from, as the error of it says.
                first = next(each for each in page if each in stay)
                joined = joined[page.index(first) :]
                page = ids_of(await unit.get_conversation_history("a", 37, before=first))

        assert expected == [each for each in joined if each in stay]

    async def test_the_end_of_a_stream_that_grows(self, unit: ConversationHistoryUnit) -> None:
        """What is saved behind the place of a stream may come; what is saved before it does not."""
        await unit.save_messages_batch([exchange(at=at) for at in range(500)])
        stream = unit.stream_conversations()
        await anext(stream)

        await unit.save_message(exchange("early", at=-1))
        await unit.save_message(exchange("late", at=1000))
        texts = [message.user_input async for message in stream]

        assert texts in (["hello"] * 499, ["hello"] * 499 + ["late"])
