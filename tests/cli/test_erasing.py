"""`delete` and `purge`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

pytestmark = pytest.mark.usefixtures("database")


def count(run: Run) -> int:
    return int(json.loads(run("stats", "--json").stdout)["count"])


def test_nothing_is_erased_where_nobody_can_be_asked(run: Run) -> None:
    """That is wrong usage, and says how many exchanges would have gone."""
    for arguments in (("delete", "order-7", "trip"), ("purge", "--older-than", "2026-11-24")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "exchanges" in result.stderr
        assert "--yes" in result.stderr
    assert count(run) == 7


def test_delete(run: Run) -> None:
    """Conversations go whole; a name given twice counts once."""
    result = run("delete", "order-7", "trip", "trip", "--yes")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "6 exchanges erased\n")
    assert count(run) == 1


def test_delete_of_an_exchange(run: Run) -> None:
    """As JSON, how many went."""
    result = run("delete", "--message", 3, "--message", 2, "--yes", "--json")

    assert json.loads(result.stdout) == {"erased": 2}
    assert count(run) == 5


@pytest.mark.parametrize("arguments", [("order-7", "nope"), ("order-7", "--message", "99")])
def test_delete_of_what_is_not_there(run: Run, arguments: tuple[str, ...]) -> None:
    """Then nothing is erased of what is there."""
    assert run("delete", *arguments, "--yes").exit_code == 3
    assert count(run) == 7


def test_delete_of_nothing(run: Run) -> None:
    """It has to be named."""
    assert run("delete", "--yes").exit_code == 2


def test_purge(run: Run) -> None:
    """Exchanges before a day go; where there are none, nobody is asked."""
    assert run("purge", "--older-than", "2026-11-24", "--yes").stderr == "3 exchanges erased\n"
    assert run("purge", "--older-than", "2026-11-24").stderr == "0 exchanges erased\n"
    assert run("purge").exit_code == 2
    assert count(run) == 4
