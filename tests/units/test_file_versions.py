"""The versions of a file: those kept beside it, and those that other programs make."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    CorruptDataError,
    DataUnitConfig,
    DataUnitFile,
    DataUnitMemory,
    InvalidOptionError,
)

if TYPE_CHECKING:
    from pathlib import Path


def unit_at(path: Path, **options: Any) -> DataUnitFile:
    """Build a unit with options."""
    return DataUnitFile(path, DataUnitConfig(data_type="file", **options))


async def numbers(unit: DataUnitFile) -> list[int]:
    """Return the versions that are kept; the surplus is removed a moment after the write was answered."""
    async with asyncio.timeout(10):
        while len(found := await unit.versions()) > unit.config.backups + 1:
            await asyncio.sleep(0.001)
    return [each.version for each in found]


def backups(folder: Path) -> list[str]:
    """Return the names of the backups, the present version's own link included."""
    return sorted(each.name for each in folder.glob(".*.bak"))


def replace(path: Path, text: str) -> None:
    """Replace a file as editors do: write another one, and rename it."""
    path.with_name("edited").write_text(text, encoding="utf-8")
    path.with_name("edited").replace(path)


@pytest.mark.parametrize("count", [0, 1, 3, 20])
async def test_so_many_backups_are_kept(count: int, tmp_path: Path) -> None:
    """Beside the present version, the last `backups` ones are kept, and no file more."""
    async with unit_at(tmp_path / "value.json", backups=count) as unit:
        for number in range(1, 11):
            await unit.set(number)

        assert list(range(10, max(0, 9 - count), -1)) == await numbers(unit)
    assert len(backups(tmp_path)) == min(10, count + 1)


async def test_nothing_happens_after_shutdown(tmp_path: Path) -> None:
    """Whenever `shutdown` has returned, the surplus is gone, and the folder is as it will stay."""
    for round_ in range(20):
        path = tmp_path / f"{round_}.json"
        async with unit_at(path, backups=0) as unit:
            for number in range(3):
                await unit.set(number)
        assert [f".{round_}.json.3.bak"] == [each.name for each in tmp_path.glob(f".{round_}.json.*.bak")]


async def test_fewer_backups_than_before(tmp_path: Path) -> None:
    """A unit that keeps fewer backups removes the surplus with its first write."""
    async with unit_at(tmp_path / "value.json", backups=5) as unit:
        for number in range(6):
            await unit.set(number)
    async with unit_at(tmp_path / "value.json", backups=1) as unit:
        await unit.set("last")

        assert await numbers(unit) == [7, 6]


async def test_what_a_version_tells(tmp_path: Path) -> None:
    """A version has its number, the time when it was written, and its size."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with unit_at(tmp_path / "value.json") as unit:
        assert await unit.versions() == []
        await unit.set("text")
        await unit.set("a longer text")

        newer, older = await unit.versions()
        assert (2, 15) == (newer.version, newer.size)
        assert (1, 6) == (older.version, older.size)
        assert before < older.updated_at <= newer.updated_at <= datetime.now(UTC) + timedelta(seconds=1)
        assert newer.updated_at == (await unit.entry()).updated_at


async def test_restore(tmp_path: Path) -> None:
    """A restored version is a new one: the history goes on."""
    async with unit_at(tmp_path / "value.json") as unit:
        for number in range(1, 4):
            await unit.set({"number": number})

        assert await unit.restore(1) == 4
        assert (await unit.entry())[:2] == ({"number": 1}, 4)
        assert await numbers(unit) == [4, 3, 2, 1]
        assert await unit.restore(4) == 5
        assert await unit.get() == {"number": 1}


@pytest.mark.parametrize("version", [0, 1, 6, 1000, -1, True, "5", 5.0])
async def test_a_version_that_is_not_kept(version: Any, tmp_path: Path) -> None:
    """Such a version is refused, and nothing changes."""
    async with unit_at(tmp_path / "value.json", backups=2) as unit:
        for number in range(1, 6):
            await unit.set(number)
        with pytest.raises(InvalidOptionError) as caught:
            await unit.restore(version)

        assert caught.value.option == "version"
        assert (await unit.entry())[:2] == (5, 5)


async def test_a_version_that_is_damaged(tmp_path: Path) -> None:
    """A damaged backup is not restored; the present value stays."""
    async with unit_at(tmp_path / "value.json") as unit:
        await unit.set(1)
        await unit.set(2)
        (tmp_path / ".value.json.1.bak").write_bytes(b"{")
        with pytest.raises(CorruptDataError):
            await unit.restore(1)

        assert (await unit.entry())[:2] == (2, 2)


async def test_restore_after_clear(tmp_path: Path) -> None:
    """`clear` removes the file and keeps the versions; the empty one is none of them."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set("first")
        await unit.clear()

        assert not path.exists()
        assert await numbers(unit) == [1]
        assert (await unit.entry()).version == 2
    async with unit_at(path) as unit:
        assert not await unit.exists()
        assert (await unit.entry()).version == 2
        assert await unit.restore(1) == 3
        assert await unit.get() == "first"


async def test_clearing_twice(tmp_path: Path) -> None:
    """Each `clear` is a version, also of an empty unit."""
    async with unit_at(tmp_path / "value.json") as unit:
        await unit.clear()
        await unit.clear()
        assert (await unit.entry()).version == 2
        assert len(list(tmp_path.glob("*.cleared"))) <= 2
        assert await unit.set("text") == 3


async def test_versions_go_on_after_a_restart(tmp_path: Path) -> None:
    """Version and time are those of the file, not of the process."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        for number in range(5):
            await unit.set(number)
        entry = await unit.entry()
    async with unit_at(path) as unit:
        assert entry == await unit.entry()
        assert await unit.set("next") == 6


async def test_a_link_to_the_file(tmp_path: Path) -> None:
    """Through a symbolic link the file itself is replaced; the link stays one."""
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link.json"
    link.symlink_to("real/value.json")
    async with unit_at(link) as unit:
        for number in range(3):
            await unit.set(number)
        assert unit.file_path == str(real / "value.json")

    assert link.is_symlink()
    assert [link, real] == sorted(tmp_path.iterdir())
    assert (real / "value.json").read_bytes() == b"2"


async def test_a_link_and_the_file_are_one(tmp_path: Path) -> None:
    """Units that name one file in two ways share it, versions, turns and all."""
    path = tmp_path / "value.json"
    (tmp_path / "link.json").symlink_to(path)
    async with unit_at(path) as one, unit_at(tmp_path / "link.json") as other:
        await one.set(1)
        assert await other.update(lambda number: number + 1) == 2
        assert (await one.entry())[:2] == (2, 2)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
async def test_the_rights_of_the_file_stay(mode: int, tmp_path: Path) -> None:
    """Who may read and write the file is kept over `set`, `update` and a recovery."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set(1)
        path.chmod(mode)
        await unit.set(2)
        await unit.update(lambda number: number + 1)
        assert mode == stat.S_IMODE(path.stat().st_mode)

        replace(path, "damaged")
        path.chmod(mode)
        await unit.get()
    assert mode == stat.S_IMODE(path.stat().st_mode)


async def test_the_rights_of_a_new_file(tmp_path: Path) -> None:
    """A new file has the rights that any other new file has."""
    path = tmp_path / "value.json"
    (tmp_path / "other").touch()
    async with unit_at(path) as unit:
        await unit.set(1)

    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == stat.S_IMODE(path.stat().st_mode)


async def test_a_file_that_another_program_replaced(tmp_path: Path) -> None:
    """It is read at once, counts as a version, and is kept as one when the unit writes again."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set("first")
        replace(path, '"edited"')

        assert (await unit.entry())[:2] == ("edited", 2)
        assert await unit.set("third", if_version=2) == 3
        assert await numbers(unit) == [3, 2, 1]
        await unit.restore(2)
        assert await unit.get() == "edited"


async def test_a_file_that_another_program_made(tmp_path: Path) -> None:
    """A file that was there before the unit is version 1, and is kept when the unit writes."""
    path = tmp_path / "value.json"
    path.write_text('{"by": "hand"}', encoding="utf-8")
    async with unit_at(path, initial_value="unused") as unit:
        assert (await unit.entry())[:2] == ({"by": "hand"}, 1)
        assert await unit.set("second") == 2
        await unit.restore(1)
        assert await unit.get() == {"by": "hand"}


async def test_an_edit_in_place_is_read(tmp_path: Path) -> None:
    """What another program wrote into the file itself is the value, though no version of its own."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set("first")
        path.write_text('"edited in place"', encoding="utf-8")

        assert await unit.get() == "edited in place"
        assert await unit.update(lambda text: text + "!") == "edited in place!"


async def test_a_file_that_another_program_removed(tmp_path: Path) -> None:
    """A file that disappears empties the open unit, and the next write goes on from there."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set("first")
        path.unlink()

        assert await unit.get("empty") == "empty"
        assert (await unit.entry()).version == 2
        assert await unit.set("third") == 3


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, errno.EMLINK], ids=errno.errorcode.get)
def no_hard_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system, such as exFAT, that has no hard links."""

    def link(source: str, target: str, **others: Any) -> None:
        raise OSError(request.param, os.strerror(request.param), source, None, target)

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("no_hard_links")
async def test_without_hard_links(tmp_path: Path) -> None:
    """Where there are no hard links, backups are copies; versions count and come back the same."""
    path = tmp_path / "value.json"
    async with unit_at(path, backups=2) as unit:
        for number in range(1, 6):
            assert number == await unit.set({"number": number})
        assert await numbers(unit) == [5, 4, 3]
    async with unit_at(path, backups=2) as unit:
        assert (await unit.entry())[:2] == ({"number": 5}, 5)
        assert await unit.restore(3) == 6
        assert await unit.get() == {"number": 3}
        replace(path, "17")
        assert (await unit.entry())[:2] == (17, 7)


@pytest.mark.usefixtures("no_hard_links")
async def test_recovery_without_hard_links(tmp_path: Path) -> None:
    """A damaged file is set aside, and the copy of its own version takes its place."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set(1)
        await unit.set(2)
        path.write_bytes(b"")

        assert await unit.get() == 2
    assert [b""] == [each.read_bytes() for each in tmp_path.glob("*.corrupt-*")]


async def test_a_failing_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another error than the lack of hard links is an error; the content is in place, as the text says."""
    path = tmp_path / "value.json"
    async with unit_at(path) as unit:
        await unit.set(1)
        with monkeypatch.context() as patch, pytest.raises(Exception, match="in place") as caught:
            patch.setattr(os, "link", fail)
            await unit.set(2)

        assert caught.value.path == str(path)
        assert await unit.get() == 2
        assert await unit.set(3) == 3


def fail(*arguments: Any, **others: Any) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_names_with_odd_characters(tmp_path: Path) -> None:
    """The name of the file is taken as it is, by its versions as well."""
    for name in ["a b", "[x].(json)+*", ".hidden", "ümläut €", "line\nbreak", "x.1.bak", "-"]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        async with unit_at(folder / name, backups=1) as unit:
            for number in range(4):
                await unit.set(number)
            assert await numbers(unit) == [4, 3]
        assert json.loads((folder / name).read_bytes()) == 3


async def test_neighbours_do_not_meet(tmp_path: Path) -> None:
    """Files of which one name is the beginning of the other keep their versions apart."""
    async with unit_at(tmp_path / "a") as one, unit_at(tmp_path / "a.json") as other:
        for number in range(5):
            await one.set(number)
        await other.set("other")

        assert await numbers(one) == [5, 4, 3, 2]
        assert await numbers(other) == [1]


async def test_a_memory_unit_shares_the_file(tmp_path: Path) -> None:
    """A persistent memory unit keeps its value in the same way: both kinds can use one file."""
    path = tmp_path / "value.json"
    config = DataUnitConfig(data_type="memory", persistent=True, file_path=path)
    async with unit_at(path) as file, DataUnitMemory(config) as memory:
        await file.set({"a": (1, 2)})
        assert (await memory.entry())[:2] == ({"a": [1, 2]}, 1)
        assert await memory.set("text") == 2
        assert (await file.entry())[:2] == ("text", 2)
        await memory.set_item("key", "item")
    assert json.loads(path.read_bytes()) == "text"
