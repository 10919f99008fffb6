"""The interpreter ends while units are open."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitConfig, create_data_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TYPES = ["file", "memory", "string", "stream"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-X", "dev"), ("-W", "default")], ids=" ".join)
@pytest.mark.parametrize("ending", ["forgotten", "global", "reading", "writing", "thread", "exit"])
async def test_units_that_were_never_shut_down(
    ending: str, options: tuple[str, ...], tmp_path: Path, run: Callable[..., Any]
) -> None:
    """The process ends at once and with success, each open unit warns, and what was acknowledged is there."""
    began = time.monotonic()

    finished = run("exit_open", tmp_path, ending, options=options)

    assert time.monotonic() - began < 15
    assert finished.returncode == 0, finished.stderr
    assert TYPES == finished.stdout.split()
    for data_type in TYPES:
        assert f"ResourceWarning: the {data_type} was never shut down" in finished.stderr
    assert "Traceback" not in finished.stderr
    for data_type in TYPES:
        config = DataUnitConfig(
            data_type=data_type, persistent=True, file_path=tmp_path / data_type, lock_timeout_s=0
        )
        async with create_data_unit(config) as unit:
            assert await unit.get() in ("kept", "x" * 1_000_000)


@pytest.mark.slow
async def test_no_warning_without_being_asked(tmp_path: Path, run: Callable[..., Any]) -> None:
    """As Python is started ordinarily, nothing is printed."""
    finished = run("exit_open", tmp_path, "global")

    assert (0, "") == (finished.returncode, finished.stderr)
