"""The contract of conversations, part eleven: a history as a data unit."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    EMPTY,
    ConversationHistoryUnit,
    ConversationMessage,
    InvalidValueError,
    ReentrantUpdateError,
    VersionConflictError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    ConversationFoundation,
    exchange,
    ids_of,
)
from library.infrastructure.data.conformance.foundation import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data import DatabaseAdapter


def counted(message: ConversationMessage | None) -> ConversationMessage:
    """Make the exchange that counts one further."""
    return exchange(metadata={"n": 1 + (message.metadata["n"] if message else 0)})


async def calling(call: Callable[[], Awaitable[object]], _: ConversationMessage) -> object:
    """Be a function for `update` that calls the unit."""
    return await call()


class ConversationUnitContract(ConversationFoundation):
    """A history as a data unit."""

    async def test_a_new_history_is_empty(self, unit: ConversationHistoryUnit) -> None:
        """It gives `default`, does not exist, and its entry is `EMPTY` at version 0."""
        default = object()

        assert default is await unit.get(default)
        assert not await unit.exists()
        assert (EMPTY, 0) == (await unit.entry())[:2]

    async def test_the_value_is_what_was_saved_last(self, unit: ConversationHistoryUnit) -> None:
        """By `set` or by any other call, whatever its timestamp; each is one version more."""
        before = datetime.now(UTC) - timedelta(seconds=1)
        assert 1 == await unit.set(exchange("first", at=100))
        assert "first" == (await unit.get()).user_input

        message_id = await unit.save_message(exchange("second", at=-100))

        entry = await unit.entry()
        assert (exchange("second", at=-100, message_id=message_id), 2) == entry[:2]
        assert before < entry.updated_at < datetime.now(UTC) + timedelta(seconds=1)
        assert 2 == unit.metadata["version"]
        assert ["second", "first"] == [m.user_input for m in await unit.get_conversation_history("c")]

    async def test_a_given_id_may_be_lower(self, unit: ConversationHistoryUnit) -> None:
        """The value is the exchange with the greatest id, in whatever order they were saved."""
        await unit.set(exchange("first", message_id=10))
        await unit.set(exchange("second", message_id=5))

        assert "first" == (await unit.get()).user_input

    async def test_clear_makes_it_empty(self, unit: ConversationHistoryUnit) -> None:
        """Everything is erased, which is a new version."""
        await unit.set(exchange())

        await unit.clear()

        assert "default" == await unit.get("default")
        entry = await unit.entry()
        assert EMPTY is entry.value
        assert 1 < entry.version
        assert entry.version + 1 == await unit.set(exchange())

    async def test_clearing_what_is_empty(self, unit: ConversationHistoryUnit) -> None:
        """That is a change like any other: a watcher hears of it."""
        async with asyncio.timeout(PATIENCE_S):
            await unit.clear()

            assert 0 < (await unit.entry()).version
            watcher = unit.watch(since=0)
            assert EMPTY is (await anext(watcher)).value
            await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator

    @pytest.mark.parametrize("value", [EMPTY, None, "text", {"user_input": "a"}, [], [exchange(), None], 5])
    async def test_what_is_no_exchange(self, unit: ConversationHistoryUnit, value: Any) -> None:
        """Is refused by `set` and `update`, and what was there stays."""
        await unit.set(exchange("kept"))
        before = await unit.entry()

        with pytest.raises(InvalidValueError):
            await unit.set(value)
        with pytest.raises(InvalidValueError):
            await unit.update(lambda _: value)

        assert before == await unit.entry()

    async def test_a_condition_on_the_version(self, unit: ConversationHistoryUnit) -> None:
        """`if_version` saves only if nothing was changed in between; the error carries what is there now."""
        version = await unit.set(exchange("first"), if_version=0)
        await unit.save_message(exchange("second"))

        with pytest.raises(VersionConflictError) as caught:
            await unit.set(exchange("third"), if_version=version)

        assert (version, "second") == (caught.value.expected, caught.value.current.value.user_input)
        assert (
            caught.value.current.version
            == await unit.set(exchange("third"), if_version=caught.value.current.version) - 1
        )

    async def test_versions_of_sets_at_once(self, unit: ConversationHistoryUnit) -> None:
        """Each `set` returns its own version, not that of another one that came right behind."""
        versions = await asyncio.gather(*(unit.set(exchange(str(number))) for number in range(30)))

        assert list(range(1, 31)) == sorted(versions)

    async def test_an_update_is_one_step(
        self, adapter: DatabaseAdapter, unit: ConversationHistoryUnit
    ) -> None:
        """No other write comes between reading and writing: of no task, and of no other unit."""

        async def later(message: ConversationMessage | None) -> ConversationMessage:
            await asyncio.sleep(0)
            return counted(message)

        async with ConversationHistoryUnit(adapter) as other, asyncio.timeout(PATIENCE_S):
            await asyncio.gather(
                *(each.update(fn) for each in (unit, other) for fn in (counted, later) for _ in range(5))
            )

        assert 20 == (await unit.get()).metadata["n"]

    async def test_an_update_and_saves(self, unit: ConversationHistoryUnit) -> None:
        """What is saved between the reading and the writing is a conflict, and nothing is lost."""
        await unit.set(exchange("first"))
        has_read, is_saved = asyncio.Event(), asyncio.Event()

        async def later(message: ConversationMessage) -> ConversationMessage:
            has_read.set()
            await is_saved.wait()
            return replace(message, message_id=None, user_input=f"behind {message.user_input}")

        async with asyncio.timeout(PATIENCE_S):
            updating = asyncio.create_task(unit.update(later))
            await has_read.wait()
            await unit.save_message(exchange("saved meanwhile"))
            is_saved.set()
            with pytest.raises(VersionConflictError) as caught:
                await updating

        assert "saved meanwhile" == caught.value.current.value.user_input
        texts = [message.user_input for message in await unit.get_conversation_history("c")]
        assert ["first", "saved meanwhile"] == texts

    async def test_an_update_that_fails(self, unit: ConversationHistoryUnit) -> None:
        """Raises what `fn` raised, and changes nothing; calls of the unit from within are refused."""
        await unit.set(exchange())
        before = await unit.entry()

        with pytest.raises(ZeroDivisionError):
            await unit.update(lambda _: 1 // 0)
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            unit.get,
            unit.clear,
            unit.entry,
            lambda: unit.set(exchange()),
            lambda: unit.save_message(exchange()),
        )
        for call in calls:
            with pytest.raises(ReentrantUpdateError):
                await unit.update(partial(calling, call))

        assert before == await unit.entry()

    async def test_updates_and_deletions_are_changes(self, unit: ConversationHistoryUnit) -> None:
        """Each call that changes something leads to a greater version."""
        first, second = await unit.save_messages_batch([exchange(), exchange(conversation_id="d")])
        versions = [(await unit.entry()).version]
        for change in (
            lambda: unit.update_message(first, user_input="new"),
            lambda: unit.fork_conversation("c", at=first),
            lambda: unit.delete_message(first),
            lambda: unit.delete_conversation("d"),
            lambda: unit.purge(timedelta(0)),
        ):
            await change()
            versions.append((await unit.entry()).version)

        assert sorted(set(versions)) == versions
        assert second

    # -- watching --------------------------------------------------------------------------------------------

    async def test_watching(self, unit: ConversationHistoryUnit) -> None:
        """A watcher sees the newest exchange first, then each later one, or the newest of several."""
        await unit.save_message(exchange("first"))
        async with asyncio.timeout(PATIENCE_S):
            watcher = unit.watch()
            assert "first" == (await anext(watcher)).value.user_input

            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            await unit.save_message(exchange("second"))
            assert "second" == (await waiting).value.user_input

            await unit.save_messages_batch([exchange("third"), exchange("fourth")])
            assert "fourth" == (await anext(watcher)).value.user_input
            await unit.clear()
            assert EMPTY is (await anext(watcher)).value
            await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator

    async def test_watching_what_others_save(
        self, adapter: DatabaseAdapter, unit: ConversationHistoryUnit
    ) -> None:
        """Saves by another unit of the same table wake a watcher too; its end is that of the unit."""
        async with asyncio.timeout(PATIENCE_S), ConversationHistoryUnit(adapter) as other:
            watcher = unit.watch()
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            await other.save_message(exchange("by another"))
            assert "by another" == (await waiting).value.user_input

            ending = asyncio.ensure_future(anext(watcher, None))
            await asyncio.sleep(0)
            await unit.shutdown()
            assert await ending is None

    async def test_statistics(self, unit: ConversationHistoryUnit) -> None:
        """What was read and written is counted; so are those who watch."""
        ids = await unit.save_messages_batch([exchange(), exchange()])
        await unit.get_message(ids[0])
        await unit.get()

        stats = await unit.stats()

        assert (2, 2, 0) == (stats.reads, stats.writes, stats.watchers)

    async def test_several_at_once(self, unit: ConversationHistoryUnit) -> None:
        """`set` takes a list of exchanges too, and saves all or none."""
        await unit.set([exchange("first"), exchange("second")])
        with pytest.raises(InvalidValueError):
            await unit.set([exchange("third"), exchange(parent_id=99)])

        assert [1, 2] == ids_of(await unit.get_conversation_history("c"))
        assert "second" == (await unit.get()).user_input
