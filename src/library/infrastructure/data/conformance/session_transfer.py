"""The contract of sessions, part seventeen: many sessions at once, out as rows and in again."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import (
    DuplicateSessionError,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
)
from library.infrastructure.data.conformance.conversation_foundation import METADATA, TEXTS, property_test
from library.infrastructure.data.conformance.row_transfer import Given, Taken
from library.infrastructure.data.conformance.session_foundation import (
    HOUR,
    TICK,
    Clock,
    MakeManager,
    Open,
    SessionFoundation,
    refusal_of,
)
from library.infrastructure.data.conformance.session_kinds import SessionAbility, needs_of_sessions
from library.infrastructure.data.utc_time import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

MANY = 11_000
"""So many that a database may store them in several steps."""
in_one_step_or_many = pytest.mark.parametrize("fillers", [0, MANY], ids=["few", "many"])


def row(session_id: str, clock: Clock, user_id: str = "alice", *, metadata: str = "{}", **end: Any) -> Row:
    """Make the row of a session that was created just now."""
    now = to_microseconds(clock.now)
    is_active = not end
    return (session_id, user_id, now, now, is_active, end.get("ended_at"), end.get("end_reason"), metadata)


def fill(count: int, clock: Clock) -> list[Row]:
    """Make the rows of sessions that no test asks for."""
    return [row(f"filler {number}", clock, "filler") for number in range(count)]


async def export(manager: SessionManager, ids: Sequence[str] | None = None) -> Taken:
    """Take the sessions of a manager."""
    taken = Taken()
    await manager._store.export(ids, taken)
    return taken


class SessionTransferContract(SessionFoundation):
    """Many sessions at once."""

    async def test_an_export_gives_every_session(self, manager: SessionManager, clock: Clock) -> None:
        """Active, ended and expired ones, the oldest first, with the activity that is held in memory."""
        first = await manager.create_session("alice", {"n": 2**70, "a\x00": [1.5, None]})
        created = to_microseconds(clock.now)
        clock.seconds(1)
        second = await manager.create_session("bob")
        clock.seconds(1)
        await manager.touch(first)
        await manager.end_session(second)

        taken = await export(manager)

        later = created + 1_000_000
        metadata = f'{{"n":{2**70},"a\\u0000":[1.5,null]}}'
        assert (2, []) == (taken.total, taken.missing)
        assert taken.rows == [
            (first, "alice", created, created + 2_000_000, True, None, None, metadata),
            (second, "bob", later, later, False, later + 1_000_000, "ended", "{}"),
        ]

    async def test_an_export_gives_the_sessions_asked_for(
        self, manager: SessionManager, clock: Clock
    ) -> None:
        """Each once, and tells of those that are not there."""
        ids = []
        for _ in range(3):
            clock.seconds(1)
            ids.append(await manager.create_session("alice"))

        taken = await export(manager, [ids[2], "nowhere", ids[0], ids[2], "nowhere"])

        assert ["nowhere"] == taken.missing
        assert [ids[0], ids[2]] == [each[0] for each in taken.rows]

    @property_test(15)
    @given(drawn=st.lists(st.tuples(TEXTS.filter(bool), METADATA, st.booleans()), max_size=5))
    async def test_what_was_exported_comes_back(
        self, manager: SessionManager, clock: Clock, drawn: list[tuple[str, dict[str, Any], bool]]
    ) -> None:
        """Equal in every field, after all were deleted."""
        for user_id, metadata, ends in drawn:
            clock.seconds(0.001)
            session_id = await manager.create_session(user_id, metadata)
            if ends:
                await manager.end_session(session_id)
        rows = (await export(manager)).rows
        for each in rows:
            await manager._store.delete(each[0])

        loaded = await manager._store.load(Given(rows), "append")

        assert (len(rows), 0, 0, 0) == loaded
        assert rows == (await export(manager)).rows

    @in_one_step_or_many
    async def test_imported_sessions_are_used_as_any(
        self, manager: SessionManager, clock: Clock, fillers: int
    ) -> None:
        """They are found, changed, listed, and expire; ended ones stay ended."""
        rows = [row("mine", clock, metadata='{"a":1}'), *fill(fillers, clock)]
        at = to_microseconds(clock.now)
        rows.append(row("over", clock, ended_at=at, end_reason="ended"))

        assert (2 + fillers, 0, 0, 0) == await manager._store.load(Given(rows), "append")

        assert {"a": 1} == (await manager.get_session("mine")).metadata
        await manager.update_session("mine", {"b": 2})
        assert {"a": 1, "b": 2} == (await manager.get_session("mine")).metadata
        assert SessionEndedError is await refusal_of(manager, "over")
        listed = await manager.list_sessions("alice", active=True)
        assert ["mine"] == [each.session_id for each in listed]
        clock.now += HOUR + TICK
        assert SessionExpiredError is await refusal_of(manager, "mine")
        assert 1 + fillers == await manager.cleanup_expired_sessions()

    @in_one_step_or_many
    async def test_append_refuses_a_session_that_is_there(
        self, manager: SessionManager, clock: Clock, fillers: int
    ) -> None:
        """Nothing is stored then, and the error does not tell the id."""
        session_id = await manager.create_session("alice")
        rows = [*fill(fillers, clock), row("new", clock), row(session_id, clock)]

        with pytest.raises(DuplicateSessionError) as caught:
            await manager._store.load(Given(rows), "append")

        assert session_id not in str(caught.value)
        assert [session_id] == [each[0] for each in (await export(manager)).rows]

    @in_one_step_or_many
    async def test_append_refuses_a_session_that_comes_twice(
        self, manager: SessionManager, clock: Clock, fillers: int
    ) -> None:
        """Nothing is stored then."""
        rows = [row("twice", clock), *fill(fillers, clock), row("twice", clock)]

        with pytest.raises(DuplicateSessionError):
            await manager._store.load(Given(rows), "append")

        assert [] == (await export(manager)).rows

    async def test_replace_replaces_sessions(self, manager: SessionManager, clock: Clock) -> None:
        """Those of the same id, whatever their state; others stay. Of two in the file, the last counts."""
        ids = [await manager.create_session("alice", {"old": True}) for _ in range(3)]
        await manager.end_session(ids[1])
        rows = [row(ids[0], clock, "bob"), row(ids[1], clock, "bob"), row(ids[1], clock, "carol")]

        loaded = await manager._store.load(Given(rows), "replace")

        assert 2 == loaded.written
        sessions = [await manager.get_session(each) for each in ids]
        assert ["bob", "carol", "alice"] == [each.user_id for each in sessions]
        assert [{}, {}, {"old": True}] == [each.metadata for each in sessions]

    async def test_duplicates_are_skipped(self, manager: SessionManager, clock: Clock) -> None:
        """What is there stays as it is; twice changes nothing."""
        session_id = await manager.create_session("alice")
        rows = [row(session_id, clock, "bob"), row("new", clock), row("new", clock, "twice")]

        assert (1, 2, 0, 0) == await manager._store.load(Given(rows), "skip_duplicates")
        assert (0, 3, 0, 0) == await manager._store.load(Given(rows), "skip_duplicates")

        assert ["alice", "alice"] == [
            (await manager.get_session(each)).user_id for each in (session_id, "new")
        ]

    async def test_what_the_source_raises_stores_nothing(self, manager: SessionManager, clock: Clock) -> None:
        """Though all was given."""

        def fail() -> None:
            raise OSError("cut off")

        with pytest.raises(OSError, match="cut off"):
            await manager._store.load(Given([row("new", clock)], at_the_end=fail), "append")

        assert [] == (await export(manager)).rows

    async def test_imported_sessions_count_for_limits(self, opened: Open, clock: Clock) -> None:
        """What is more than allowed makes room when the next session is created."""
        manager = await opened(max_sessions=3)
        await manager._store.load(Given([row(f"s{number}", clock) for number in range(5)]), "append")

        clock.seconds(1)
        created = await manager.create_session("alice")

        left = [each.session_id for each in await manager.list_sessions()]
        assert created in left
        assert 3 == len(left)

    @needs_of_sessions(SessionAbility.DATABASE)
    async def test_imports_of_tables_are_apart(self, make: MakeManager, clock: Clock) -> None:
        """What is imported into one is not in another."""
        async with make() as first, make(table_name="others") as second:
            await first._store.load(Given([row("s", clock)]), "append")

            assert [] == (await export(second)).rows
