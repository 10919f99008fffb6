"""The end of a log may be torn, and is cut; damage before the end is refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import (
    CorruptDataError,
    DataUnitConfig,
    DataUnitStream,
    DataUnitString,
    create_data_unit,
)

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DataUnitBase


def config_of(data_type: str, path: Path) -> DataUnitConfig:
    """Return the config of a unit that keeps a log."""
    return DataUnitConfig(data_type=data_type, persistent=True, file_path=path)


async def write_log(path: Path, count: int = 3) -> list[bytes]:
    """Publish messages 1, 2 and so on; return the lines of the log."""
    async with DataUnitStream(config_of("stream", path)) as stream:
        for number in range(1, count + 1):
            await stream.publish({"number": number, "text": "é€😀"})
    return path.read_bytes().splitlines(keepends=True)


async def numbers_of(stream: DataUnitStream) -> list[int]:
    """Return what the stream holds, from the start."""
    subscription = await stream.subscribe(since=0)
    return [(await subscription.get())["number"] for _ in range(subscription.lag)]


@pytest.mark.parametrize(
    ("character", "left"),
    [(character, left) for character in "é€😀" for left in range(1, len(character.encode()))],
)
async def test_an_incomplete_last_character_is_cut(character: str, left: int, tmp_path: Path) -> None:
    """Whatever is left of the last character goes, the text before it stays, and appending goes on."""
    path = tmp_path / "text.log"
    path.write_bytes("aé€😀".encode() + character.encode()[:left])

    async with DataUnitString(config=config_of("string", path)) as unit:
        assert await unit.get() == "aé€😀"
        await unit.append("ß")

    assert "aé€😀ß".encode() == path.read_bytes()


@pytest.mark.parametrize("damage", [b"\xff", b"\xc3", b"\xf0\x9f\x98", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf"])
@pytest.mark.parametrize("before", ["", "aé€😀"])
async def test_damage_within_a_text_is_refused(damage: bytes, before: str, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, before the end, are reported with the file, which stays as it is."""
    path = tmp_path / "text.log"
    content = before.encode() + damage + b" and so on"
    path.write_bytes(content)
    unit = DataUnitString(config=config_of("string", path))

    with pytest.raises(CorruptDataError) as caught:
        await unit.initialize()

    assert str(path) in str(caught.value)
    assert str(path) == caught.value.path
    assert content == path.read_bytes()
    assert not unit.is_open


async def test_a_text_that_is_one_incomplete_character(tmp_path: Path) -> None:
    """A file that holds only the beginning of a character opens as an empty unit."""
    path = tmp_path / "text.log"
    path.write_bytes(b"\xf0\x9f")

    async with DataUnitString(config=config_of("string", path)) as unit:
        assert not await unit.exists()
    assert path.read_bytes() == b""


@pytest.mark.slow
async def test_a_last_record_torn_anywhere_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a record that is not whole nothing is left; the ones before are, and the version goes on."""
    path = tmp_path / "messages.log"
    lines = await write_log(path)
    for left in range(1, len(lines[-1])):
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:left])
        caplog.clear()

        async with DataUnitStream(config_of("stream", path)) as stream:
            assert await numbers_of(stream) == [1, 2]
            assert await stream.publish({"number": 3}) == 3

        assert any(
            record.levelno == logging.WARNING and str(path) in record.message for record in caplog.records
        )
    async with DataUnitStream(config_of("stream", path)) as stream:
        assert await numbers_of(stream) == [1, 2, 3]


@pytest.mark.parametrize(
    "tail", [bytes(1), bytes(5000), bytes(100) + b"\n", b"{}\n", b"[1]\n", b"\n", b"17\n"]
)
async def test_what_a_power_loss_left_at_the_end_is_cut(tail: bytes, tmp_path: Path) -> None:
    """NULs and other lines that are no record, at the end, go."""
    path = tmp_path / "messages.log"
    lines = await write_log(path)
    path.write_bytes(b"".join(lines) + tail)

    async with DataUnitStream(config_of("stream", path)) as stream:
        assert await numbers_of(stream) == [1, 2, 3]

    assert b"".join(lines) == path.read_bytes()


@pytest.mark.parametrize(
    "damage", [b"\0" * 20 + b"\n", b"{}\n", b"\n", b'{"version":2,"at":1.5}\n', b'{"version":2,']
)
async def test_damage_within_a_log_is_refused(damage: bytes, tmp_path: Path) -> None:
    """A record that is not whole, with others after it, is reported with the file, which stays as it is."""
    path = tmp_path / "messages.log"
    lines = await write_log(path)
    content = lines[0] + damage + lines[2]
    if not damage.endswith(b"\n"):
        content += lines[2]
    path.write_bytes(content)
    stream = DataUnitStream(config_of("stream", path))

    with pytest.raises(CorruptDataError) as caught:
        await stream.initialize()

    assert str(path) in str(caught.value)
    assert str(path) == caught.value.path
    assert content == path.read_bytes()
    assert not stream.is_open


@pytest.mark.parametrize("order", [(0, 2), (0, 1, 1, 2), (0, 2, 1), (1, 0)])
async def test_records_out_of_order_are_refused(order: tuple[int, ...], tmp_path: Path) -> None:
    """A log in which a record is missing, or comes twice, is damaged: versions would lie."""
    path = tmp_path / "messages.log"
    lines = await write_log(path)
    path.write_bytes(b"".join(lines[index] for index in order))

    with pytest.raises(CorruptDataError):
        async with DataUnitStream(config_of("stream", path)):
            pass


@pytest.mark.parametrize("data_type", ["string", "stream"])
async def test_a_refused_log_can_be_moved_away(data_type: str, tmp_path: Path) -> None:
    """What the error advises works: the same unit opens once the damaged file is gone."""
    path = tmp_path / "unit.log"
    path.write_bytes(
        b"\xff\n\xff\nand so on\n" if data_type == "string" else b'\0\n{"version":1,"at":1,"data":1}\n'
    )
    unit: DataUnitBase = create_data_unit(config_of(data_type, path))
    with pytest.raises(CorruptDataError):
        await unit.initialize()

    path.rename(tmp_path / "damaged")

    async with unit:
        await unit.set("anew")
        assert await unit.get() == "anew"


@pytest.mark.parametrize("data_type", ["string", "stream"])
async def test_a_replacement_that_was_cut_short(data_type: str, tmp_path: Path) -> None:
    """The temporary file of a `set` or `clear` that was killed goes when the unit is opened."""
    path = tmp_path / "unit.log"
    stray = tmp_path / ".unit.log.4711-0123abcd.tmp"
    stray.write_bytes(b"half of it")

    async with create_data_unit(config_of(data_type, path)) as unit:
        await unit.set("text")

    assert not stray.exists()


@pytest.mark.parametrize(
    "content",
    [
        b'{"role":"user","n":1}\n' * 1000,
        b'{"precious":1}',
        b'{"version":1,"precious":1}',
        b"\n\n",
        b"garbage\r\n",
        b"\xff\xfe",
    ],
)
async def test_the_file_of_somebody_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """A stream refuses a file that is no log of a stream, and does not touch it."""
    path = tmp_path / "theirs.jsonl"
    path.write_bytes(content)
    stream = DataUnitStream(DataUnitConfig(data_type="stream", persistent=True, file_path=path))

    with pytest.raises(CorruptDataError, match="not the log of a stream"):
        await stream.initialize()

    assert content == path.read_bytes()


async def test_what_is_cut_is_kept(tmp_path: Path) -> None:
    """The remains of an interrupted write are cut off a log, and stand beside it."""
    path = tmp_path / "messages.jsonl"
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=path)
    async with DataUnitStream(config) as stream:
        await stream.publish("whole")
    with path.open("ab") as file:
        file.write(b'{"version":2,"at":17')

    async with DataUnitStream(config) as stream:
        assert await stream.get() == "whole"

    assert [b'{"version":2,"at":17'] == [each.read_bytes() for each in tmp_path.glob("*.corrupt-*")]
