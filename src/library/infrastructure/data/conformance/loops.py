"""The contract, part five: several event loops, loops that end too early, and forked processes."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data.conformance import forking
from library.infrastructure.data.conformance.foundation import (
    PATIENCE_S,
    Foundation,
    Gate,
    run,
    run_in_threads,
)
from library.infrastructure.data.conformance.kinds import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind

fork = pytest.mark.parametrize("when", ["at_rest", "at_work"])


class LoopContract(Foundation):
    """Several event loops, loops that end too early, and forked processes."""

    async def test_a_second_loop_waits_for_the_first(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """While tasks of this loop wait for an update, tasks of another loop wait with them."""
        begun = threading.Event()

        async def elsewhere() -> None:
            tasks = [asyncio.create_task(unit.update(kind.increment)) for _ in range(5)]
            await asyncio.sleep(0)
            begun.set()
            await asyncio.gather(*tasks)

        async with asyncio.timeout(PATIENCE_S), Gate().held(unit, kind.value(1)):
            here = [asyncio.create_task(unit.update(kind.increment)) for _ in range(5)]
            await asyncio.sleep(0)
            there = asyncio.ensure_future(asyncio.to_thread(run, elsewhere))
            assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        await asyncio.gather(*here, there)

        assert (kind.value(11), 11) == (await unit.entry())[:2]

    async def test_a_loop_that_closes_with_waiters_blocks_nobody(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """Tasks of a loop that is gone are passed over, those that wait to write and those that watch."""
        await unit.set(kind.value(0))

        async def watch() -> None:
            async for _ in unit.watch():
                pass

        def leave() -> list[asyncio.Task[Any]]:
            loop = asyncio.new_event_loop()
            begun = [
                loop.create_task(coroutine)
                for coroutine in (watch(), unit.update(kind.increment), unit.clear(), watch(), unit.set(0))
            ]
            for _ in range(5):
                loop.run_until_complete(asyncio.sleep(0))
            close_though_pending(loop)
            return begun

        async with asyncio.timeout(PATIENCE_S):
            async with Gate().held(unit, kind.value(1)):
                abandoned = await asyncio.to_thread(leave)
            await unit.set(kind.value(5))
            assert kind.value(6) == await unit.update(kind.increment)
            await unit.shutdown()
            await unit.initialize()
            await unit.set(kind.value(7))
        forget(abandoned)

    async def test_a_loop_that_closes_within_an_update_blocks_nobody(
        self, kind: UnitKind, unit: DataUnitBase
    ) -> None:
        """An update whose task is gone has not happened, and the next in line has its turn."""
        await unit.set(kind.value(1))

        async def never(_: Any) -> None:
            await asyncio.get_running_loop().create_future()

        def leave() -> None:
            loop = asyncio.new_event_loop()
            entered = asyncio.Event()

            async def enter(value: Any) -> None:
                entered.set()
                await never(value)

            begun = [loop.create_task(unit.update(enter))]
            loop.run_until_complete(entered.wait())
            close_though_pending(loop)
            forget(begun)

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(leave)
            gc.collect()
            assert kind.value(2) == await unit.update(kind.increment)
        assert 2 == (await unit.entry()).version

    async def test_threads_do_everything_at_once(self, kind: UnitKind, unit: DataUnitBase) -> None:
        """Reads, changes and watching in four loops at once: each change counts, none fails."""
        rounds = 3
        per_round = len(kind.changes) - 1

        async def work() -> None:
            watcher = unit.watch(since=0)  # so that what this task changed itself is enough to go on
            for number in range(rounds):
                for name, change in kind.changes.items():
                    if name != "set, if_version":  # which may well be too late here
                        await change.call(unit, kind.value(number))
                for operation in kind.operations.values():
                    await operation(unit)
                await anext(watcher)
            await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator

        await asyncio.to_thread(run_in_threads, *[work] * 4)

        assert 4 * rounds * per_round == (await unit.entry()).version

    @needs(Capability.FORKABLE)
    @fork
    def test_an_open_unit_works_in_a_forked_child(self, kind: UnitKind, place: Path, when: str) -> None:
        """Parent and child go on, each with its loop, also when an update was at work and tasks waited."""
        assert {"parent": "done", "child": "done"} == self._fork(kind, place, when)

    @needs(Capability.FORKABLE | Capability.DURABLE)
    @fork
    def test_parent_and_forked_child_take_turns(self, kind: UnitKind, place: Path, when: str) -> None:
        """An update of the child waits for the parent's: both count."""
        self._fork(kind, place, when)

        async def read() -> Any:
            async with kind.make(place) as unit:
                return await unit.get()

        assert kind.value(forking.UPDATES) == run(read)

    @needs(Capability.EXCLUSIVE)
    @fork
    def test_an_open_unit_refuses_a_forked_child(self, kind: UnitKind, place: Path, when: str) -> None:
        """The place belongs to the parent, who goes on."""
        assert {"parent": "done", "child": "StorageError"} == self._fork(kind, place, when)

    def _fork(self, kind: UnitKind, place: Path, when: str) -> dict[str, str]:
        """Run `forking` on a unit of this kind, in a process of its own."""
        command = [sys.executable, "-m", forking.__name__, inspect.getfile(type(self)), type(self).__name__]
        finished = subprocess.run(  # noqa: S603 - it is our own program
            [*command, kind.name, str(place), when], capture_output=True, text=True, timeout=60, check=False
        )
        if finished.returncode:
            pytest.fail(finished.stdout + finished.stderr)
        answers: dict[str, str] = json.loads(finished.stdout)
        return answers


def close_though_pending(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop the wrong way: nothing is cancelled, nothing awaited."""
    loop.set_exception_handler(lambda *_: None)
    loop.close()


def forget(tasks: list[asyncio.Task[Any]]) -> None:
    """Drop tasks of a closed loop, which will never be done."""
    tasks.clear()
    gc.collect()
