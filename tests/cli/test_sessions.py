"""`sessions list`, `show`, `end` and `cleanup`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Run

pytestmark = pytest.mark.usefixtures("database")


def sessions(run: Run, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("sessions", "list", "--json", *arguments).stdout)
    return found


def test_list_shows_active_ones(run: Run) -> None:
    """Those created last first; `--all` the others, too, and `--timeout` says which these are."""
    assert [each["user_id"] for each in sessions(run)] == ["ben", "ana", "ana"]
    assert [each["is_active"] for each in sessions(run, "--all")] == [True, True, True, False]
    assert len(sessions(run, "--timeout", "4d")) == 4
    assert len(sessions(run, "--user", "ana")) == 2


def test_list_in_a_pipe(run: Run) -> None:
    """Session, user, times and state."""
    columns = run("sessions", "list", "--limit", 1).stdout.rstrip("\n").split("\t")

    assert (columns[1], columns[4]) == ("ben", "active")
    assert "--after" in run("sessions", "list", "--limit", 1).stderr
    cursor = sessions(run)[0]["cursor"]
    assert [each["user_id"] for each in sessions(run, "--after", cursor)] == ["ana", "ana"]


def test_ids_are_shown_in_part(run: Run) -> None:
    """No output holds a whole id, unless it is asked for."""
    ids = [each["session_id"] for each in sessions(run, "--all", "--full-ids")]
    outputs = [
        run("sessions", "list", "--all").output,
        run("sessions", "list", "--all", "--json").output,
        run("sessions", "show", ids[0]).output,
        run("sessions", "show", ids[0], "--json").output,
    ]

    assert {len(each) for each in ids} == {54}
    assert not [each for each in ids for output in outputs if each[20:] in output]


def test_a_beginning_will_do(run: Run) -> None:
    """As it is listed, with its ellipsis or without; where several begin so, none is taken."""
    shown = sessions(run)[0]["session_id"]

    for beginning in (shown, shown.rstrip("…")):
        found = json.loads(run("sessions", "show", beginning, "--json").stdout)
        assert found["user_id"] == "ben"
        assert found["conversations"] == []
    several = run("sessions", "show", shown[:3])
    assert several.exit_code == 1
    assert "give more of it" in several.stderr
    assert run("sessions", "show", "zzz").exit_code == 3
    assert run("sessions", "show", "").exit_code == 3


def test_end(run: Run) -> None:
    """One, or all of a user."""
    assert run("sessions", "end", sessions(run)[0]["session_id"]).stderr == "1 session ended\n"
    assert json.loads(run("sessions", "end", "--user", "ana", "--json").stdout) == {"ended": 2}
    assert sessions(run) == []
    assert run("sessions", "list").stderr == "no active sessions: --all shows the others\n"
    assert run("sessions", "end").exit_code == 2
    assert run("sessions", "end", "x", "--user", "ana").exit_code == 2


def test_cleanup(run: Run) -> None:
    """Those that have expired go, judged by the timeout that is given."""
    assert run("sessions", "cleanup", "--timeout", "4d").stderr.startswith("0 sessions deleted")
    result = run("sessions", "cleanup")
    assert result.stderr == "1 session deleted: idle for 1 day or more\n"
    assert len(sessions(run, "--all")) == 3


def test_cleanup_that_keeps(run: Run) -> None:
    """They stay, as inactive ones."""
    assert run("sessions", "cleanup", "--keep").stderr.startswith("1 session marked as inactive")
    assert len(sessions(run, "--all")) == 4
    assert len(sessions(run, "--timeout", "4d")) == 3


def test_a_timeout_that_cannot_be(run: Run) -> None:
    """That is wrong usage."""
    for timeout in ("0s", "99999w"):
        result = run("sessions", "list", "--timeout", timeout)
        assert result.exit_code == 2
        assert "--timeout" in result.stderr
