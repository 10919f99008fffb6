"""What other programs do to the file of a unit: each change is a version of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import DataUnitFile, VersionConflictError

if TYPE_CHECKING:
    from pathlib import Path


def replace_as_an_editor_does(path: Path, text: str) -> None:
    """Write beside the file, and rename."""
    beside = path.with_name("beside")
    beside.write_text(text)
    beside.replace(path)


async def test_each_edit_is_a_version(tmp_path: Path) -> None:
    """Two edits that were seen have two versions, so that neither can be overwritten unseen."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set("mine")
        replace_as_an_editor_does(path, '"first"')
        first = await unit.entry()
        replace_as_an_editor_does(path, '"second"')
        second = await unit.entry()

        assert ("first", 2) == first[:2]
        assert ("second", 3) == second[:2]
        with pytest.raises(VersionConflictError):
            await unit.set("over", if_version=first.version)
        assert await unit.get() == "second"
        assert [3, 2, 1] == [each.version for each in await unit.versions()]


async def test_a_watcher_sees_each_edit(tmp_path: Path) -> None:
    """An edit wakes those who watch, also the second one."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit, asyncio.timeout(20):
        await unit.set("mine")
        watcher = unit.watch()
        seen = [(await anext(watcher)).value]
        for text in ("first", "second"):
            replace_as_an_editor_does(path, f'"{text}"')
            seen.append((await anext(watcher)).value)
        await watcher.aclose()  # type: ignore[attr-defined]  # it is an async generator

    assert ["mine", "first", "second"] == seen


async def test_removing_and_making_anew_are_two_versions(tmp_path: Path) -> None:
    """Who saw that the file was gone cannot overwrite the one that came after."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set("mine")
        path.unlink()
        gone = await unit.entry()
        replace_as_an_editor_does(path, '"new"')
        new = await unit.entry()

        assert not gone.exists
        assert [2, 3] == [gone.version, new.version]


async def test_versions_do_not_go_back_when_backups_are_deleted(tmp_path: Path) -> None:
    """An open unit goes on counting, whatever happens to its backups."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        for number in range(5):
            await unit.set(number)
        for backup in tmp_path.glob(".value.json.*.bak"):
            backup.unlink(missing_ok=True)  # it may be removed anyway, just now

        assert (await unit.entry()).version >= 5
        assert await unit.set("more") > 5


FORKS = """
import asyncio, os, sys, threading, time
from library.infrastructure.data import DataUnitFile

async def once(unit):
    await unit.update(lambda n: (n or 0) + 1)

unit = DataUnitFile(sys.argv[1])
asyncio.run(unit.initialize())
threads = [threading.Thread(target=lambda: asyncio.run(once_and_again())) for _ in range(3)]
going = True

async def once_and_again():
    while going:
        await unit.update(lambda n: (n or 0) + 1)

for thread in threads:
    thread.start()
failed = 0
for _ in range(20):
    child = os.fork()
    if not child:
        try:
            asyncio.run(asyncio.wait_for(once(unit), 20))
        except BaseException:
            os._exit(1)
        os._exit(0)
    failed += os.waitpid(child, 0)[1] != 0
going = False
for thread in threads:
    thread.join()
asyncio.run(unit.shutdown())
print(failed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_forked_while_threads_write_go_on(tmp_path: Path) -> None:
    """A child does not inherit a lock that nobody will release."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path / "value.json")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ("0\n", "", 0) == (done.stdout, done.stderr, done.returncode)


async def test_what_came_and_went_was_two_versions(tmp_path: Path) -> None:
    """A unit that finds no file, as before, learns of the versions that another unit made in between."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as reader, DataUnitFile(path) as writer:
        assert (await reader.entry()).version == 0
        await writer.set("short-lived")
        await writer.clear()

        assert (await reader.entry()).version == 2


READER = """
import asyncio, sys
from library.infrastructure.data import DataUnitFile

async def main():
    async with DataUnitFile(sys.argv[1]) as unit:
        seen = 0
        while await unit.get() != "end":
            version = (await unit.entry()).version
            assert version >= seen, (version, seen)
            seen = version

asyncio.run(main())
"""


async def test_readers_do_not_disturb_the_versions_of_a_writer(tmp_path: Path) -> None:
    """A writer that is alone never meets a conflict, however much other processes read meanwhile."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        version = await unit.set("begin")
        readers = [subprocess.Popen([sys.executable, "-c", READER, str(path)]) for _ in range(2)]
        for number in range(1000):
            version = await unit.set(number, if_version=version)
        await unit.set("end", if_version=version)
        codes = await asyncio.gather(*(asyncio.to_thread(reader.wait, 60) for reader in readers))

    assert [0, 0] == codes
    assert version == 1001
