"""Persistent string units: what is in the file, and what comes back from it."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitString,
    HistoryGapError,
    InvalidValueError,
    StorageError,
    VersionConflictError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the text is kept."""
    return tmp_path / "text.txt"


def unit_at(path: Path, **options: Any) -> DataUnitString:
    """Build a unit that keeps its text in a file."""
    return DataUnitString(
        config=DataUnitConfig(data_type="string", persistent=True, file_path=path, **options)
    )


async def test_the_text_after_a_restart(path: Path) -> None:
    """What was appended is in the file as UTF-8, and there when the unit is opened again."""
    for number in range(3):
        async with unit_at(path) as unit:
            assert await unit.get("") == "Zeile €\n" * number
            await unit.append("Zeile €\n")
            assert path.read_bytes().decode() == "Zeile €\n" * (number + 1)


@settings(deadline=None, max_examples=30)
@given(lives=st.lists(st.lists(st.text(max_size=10), max_size=5), max_size=4))
async def test_many_lives(tmp_path_factory: pytest.TempPathFactory, lives: list[list[str]]) -> None:
    """Whatever is appended over several lives of a unit is there in the end, in order."""
    path = tmp_path_factory.mktemp("lives") / "text.txt"
    for parts in lives:
        async with unit_at(path, durability="os") as unit:
            await asyncio.gather(*(unit.append(part) for part in parts))
    async with unit_at(path, durability="os") as unit:
        assert "".join(part for parts in lives for part in parts) == await unit.get("")


async def test_appends_at_once_keep_their_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends of the same moment share a write, and come in the order in which they were asked for."""
    writes = []
    fsync = os.fsync
    async with unit_at(path) as unit:
        monkeypatch.setattr(os, "fsync", lambda descriptor: writes.append(fsync(descriptor)))
        versions = await asyncio.gather(*(unit.append(f"{number}\n") for number in range(200)))

        assert sorted(versions) == versions
        assert len(set(versions)) == 200
        assert "".join(f"{number}\n" for number in range(200)) == await unit.get()
        assert len(writes) <= 10
    assert path.read_text(encoding="utf-8").splitlines() == [str(number) for number in range(200)]


async def test_appends_between_other_changes(path: Path) -> None:
    """Sets, clears and appends that are asked for at once happen in that order."""
    async with unit_at(path) as unit:
        await asyncio.gather(
            unit.append("lost"),
            unit.set("a"),
            unit.append("b"),
            unit.append("c"),
            unit.clear(),
            unit.append("d"),
        )
        assert await unit.get() == "d"
        await asyncio.gather(unit.append("e"), unit.set("f"), unit.append("g"))
        assert await unit.get() == "fg"
    assert path.read_bytes() == b"fg"


async def test_offsets_after_a_restart(path: Path) -> None:
    """An offset holds over restarts, until the text is replaced."""
    async with unit_at(path) as unit:
        await unit.append("before €\n")
        _, offset = await unit.since(0)
    async with unit_at(path) as unit:
        await unit.append("after\n")
        assert (await unit.since(offset)).text == "after\n"
        await unit.set("new")
        with pytest.raises(HistoryGapError) as caught:
            await unit.since(offset)
        assert (await unit.since(caught.value.oldest)).text == "new"


async def test_replacing_a_long_text(path: Path) -> None:
    """`set`, `update` and `clear` replace the file as a whole, and appending goes on in the new one."""
    async with unit_at(path) as unit:
        await unit.append("x" * 1_000_000)
        await unit.set("short ")
        await unit.append("a")
        await unit.update(lambda text: text + "b")
        await unit.append("c")
        assert path.read_bytes() == b"short abc"
        await unit.clear()
        assert path.read_bytes() == b""
        await unit.append("d")
    async with unit_at(path) as unit:
        assert await unit.get() == "d"


async def test_a_conditional_set(path: Path) -> None:
    """A version that was overtaken is refused, also within a batch."""
    async with unit_at(path) as unit:
        answers = await asyncio.gather(
            unit.append("a"), unit.set("b", if_version=0), unit.append("c"), return_exceptions=True
        )
        assert isinstance(answers[1], VersionConflictError)
        assert ("a", 1) == (answers[1].current.value, answers[1].current.version)
        assert await unit.get() == "ac"


async def test_a_surrogate_among_good_texts(path: Path) -> None:
    """What cannot be held is refused alone; the others of the same moment are appended."""
    async with unit_at(path) as unit:
        answers = await asyncio.gather(
            unit.append("a"), unit.append("\ud800"), unit.append("b"), return_exceptions=True
        )
        assert isinstance(answers[1], InvalidValueError)
        assert await unit.get() == "ab"
    assert path.read_bytes() == b"ab"


async def test_the_initial_text_is_only_for_a_new_file(path: Path) -> None:
    """A new file begins with it; one that was there, even an empty one, does not."""
    async with unit_at(path, initial_value="begin\n") as unit:
        await unit.append("more\n")
    async with unit_at(path, initial_value="begin\n") as unit:
        assert await unit.get() == "begin\nmore\n"
        await unit.clear()
    async with unit_at(path, initial_value="begin\n") as unit:
        assert not await unit.exists()


@pytest.mark.parametrize("call", ["writev", "fsync"])
async def test_a_disk_that_fails(call: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed append adds nothing, neither in memory nor in the file; opened again, the unit goes on."""
    async with unit_at(path) as unit:
        await unit.append("before ")
        with monkeypatch.context() as patch, pytest.raises(StorageError) as caught:
            patch.setattr(os, call, fail)
            await unit.append("lost ")
        assert str(path) == caught.value.path
        assert (await unit.entry())[:2] == ("before ", 1)
        assert path.read_bytes() == b"before "
        if call == "fsync":  # the system may have dropped what it could not write
            with pytest.raises(StorageError, match="open it again"):
                await unit.append("refused ")
        else:
            await unit.append("between ")
    async with unit_at(path) as unit:
        await unit.append("after")
        assert await unit.get() == ("before after" if call == "fsync" else "before between after")


def fail(*arguments: Any, **others: Any) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_write_that_stops_half_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an append of which only a part could be written nothing is left."""
    writev = os.writev
    calls = []

    def half(descriptor: int, buffers: list[memoryview]) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return writev(descriptor, [buffers[0][: len(buffers[0]) // 2]])

    async with unit_at(path) as unit:
        await unit.append("before ")
        with monkeypatch.context() as patch, pytest.raises(StorageError):
            patch.setattr(os, "writev", half)
            await unit.append("€" * 1000)
        assert path.read_bytes() == b"before "
        await unit.append("after")
    assert path.read_bytes() == b"before after"


async def test_a_file_of_another_program(path: Path) -> None:
    """A text file that was there is the text; its line ends stay as they are."""
    path.write_bytes("\ufeffone\r\ntwo €\r\n".encode())
    async with unit_at(path) as unit:
        assert await unit.get() == "\ufeffone\r\ntwo €\r\n"
        assert await unit.tail(1) == "two €\r\n"
