"""The contract of conversations, part eight: threads, forks and updates."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import (
    InvalidOptionError,
    InvalidValueError,
    MessageNotFoundError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    NOON,
    ConversationFoundation,
    exchange,
    facts,
    ids_of,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit


async def branching(unit: ConversationHistoryUnit) -> list[int]:
    """Save a root, two branches from it, of which the first has one more; times do not follow the threads."""
    root = await unit.save_message(exchange("root", at=9))
    left = await unit.save_message(exchange("left", at=1, parent_id=root))
    right = await unit.save_message(exchange("right", at=5, parent_id=root))
    leaf = await unit.save_message(exchange("leaf", at=0, parent_id=left))
    return [root, left, right, leaf]


class ThreadContract(ConversationFoundation):
    """Threads, forks and updates."""

    async def test_a_thread(self, unit: ConversationHistoryUnit) -> None:
        """The path from the root along `parent_id`, whatever the times say."""
        root, left, right, leaf = await branching(unit)

        assert [root, left, leaf] == ids_of(await unit.get_thread(leaf))
        assert [root, right] == ids_of(await unit.get_thread(right))
        assert [root] == ids_of(await unit.get_thread(root))

    async def test_a_long_thread(self, unit: ConversationHistoryUnit) -> None:
        """Threads of thousands are read, saved in one batch, and cut in the middle."""
        await unit.save_messages_batch(
            exchange(message_id=number, parent_id=number - 1 or None) for number in range(1, 3001)
        )
        assert list(range(1, 3001)) == ids_of(await unit.get_thread(3000))

        await unit.delete_message(1500)

        assert [*range(1, 1500), *range(1501, 3001)] == ids_of(await unit.get_thread(3000))

    async def test_parents_are_checked(self, unit: ConversationHistoryUnit) -> None:
        """A parent is an exchange of the same conversation, stored already or earlier in the batch."""
        other = await unit.save_message(exchange(conversation_id="d"))
        mine = await unit.save_message(exchange())

        for parent in (other, 999):
            with pytest.raises(InvalidValueError):
                await unit.save_message(exchange(parent_id=parent))
            with pytest.raises(InvalidValueError):
                await unit.update_message(mine, parent_id=parent)
        with pytest.raises(InvalidValueError):
            await unit.save_messages_batch([exchange(parent_id=21), exchange(message_id=21)])
        assert [20, 21] == await unit.save_messages_batch(
            [exchange(message_id=20, parent_id=mine), exchange(message_id=21, parent_id=20)]
        )

        assert [mine, 20, 21] == ids_of(await unit.get_thread(21))

    async def test_no_update_makes_a_circle(self, unit: ConversationHistoryUnit) -> None:
        """An exchange cannot follow itself, nor what follows it."""
        root, left, right, leaf = await branching(unit)

        for child, parent in ((root, root), (root, leaf), (left, leaf), (left, left)):
            with pytest.raises(InvalidValueError):
                await unit.update_message(child, parent_id=parent)
        await unit.update_message(left, parent_id=right)

        assert [root, right, left, leaf] == ids_of(await unit.get_thread(leaf))

    async def test_what_is_in_a_thread_stays_in_its_conversation(self, unit: ConversationHistoryUnit) -> None:
        """Only an exchange without parent and children can be moved to another conversation."""
        root, left, *_ = await branching(unit)
        single = await unit.save_message(exchange())

        for message_id in (root, left):
            with pytest.raises(InvalidValueError):
                await unit.update_message(message_id, conversation_id="d")
        moved = await unit.update_message(single, conversation_id="d")

        assert "d" == moved.conversation_id
        assert [single] == ids_of(await unit.get_conversation_history("d"))

    @given(
        parents=st.lists(st.integers(0, 20), min_size=1, max_size=12),
        deleted=st.lists(st.integers(0, 11), max_size=12, unique=True),
    )
    @property_test(30)
    async def test_children_of_what_is_deleted_move_up(
        self, unit: ConversationHistoryUnit, parents: list[int], deleted: list[int]
    ) -> None:
        """They are given the parent of what was deleted: threads are as before, but for that."""
        await unit.clear()
        ids: list[int] = []
        threads: dict[int, list[int]] = {}
        for number in parents:
            parent = ids[number % len(ids)] if ids and number else None
            message_id = await unit.save_message(exchange(parent_id=parent))
            threads[message_id] = [*threads.get(parent or 0, []), message_id]
            ids.append(message_id)
        gone = {ids[number] for number in deleted if number < len(ids)}

        for message_id in gone:
            assert await unit.delete_message(message_id)

        for message_id in set(ids) - gone:
            expected = [each for each in threads[message_id] if each not in gone]
            assert expected == ids_of(await unit.get_thread(message_id))

    # -- forks -----------------------------------------------------------------------------------------------

    async def test_a_fork_of_a_thread(self, unit: ConversationHistoryUnit) -> None:
        """Copies the thread with all its fields; parents name the copies, and the original stays."""
        root, left, _, leaf = await branching(unit)
        await unit.update_message(left, metadata={"a": [1]}, response_time_ms=0.1)
        before = await unit.get_conversation_history("c")

        new_id = await unit.fork_conversation("c", at=leaf)

        copies = await unit.get_conversation_history(new_id)
        thread = await unit.get_thread(max(copy.message_id or 0 for copy in copies))
        assert before == await unit.get_conversation_history("c")
        assert len(copies) == len(thread) == 3
        originals = [await unit.get_message(each) for each in (root, left, leaf)]
        parents = [None, thread[0].message_id, thread[1].message_id]
        assert [
            facts(replace(each, conversation_id=new_id, message_id=copy.message_id, parent_id=parent))
            for each, copy, parent in zip(originals, thread, parents, strict=True)
        ] == [facts(copy) for copy in thread]
        assert new_id in {each.conversation_id for each in await unit.search_conversations("leaf")}

    async def test_a_fork_without_threads(self, unit: ConversationHistoryUnit) -> None:
        """Copies all that comes before, the exchange included, ordered by time and id."""
        ids = await unit.save_messages_batch(exchange(str(at), at=at) for at in (3, 1, 2, 2, 4))

        assert "new" == await unit.fork_conversation("c", at=ids[3], new_id="new")

        copies = await unit.get_conversation_history("new")
        assert ["1", "2", "2"] == [copy.user_input for copy in copies]
        assert not set(ids).intersection(ids_of(copies))

    async def test_forks_that_are_refused(self, unit: ConversationHistoryUnit) -> None:
        """Of what is not in the conversation, and into one that is there."""
        mine = await unit.save_message(exchange())
        other = await unit.save_message(exchange(conversation_id="d"))

        for at in (other, 999):
            with pytest.raises(MessageNotFoundError):
                await unit.fork_conversation("c", at=at)
        for new_id in ("c", "d"):
            with pytest.raises(InvalidOptionError) as caught:
                await unit.fork_conversation("c", at=mine, new_id=new_id)
            assert "new_id" == caught.value.option
        assert 2 == len(await unit.list_conversations())

    # -- updates ---------------------------------------------------------------------------------------------

    async def test_updates(self, unit: ConversationHistoryUnit) -> None:
        """Change the fields that are named, or all of them by an exchange; the result is what is stored."""
        message_id = await unit.save_message(exchange(metadata={"a": 1}))

        by_field = await unit.update_message(message_id, agent_response="new", timestamp=NOON.replace(hour=1))
        expected = exchange("hello", "new", at=-11 * 3600, metadata={"a": 1}, message_id=message_id)
        assert expected == by_field == await unit.get_message(message_id)

        whole = exchange("other", conversation_id="d", message_id=message_id)
        assert whole == await unit.update_message(whole) == await unit.get_message(message_id)
        assert [] == await unit.get_conversation_history("c")

    async def test_updates_that_are_refused(self, unit: ConversationHistoryUnit) -> None:
        """Change nothing."""
        saved = exchange(message_id=await unit.save_message(exchange()))
        refused: list[dict[str, Any]] = [
            {"unknown": 1},
            {"user_input": "\ud800"},
            {"response_time_ms": -1},
            {"timestamp": "now"},
            {"metadata": {"a": {1}}},
            {"metadata": None},
            {"agent_response": "new", "parent_id": 0},
        ]
        for changes in refused:
            with pytest.raises((InvalidOptionError, InvalidValueError)):
                await unit.update_message(saved.message_id or 0, **changes)
        with pytest.raises(InvalidOptionError):
            await unit.update_message(exchange("without an id"))
        with pytest.raises(MessageNotFoundError):
            await unit.update_message(999, user_input="new")

        assert [saved] == await unit.get_conversation_history("c")
