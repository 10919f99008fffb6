"""What the parts of the contract stand on: the fixtures, and the search for what a test left behind."""

# ruff: noqa: S101 - a contract consists of assertions

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from filelock import FileLock

from library.infrastructure.data.conformance.kinds import UnitKind, needed_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from library.infrastructure.data import DataUnitBase

T = TypeVar("T")

PATIENCE_S = 20
"""What takes longer hangs."""


class Foundation:
    """Runs each test for each kind that can do what the test needs."""

    kinds: ClassVar[Sequence[UnitKind]]
    """The kinds under the contract."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Choose the kinds for a test."""
        if "kind" in metafunc.fixturenames:
            needed = needed_by(metafunc.function)
            able = [kind for kind in self.kinds if needed in kind.can]
            metafunc.parametrize("kind", able, ids=[each.name for each in able])

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Path]:
        """A folder of the test's own; afterwards nothing in it is open or locked, and no thread was left."""
        threads_before = set(threading.enumerate())
        yield tmp_path
        assert open_files(tmp_path) == []
        for lock_file in tmp_path.rglob("*.lock"):
            with FileLock(lock_file, timeout=0):
                pass
        pools = ("nanobrain-data", "asyncio_")
        left = set(threading.enumerate()) - threads_before
        assert [thread.name for thread in left if not thread.name.startswith(pools)] == []

    @pytest.fixture
    async def closed_unit(self, kind: UnitKind, place: Path) -> AsyncIterator[DataUnitBase]:
        """A unit that was never opened; it may be open at the end."""
        unit = kind.make(place)
        yield unit
        await unit.shutdown()
        assert other_tasks() == []

    @pytest.fixture
    async def unit(self, closed_unit: DataUnitBase) -> DataUnitBase:
        """A unit that is open."""
        await closed_unit.initialize()
        return closed_unit


class Gate:
    """An update that is at work until it is told to end; no other write comes in between."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.may_leave = asyncio.Event()

    @asynccontextmanager
    async def held(self, unit: DataUnitBase, result: Any) -> AsyncIterator[asyncio.Task[Any]]:
        """Hold the unit in an update for the length of the block, or until `may_leave` is set."""

        async def wait(_: Any) -> Any:
            self.entered.set()
            await self.may_leave.wait()
            return result

        task = asyncio.create_task(unit.update(wait))
        await self.entered.wait()
        try:
            yield task
        finally:
            self.may_leave.set()
            await task


def open_files(place: Path) -> list[str]:
    """Return the files in a folder that this process has open, where the system tells."""
    found = []
    folder = Path("/proc/self/fd")
    for descriptor in folder.iterdir() if folder.exists() else ():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the one by which the folder was listed
            continue
        if target.startswith(f"{place}{os.sep}"):
            found.append(target)
    return found


def other_tasks() -> list[asyncio.Task[Any]]:
    """Return the tasks of this loop that are not done, but for the present one."""
    present = asyncio.current_task()
    return [task for task in asyncio.all_tasks() if task is not present]


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` in an event loop of its own, in which nothing may be left, and not for ever."""

    async def watched() -> T:
        async with asyncio.timeout(PATIENCE_S):
            result = await main()
        assert other_tasks() == []
        return result

    return asyncio.run(watched())


def run_in_threads(*mains: Callable[[], Coroutine[Any, Any, T]]) -> list[T]:
    """Run each in a thread and an event loop of its own, at the same time."""
    barrier = threading.Barrier(len(mains))

    def start(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        barrier.wait(PATIENCE_S)
        return run(main)

    with ThreadPoolExecutor(len(mains)) as pool:
        return list(pool.map(start, mains))
