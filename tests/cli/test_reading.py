"""`search`, `list`, `show`, `tail` and `stats`, in a pipe and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run

pytestmark = pytest.mark.usefixtures("database")


def test_search_prints_lines_with_tabs(run: Run) -> None:
    """Id, time in UTC, conversation, and the snippet with matches in brackets; the rest goes to stderr."""
    result = run("search", "mocha", "--conversation", "order-7", "--limit", 1)

    assert result.stdout == "3\t2026-11-23T09:40:00Z\torder-7\tOne large [mocha].\n"
    assert "--limit 4 shows more" in result.stderr


def test_search_excludes_words_with_a_dash(run: Run) -> None:
    """`-large` is no option; an option that is misspelt is none, either."""
    assert [line.split("\t")[0] for line in run("search", "mocha", "-large").stdout.splitlines()] == ["1"]
    assert run("search", "mocha", "--large").exit_code == 2
    assert run("search", "--", "--mocha", "--limit").exit_code == 0
    assert run("search", "--limit", "-5", "mocha").exit_code == 2


def test_search_without_hits_is_an_empty_list(run: Run) -> None:
    """The exit code is 0, and nothing but an empty list is printed."""
    result = run("search", "zebra", "--json")

    assert (result.exit_code, json.loads(result.stdout), result.stderr) == (0, [], "nothing found\n")
    assert run("search", "zebra", "--quiet").output == ""
    assert run("search", "zebra", "--jsonl").stdout == ""


def test_search_as_json_has_everything(run: Run) -> None:
    """Results are exchanges with score and snippet."""
    (found,) = json.loads(run("search", "almond", "--json").stdout)

    assert found["message_id"] == 2
    assert found["agent_response"] == "We have oat milk\nand almond milk."
    assert found["timestamp"] == "2026-11-23T09:01:00Z"
    assert "[almond]" in found["snippet"]
    assert found["score"] > 0


def test_list_prints_the_newest_first(run: Run) -> None:
    """Id, number of exchanges, times, and the first words."""
    lines = run("list").stdout.splitlines()

    assert lines[1] == "trip\t3\t2026-11-24T10:00:00Z\t2026-11-24T10:02:00Z\tWhere to in May?"
    assert [line.split("\t")[1] for line in lines] == ["1", "3", "3"]


def test_list_goes_on_where_a_page_ended(run: Run) -> None:
    """What stderr names leads to the rest, and the last page names nothing."""
    first = run("list", "--limit", 2)
    cursor = first.stderr.split("--after ")[1].strip()
    rest = run("list", "--after", cursor)

    assert rest.stdout.startswith("order-7\t3")
    assert rest.stderr == ""
    assert json.loads(run("list", "--limit", 2, "--json").stdout)[1]["cursor"] == cursor


def test_list_of_a_session(run: Run) -> None:
    """Only conversations of the session; none is no error."""
    assert run("list", "--session", "s-1").stdout.startswith("order-7\t3\t")
    none = run("list", "--session", "s-2")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no conversations\n")


def test_jsonl_has_one_object_a_line(run: Run) -> None:
    """Each line is a document."""
    lines = run("list", "--jsonl").stdout.splitlines()

    assert [json.loads(line)["message_count"] for line in lines] == [1, 3, 3]


def test_show_prints_two_lines_an_exchange(run: Run) -> None:
    """Id, time, who speaks, and the text as one line."""
    lines = run("show", "order-7").stdout.splitlines()

    assert lines[2:4] == [
        "2\t2026-11-23T09:01:00Z\tuser\tA large one with oat milk.",
        "2\t2026-11-23T09:01:00Z\tagent\tWe have oat milk and almond milk.",
    ]


def test_show_begins_with_the_latest(run: Run) -> None:
    """Stderr says how to see what is above."""
    latest = run("show", "order-7", "--limit", 1)
    above = run("show", "order-7", "--limit", 1, "--before", 3)

    assert latest.stdout.startswith("3\t")
    assert latest.stderr == "1 of 3 exchanges: --before 3 shows those above, --all shows all\n"
    assert above.stdout.startswith("2\t")
    assert len(json.loads(run("show", "order-7", "--limit", 1, "--all", "--json").stdout)) == 3


@pytest.mark.parametrize("number", ["6", "#6"])
def test_show_of_an_exchange_is_its_thread(run: Run, number: str) -> None:
    """The other answer is not on it."""
    thread = json.loads(run("show", number, "--json").stdout)

    assert [each["message_id"] for each in thread] == [4, 6]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("tripp", "did you mean 'trip'?"),
        ("zebra", "`nanobrain-data list` shows what there is"),
        ("#99", "no exchange #99"),
        ("99", "no exchange #99"),
        ("#", "no conversation '#'"),
    ],
)
def test_show_of_what_is_not_there(run: Run, what: str, text: str) -> None:
    """The exit code is 3, and one line says what may have been meant."""
    result = run("show", what)

    assert (result.exit_code, result.stdout) == (3, "")
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_tail_prints_what_was_saved_last(run: Run) -> None:
    """Oldest first, with the conversation; of one conversation, if it is named."""
    lines = run("tail", "--lines", 2).stdout.splitlines()

    assert [line.split("\t")[0] for line in lines] == ["6", "6", "7", "7"]
    assert lines[0] == "6\t2026-11-24T10:02:00Z\ttrip\tuser\tWhich hotel?"
    assert run("tail", "order-7", "--lines", 1).stdout.startswith("3\t")
    assert run("tail", "zebra").exit_code == 3


def test_tail_that_never_ends_is_no_document(run: Run) -> None:
    """`--json` has an end, `--follow` has none."""
    result = run("tail", "--follow", "--json")

    assert result.exit_code == 2
    assert "--jsonl" in result.stderr


def test_stats_prints_a_line_a_day(run: Run) -> None:
    """All, and then each day: count, mean, least, p50, p95, p99, most."""
    lines = [line.split("\t") for line in run("stats", "--conversation", "order-7").stdout.splitlines()]

    assert lines[0] == ["all", "3", "413.667", "400", "401", "436.1", "439.22", "440"]
    assert [line[0] for line in lines] == ["all", "2026-11-23"]


def test_stats_as_json(run: Run) -> None:
    """One object with the days in it; or an object a line."""
    metrics = json.loads(run("stats", "--json").stdout)
    lines = run("stats", "--jsonl").stdout.splitlines()

    assert metrics["count"] == 7
    assert [day["day"] for day in metrics["per_day"]] == ["2026-11-23", "2026-11-24"]
    assert [json.loads(line)["day"] for line in lines] == [None, "2026-11-23", "2026-11-24"]


def test_stats_since_a_time(run: Run) -> None:
    """A day, a moment, or how long ago; what is no time is refused with examples."""
    counts = [
        json.loads(run("stats", "--since", since, "--json").stdout)["count"]
        for since in ("2026-11-24", "2026-11-24T10:02:00Z", "2026-11-23T09:00:30", "9999d")
    ]

    assert counts == [4, 2, 6, 7]
    assert "2026-11-23T09:00" in run("stats", "--since", "monday").stderr
    assert run("stats", "--since", "9999999d").exit_code == 2
    assert run("stats", "--conversation", "zebra").exit_code == 3


def test_search_does_not_change_the_file(run: Run, database: Path) -> None:
    """Reading leaves the database alone in its folder."""
    run("list")

    assert [each.name for each in database.parent.iterdir()] == ["conversations.db"]
