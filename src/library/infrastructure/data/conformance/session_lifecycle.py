"""The contract of sessions, part fifteen: opening, closing, and who does so."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    DatabaseAdapter,
    InvalidOptionError,
    MemorySessionStore,
    NotInitializedError,
    SessionConfig,
    SessionManager,
    UnitClosedError,
)
from library.infrastructure.data.conformance.foundation import other_tasks
from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    NOT_FOUND,
    Clock,
    MakeManager,
    Open,
    SessionFoundation,
    ids_of,
    refusal_of,
)
from library.infrastructure.data.conformance.session_kinds import (
    Home,
    SessionAbility,
    needs_of_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS: dict[str, Callable[[SessionManager], Awaitable[object]]] = {
    "create_session": lambda manager: manager.create_session("alice"),
    "get_session": lambda manager: manager.get_session("x"),
    "get_session with a default": lambda manager: manager.get_session("x", default=None),
    "update_session": lambda manager: manager.update_session("x", {}),
    "update_session by a function": lambda manager: manager.update_session("x", lambda _: {}),
    "touch": lambda manager: manager.touch("x"),
    "end_session": lambda manager: manager.end_session("x"),
    "delete_session": lambda manager: manager.delete_session("x"),
    "list_sessions": lambda manager: manager.list_sessions(),
    "cleanup_expired_sessions": lambda manager: manager.cleanup_expired_sessions(),
    "flush": lambda manager: manager.flush(),
}


async def use(manager: SessionManager, name: str) -> None:
    """Do a little of everything with sessions of one's own, and see what one did oneself."""
    one, two = await manager.create_session(name, {"n": 0}), await manager.create_session(name)
    for number in range(1, 5):
        await manager.update_session(one, lambda session: {"n": session.metadata["n"] + 1})
        await manager.touch(one)
        assert number == (await manager.get_session(one)).metadata["n"]
    assert await manager.end_session(two)
    assert ENDED is await refusal_of(manager, two)
    assert {one, two} == set(ids_of(await manager.list_sessions(name)))
    assert [one] == ids_of(await manager.list_sessions(name, active=True))
    assert await manager.delete_session(two)
    assert NOT_FOUND is await refusal_of(manager, two)
    await manager.cleanup_expired_sessions()


class SessionLifecycleContract(SessionFoundation):
    """Opening, closing, and who does so."""

    async def test_before_and_after(self, make: MakeManager) -> None:
        """Every call raises, and says what to do."""
        manager = make()
        assert not manager.is_open
        for name, call in CALLS.items():
            with pytest.raises(NotInitializedError) as early:
                await call(manager)
            assert "initialize()" in str(early.value), name
        async with manager as same:
            assert manager is same
            assert manager.is_open
        for name, call in CALLS.items():
            with pytest.raises(UnitClosedError) as late:
                await call(manager)
            assert "initialize()" in str(late.value), name

    async def test_opened_again(self, make: MakeManager, clock: Clock) -> None:
        """Everything is there, as long as the home is."""
        manager = make()
        async with manager:
            session_id = await manager.create_session("alice", {"n": 2**70})
            ended = await manager.create_session("alice")
            await manager.end_session(ended)
            clock.seconds(1)
            await manager.touch(session_id)
            before = await manager.list_sessions()
        async with manager:
            assert before == await manager.list_sessions()
            assert clock.now == (await manager.get_session(session_id)).last_activity
        async with make() as other:
            assert before == await other.list_sessions()

    @needs_of_sessions(SessionAbility.DURABLE)
    async def test_another_home(
        self, opened: Open, home: Home, new_home: Callable[[], Awaitable[Home]]
    ) -> None:
        """Everything is there, as it was, when the home is opened again, or another of the same place."""
        manager = await opened()
        session_id = await manager.create_session("\u00e9\0", {"n": [2**70, 0.1, {"": None}]})
        ended = await manager.create_session("alice")
        await manager.end_session(ended)
        before = await manager.list_sessions()
        assert home.adapter is not None
        await manager.shutdown()
        await home.adapter.shutdown()

        for each in (home, await new_home()):
            manager = await opened(home=each)
            assert before == await manager.list_sessions()
            assert (await manager.get_session(session_id)) in before
            assert ENDED is await refusal_of(manager, ended)
            await manager.shutdown()
            assert each.adapter is not None
            assert not each.adapter.is_open

    async def test_opening_and_closing_twice(self, make: MakeManager) -> None:
        """Does nothing, at once or one after the other."""
        before = set(other_tasks())
        manager = make()
        await asyncio.gather(*(manager.initialize() for _ in range(5)))
        await manager.initialize()
        await use(manager, "alice")

        await asyncio.gather(*(manager.shutdown() for _ in range(5)))
        await manager.shutdown()

        assert before == set(other_tasks())

    @needs_of_sessions(SessionAbility.DATABASE)
    async def test_the_adapter(self, make: MakeManager, home: Home) -> None:
        """Stays open if it was opened by hand, else closes with its last user."""
        assert home.adapter is not None
        async with make() as manager:
            assert home.adapter is manager.database_adapter
        assert home.adapter.is_open
        await home.adapter.shutdown()
        async with make() as one:
            async with make(table_name="others") as two:
                await use(one, "alice")
                await use(two, "alice")
            assert home.adapter.is_open
            await use(one, "bob")
        assert not home.adapter.is_open

    @needs_of_sessions(SessionAbility.DATABASE)
    async def test_an_adapter_closed_by_hand_below_it(self, opened: Open, home: Home) -> None:
        """The calls raise, and it can still be shut down."""
        manager = await opened()
        session_id = await manager.create_session("alice")
        assert home.adapter is not None

        await home.adapter.shutdown()

        for call in (manager.create_session("a"), manager.get_session(session_id), manager.touch(session_id)):
            with pytest.raises(UnitClosedError):
                await call
        await manager.shutdown()

    # -- options ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("config", 5),
            ("config", {}),
            ("database_adapter", "sqlite://"),
            ("store", {}),
            ("store", MemorySessionStore),
            ("clock", None),
            ("clock", 5),
            ("on_expired", "print"),
        ],
    )
    async def test_arguments_of_the_wrong_type(self, home: Home, option: str, value: Any) -> None:
        """Are refused by name, before anything is opened."""
        given: dict[str, Any] = {"database_adapter": home.adapter, "store": home.store, option: value}
        if option in ("database_adapter", "store"):
            given = {option: value}
        with pytest.raises(InvalidOptionError) as caught:
            SessionManager(**given)

        assert option == caught.value.option

    @needs_of_sessions(SessionAbility.DATABASE)
    @pytest.mark.parametrize("name", ["", "1a", "a b", 'a"b', "a\n", "_a", "\u00e9", "x" * 49, None, 5])
    async def test_names_that_are_none(self, home: Home, name: Any) -> None:
        """Are refused before anything is opened."""
        with pytest.raises(InvalidOptionError) as caught:
            SessionManager(SessionConfig(), home.adapter, table_name=name)

        assert "table_name" == caught.value.option

    @needs_of_sessions(SessionAbility.DATABASE)
    async def test_a_table_that_is_not_for_sessions(self, home: Home, make: MakeManager) -> None:
        """Is refused, and left as it is; nothing is left open."""
        adapter: DatabaseAdapter | None = home.adapter
        assert adapter is not None
        await adapter.conversations("taken").open()
        before = set(other_tasks())

        manager = make(table_name="taken")
        with pytest.raises(InvalidOptionError, match="taken"):
            await manager.initialize()

        assert not manager.is_open
        assert before == set(other_tasks())

    async def test_a_store_and_an_adapter(self, home: Home) -> None:
        """Contradict each other."""
        if home.adapter is not None:
            with pytest.raises(InvalidOptionError):
                SessionManager(None, home.adapter, store=MemorySessionStore())

    async def test_its_repr(self, make: MakeManager) -> None:
        """Tells its state, and no session's id."""
        manager = make()
        async with manager:
            session_id = await manager.create_session("alice")
            assert session_id not in repr(manager)
            while_open = repr(manager)

        assert "SessionManager" in while_open
        assert while_open != repr(manager)
