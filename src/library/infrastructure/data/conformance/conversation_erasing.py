"""The contract of conversations, part nine: erasing."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationQuery,
    InvalidOptionError,
    InvalidValueError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    NOON,
    ConversationFoundation,
    exchange,
    ids_of,
)
from library.infrastructure.data.conformance.conversation_kinds import DatabaseAbility, needs_database

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import ConversationHistoryUnit, ConversationStore, DatabaseAdapter


def files_in(place: Path) -> list[Path]:
    """List what a database kept in its place."""
    return [path for path in place.rglob("*") if path.is_file()]


class ErasingContract(ConversationFoundation):
    """Erasing."""

    async def test_one_exchange(self, unit: ConversationHistoryUnit) -> None:
        """It is gone, and nothing else is; a second time there is none."""
        ids = await unit.save_messages_batch([exchange("zebra") for _ in range(3)])

        assert [True, False] == [await unit.delete_message(ids[1]) for _ in range(2)]

        assert [ids[0], ids[2]] == ids_of(await unit.get_conversation_history("c"))
        assert {ids[0], ids[2]} == set(ids_of(await unit.search_conversations("zebra")))

    async def test_one_conversation(self, unit: ConversationHistoryUnit) -> None:
        """All of it is gone, threads included, and no other is."""
        previous: int | None = None
        for _ in range(5):
            previous = await unit.save_message(exchange("zebra", parent_id=previous))
        kept = await unit.save_messages_batch(exchange("zebra", conversation_id=name) for name in ("C", "c "))

        assert 5 == await unit.delete_conversation("c")
        assert 0 == await unit.delete_conversation("c")

        assert kept == ids_of(await unit.query_conversations(ConversationQuery()))
        assert set(kept) == set(ids_of(await unit.search_conversations("zebra")))

    async def test_what_is_old(self, unit: ConversationHistoryUnit) -> None:
        """What is older than a moment is gone, to the microsecond, in conversations of any length."""
        await unit.save_messages_batch(exchange(f"old {at}", at=-1 - at) for at in range(1100))
        edge = [exchange("old", at=-0.000001), exchange("new", at=0), exchange("new", at=1)]
        kept = (await unit.save_messages_batch(edge))[1:]
        child = await unit.save_message(exchange("new", at=5, parent_id=1))

        assert 1101 == await unit.purge(NOON)
        assert 0 == await unit.purge(NOON)

        assert [*kept, child] == ids_of(await unit.get_conversation_history("c"))
        assert [child] == ids_of(await unit.get_thread(child))
        assert [] == await unit.search_conversations("old")

    async def test_what_is_as_old_as_that(self, unit: ConversationHistoryUnit) -> None:
        """A `timedelta` counts back from now."""
        now = datetime.now(UTC)
        for hours in (1, 3):
            message = exchange(str(hours))
            message.timestamp = now - timedelta(hours=hours)
            await unit.save_message(message)

        assert 1 == await unit.purge(timedelta(hours=2))

        assert ["1"] == [message.user_input for message in await unit.get_conversation_history("c")]

    @pytest.mark.parametrize(
        "older_than", [None, 5, "2024-01-01", timedelta.max, timedelta.min, timedelta(-30)]
    )
    async def test_what_is_no_moment(self, unit: ConversationHistoryUnit, older_than: Any) -> None:
        """Is refused, and nothing is erased."""
        await unit.save_message(exchange())

        with pytest.raises((InvalidOptionError, InvalidValueError)):
            await unit.purge(older_than)

        assert 1 == len(await unit.get_conversation_history("c"))

    async def test_everything(self, unit: ConversationHistoryUnit, store: ConversationStore) -> None:
        """`clear` leaves nothing, of 1,200 neither; what is saved afterwards is as in a new table."""
        await unit.save_messages_batch(exchange("zebra", conversation_id=str(n % 7)) for n in range(1200))

        await unit.clear()

        assert [] == await unit.list_conversations()
        assert [] == await unit.query_conversations(ConversationQuery())
        assert [] == await unit.search_conversations("zebra")
        assert 0 == (await unit.get_performance_metrics()).count
        assert None is (await store.latest())[0]
        assert 0 == await store.clear()
        message_id = await unit.save_message(exchange("zebra"))
        assert [message_id] == ids_of(await unit.search_conversations("zebra"))

    async def test_erasing_beside_saving(self, unit: ConversationHistoryUnit) -> None:
        """Conversations are erased while others are saved: what was acknowledged and not erased is there."""

        async def come_and_go(number: int) -> None:
            name = f"going {number}"
            await unit.save_messages_batch(exchange("zebra", conversation_id=name) for _ in range(3))
            assert 3 == await unit.delete_conversation(name)

        async def stay(number: int) -> int:
            return await unit.save_message(exchange("zebra", conversation_id="staying", at=number))

        *_, ids = await asyncio.gather(*map(come_and_go, range(15)), asyncio.gather(*map(stay, range(15))))

        assert ids == ids_of(await unit.query_conversations(ConversationQuery()))
        assert set(ids) == set(ids_of(await unit.search_conversations("zebra", 100)))

    async def test_clearing_beside_saving(self, unit: ConversationHistoryUnit) -> None:
        """`clear` and `purge` end, though others save all the time, and erase what was there before."""
        former = await unit.save_messages_batch(exchange(at=at) for at in range(700))
        ended = False

        async def save() -> None:
            while not ended:
                await unit.save_message(exchange("new", conversation_id="d", at=-1))

        savers = [asyncio.create_task(save()) for _ in range(4)]
        try:
            async with asyncio.timeout(2):
                await unit.clear()
        finally:
            ended = True
            await asyncio.gather(*savers)

        left = await unit.query_conversations(ConversationQuery())
        assert not set(former).intersection(ids_of(left))

    @needs_database(DatabaseAbility.DURABLE)
    @pytest.mark.parametrize("count", [10, 100, 1500])
    @pytest.mark.parametrize("how", ["delete_message", "delete_conversation", "purge", "clear"])
    async def test_nothing_is_left_in_the_files(
        self, unit: ConversationHistoryUnit, place: Path, how: str, count: int
    ) -> None:
        """Erased texts, metadata and ids are in no file of the database, whatever was saved beside them."""
        words = ("xyzzyplugh", "frobnicat", "quuxword", "secretname")
        ids = await unit.save_messages_batch(
            exchange(
                f"{words[0]}{number % 50} " * 30,
                f"{words[1]}ed{number}",
                at=-1,
                metadata={"key": words[2]} if count > 1000 else {},
                conversation_id=words[3] if count > 1000 else "s",
            )
            for number in range(count)
        )
        await unit.save_messages_batch(exchange("keep me", conversation_id="kept") for _ in range(300))
        await unit.search_conversations("anything")

        if how == "delete_message":
            await asyncio.gather(*map(unit.delete_message, ids))
        elif how == "delete_conversation":
            await unit.delete_conversation(words[3] if count > 1000 else "s")
        elif how == "purge":
            await unit.purge(NOON)
        else:
            await unit.clear()

        texts = {path.name: path.read_bytes().lower() for path in files_in(place)}
        left = [(name, word) for name, text in texts.items() for word in words if word.encode() in text]
        assert [] == left

    @pytest.mark.parametrize("count", [100, 700, 1500])
    async def test_no_damage_is_found_where_there_is_none(
        self, adapter: DatabaseAdapter, unit: ConversationHistoryUnit, count: int
    ) -> None:
        """`check` finds the database sound right after much was erased."""
        await unit.save_messages_batch(exchange(f"a{n % 50}", f"b{n}") for n in range(count))
        await unit.search_conversations("anything")

        await unit.delete_conversation("c")

        assert [] == await adapter.check()
