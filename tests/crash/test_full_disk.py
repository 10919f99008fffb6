"""The disk has no room for what is to be written: an error says so, and nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    CorruptDataError,
    DataUnitConfig,
    DataUnitStream,
    StorageError,
    create_data_unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT_BYTES = 1 << 20


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """Mount a small file system."""
    return disk_of(LIMIT_BYTES)


def check(data_type: str, path: Path, report: dict[str, Any]) -> None:
    """See that the writes were refused by name, and everything else held."""
    assert report["small"] == ["", ""]
    for error in (*report["large"], report["large beside small"]):
        assert str(path) in error
        assert error.endswith(f"| {path} | OSError")
    assert report["nothing changed"]
    assert report["strays"] == []
    assert report["small again"] == ""
    if data_type != "string":
        assert report["value"] == "third "
    else:
        assert report["value"].startswith("first second ")
        assert report["value"].endswith("third ")


async def check_file(data_type: str, path: Path, report: dict[str, Any]) -> None:
    """See that the file holds what the unit held."""
    config = DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
    async with create_data_unit(config) as unit:
        assert report["value"] == await unit.get()


every_type = pytest.mark.parametrize("data_type", ["file", "memory", "string", "stream"])


@every_type
async def test_a_file_that_may_not_grow(data_type: str, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Beyond the largest size that a file may have, a write fails whole, and the next small one works."""
    path = tmp_path / "unit.data"

    finished = run("fill_disk", data_type, path, LIMIT_BYTES)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    check(data_type, path, report)
    await check_file(data_type, path, report)


@every_type
async def test_a_disk_that_is_full(data_type: str, small_disk: Path, run: Callable[..., Any]) -> None:
    """When the disk is full, a write fails whole, and the next small one works."""
    path = small_disk / "unit.data"

    finished = run("fill_disk", data_type, path, 0)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    check(data_type, path, report)
    await check_file(data_type, path, report)


async def test_a_disk_without_a_single_byte(small_disk: Path) -> None:
    """A log on a disk that others filled stays readable, and goes on once there is room."""
    path = small_disk / "messages.log"
    ballast = small_disk / "ballast"
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=path)
    async with DataUnitStream(config) as stream:
        subscription = await stream.subscribe()
        await stream.publish("x" * 4000)
        fill(ballast)

        with pytest.raises(StorageError):
            await stream.publish("y" * 5000)
        ballast.unlink()
        assert await stream.publish("z" * 5000) == 2

        assert [4000, 5000] == [len(await subscription.get()) for _ in range(2)]
    async with DataUnitStream(config) as stream:
        assert await stream.get() == "z" * 5000


def fill(ballast: Path) -> None:
    """Write until there is no more room."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError:
            return


async def test_recovery_on_a_full_disk(small_disk: Path) -> None:
    """A damaged document on a full disk is not lost for want of room: opening fails, and works with room."""
    path = small_disk / "value.json"
    ballast = small_disk / "ballast"
    config = DataUnitConfig(data_type="file", file_path=path)
    async with create_data_unit(config) as unit:
        await unit.set("x" * 100_000)
        await unit.set("y" * 100_000)
    path.write_bytes(b"damaged")
    fill(ballast)

    with pytest.raises(StorageError) as caught:
        await create_data_unit(config).initialize()
    assert not isinstance(caught.value, CorruptDataError)
    assert str(path) == caught.value.path
    ballast.unlink()

    async with create_data_unit(config) as unit:
        assert await unit.get() == "x" * 100_000
