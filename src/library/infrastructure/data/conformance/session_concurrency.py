"""The contract of sessions, part sixteen: many tasks, loops and threads; cancellation."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    SessionConfig,
    SessionManager,
    UnitClosedError,
)
from library.infrastructure.data.conformance.foundation import PATIENCE_S, other_tasks, run_in_threads
from library.infrastructure.data.conformance.loops import close_though_pending, forget
from library.infrastructure.data.conformance.session_foundation import (
    HOUR,
    Clock,
    MakeManager,
    Open,
    SessionFoundation,
    all_of,
    ids_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data.conformance.session_kinds import (
        Home,
        SessionKind,
    )

from library.infrastructure.data.conformance.session_lifecycle import use


class SessionConcurrencyContract(SessionFoundation):
    """Many tasks, loops and threads; cancellation."""

    # -- tasks, loops, threads -------------------------------------------------------------------------------

    async def test_many_tasks(self, opened: Open) -> None:
        """Each sees what it did itself, at once."""
        managers = [await opened(), await opened()]
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(use(managers[number % 2], str(number)) for number in range(20)))

        assert 20 == len(await all_of(managers[0], active=True))

    async def test_many_loops(self, make: MakeManager, manager: SessionManager) -> None:
        """One manager, and several of one home, are used in several threads with loops of their own."""
        others, numbers = [make(), make()], count()

        async def own() -> None:
            async with others.pop() as mine:
                await use(mine, f"own {next(numbers)}")

        async def shared() -> None:
            name = str(next(numbers))
            await asyncio.gather(*(use(manager, f"shared {name} {part}") for part in range(3)))

        await asyncio.to_thread(run_in_threads, shared, shared, own, own)

        assert 8 == len(await all_of(manager))

    def test_one_loop_after_the_other(self, kind: SessionKind, place: Path, clock: Clock) -> None:
        """A manager may be opened, used and closed in different ones."""
        home: Home = asyncio.run(kind.make(place))  # type: ignore[arg-type]  # it is a coroutine
        config = SessionConfig(session_timeout=HOUR)
        manager = SessionManager(config, home.adapter, store=home.store, clock=clock)
        asyncio.run(manager.initialize())
        asyncio.run(use(manager, "alice"))
        asyncio.run(use(manager, "bob"))
        asyncio.run(manager.shutdown())
        asyncio.run(manager.initialize())
        asyncio.run(manager.shutdown())

        assert not manager.is_open

    # -- cancellation ----------------------------------------------------------------------------------------

    async def test_calls_that_are_cancelled(self, manager: SessionManager, clock: Clock) -> None:
        """Happen whole or not at all, at whatever moment; others go on."""
        session_id = await manager.create_session("alice")
        begun = [
            asyncio.create_task(call)
            for number in range(30)
            for call in (
                manager.create_session("bob", {"n": number}),
                manager.update_session(session_id, {f"k{number}": 1, f"l{number}": 1}),
                manager.touch(session_id),
                manager.cleanup_expired_sessions(),
            )
        ]
        for number, task in enumerate(begun):
            for _ in range(number % 7):
                await asyncio.sleep(0)
            if number % 3:
                task.cancel()
        await asyncio.wait(begun)

        metadata = (await manager.get_session(session_id)).metadata
        of_bob = await all_of(manager, user_id="bob")
        acknowledged = {task.result() for task in begun[::4] if not task.cancelled()}
        assert acknowledged <= set(ids_of(of_bob))
        for number in range(30):
            assert (f"k{number}" in metadata) is (f"l{number}" in metadata)
            if not begun[4 * number + 1].cancelled():
                assert f"k{number}" in metadata
        clock.forward(HOUR)
        assert 1 + len(of_bob) == await manager.cleanup_expired_sessions()

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34])
    async def test_opening_is_cancelled(self, make: MakeManager, steps: int) -> None:
        """At whatever moment: nothing is left open, and it can be opened afterwards."""
        before = set(other_tasks())
        manager = make()
        opening = asyncio.create_task(manager.initialize())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if opening.cancelled():
            assert not manager.is_open
            assert before == set(other_tasks())

        async with manager:
            await use(manager, "alice")

    async def test_a_loop_that_closes_in_between(self, manager: SessionManager) -> None:
        """Tasks of a loop that is gone keep nobody from anything."""
        session_id = await manager.create_session("alice")

        def leave() -> None:
            loop = asyncio.new_event_loop()
            begun: list[asyncio.Task[Any]] = [
                loop.create_task(call)
                for call in (
                    manager.create_session("left"),
                    manager.update_session(session_id, {"left": 1}),
                    manager.touch(session_id),
                    manager.list_sessions(),
                    manager.cleanup_expired_sessions(),
                )
            ]
            for _ in range(3):
                loop.run_until_complete(asyncio.sleep(0))
            close_though_pending(loop)
            forget(begun)

        async with asyncio.timeout(PATIENCE_S):
            for turn in range(5):
                await asyncio.to_thread(leave)
                await use(manager, str(turn))
        assert 5 >= len(await all_of(manager, user_id="left"))

    async def test_closing_beside_creating(self, make: MakeManager) -> None:
        """Each call is acknowledged, and then done, or raises; nobody waits for ever."""
        manager = make()
        async with asyncio.timeout(PATIENCE_S):
            await manager.initialize()
            calls = [asyncio.create_task(manager.create_session("alice")) for _ in range(50)]
            await asyncio.sleep(0)
            await manager.shutdown()
            await asyncio.wait(calls)
            await manager.initialize()

        created = {call.result() for call in calls if call.exception() is None}
        assert {UnitClosedError} >= {type(call.exception()) for call in calls if call.exception()}
        assert created == set(ids_of(await all_of(manager)))
