"""The contract of conversations, part seventeen: many exchanges at once, out as rows and in again."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import ConversationMessage, ConversationQuery, InvalidValueError
from library.infrastructure.data.conformance.conversation_foundation import (
    METADATA,
    NOON,
    TEXTS,
    ConversationFoundation,
    exchange,
    facts,
    ids_of,
    in_order,
    property_test,
)
from library.infrastructure.data.conformance.conversation_kinds import DatabaseAbility, needs_database
from library.infrastructure.data.conformance.row_transfer import Given, Taken
from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID
from library.infrastructure.data.utc_time import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data import ConversationHistoryUnit, ConversationStore, DatabaseAdapter
    from library.infrastructure.data.formats.record_kind import Row

    MakeAdapter = Callable[[], Awaitable[DatabaseAdapter]]

MANY = 11_000
"""So many that a database may store them in several steps."""
in_one_step_or_many = pytest.mark.parametrize("fillers", [0, MANY], ids=["few", "many"])


def row(
    message_id: int | None,
    user_input: str = "hello",
    *,
    conversation_id: str = "c",
    at: float = 0,
    parent_id: int | None = None,
    metadata: str = "{}",
) -> Row:
    """Make the row of an exchange, `at` seconds from a noon."""
    moment = to_microseconds(NOON + timedelta(seconds=at))
    return (message_id, conversation_id, moment, user_input, "good day", 1.5, parent_id, metadata)


def fill(count: int, first_id: int | None = 1_000_000) -> list[Row]:
    """Make the rows of exchanges that no test asks for."""
    return [
        row(
            None if first_id is None else first_id + number,
            f"filler {number}",
            conversation_id="fillers",
            at=number,
        )
        for number in range(count)
    ]


async def export(store: ConversationStore, query: ConversationQuery | None = None, **options: Any) -> Taken:
    """Take what a query asks for."""
    taken = Taken()
    await store.export(query or ConversationQuery(), taken, **options)
    return taken


async def texts(unit: ConversationHistoryUnit, conversation_id: str = "c") -> list[str]:
    """Return what the user said in a conversation, in order."""
    return [each.user_input for each in await unit.get_conversation_history(conversation_id, limit=None)]


class ConversationTransferContract(ConversationFoundation):
    """Many exchanges at once."""

    # -- out -------------------------------------------------------------------------------------------------

    async def test_an_export_gives_everything(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """Every field of every exchange, in the order of the ids; the target knows before how many."""
        parent = await unit.save_message(
            exchange("a\x00\r\n", "\ufffe", metadata={"n": 2**70, "l": list(range(40))})
        )
        await unit.save_message(exchange("b", at=-5, response_time_ms=0.1, parent_id=parent))

        taken = await export(store)

        moment = to_microseconds(NOON)
        assert (2, []) == (taken.total, taken.missing)
        numbers = ",".join(map(str, range(40)))
        metadata = f'{{"n":{2**70},"l":[{numbers}]}}'
        assert taken.rows == [
            (parent, "c", moment, "a\x00\r\n", "\ufffe", 1.5, None, metadata),
            (parent + 1, "c", moment - 5_000_000, "b", "good day", 0.1, parent, "{}"),
        ]

    async def test_an_export_gives_what_a_query_finds(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """In its order, behind its position, as many as it asks for."""
        await unit.save_messages_batch(
            [
                exchange(f"word{number % 3} otter", at=number % 7, response_time_ms=number)
                for number in range(40)
            ]
        )
        base = ConversationQuery().contains_text("word1 otters").since(NOON)
        queries = [
            base,
            base.order_by("response_time_ms", descending=True).limit(5),
            base.limit(3).after((await unit.query_conversations(base))[2]),
            ConversationQuery().conversation_id("c"),
            ConversationQuery().conversation_ids([]),
        ]

        for query in queries:
            expected = ids_of(await unit.query_conversations(query))
            assert expected == [each[0] for each in (await export(store, query)).rows]

    async def test_an_export_tells_of_missing_conversations(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """Those that were asked for and do not exist; the others are given, each in one piece."""
        for number in range(6):
            await unit.save_message(exchange(conversation_id=f"c{number % 2}", at=-number))

        taken = await export(store, ConversationQuery().conversation_ids(["c0", "nowhere", "c1"]))

        assert ["nowhere"] == taken.missing
        assert [3, 3] == [len({each[2] for each in taken.rows if each[1] == name}) for name in ("c0", "c1")]
        assert 2 == len({name for name, _ in zip(_runs(taken.rows), range(9), strict=False)})

    async def test_whole_conversations_come_in_one_piece(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """The exchanges of each one after the other, in their order, where that is asked for."""
        await unit.save_messages_batch(
            [exchange(conversation_id=f"c{number % 5}", at=-number) for number in range(50)]
        )

        rows = (await export(store, whole_conversations=True)).rows

        assert 5 == len(_runs(rows))
        for name in _runs(rows):
            times = [each[2] for each in rows if each[1] == name]
            assert sorted(times) == times

    @needs_database(DatabaseAbility.DURABLE)
    async def test_an_export_is_of_one_moment(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """What others save, change or delete meanwhile is not seen."""
        ids = await unit.save_messages_batch([exchange(f"text {number}") for number in range(5000)])
        loop = asyncio.get_running_loop()

        async def meddle() -> None:
            await unit.update_message(ids[-1], user_input="changed")
            await unit.delete_message(ids[-2])
            await unit.save_message(exchange("late"))

        taken = Taken(lambda: asyncio.run_coroutine_threadsafe(meddle(), loop).result(30))
        await store.export(ConversationQuery(), taken)

        assert [f"text {number}" for number in range(5000)] == [each[3] for each in taken.rows]

    async def test_what_the_target_raises_ends_the_export(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """It is raised as it is, and the database goes on."""

        def refuse() -> None:
            raise OSError("full")

        await unit.save_message(exchange())
        with pytest.raises(OSError, match="full"):
            await store.export(ConversationQuery(), Taken(refuse))

        await unit.save_message(exchange())
        assert 2 == len((await export(store)).rows)

    # -- in --------------------------------------------------------------------------------------------------

    @property_test(20)
    @given(
        st.lists(
            st.tuples(
                TEXTS, TEXTS, st.integers(-(10**14), 10**14), st.floats(0, 1e15), METADATA, st.booleans()
            ),
            max_size=6,
        )
    )
    async def test_what_was_exported_comes_back(
        self,
        unit: ConversationHistoryUnit,
        store: ConversationStore,
        adapter: DatabaseAdapter,
        drawn: list[tuple[Any, ...]],
    ) -> None:
        """Into an empty table, equal in every field, ids and parents included."""
        await unit.clear()
        last: int | None = None
        for user, agent, microseconds, response_time, metadata, follows in drawn:
            moment = NOON + timedelta(microseconds=microseconds)
            message = ConversationMessage("c", user, agent, moment, response_time, None, metadata)
            message.parent_id = last if follows else None
            last = await unit.save_message(message)
        other = adapter.conversations("others")
        await other.open()
        await other.clear()

        loaded = await other.load(Given((await export(store)).rows), "append")

        assert (len(drawn), 0, 0, 0) == loaded
        saved = await store.query(ConversationQuery())
        assert [facts(each) for each in saved] == [
            facts(each) for each in await other.query(ConversationQuery())
        ]

    @in_one_step_or_many
    async def test_imported_exchanges_are_found(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """By a search, in their conversation, in lists, at once; and counted for watchers."""
        version = (await unit.entry()).version
        source = Given([row(7, "where do otters sleep"), *fill(fillers)])

        assert (1 + fillers, 0, 0, 0) == await store.load(source, "append")

        assert [7] == ids_of(await unit.search_conversations("sleeping otter"))
        assert ["where do otters sleep"] == await texts(unit)
        assert source.stored[-1] == 1 + fillers
        assert (await unit.entry()).version == version + 1 + fillers
        assert {"c"} | ({"fillers"} if fillers else set()) == {
            each.conversation_id for each in await unit.list_conversations()
        }

    @in_one_step_or_many
    async def test_ids_are_kept_where_they_are_free(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """Also below what is stored; the next exchange gets an id behind all of them."""
        await unit.save_message(exchange("old", message_id=2_000_000, conversation_id="d"))

        await store.load(Given([row(5, "b"), row(3, "a", at=-1), *fill(fillers)]), "append")

        assert [3, 5] == ids_of(await unit.get_conversation_history("c"))
        assert 2_000_000 < await unit.save_message(exchange(conversation_id="d"))
        assert [5] == ids_of(await unit.search_conversations('"b"'))

    @in_one_step_or_many
    async def test_ids_move_where_they_are_taken(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """All by the same number, behind all that were given, and the parents with them."""
        await unit.save_messages_batch([exchange("old", conversation_id="d") for _ in range(4)])
        rows = [row(2, "root"), row(3, "child", at=1, parent_id=2), row(6, "leaf", at=2, parent_id=3)]

        loaded = await store.load(Given([*rows, *fill(fillers, 7)]), "append")

        root, child, leaf = await unit.get_conversation_history("c")
        assert 0 == loaded.detached
        assert (None, root.message_id, child.message_id) == (root.parent_id, child.parent_id, leaf.parent_id)
        assert [5, 6, 9] == ids_of([root, child, leaf])
        assert 4 == len(await texts(unit, "d"))

    async def test_ids_that_are_not_of_a_store_always_move(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """They only tell the rows apart: ids that were given once are not given again."""
        await unit.save_messages_batch([exchange("old") for _ in range(4)])
        await unit.clear()

        await store.load(Given([row(1, "a"), row(2, "b", at=1, parent_id=1)], has_own_ids=False), "append")

        first, second = await unit.get_conversation_history("c")
        assert [5, 6] == ids_of([first, second])
        assert 5 == second.parent_id

    async def test_rows_without_ids_get_the_next(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """In their order, behind the ids of the others."""
        await store.load(Given([row(None, "a"), row(10, "b"), row(None, "c", parent_id=10)]), "append")

        found = {each.user_input: each.message_id for each in await unit.get_conversation_history("c")}
        assert {"b": 10, "a": 11, "c": 12} == found
        assert [10, 12] == ids_of(await unit.get_thread(12))

    async def test_an_id_that_comes_twice_is_taken_once(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """The second exchange gets another; nothing is lost."""
        await store.load(Given([row(4, "a"), row(4, "b"), row(4, "c")]), "append")

        messages = await unit.get_conversation_history("c")
        assert {"a", "b", "c"} == {each.user_input for each in messages}
        assert 3 == len(set(ids_of(messages)))

    async def test_ids_at_the_end_of_numbers(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """They are kept where they are free; where they would have to move, the import is refused."""
        await store.load(Given([row(MAX_MESSAGE_ID)]), "append")
        with pytest.raises(InvalidValueError, match="message_id"):
            await store.load(Given([row(MAX_MESSAGE_ID, "again")]), "append")

        assert ["hello"] == await texts(unit)

    # -- parents ---------------------------------------------------------------------------------------------

    @in_one_step_or_many
    async def test_parents_may_come_later(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """Rows in any order make the same threads."""
        rows = [row(9, "leaf", parent_id=2), row(2, "middle", parent_id=8)]

        loaded = await store.load(Given([*rows, *fill(fillers), row(8, "root")]), "append")

        assert 0 == loaded.detached
        assert [8, 2, 9] == ids_of(await unit.get_thread(9))

    async def test_a_parent_that_is_stored_already(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """It is taken if it is of the same conversation, whether ids move or not."""
        first, second = await unit.save_messages_batch([exchange("root"), exchange("x", conversation_id="d")])

        await store.load(Given([row(50, "a", parent_id=first)]), "append")
        await store.load(Given([row(50, "b", parent_id=first)]), "append")
        loaded = await store.load(Given([row(99, "c", parent_id=second)]), "append")

        parents = {each.user_input: each.parent_id for each in await unit.get_conversation_history("c")}
        assert {"root": None, "a": first, "b": first, "c": None} == parents
        assert 1 == loaded.detached

    @in_one_step_or_many
    async def test_a_parent_that_is_nowhere_is_noted(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """It stays as metadata, beside what is there."""
        rows = [
            row(1, "a", parent_id=77, metadata='{"source":{"format":"x"},"m":1}'),
            row(2, "b", parent_id=78),
        ]

        loaded = await store.load(Given([*rows, *fill(fillers)]), "append")

        first, second = await unit.get_conversation_history("c")
        assert 2 == loaded.detached
        assert {"source": {"format": "x", "parent_id": 77}, "m": 1} == first.metadata
        assert {"source": {"parent_id": 78}} == second.metadata
        assert (None, None) == (first.parent_id, second.parent_id)

    async def test_parents_never_lead_in_a_circle(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """Of links that would, one is left out; so is a link of an exchange to itself."""
        rows = [row(1, parent_id=3), row(2, parent_id=1), row(3, parent_id=2), row(4, parent_id=4)]

        loaded = await store.load(Given(rows), "append")

        assert 2 == loaded.detached
        assert [[1], [1, 2], [1, 2, 3], [4]] == [ids_of(await unit.get_thread(each)) for each in (1, 2, 3, 4)]

    @property_test(25)
    @given(parents=st.lists(st.none() | st.integers(1, 9), max_size=9), moves=st.booleans())
    async def test_any_parents_make_threads_that_end(
        self,
        unit: ConversationHistoryUnit,
        store: ConversationStore,
        parents: list[int | None],
        *,
        moves: bool,
    ) -> None:
        """Each link is kept, or noted; every thread has an end."""
        await unit.clear()
        shift = (await unit.save_message(exchange("first", conversation_id="d"))) if moves else 0
        rows = [row(number, parent_id=parent) for number, parent in enumerate(parents, 1)]

        loaded = await store.load(Given(rows, has_own_ids=not moves), "append")

        messages = await unit.get_conversation_history("c", limit=None)
        kept = [each for each in messages if each.parent_id is not None]
        noted = [each for each in messages if each.metadata]
        assert loaded.detached == len(noted)
        assert len(kept) + len(noted) == sum(parent is not None for parent in parents)
        for each in messages:
            thread = await unit.get_thread(each.message_id or 0)
            assert len(set(ids_of(thread))) == len(thread)
            assert thread[0].parent_id is None
        if moves:
            assert all((each.message_id or 0) > shift for each in messages)

    # -- what is there already -------------------------------------------------------------------------------

    @in_one_step_or_many
    async def test_append_keeps_equal_exchanges(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """What is there stays, and equal ones stand beside it."""
        rows = [row(1, "a"), row(2, "a"), *fill(fillers)]
        await store.load(Given(rows), "append")

        assert (2 + fillers, 0, 0, 0) == await store.load(Given(rows), "append")

        assert ["a"] * 4 == await texts(unit)

    @in_one_step_or_many
    async def test_replace_erases_the_conversations_that_occur(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """Others stay; the ids of what was replaced are kept."""
        await unit.save_messages_batch(
            [exchange("old one", at=number) for number in range(5)] + [exchange("other", conversation_id="d")]
        )

        loaded = await store.load(Given([row(1, "new"), row(2, "newer", at=1), *fill(fillers)]), "replace")

        assert (2 + fillers, 0, 5, 0) == loaded
        assert [1, 2] == ids_of(await unit.get_conversation_history("c"))
        assert ["new", "newer"] == await texts(unit)
        assert ["other"] == await texts(unit, "d")
        assert [] == await unit.search_conversations('"old one"')

    @in_one_step_or_many
    async def test_duplicates_are_skipped(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """Same conversation, time and texts: stored once; whatever else differs. Twice changes nothing."""
        await unit.save_message(exchange("a", response_time_ms=99, metadata={"kept": True}))
        rows = [
            row(1, "a"),
            row(2, "a", at=1),
            row(3, "b"),
            row(4, "a", conversation_id="d"),
            row(5, "b"),
            *fill(fillers),
        ]

        assert (3 + fillers, 2, 0, 0) == await store.load(Given(rows), "skip_duplicates")
        version = (await unit.entry()).version
        assert (0, 5 + fillers, 0, 0) == await store.load(Given(rows), "skip_duplicates")

        assert ["a", "b", "a"] == await texts(unit)
        assert version == (await unit.entry()).version
        assert {"kept": True} == (await unit.get_conversation_history("c"))[0].metadata

    @in_one_step_or_many
    async def test_children_of_duplicates_follow_what_is_stored(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """An import that goes on where an earlier one ended goes on with its threads."""
        await unit.save_message(exchange("x", conversation_id="d"))
        await store.load(Given([row(1, "root"), row(2, "old", at=1, parent_id=1)]), "append")

        rows = [row(2, "old", at=1, parent_id=1), row(3, "new", at=2, parent_id=2)]
        loaded = await store.load(Given([row(1, "root"), *rows, *fill(fillers)]), "skip_duplicates")

        messages = await unit.get_conversation_history("c")
        assert 0 == loaded.detached
        assert ["root", "old", "new"] == [each.user_input for each in messages]
        assert [None, *ids_of(messages)[:2]] == [each.parent_id for each in messages]

    # -- all or nothing --------------------------------------------------------------------------------------

    @in_one_step_or_many
    async def test_what_the_source_raises_leaves_everything_as_it_was(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """Also when it has given nearly everything, and with `replace`."""

        def fail() -> None:
            raise OSError("cut off")

        await unit.save_message(exchange("old"))
        before = await unit.entry()
        for merge in ("append", "replace", "skip_duplicates"):
            source = Given([row(1, "new"), *fill(fillers)], at_the_end=fail)
            with pytest.raises(OSError, match="cut off"):
                await store.load(source, merge)

        assert before == await unit.entry()
        assert ["old"] == await texts(unit)

    @in_one_step_or_many
    async def test_cancelled_it_is_whole_or_not_there(
        self, unit: ConversationHistoryUnit, store: ConversationStore, fillers: int
    ) -> None:
        """An import that is cancelled has stored nothing, or completes before the cancellation goes on."""
        loop = asyncio.get_running_loop()
        rows = [row(None, f"text {number}") for number in range(50)] + fill(fillers, None)

        def cancel() -> None:
            loop.call_soon_threadsafe(loading.cancel)

        loading: asyncio.Task[Any] = asyncio.create_task(store.load(Given(rows, at_the_end=cancel), "append"))
        with pytest.raises(asyncio.CancelledError):
            await loading
        assert len(await texts(unit)) in (0, 50)
        assert len(await texts(unit, "fillers")) in (0, fillers)

    async def test_others_save_while_many_are_imported(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """Their exchanges are kept, under ids of their own, and nothing is confused."""
        loading = asyncio.create_task(store.load(Given(fill(MANY, 1)), "append"))
        saved = 0
        while not loading.done():
            await unit.save_message(exchange(f"live {saved}", at=saved))
            saved += 1
        assert (MANY, 0, 0, 0) == await loading

        assert [f"live {number}" for number in range(saved)] == await texts(unit)
        fillers = await unit.get_conversation_history("fillers", limit=None)
        assert fillers == in_order(fillers)
        assert MANY == len({each.user_input for each in fillers})

    async def test_two_imports_at_once(self, unit: ConversationHistoryUnit, store: ConversationStore) -> None:
        """Both are whole."""
        first, second = (
            Given([row(number + 1, f"{name} {number}", conversation_id=name) for number in range(MANY)])
            for name in ("first", "second")
        )

        both = await asyncio.gather(store.load(first, "append"), store.load(second, "append"))

        assert [(MANY, 0, 0, 0)] * 2 == list(map(tuple, both))
        assert MANY == len(set(await texts(unit, "first"))) == len(set(await texts(unit, "second")))

    async def test_nothing_is_imported_from_nothing(
        self, unit: ConversationHistoryUnit, store: ConversationStore
    ) -> None:
        """An empty source changes nothing."""
        before = await unit.entry()

        assert (0, 0, 0, 0) == await store.load(Given([]), "replace")

        assert before == await unit.entry()

    @needs_database(DatabaseAbility.DURABLE)
    @in_one_step_or_many
    async def test_an_import_is_there_when_it_is_opened_again(
        self, unit: ConversationHistoryUnit, store: ConversationStore, make: MakeAdapter, fillers: int
    ) -> None:
        """By another adapter, after the first was closed."""
        await store.load(Given([row(1, "kept"), *fill(fillers)]), "append")
        await unit.shutdown()
        await unit.database_adapter.shutdown()

        async with await make() as again:
            other = again.conversations()
            await other.open()
            assert 1 + fillers == len((await export(other)).rows)
            assert [1] == ids_of(await other.search("kept", 5, None, ("[", "]"), 160))


def _runs(rows: list[Row]) -> list[str]:
    """Return the conversation of each run of rows of one conversation."""
    names = [each[1] for each in rows]
    return [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]
