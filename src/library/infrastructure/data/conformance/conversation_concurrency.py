"""The contract of conversations, part thirteen: many tasks, threads, loops and adapters; cancellation."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ConversationQuery,
    VersionConflictError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    ids_of,
)
from library.infrastructure.data.conformance.conversation_kinds import DatabaseAbility, needs_database
from library.infrastructure.data.conformance.foundation import PATIENCE_S, run_in_threads
from library.infrastructure.data.conformance.loops import close_though_pending, forget

if TYPE_CHECKING:
    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.data.conformance.conversation_foundation import MakeAdapter


async def work(unit: ConversationHistoryUnit, name: str) -> None:
    """Do a little of everything in a conversation of one's own, and see what one did oneself."""
    first = await unit.save_message(exchange("zebra", conversation_id=name))
    ids = await unit.save_messages_batch(
        exchange("quartz", conversation_id=name, at=at) for at in range(1, 8)
    )
    assert [first, *ids] == ids_of(await unit.get_conversation_history(name))
    query = ConversationQuery().conversation_id(name).limit(1)
    searched, queried, thread = await asyncio.gather(
        unit.search_conversations("zebra", conversation_id=name),
        unit.query_conversations(query),
        unit.get_thread(first),
    )
    assert [first] == ids_of(searched) == ids_of(queried) == ids_of(thread)
    await unit.update_message(first, user_input="walrus")
    assert [] == await unit.search_conversations("zebra", conversation_id=name)
    assert await unit.delete_message(ids[0])
    assert 7 == (await unit.get_performance_metrics(name)).count
    assert name in {each.conversation_id for each in await unit.list_conversations(limit=None)}


class ConversationConcurrencyContract(ConversationFoundation):
    """Many tasks, threads, loops and adapters; cancellation."""

    async def test_many_tasks(self, unit: ConversationHistoryUnit) -> None:
        """Each sees what it did itself, at once."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(work(unit, str(number)) for number in range(20)))

        assert 20 * 7 == len(await unit.query_conversations(ConversationQuery()))

    async def test_many_loops(self, adapter: DatabaseAdapter, unit: ConversationHistoryUnit) -> None:
        """One unit, and units of one adapter, are used in several threads with loops of their own."""

        async def own() -> None:
            async with ConversationHistoryUnit(adapter) as mine:
                await work(mine, f"own {id(mine)}")

        async def shared() -> None:
            me = threading.get_ident()
            await asyncio.gather(*(work(unit, f"shared {me} {part}") for part in range(3)))

        await asyncio.to_thread(run_in_threads, shared, shared, shared, own, own)

        assert 11 == len(await unit.list_conversations())

    async def test_versions_in_many_loops(self, unit: ConversationHistoryUnit) -> None:
        """Each `set` returns the version that it made itself, in whatever thread others come right behind."""

        async def count() -> list[int]:
            return await asyncio.gather(*(unit.set(exchange(str(number))) for number in range(30)))

        versions = await asyncio.to_thread(run_in_threads, *[count] * 4)

        assert list(range(1, 121)) == sorted(version for each in versions for version in each)

    @needs_database(DatabaseAbility.SHARED)
    async def test_two_adapters(self, unit: ConversationHistoryUnit, make: MakeAdapter) -> None:
        """Each sees at once what the other has saved, found by its text too; ids are given once."""
        async with ConversationHistoryUnit(await make()) as other:
            for number in range(5):
                message_id = await unit.save_message(exchange(f"zebra {number}"))
                assert message_id == (await other.get_message(message_id)).message_id
                assert message_id in ids_of(await other.search_conversations(f"zebra {number}"))
                await other.update_message(message_id, user_input="walrus")
                assert message_id not in ids_of(await unit.search_conversations("zebra"))
            await asyncio.gather(
                *(
                    work(each, f"{number} {name}")
                    for number in range(6)
                    for name, each in (("a", unit), ("b", other))
                )
            )
            ids = await asyncio.gather(*(each.save_message(exchange()) for each in (unit, other) * 20))
            assert 40 == len(set(ids))

            await other.clear()

            assert not await unit.exists()
            assert [] == await unit.search_conversations("walrus")

    @needs_database(DatabaseAbility.SHARED)
    async def test_updates_by_two_adapters(self, unit: ConversationHistoryUnit, make: MakeAdapter) -> None:
        """Updates across adapters, as across processes, lose nothing: who comes too late is told so."""

        def counted(message: ConversationMessage | None) -> ConversationMessage:
            return exchange(metadata={"n": 1 + (message.metadata["n"] if message else 0)})

        async def count(each: ConversationHistoryUnit) -> None:
            while True:
                with suppress(VersionConflictError):
                    await each.update(counted)
                    return

        async with ConversationHistoryUnit(await make()) as other, asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(count(each) for each in (unit, other) for _ in range(5)))

        assert 10 == (await unit.get()).metadata["n"]

    @needs_database(DatabaseAbility.SHARED)
    async def test_tables_made_at_once(self, make: MakeAdapter) -> None:
        """Several adapters that open a new database at the same time all find it good."""
        units = [ConversationHistoryUnit(await make()) for _ in range(4)]
        await asyncio.gather(*(unit.initialize() for unit in units))

        ids = await asyncio.gather(*(unit.save_message(exchange()) for unit in units))
        await asyncio.gather(*(unit.shutdown() for unit in units))

        assert [1, 2, 3, 4] == sorted(ids)

    # -- cancellation ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [1, 5, 150])
    async def test_a_save_that_is_cancelled(self, unit: ConversationHistoryUnit, size: int) -> None:
        """Is there whole or not at all, at whatever moment, and the next one is saved."""
        saves = [
            asyncio.create_task(
                unit.save_messages_batch(
                    [exchange(f"zebra {number}", conversation_id=str(number)) for _ in range(size)]
                )
            )
            for number in range(30)
        ]
        for number, save in enumerate(saves):
            for _ in range(number % 7):
                await asyncio.sleep(0)
            if number % 3:
                save.cancel()
        await asyncio.wait(saves)
        last = await unit.save_message(exchange("last"))

        for number, save in enumerate(saves):
            saved = ids_of(await unit.get_conversation_history(str(number), limit=None))
            assert saved in ([save.result()] if not save.cancelled() else [[], saved[:size]])
            assert len(saved) in {0, size}
            found = await unit.search_conversations("zebra", 1000, conversation_id=str(number))
            assert set(saved) == set(ids_of(found))
        assert last == (await unit.get()).message_id

    async def test_reads_that_are_cancelled(self, unit: ConversationHistoryUnit) -> None:
        """Leave nothing behind that keeps others from reading and writing."""
        await unit.save_messages_batch(exchange("zebra", at=at) for at in range(300))

        for turn in range(4):
            reads = [
                asyncio.ensure_future(each)
                for _ in range(8)
                for each in (
                    unit.query_conversations(ConversationQuery()),
                    unit.search_conversations("zebra"),
                    unit.get_performance_metrics(),
                )
            ]
            for _ in range(turn * 5):
                await asyncio.sleep(0)
            for read in reads:
                read.cancel()
            await asyncio.wait(reads)

        async with asyncio.timeout(PATIENCE_S):
            await unit.clear()
        assert not await unit.exists()

    async def test_a_loop_that_closes_in_between(self, unit: ConversationHistoryUnit) -> None:
        """Tasks of a loop that is gone keep nobody from anything; their saves are there whole or not."""

        def leave() -> None:
            loop = asyncio.new_event_loop()
            begun = [
                loop.create_task(each)
                for each in (
                    unit.save_messages_batch([exchange(conversation_id="left") for _ in range(5)]),
                    unit.query_conversations(ConversationQuery()),
                    unit.search_conversations("zebra"),
                )
            ]
            for _ in range(3):
                loop.run_until_complete(asyncio.sleep(0))
            close_though_pending(loop)
            forget(begun)

        async with asyncio.timeout(PATIENCE_S):
            for _ in range(5):
                await asyncio.to_thread(leave)
                await unit.save_message(exchange())
            assert 5 == len(await unit.get_conversation_history("c"))
            assert 0 == len(await unit.get_conversation_history("left", limit=None)) % 5

    async def test_closing_beside_saving(self, closed_adapter: DatabaseAdapter) -> None:
        """Each save that is asked for before the end is acknowledged or raises; nobody waits for ever."""
        unit = ConversationHistoryUnit(closed_adapter)
        async with asyncio.timeout(PATIENCE_S):
            await unit.initialize()
            saves = [asyncio.create_task(unit.save_message(exchange(at=number))) for number in range(50)]
            await asyncio.sleep(0)
            await unit.shutdown()
            await asyncio.wait(saves)

        assert list(range(1, 51)) == [save.result() for save in saves]
