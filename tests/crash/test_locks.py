"""What one process holds keeps the others out, with an error that says so, until it is killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitConfig, DataUnitFile, LockTimeoutError, create_data_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def patient(data_type: str, path: Path, lock_timeout_s: float) -> DataUnitConfig:
    """Return a config that waits for so long."""
    return DataUnitConfig(data_type=data_type, persistent=True, file_path=path, lock_timeout_s=lock_timeout_s)


async def test_an_update_keeps_other_processes_from_writing(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    """While one process is within `update`, a `set` of another times out, and reads go on."""
    path = tmp_path / "value.json"
    async with DataUnitFile(config=patient("file", path, 0.05)) as unit:
        await unit.set(1)
        holder = start("hold_update", path)
        assert holder.line() == "holding"

        with pytest.raises(LockTimeoutError) as caught:
            await unit.set(2)

        assert str(path) in str(caught.value)
        assert str(path) == caught.value.path
        assert await unit.get() == 1


async def test_a_killed_update_frees_the_file(tmp_path: Path, start: Callable[..., Any]) -> None:
    """The process that was within `update` is killed: the value is as before, and the next one may write."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set(1)
        for expected in range(2, 12):
            holder = start("hold_update", path)
            assert holder.line() == "holding"
            holder.kill()

            assert await unit.update(lambda number: number + 1) == expected


async def test_a_waiting_update_goes_on_when_the_holder_dies(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    """A writer that waits for another process is let in when that one is killed."""
    path = tmp_path / "value.json"
    async with DataUnitFile(config=patient("file", path, 30)) as unit:
        await unit.set(1)
        holder = start("hold_update", path)
        assert holder.line() == "holding"
        second = start("increment", path, 1)
        assert second.line() == "ready"
        second.tell("go")

        holder.kill()

        assert second.wait() == 0
        assert await unit.get() == 2


@pytest.mark.parametrize("data_type", ["string", "stream"])
async def test_one_process_at_a_time_has_a_log_open(
    data_type: str, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """The second process is refused within `lock_timeout_s`, by an error that names the file."""
    path = tmp_path / "unit.log"
    holder = start("hold_log", data_type, path)
    assert holder.line() == "open"
    began = time.monotonic()

    with pytest.raises(LockTimeoutError) as caught:
        await create_data_unit(patient(data_type, path, 0.2)).initialize()

    assert 0.2 <= time.monotonic() - began < 5
    assert str(path) in str(caught.value)
    assert str(path) == caught.value.path


@pytest.mark.parametrize("data_type", ["string", "stream"])
@pytest.mark.parametrize("ending", ["killed", "shut down"])
async def test_a_log_is_free_when_its_process_has_ended(
    data_type: str, ending: str, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Killed or not, the process that had the log open leaves it to the next one, with all that it wrote."""
    path = tmp_path / "unit.log"
    holder = start("hold_log", data_type, path)
    assert holder.line() == "open"

    if ending == "killed":
        holder.kill()
    else:
        holder.tell("end")
        assert holder.wait() == 0

    async with create_data_unit(patient(data_type, path, 0.2)) as unit:
        assert await unit.get() == "from the first process"
