"""Several processes work on one file at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import EMPTY, DataUnitFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
async def test_no_update_is_lost(
    tmp_path: Path, start: Callable[..., Any], strays: Callable[[Path], list[str]]
) -> None:
    """Four processes add one fifty times each, all at once: the sum is two hundred."""
    path = tmp_path / "number.json"
    children = [start("increment", path, 50) for _ in range(4)]
    assert ["ready"] * 4 == [child.line() for child in children]

    for child in children:
        child.tell("go")

    assert [0] * 4 == [child.wait() for child in children]
    async with DataUnitFile(path) as unit:
        assert await unit.get() == 200
        assert (await unit.entry()).version == 200
    assert [] == strays(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 10])
async def test_every_set_has_a_version_of_its_own(
    at_once: int, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Four processes set fifty values each: the versions count them without a gap or a repetition."""
    path = tmp_path / "value.json"
    children = [start("set_many", path, 50, at_once) for _ in range(4)]
    assert ["ready"] * 4 == [child.line() for child in children]

    for child in children:
        child.tell("go")
    versions = [[int(line) for line in child.lines()] for child in children]

    assert [sorted(each) for each in versions] == versions
    assert list(range(1, 201)) == sorted(version for each in versions for version in each)


@pytest.mark.slow
async def test_a_reader_never_sees_a_torn_value(tmp_path: Path, start: Callable[..., Any]) -> None:
    """While two processes write, a third one reads whole values only, through a unit and without one."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set(["first", "first"])
    reader = start("read_until_told", path)
    writers = [start("set_many", path, 200, at_once) for at_once in (1, 5)]
    assert ["ready"] * 3 == [child.line() for child in (reader, *writers)]

    for writer in writers:
        writer.tell("go")
    assert [0, 0] == [writer.wait() for writer in writers]
    reader.tell("end")

    different_values = int(reader.line())
    assert reader.wait() == 0
    assert different_values > 10


async def test_a_watcher_sees_what_another_process_does(tmp_path: Path, start: Callable[..., Any]) -> None:
    """`watch` brings the value that another process set, and a removal by hand."""
    path = tmp_path / "number.json"
    async with DataUnitFile(path) as unit, asyncio.timeout(30):
        changes = unit.watch()
        child = start("increment", path, 1)
        assert child.line() == "ready"

        child.tell("go")
        assert (1, 1) == (await anext(changes))[:2]
        path.unlink()
        assert (EMPTY, 2) == (await anext(changes))[:2]
        await changes.aclose()


async def test_a_conditional_set_sees_the_other_process(tmp_path: Path, start: Callable[..., Any]) -> None:
    """A version that another process has overtaken is refused; a read shows the newer value at once."""
    path = tmp_path / "number.json"
    async with DataUnitFile(path) as unit:
        version = await unit.set(1)
        child = start("increment", path, 3)
        assert child.line() == "ready"
        child.tell("go")
        assert child.wait() == 0

        assert await unit.get() == 4
        assert await unit.set(10, if_version=version + 3) == version + 4
