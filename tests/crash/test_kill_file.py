"""A process that writes a document is killed with SIGKILL, two hundred times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitConfig, create_data_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data_type", "kills", "within_s", "sizes"),
    [
        pytest.param("file", 110, 0.02, [1, 100, 2_000], id="small values"),
        pytest.param("file", 50, 0.06, [3, 60_000, 900_000], id="small and large values"),
        pytest.param("memory", 40, 0.02, [1, 50_000], id="persistent memory"),
    ],
)
async def test_what_was_acknowledged_survives(
    data_type: str,
    kills: int,
    within_s: float,
    sizes: list[int],
    tmp_path: Path,
    start: Callable[..., Any],
    kill_later: Callable[[Any, float], int],
    strays: Callable[[Path], list[str]],
) -> None:
    """The file holds the last acknowledged value or the one that was on its way, whole, and opens cleanly."""
    path = tmp_path / "value.json"
    config = DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
    for _ in range(kills):
        child = start("set_forever", data_type, path, *sizes)
        acknowledged = kill_later(child, within_s)

        found = json.loads(path.read_bytes())
        number = found["number"]
        assert number in {acknowledged, acknowledged + 1}
        assert found["fill"] == f"{number}," * sizes[number % len(sizes)]
        async with create_data_unit(config) as unit:
            assert found == await unit.get()
            assert [] == strays(tmp_path)


@pytest.mark.slow
async def test_no_backup_is_ever_torn(
    tmp_path: Path, start: Callable[..., Any], kill_later: Callable[[Any, float], int]
) -> None:
    """Whenever the writer is killed, every version that is kept can be read, and `backups` are there."""
    path = tmp_path / "value.json"
    sizes = [1, 200_000]
    for _ in range(20):
        kill_later(start("set_forever", "file", path, *sizes), 0.04)

        async with create_data_unit(DataUnitConfig(data_type="file", file_path=path)) as unit:
            kept = [each.version for each in await unit.versions()]
            backups = [json.loads(each.read_bytes()) for each in tmp_path.glob(".value.json.*.bak")]
        assert sorted(kept, reverse=True) == kept
        assert all(each["fill"] == f"{each['number']}," * sizes[each["number"] % 2] for each in backups)
        # A few more than are kept, if the kill came just before the surplus was removed.
        assert len(backups) in range(1, 9)
