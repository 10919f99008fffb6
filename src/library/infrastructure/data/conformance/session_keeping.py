"""The contract of sessions, part fourteen: what a manager does in the background."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from library.infrastructure.data import SessionConfig, SessionData, SessionManager
from library.infrastructure.data.conformance.foundation import PATIENCE_S, other_tasks
from library.infrastructure.data.conformance.session_foundation import (
    HOUR,
    NOT_FOUND,
    Clock,
    MakeManager,
    Open,
    SessionFoundation,
    refusal_of,
)

if TYPE_CHECKING:
    import pytest

    from library.infrastructure.data.conformance.session_kinds import Home

OFTEN = timedelta(milliseconds=2)


class Told:
    """Collects sessions that expired; some of them may be waited for."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._come = asyncio.Event()

    def __call__(self, session: SessionData) -> None:
        """Take note."""
        self.ids.append(session.session_id)
        self._come.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many were told of."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.ids) < count:
                self._come.clear()
                await self._come.wait()


class SessionKeepingContract(SessionFoundation):
    """What a manager does in the background."""

    async def test_it_cleans_up_by_itself(self, opened: Open, clock: Clock) -> None:
        """Again and again."""
        told = Told()
        manager = await opened(cleanup_interval=OFTEN, on_expired=told)
        ids = []
        for turn in range(1, 4):
            ids.append(await manager.create_session("alice"))
            clock.forward(HOUR)
            await told.wait_for(turn)

        assert ids == told.ids
        assert NOT_FOUND is await refusal_of(manager, ids[0])

    async def test_it_goes_on_after_errors(
        self, opened: Open, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of the clock, of the store, of `on_expired`: they are logged, and it is tried again."""
        told = Told()
        is_broken = False

        def broken_clock() -> datetime:
            nonlocal is_broken
            if is_broken:
                is_broken = False
                raise ZeroDivisionError("a broken clock")
            return clock()

        def on_expired(session: SessionData) -> None:
            told(session)
            raise ZeroDivisionError("a broken callback")

        manager = await opened(cleanup_interval=OFTEN, clock=broken_clock, on_expired=on_expired)
        with caplog.at_level(logging.WARNING):
            for turn in range(1, 4):
                await manager.create_session("alice")
                is_broken = True
                clock.forward(HOUR)
                await told.wait_for(turn)
                assert not is_broken

        assert 3 == len(set(told.ids)) == len(told.ids)
        assert 3 == sum("a broken clock" in record.getMessage() for record in caplog.records)

    async def test_two_managers(self, opened: Open, clock: Clock) -> None:
        """Do not clean up twice the same."""
        told = Told()
        managers = [await opened(cleanup_interval=OFTEN, on_expired=told) for _ in range(3)]
        ids = await asyncio.gather(*(managers[0].create_session("alice") for _ in range(300)))
        clock.forward(HOUR)

        await told.wait_for(300)
        await asyncio.gather(*(manager.shutdown() for manager in managers))

        assert 300 == len(told.ids)
        assert set(ids) == set(told.ids)

    async def test_without_an_interval(self, opened: Open, clock: Clock) -> None:
        """Nothing is cleaned up unless that is asked for."""
        told, mine = Told(), Told()
        await opened(cleanup_interval=OFTEN, on_expired=told, session_timeout=HOUR / 2)
        manager = await opened(cleanup_interval=None, on_expired=mine)
        await manager.create_session("alice")
        clock.forward(HOUR)

        await told.wait_for(1)

        assert [] == mine.ids

    async def test_it_ends_with_shutdown(self, make: MakeManager) -> None:
        """No task is left, whenever that comes; it begins again when the manager is opened again."""
        before = other_tasks()
        manager = make(cleanup_interval=OFTEN)
        for steps in range(6):
            await manager.initialize()
            await manager.touch(await manager.create_session("alice"))
            assert set(other_tasks()) > set(before)
            for _ in range(steps):
                await asyncio.sleep(0)
            await manager.shutdown()
            assert set(before) == set(other_tasks())

    async def test_shutdown_waits_for_on_expired(self, opened: Open, clock: Clock) -> None:
        """It is cancelled where it waits, and has ended when `shutdown` returns."""
        begun, ended = asyncio.Event(), asyncio.Event()

        async def on_expired(_: SessionData) -> None:
            begun.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

        manager = await opened(cleanup_interval=OFTEN, on_expired=on_expired)
        await manager.create_session("alice")
        clock.forward(HOUR)
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
            await manager.shutdown()

        assert ended.is_set()

    async def test_on_expired_shuts_it_down(self, opened: Open, clock: Clock) -> None:
        """Even that ends well."""
        done = asyncio.Event()

        async def on_expired(_: SessionData) -> None:
            await manager.shutdown()
            done.set()

        manager: SessionManager = await opened(cleanup_interval=OFTEN, on_expired=on_expired)
        await manager.create_session("alice")
        clock.forward(HOUR)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
            await manager.shutdown()

        assert not manager.is_open

    # -- loops and threads -----------------------------------------------------------------------------------

    async def test_shut_down_from_another_thread(self, opened: Open, clock: Clock) -> None:
        """While the loop that opened it runs: no task is left there."""
        told = Told()
        manager = await opened(cleanup_interval=OFTEN, on_expired=told)
        await manager.touch(await manager.create_session("alice"))
        clock.forward(HOUR)
        await told.wait_for(1)

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(lambda: asyncio.run(manager.shutdown()))

        assert not manager.is_open
        names = [task.get_name() for task in other_tasks()]
        assert [] == [name for name in names if "keeper" in name]

    async def test_opened_in_another_thread(self, make: MakeManager, clock: Clock) -> None:
        """It cleans up on the loop that opened it, and may be shut down from here while that runs."""
        opened_in: list[int] = []
        told_in: list[int] = []
        is_told, may_end = threading.Event(), threading.Event()

        def on_expired(_: SessionData) -> None:
            told_in.append(threading.get_ident())
            is_told.set()

        manager = make(cleanup_interval=OFTEN, on_expired=on_expired)

        async def open_it() -> None:
            opened_in.append(threading.get_ident())
            await manager.initialize()
            await manager.create_session("alice")
            clock.forward(HOUR)
            await asyncio.to_thread(may_end.wait, PATIENCE_S)
            assert [] == other_tasks()

        opening = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(open_it())))
        assert await asyncio.to_thread(is_told.wait, PATIENCE_S)
        await manager.shutdown()
        may_end.set()
        await opening

        assert opened_in == told_in

    async def test_its_loop_is_gone(self, make: MakeManager, clock: Clock) -> None:
        """It can be used all the same, and shut down; nothing is cleaned up by itself any more."""
        manager = make(cleanup_interval=OFTEN)

        def open_it() -> str:
            async def create() -> str:
                await manager.initialize()
                return await manager.create_session("alice")

            return asyncio.run(create())

        session_id = await asyncio.to_thread(open_it)
        await manager.touch(session_id)
        assert "alice" == (await manager.get_session(session_id)).user_id
        clock.forward(HOUR)
        assert 1 == await manager.cleanup_expired_sessions()

        async with asyncio.timeout(PATIENCE_S):
            await manager.shutdown()
        assert not manager.is_open

    # -- forgotten -------------------------------------------------------------------------------------------

    async def test_a_manager_that_is_forgotten(self, home: Home, clock: Clock) -> None:
        """Is collected, though its tasks are at work; that warns, and tells what to do."""
        before = set(other_tasks())
        config = SessionConfig(session_timeout=HOUR, cleanup_interval=OFTEN)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            manager = SessionManager(config, home.adapter, store=home.store, clock=clock)
            await manager.initialize()
            await manager.touch(await manager.create_session("alice"))
            del manager
            deadline = time.monotonic() + PATIENCE_S
            while not caught and time.monotonic() < deadline:
                gc.collect()
                await asyncio.sleep(0)
            warned = [(each.category, str(each.message)) for each in caught]
        if left := set(other_tasks()) - before:
            await asyncio.wait(left, timeout=PATIENCE_S)

        ((category, text),) = warned
        assert ResourceWarning is category
        assert "shutdown()" in text
        assert before == set(other_tasks())

    async def test_one_that_is_not_open(self, home: Home) -> None:
        """May be forgotten in silence."""
        for is_used in (False, True):
            manager = SessionManager(None, home.adapter, store=home.store)
            if is_used:
                async with manager:
                    await manager.create_session("alice")
            del manager
            gc.collect()
