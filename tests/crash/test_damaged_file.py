"""A document that was damaged is set aside, and the newest good version takes its place."""

from __future__ import annotations

import json
import logging
import shutil
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import CorruptDataError, DataUnitConfig, DataUnitFile, create_data_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = json.dumps({"text": "é€😀" * 50, "version": 3}, ensure_ascii=False).encode()
DAMAGES = {
    "torn": GOOD[:-1],
    "half": GOOD[: len(GOOD) // 2],
    "empty": b"",
    "a line feed": b"\n",
    "NULs": bytes(len(GOOD)),
    "ends in NULs": GOOD[:100] + bytes(len(GOOD) - 100),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "Latin-1": b'{"text": "\xe9"}',
    "two documents": GOOD + GOOD,
    "not JSON": b"{'version': 3}",
    "NaN": b"[NaN]",
    "noise": bytes(range(256)),
}
every_damage = pytest.mark.parametrize("damaged", DAMAGES.values(), ids=DAMAGES)


@pytest.fixture(params=["in place", "by another file"])
def damage(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    """Overwrite a file, or replace it with another one: only the former damages its backup as well."""

    def damage(path: Path, content: bytes) -> None:
        target = path if request.param == "in place" else path.with_name("other")
        target.write_bytes(content)
        target.replace(path)

    return damage


async def write_versions(path: Path, count: int = 3) -> None:
    """Write versions 1, 2 and so on, each of which holds its number."""
    async with DataUnitFile(path) as unit:
        for version in range(1, count + 1):
            await unit.set({"version": version})


def set_aside(path: Path) -> list[bytes]:
    """Return the contents of the files that were set aside, oldest first."""
    return [each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}.corrupt-*"))]


@every_damage
async def test_the_newest_good_version_takes_the_place(
    damaged: bytes, damage: Callable[[Path, bytes], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening brings the newest version that can be read; what was found stays, and a warning names both."""
    path = tmp_path / "value.json"
    await write_versions(path)
    damage(path, damaged)
    backups = [json.loads(each.read_bytes()) for each in tmp_path.glob(".*.bak") if is_json(each)]

    async with DataUnitFile(path) as unit:
        value, version, _ = await unit.entry()

    assert max(backup["version"] for backup in backups) == value["version"]
    assert version > 3
    assert [damaged] == set_aside(path)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"{path}.corrupt-" in warnings[0]
    assert json.loads(path.read_bytes()) == value


def is_json(path: Path) -> bool:
    """Tell whether a document is good."""
    try:
        return isinstance(json.loads(path.read_bytes().decode()), dict)
    except ValueError:
        return False


@every_damage
async def test_damage_is_repaired_while_the_unit_is_open(
    damaged: bytes, damage: Callable[[Path, bytes], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`get` of an open unit brings a good value; the next change builds on it."""
    path = tmp_path / "value.json"
    await write_versions(path, 2)
    async with DataUnitFile(path) as unit:
        await unit.set({"version": 3})
        damage(path, damaged)

        assert (await unit.get())["version"] in {2, 3}
        await unit.update(lambda value: {**value, "more": True})

        assert (await unit.get())["more"]
    assert [damaged] == set_aside(path)
    assert caplog.messages


@every_damage
async def test_an_update_finds_the_damage_itself(
    damaged: bytes, damage: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    """An `update` that is the first to see the damage gets the good value, not an empty one."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set(["first"])
        await unit.set(["first", "second"])
        damage(path, damaged)

        value = await unit.update(lambda value: [*value, "third"])

    assert value in (["first", "third"], ["first", "second", "third"])
    assert [damaged] == set_aside(path)


@every_damage
async def test_a_set_keeps_what_it_replaces(
    damaged: bytes, damage: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    """A `set` over a damaged file wins, and the versions before the damage are still there."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set("first")
        await unit.set("second")
        damage(path, damaged)

        await unit.set("third")

        assert await unit.get() == "third"
        await unit.restore(1)
        assert await unit.get() == "first"


async def test_damage_again_and_again(tmp_path: Path) -> None:
    """No evidence is overwritten: each damaged file stands under a name of its own."""
    path = tmp_path / "value.json"
    await write_versions(path)
    for number in range(5):
        path.write_bytes(b"damage %d" % number)
        async with DataUnitFile(path) as unit:
            assert (await unit.get())["version"] == 2

    assert [b"damage %d" % number for number in range(5)] == set_aside(path)


@every_damage
@pytest.mark.parametrize("data_type", ["file", "memory"])
async def test_nothing_good_is_left(damaged: bytes, data_type: str, tmp_path: Path) -> None:
    """With every backup damaged too, opening raises and leaves all files as they are."""
    path = tmp_path / "value.json"
    await write_versions(path)
    for each in (path, *tmp_path.glob(".*.bak")):
        each.write_bytes(damaged)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    with pytest.raises(CorruptDataError) as caught:
        await create_data_unit(
            DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
        ).initialize()

    assert str(path) == caught.value.path
    assert str(path) in str(caught.value)
    assert before == {each.name: each.read_bytes() for each in tmp_path.iterdir()}


async def test_a_good_copy_put_in_place_is_taken(tmp_path: Path) -> None:
    """What the error advises works: with a good file in its place, the unit opens."""
    path = tmp_path / "value.json"
    path.write_bytes(b"")
    unit = DataUnitFile(path)
    with pytest.raises(CorruptDataError):
        await unit.initialize()

    path.write_text('{"by": "hand"}', encoding="utf-8")

    async with unit:
        assert await unit.get() == {"by": "hand"}


async def test_damaged_backups_are_passed_over(tmp_path: Path) -> None:
    """Of several backups the newest that can be read is taken."""
    path = tmp_path / "value.json"
    await write_versions(path)
    for damaged in (path, tmp_path / ".value.json.2.bak"):
        damaged.write_bytes(b"")

    async with DataUnitFile(path) as unit:
        assert await unit.get() == {"version": 1}


async def test_a_good_file_is_never_replaced_by_a_newer_backup(tmp_path: Path) -> None:
    """An old version copied back by hand is the present value, with a version that goes on."""
    path = tmp_path / "value.json"
    await write_versions(path)
    shutil.copy(tmp_path / ".value.json.1.bak", path.with_name("copy"))
    path.with_name("copy").replace(path)

    async with DataUnitFile(path) as unit:
        value, version, _ = await unit.entry()
        assert ({"version": 1}, 4) == (value, version)
        assert await unit.set("next") == 5
        await unit.restore(3)
        assert await unit.get() == {"version": 3}


async def test_a_file_that_was_deleted_is_an_empty_unit(tmp_path: Path) -> None:
    """A file removed by hand empties the unit, which is a version; the former ones can be restored."""
    path = tmp_path / "value.json"
    await write_versions(path)
    path.unlink()

    async with DataUnitFile(path) as unit:
        assert not await unit.exists()
        assert (await unit.entry()).version == 4
        await unit.restore(3)
        assert await unit.get() == {"version": 3}


async def test_a_write_that_was_cut_short_between_its_steps(tmp_path: Path) -> None:
    """A new file whose version was not named yet, and a stray temporary file, are taken in."""
    path = tmp_path / "value.json"
    await write_versions(path)
    (tmp_path / ".value.json.3.bak").unlink()
    stray = tmp_path / ".value.json.4711-0123abcd.tmp"
    stray.write_bytes(b"{")

    async with DataUnitFile(path) as unit:
        assert ({"version": 3}, 3) == (await unit.entry())[:2]
        assert await unit.set("next") == 4
    assert not stray.exists()


async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What merely looks like one of the unit's files stays, whoever made it."""
    path = tmp_path / "value.json"
    names = [
        ".value.json.tmp",
        ".value.json.1.tmp",
        ".other.json.1-0123abcd.tmp",
        ".value.json.x.bak",
        "a.bak",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"mine")

    await write_versions(path, 10)

    assert all((tmp_path / name).read_bytes() == b"mine" for name in names)
