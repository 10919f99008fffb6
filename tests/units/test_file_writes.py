"""How a file unit writes: in batches, durably, where it was told to."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitFile,
    InvalidOptionError,
    InvalidValueError,
    StorageError,
    VersionConflictError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


def unit_at(path: Path, **options: Any) -> DataUnitFile:
    """Build a unit with options."""
    return DataUnitFile(path, DataUnitConfig(data_type="file", **options))


async def test_sets_at_once_share_a_write(tmp_path: Path) -> None:
    """Of 64 concurrent sets each has a version of its own, the last one wins, and few reach the disk."""
    async with unit_at(tmp_path / "value.json", backups=1000) as unit:
        versions = await asyncio.gather(*(unit.set(number) for number in range(64)))

        assert list(range(1, 65)) == versions
        assert (await unit.entry())[:2] == (63, 64)
        assert len(await unit.versions()) <= 8
        assert (await unit.stats()).writes == 64


async def test_what_is_acknowledged_is_on_the_disk(tmp_path: Path) -> None:
    """Whoever's `set` returned finds that value, or a later one, in the file."""
    path = tmp_path / "value.json"

    async def set_and_look(number: int) -> bool:
        await unit.set(number)
        return json.loads(path.read_bytes()) >= number

    async with unit_at(path) as unit:
        assert all(await asyncio.gather(*(set_and_look(number) for number in range(100))))


async def test_a_bad_value_among_good_ones(tmp_path: Path) -> None:
    """In a batch each value stands for itself: what is refused leaves no gap in the versions."""
    async with unit_at(tmp_path / "value.json") as unit:
        answers = await asyncio.gather(
            unit.set(1), unit.set({1, 2}), unit.set(3), unit.set(float("nan")), return_exceptions=True
        )

        assert [1, 2] == [answers[0], answers[2]]
        assert {InvalidValueError} == {type(answers[1]), type(answers[3])}
        assert (await unit.entry())[:2] == (3, 2)


async def test_conditions_within_a_batch(tmp_path: Path) -> None:
    """Of sets with the same `if_version` that come at once, the first one wins; the others see its value."""
    async with unit_at(tmp_path / "value.json") as unit:
        answers = await asyncio.gather(
            *(unit.set(number, if_version=0) for number in range(10)), return_exceptions=True
        )

        assert answers[0] == 1
        for conflict in answers[1:]:
            assert isinstance(conflict, VersionConflictError)
            assert (0, 1) == (conflict.current.value, conflict.current.version)
        assert (await unit.entry())[:2] == (0, 1)


async def test_sets_and_clears_at_once(tmp_path: Path) -> None:
    """A batch that ends in a `clear` leaves no file; one that ends in a `set` does."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await asyncio.gather(unit.set(1), unit.set(2), unit.clear())
        assert not path.exists()
        assert (await unit.entry()).version == 3
        await asyncio.gather(unit.clear(), unit.set(5))
        assert (await unit.entry())[:2] == (5, 5)


@pytest.mark.slow
async def test_units_and_loops_on_one_file(tmp_path: Path, in_thread: Callable[..., Future[Any]]) -> None:
    """Updates through several units, in several loops, lose nothing."""

    async def work() -> None:
        async with unit_at(tmp_path / "value.json") as unit:
            await asyncio.gather(*(unit.update(lambda number: (number or 0) + 1) for _ in range(25)))

    await asyncio.gather(*(asyncio.wrap_future(in_thread(asyncio.run, work())) for _ in range(4)))

    async with unit_at(tmp_path / "value.json") as unit:
        assert (await unit.entry())[:2] == (100, 100)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk with fsync, as "file" or "folder"."""
    synced: list[str] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    return synced


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to tell files from folders")
async def test_full_durability(tmp_path: Path, synced: list[str]) -> None:
    """By default the content is brought to the disk, and after it the names."""
    async with unit_at(tmp_path / "value.json") as unit:
        await unit.set("text")
        assert synced == ["file", "folder"]
        await unit.clear()
        assert synced[2:] == ["folder"]


async def test_durability_of_the_system(tmp_path: Path, synced: list[str]) -> None:
    """With `durability="os"` nothing waits for the disk; all else is the same."""
    async with unit_at(tmp_path / "value.json", durability="os") as unit:
        for number in range(5):
            await unit.set(number)
        await unit.restore(2)
        await unit.clear()
        assert synced == []
        assert [each.version for each in await unit.versions()][:3] == [6, 5, 4]


@pytest.mark.parametrize("call", ["fsync", "replace", "writev"])
async def test_a_disk_that_fails(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails before the new file is in place, the former value stays, and nothing else."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set("former")
        names = set(tmp_path.iterdir())
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(StorageError) as caught:
                await unit.set("new")

        assert str(path) == caught.value.path
        assert isinstance(caught.value.__cause__, OSError)
        assert (await unit.entry())[:2] == ("former", 1)
        assert names == set(tmp_path.iterdir())
        assert await unit.set("after") == 2


def fail(*arguments: Any, **others: Any) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_folder_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems refuse fsync of a folder, which they do not need: that is no error."""
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    async with unit_at(tmp_path / "value.json") as unit:
        assert await unit.set("text") == 1


async def test_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a few bytes at a time gets all of them."""
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, buffers: writev(descriptor, [buffers[0][:1000]]))
    async with unit_at(tmp_path / "value.json") as unit:
        value = [{"number": number} for number in range(10_000)]
        await unit.set(value)
        assert value == await unit.get()


async def test_the_initial_value_is_written(tmp_path: Path) -> None:
    """A new file begins with the initial value, as version 1."""
    path = tmp_path / "value.json"
    async with unit_at(path, initial_value={"count": 0}) as unit:
        assert json.loads(path.read_bytes()) == {"count": 0}
        assert (await unit.entry())[:2] == ({"count": 0}, 1)


@pytest.mark.parametrize("removal", ["clear", "by hand"])
async def test_the_initial_value_is_only_for_a_new_file(removal: str, tmp_path: Path) -> None:
    """A file that holds something keeps it, and one that was emptied stays empty."""
    path = tmp_path / "value.json"
    async with unit_at(path, initial_value="initial") as unit:
        await unit.set("own")
    async with unit_at(path, initial_value="initial") as unit:
        assert await unit.get() == "own"
        if removal == "clear":
            await unit.clear()
    if removal == "by hand":
        path.unlink()
    async with unit_at(path, initial_value="initial") as unit:
        assert not await unit.exists()


async def test_an_initial_value_that_cannot_be_held(tmp_path: Path) -> None:
    """It is refused when the unit is opened, which then is not open, and there is no file."""
    unit = unit_at(tmp_path / "value.json", initial_value={1, 2})
    with pytest.raises(InvalidValueError):
        await unit.initialize()

    assert not unit.is_open
    assert not (tmp_path / "value.json").exists()


async def test_opening_alone_makes_no_file(tmp_path: Path) -> None:
    """A unit that is only opened and read leaves the folder as it was."""
    async with unit_at(tmp_path / "value.json") as unit:
        assert await unit.get() is None
    assert list(tmp_path.iterdir()) == []


async def test_a_relative_path_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is resolved when the unit is built: going elsewhere later makes no difference."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    unit = DataUnitFile("value.json")
    monkeypatch.chdir("elsewhere")
    async with unit:
        await unit.set(1)

    assert str(tmp_path / "value.json") == unit.file_path
    assert (tmp_path / "value.json").exists()


def test_a_path_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path in both places is fine, however it is written; two different ones are refused."""
    monkeypatch.chdir(tmp_path)
    for given in ("value.json", "./value.json", tmp_path / "value.json"):
        unit = DataUnitFile(given, DataUnitConfig(data_type="file", file_path="value.json"))
        assert unit.file_path == str(tmp_path / "value.json")
    with pytest.raises(InvalidOptionError) as caught:
        DataUnitFile("other.json", DataUnitConfig(data_type="file", file_path="value.json"))
    assert caught.value.option == "file_path"
    assert "other.json" in str(caught.value)
    assert "value.json" in str(caught.value)


def test_no_path_at_all() -> None:
    """A file unit without a path is refused when it is built."""
    with pytest.raises(InvalidOptionError) as caught:
        DataUnitFile()
    assert caught.value.option == "file_path"


@pytest.mark.parametrize("encoding", ["no such encoding", "", "rot13", "base64", "hex", "utf-8\0"])
def test_an_encoding_that_is_none(encoding: str) -> None:
    """A codec that Python does not know, or that is not for text, is refused when the config is built."""
    with pytest.raises(ValidationError, match="encoding"):
        DataUnitConfig(data_type="file", encoding=encoding)


async def test_reads_come_from_the_cache(tmp_path: Path) -> None:
    """Only the first read of a version touches the file; each caller still has an object of their own."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set({"list": [1]})
    async with unit_at(path) as unit:
        for _ in range(10):
            (await unit.get())["list"].append(2)
        assert await unit.get() == {"list": [1]}
        stats = await unit.stats()
        assert stats.reads == stats.hits + stats.misses == 11
        assert stats.misses <= 1
        assert path.stat().st_size == stats.bytes


async def test_shared_reads(tmp_path: Path) -> None:
    """With `isolation="share"` every read of a version returns the same object."""
    async with unit_at(tmp_path / "value.json", isolation="share") as unit:
        await unit.set({"list": [1]})

        assert await unit.get() is await unit.get()
        before = await unit.get()
        await unit.set({"list": [2]})
        assert before == {"list": [1]}
        assert await unit.get() == {"list": [2]}


async def test_changing_what_was_given_before_it_is_written(tmp_path: Path) -> None:
    """What a `set` writes is the value as it was when `set` was called."""
    async with unit_at(tmp_path / "value.json") as unit:
        value = {"list": [1]}
        await unit.set(value)
        value["list"].append(2)

        assert await unit.get() == {"list": [1]}
