"""A process that appends to a log is killed with SIGKILL at random moments."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitConfig, DataUnitStream, DataUnitString

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def text_of(length: int) -> str:
    """Return the first `length` characters of what `append_forever.py` appends."""
    lines: list[str] = []
    total = 0
    for number in count(1):
        if total >= length:
            break
        lines.append(f"{number}:{'é€😀' * (number % 7)}\n")
        total += len(lines[-1])
    return "".join(lines)[:length]


@pytest.mark.slow
async def test_acknowledged_appends_survive(
    tmp_path: Path, start: Callable[..., Any], kill_later: Callable[[Any, float], int]
) -> None:
    """The text is what was sent, up to the last acknowledged piece or a little further."""
    path = tmp_path / "text.log"
    config = DataUnitConfig(data_type="string", persistent=True, file_path=path)
    for _ in range(50):
        acknowledged = kill_later(start("append_forever", path), 0.03)

        async with DataUnitString(config=config) as unit:
            text = await unit.get()
        assert text_of(len(text)) == text
        assert acknowledged <= text.count("\n") <= acknowledged + 5
        assert text.encode() == path.read_bytes()


@pytest.mark.slow
async def test_acknowledged_messages_survive(
    tmp_path: Path, start: Callable[..., Any], kill_later: Callable[[Any, float], int]
) -> None:
    """All acknowledged messages are there under their versions, and a subscriber can go on from any."""
    path = tmp_path / "messages.log"
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=path, cache_size=16)
    for _ in range(50):
        acknowledged = kill_later(start("publish_forever", path), 0.03)

        async with DataUnitStream(config) as stream:
            version = (await stream.entry()).version
            from_start = await stream.subscribe(since=0)
            numbers = [(await from_start.get())["number"] for _ in range(version)]
            from_last = await stream.subscribe(since=acknowledged)
            later = [(await from_last.get())["number"] for _ in range(version - acknowledged)]
        assert acknowledged <= version <= acknowledged + 5
        assert list(range(1, version + 1)) == numbers
        assert list(range(acknowledged + 1, version + 1)) == later
