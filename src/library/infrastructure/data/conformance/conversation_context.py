"""The contract of conversations, part fourteen: what fits into a prompt."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import DataUnitError, MessageNotFoundError
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit


class ContextContract(ConversationFoundation):
    """What fits into a prompt."""

    async def test_a_context(self, unit: ConversationHistoryUnit) -> None:
        """The whole conversation as chat messages, oldest first; empty texts are none."""
        await unit.save_messages_batch([exchange("b", "B", at=2), exchange("a", "", at=1)])

        assert [
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "B"},
        ] == await unit.get_context("c")

    @given(
        texts=st.lists(st.tuples(st.text("ab", max_size=4), st.text("cdé", max_size=4)), max_size=9),
        max_messages=st.none() | st.integers(0, 12),
        max_characters=st.none() | st.integers(0, 40),
    )
    @property_test(40)
    async def test_what_fits(
        self,
        unit: ConversationHistoryUnit,
        texts: list[tuple[str, str]],
        max_messages: int | None,
        max_characters: int | None,
    ) -> None:
        """Exchanges are taken whole, newest first, until the next does not fit."""
        await unit.clear()
        await unit.save_messages_batch(exchange(*both, at=at) for at, both in enumerate(texts))
        expected: list[dict[str, str]] = []
        for both in reversed(texts):
            parts = [
                {"role": role, "content": text}
                for role, text in zip(("user", "assistant"), both, strict=True)
                if text
            ]
            taken = parts + expected
            if max_messages is not None and len(taken) > max_messages:
                break
            if max_characters is not None and sum(len(part["content"]) for part in taken) > max_characters:
                break
            expected = taken

        assert expected == await unit.get_context(
            "c", max_messages=max_messages, max_characters=max_characters
        )

    async def test_a_long_context(self, unit: ConversationHistoryUnit) -> None:
        """Conversations of hundreds of exchanges, with equal times, are taken whole."""
        await unit.save_messages_batch(exchange(str(number), "", at=number // 70) for number in range(333))

        context = await unit.get_context("c")

        assert [str(number) for number in range(333)] == [each["content"] for each in context]
        assert context[-120:] == await unit.get_context("c", max_messages=120)

    async def test_a_context_beside_deletions(self, unit: ConversationHistoryUnit) -> None:
        """What goes away meanwhile is in it or not, and no error."""
        kept = [str(number) for number in range(20)]
        await unit.save_messages_batch(exchange(text, "") for text in kept)
        for _ in range(5):
            ids = await unit.save_messages_batch(exchange(str(at), "", at=at) for at in range(1, 200))
            deleting = asyncio.gather(*map(unit.delete_message, reversed(ids)))
            try:
                while not deleting.done():
                    context = await unit.get_context("c")
                    assert kept == [each["content"] for each in context[:20]]
            finally:
                await deleting

    async def test_the_context_of_a_thread(self, unit: ConversationHistoryUnit) -> None:
        """`at` takes the path to an exchange, in place of the order of time."""
        root = await unit.save_message(exchange("root", "", at=9))
        await unit.save_message(exchange("other", "", at=10, parent_id=root))
        leaf = await unit.save_message(exchange("leaf", "", at=1, parent_id=root))
        elsewhere = await unit.save_message(exchange(conversation_id="d"))

        context = await unit.get_context("c", at=leaf)

        assert ["root", "leaf"] == [each["content"] for each in context]
        assert context[1:] == await unit.get_context("c", at=leaf, max_characters=7)
        for at in (elsewhere, 999):
            with pytest.raises(MessageNotFoundError):
                await unit.get_context("c", at=at)

    @pytest.mark.parametrize(
        "limits", [{"max_messages": -1}, {"max_characters": 1.5}, {"max_messages": True}]
    )
    async def test_budgets_that_are_none(self, unit: ConversationHistoryUnit, limits: Any) -> None:
        """Are refused."""
        with pytest.raises(DataUnitError):
            await unit.get_context("c", **limits)
