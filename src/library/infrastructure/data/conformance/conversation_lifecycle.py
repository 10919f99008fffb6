"""The contract of conversations, part twelve: opening, closing, and who does so."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationQuery,
    InvalidOptionError,
    NotInitializedError,
    UnitClosedError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    facts,
    ids_of,
)
from library.infrastructure.data.conformance.conversation_kinds import DatabaseAbility, needs_database
from library.infrastructure.data.storage import URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from library.infrastructure.data import DatabaseAdapter
    from library.infrastructure.data.conformance.conversation_foundation import MakeAdapter
    from library.infrastructure.data.conformance.conversation_kinds import DatabaseKind

OPERATIONS: dict[str, Callable[[ConversationHistoryUnit], Awaitable[object]]] = {
    "save_message": lambda unit: unit.save_message(exchange()),
    "save_messages_batch": lambda unit: unit.save_messages_batch([exchange()]),
    "save nothing": lambda unit: unit.save_messages_batch([]),
    "update_message": lambda unit: unit.update_message(1, user_input="a"),
    "fork_conversation": lambda unit: unit.fork_conversation("c", at=1),
    "delete_message": lambda unit: unit.delete_message(1),
    "delete_conversation": lambda unit: unit.delete_conversation("c"),
    "purge": lambda unit: unit.purge(timedelta(0)),
    "get_message": lambda unit: unit.get_message(1),
    "get_conversation_history": lambda unit: unit.get_conversation_history("c"),
    "search_conversations": lambda unit: unit.search_conversations("a"),
    "query_conversations": lambda unit: unit.query_conversations(ConversationQuery()),
    "stream_conversations": lambda unit: anext(unit.stream_conversations()),
    "list_conversations": lambda unit: unit.list_conversations(),
    "get_thread": lambda unit: unit.get_thread(1),
    "get_context": lambda unit: unit.get_context("c"),
    "get_performance_metrics": lambda unit: unit.get_performance_metrics(),
    "get": lambda unit: unit.get(),
    "set": lambda unit: unit.set(exchange()),
    "update": lambda unit: unit.update(lambda _: exchange()),
    "exists": lambda unit: unit.exists(),
    "entry": lambda unit: unit.entry(),
    "clear": lambda unit: unit.clear(),
    "watch": lambda unit: anext(unit.watch()),
    "stats": lambda unit: unit.stats(),
}


class ConversationLifecycleContract(ConversationFoundation):
    """Opening, closing, and who does so."""

    async def test_before_and_after(self, closed_adapter: DatabaseAdapter) -> None:
        """Every call raises, and says what to do."""
        unit = ConversationHistoryUnit(closed_adapter)
        for name, call in OPERATIONS.items():
            with pytest.raises(NotInitializedError) as early:
                await call(unit)
            assert "initialize()" in str(early.value), name
        async with unit:
            pass
        for name, call in OPERATIONS.items():
            with pytest.raises(UnitClosedError) as late:
                await call(unit)
            assert "initialize()" in str(late.value), name

    async def test_an_adapter_before_and_after(self, closed_adapter: DatabaseAdapter, place: Path) -> None:
        """Its own calls raise too, and those of its stores."""
        store = closed_adapter.conversations()
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            closed_adapter.check,
            closed_adapter.stats,
            lambda: closed_adapter.backup(place / "copy"),
            store.open,
            store.state,
            lambda: store.save([exchange()]),
            lambda: store.get(1),
        )
        for call in calls:
            with pytest.raises(NotInitializedError):
                await call()
        async with closed_adapter:
            pass
        for call in calls:
            with pytest.raises(UnitClosedError):
                await call()

    async def test_an_adapter_closed_by_hand_below_a_unit(
        self, adapter: DatabaseAdapter, unit: ConversationHistoryUnit
    ) -> None:
        """The unit's calls raise, and it can still be shut down."""
        await unit.save_message(exchange())

        await adapter.shutdown()

        for call in (unit.save_message(exchange()), unit.get_conversation_history("c")):
            with pytest.raises(UnitClosedError):
                await call
        await unit.shutdown()
        assert not adapter.is_open

    @needs_database(DatabaseAbility.DURABLE)
    async def test_opened_again(self, closed_adapter: DatabaseAdapter, make: MakeAdapter) -> None:
        """Everything is there, by the same unit and by another adapter; ids and versions go on."""
        unit = ConversationHistoryUnit(closed_adapter)
        async with unit:
            await unit.save_messages_batch([exchange("zebra", metadata={"a": 2**70}), exchange("quartz")])
            await unit.delete_message(2)
            before = list(map(facts, await unit.get_conversation_history("c")))
            version = (await unit.entry()).version

        async with unit:
            assert before == list(map(facts, await unit.get_conversation_history("c")))
        async with ConversationHistoryUnit(await make()) as other:
            assert before == list(map(facts, await other.get_conversation_history("c")))
            assert version == (await other.entry()).version
            assert [1] == ids_of(await other.search_conversations("zebra"))
            assert 3 == await other.save_message(exchange())

    async def test_opening_and_closing_twice(self, closed_adapter: DatabaseAdapter) -> None:
        """Does nothing, at once or one after the other."""
        unit = ConversationHistoryUnit(closed_adapter)
        await asyncio.gather(*(unit.initialize() for _ in range(5)), closed_adapter.initialize())
        await unit.initialize()
        await unit.save_message(exchange())

        await asyncio.gather(*(unit.shutdown() for _ in range(5)))
        assert closed_adapter.is_open
        await asyncio.gather(*(closed_adapter.shutdown() for _ in range(5)))

        assert not closed_adapter.is_open

    async def test_an_adapter_closes_with_its_last_unit(self, closed_adapter: DatabaseAdapter) -> None:
        """If a unit opened it."""
        units = [ConversationHistoryUnit(closed_adapter, name) for name in ("one", "two", "one")]
        for unit in units:
            await unit.initialize()

        for unit in units:
            assert closed_adapter.is_open
            await unit.save_message(exchange())
            await unit.shutdown()

        assert not closed_adapter.is_open

    @pytest.mark.parametrize("before", [False, True])
    async def test_an_adapter_opened_by_hand_stays_open(
        self, closed_adapter: DatabaseAdapter, *, before: bool
    ) -> None:
        """Whether that was before the unit or after it."""
        if before:
            await closed_adapter.initialize()
        async with ConversationHistoryUnit(closed_adapter):
            await closed_adapter.initialize()

        assert closed_adapter.is_open
        assert [] == await closed_adapter.check()

    async def test_the_default_adapter(
        self, kind: DatabaseKind, make: MakeAdapter, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Units that are given none share the one that the environment names, which closes with the last."""
        await make()
        monkeypatch.setenv(URL_VARIABLE, kind.url(place))
        async with ConversationHistoryUnit() as one:
            async with ConversationHistoryUnit() as two:
                assert one.database_adapter is two.database_adapter
                message_id = await one.save_message(exchange("by one"))
                assert "by one" == (await two.get_message(message_id)).user_input
            assert one.database_adapter.is_open

        assert not one.database_adapter.is_open

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
    async def test_opening_is_cancelled(self, closed_adapter: DatabaseAdapter, steps: int) -> None:
        """At whatever moment: nothing is left open, and it can be opened afterwards."""
        unit = ConversationHistoryUnit(closed_adapter)
        opening = asyncio.create_task(unit.initialize())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if opening.cancelled():
            assert not unit.is_open
            assert not closed_adapter.is_open

        async with unit:
            assert 1 == await unit.save_message(exchange())
        assert not closed_adapter.is_open

    # -- tables ----------------------------------------------------------------------------------------------

    async def test_tables_are_apart(self, adapter: DatabaseAdapter) -> None:
        """Several `table_name`s in one database, whatever they look like, have nothing in common."""
        names = [
            "chats",
            "chats_data",
            "chats_config",
            "chats_by_time",
            "search_chats",
            "search_chats_by_time",
            "c",
            "select",
            "Order",
            "x" * 48,
            "main",
            "a1_2",
        ]
        for name in names:
            async with ConversationHistoryUnit(adapter, name) as unit:
                assert not await unit.exists()
                assert 1 == await unit.save_message(exchange(f"zebra {name}"))

        for name in names:
            async with ConversationHistoryUnit(adapter, name) as unit:
                (result,) = await unit.search_conversations("zebra")
                assert f"zebra {name}" == result.user_input
                await unit.clear()

    @pytest.mark.parametrize(
        "name", ["", "1a", "a b", 'a"b', "a\n", "a;", "_a", "é", "a-b", "x" * 49, "a.b", "a\0", None, 5, b"a"]
    )
    async def test_names_that_are_none(self, closed_adapter: DatabaseAdapter, name: Any) -> None:
        """Are refused before anything is opened."""
        with pytest.raises(InvalidOptionError) as caught:
            ConversationHistoryUnit(closed_adapter, name)
        assert "table_name" == caught.value.option

        with pytest.raises(InvalidOptionError):
            closed_adapter.conversations(name)

    @pytest.mark.parametrize("given", ["sqlite://", 5, ConversationHistoryUnit])
    def test_what_is_no_adapter(self, given: Any) -> None:
        """Is refused."""
        with pytest.raises(InvalidOptionError) as caught:
            ConversationHistoryUnit(given)

        assert "database_adapter" == caught.value.option
