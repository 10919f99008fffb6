"""The example history, run as its users run it: as a program, piped and on a terminal, twice, and killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    SessionData,
    SessionManager,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "library" / "data"
PROGRAM = EXAMPLE / "conversation_history.py"

Run = subprocess.CompletedProcess[str]


def command(database: Path, *options: str) -> list[str]:
    return [sys.executable, "-W", "error", str(PROGRAM), "--database", str(database), *options]


def run(database: Path, *options: str, **environment: str) -> Run:
    return subprocess.run(
        command(database, *options),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **environment},
        timeout=60,
    )


def completed(database: Path, *options: str, **environment: str) -> str:
    done = run(database, *options, **environment)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def on_terminal(database: Path, columns: int, **environment: str) -> str:
    """Run on a pseudo-terminal, and return what it shows."""
    import pty

    terminal, its_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment}
    with subprocess.Popen(command(database), stdout=its_end, env=environment) as process:
        os.close(its_end)
        shown = b""
        with contextlib.suppress(OSError):  # that is how the end of a terminal is told
            while part := os.read(terminal, 65536):
                shown += part
        os.close(terminal)
    assert 0 == process.returncode
    return shown.decode()


def sample() -> list[dict[str, Any]]:
    return [
        {"conversation_id": each["conversation_id"], **exchange}
        for file in sorted((EXAMPLE / "sample").glob("*.jsonl"))
        for each in map(json.loads, file.read_text(encoding="utf-8").splitlines())
        for exchange in each["exchanges"]
    ]


def saved_in(database: Path, table: str = "conversations") -> list[ConversationMessage]:
    async def read() -> list[ConversationMessage]:
        async with ConversationHistoryUnit(SQLiteAdapter(database), table) as history:
            return sorted(
                [each async for each in history.stream_conversations()], key=lambda each: each.message_id or 0
            )

    return asyncio.run(read())


def keep_only(database: Path, count: int) -> None:
    """Leave what a run would have saved that was killed after so many exchanges."""

    async def cut() -> None:
        async with ConversationHistoryUnit(SQLiteAdapter(database)) as history:
            messages = saved[:count]
            await history.clear()
            for each in messages:
                each.message_id = None
            await history.save_messages_batch(messages)

    saved = saved_in(database)
    asyncio.run(cut())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The database of a first run, and what that run printed."""
    database = tmp_path_factory.mktemp("first") / "new folder" / "history.db"
    return database, completed(database)


@pytest.fixture
def database(first: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the database of a first run."""
    return Path(shutil.copy(first[0], tmp_path / "history.db"))


# -- what is saved -----------------------------------------------------------------------------------------


def test_every_exchange_of_the_sample_is_saved_once_and_in_order(first: tuple[Path, str]):
    """Texts are those of the files; times too, where the files have them."""
    saved = saved_in(first[0])
    expected = [(each["conversation_id"], each["user_input"], each["agent_response"]) for each in sample()]
    assert expected == [(each.conversation_id, each.user_input, each.agent_response) for each in saved]
    for each, exchange in zip(saved, sample(), strict=True):
        assert exchange.get("timestamp", each.timestamp.isoformat()) == each.timestamp.isoformat()


def test_nothing_is_invented_about_response_times(first: tuple[Path, str]):
    """The sample has no response times: what is saved says so; those of the answers are measured."""
    assert {(0.0, "not recorded")} == {
        (each.response_time_ms, each.metadata["response_time"]) for each in saved_in(first[0])
    }
    assert all(each.response_time_ms > 0 for each in saved_in(first[0], "answers"))


def test_the_first_run_says_what_it_saved(first: tuple[Path, str]):
    """Conversations, exchanges, the place, and how many transactions it took."""
    database, shown = first
    count = f"{len(sample()):,}"
    expected = (
        rf"\d+ conversations, {count} exchanges: saved {count} in {re.escape(str(database))}\nin \d+ trans"
    )
    assert re.match(expected, shown), shown


def test_a_second_run_saves_nothing_again_and_compares_response_times(database: Path):
    """It says so, and lists both runs."""
    shown = completed(database)
    assert re.search(r"holds all .* exchanges\.\nSaved .*: nothing is saved again\.\n", shown)
    assert len(sample()) == len(saved_in(database))
    assert 2 == len(re.findall(r"^ run \d{4}-", shown, re.MULTILINE))


def test_a_run_that_saved_only_a_part_is_continued(database: Path):
    """The next run saves what is missing, and only that."""
    before = [(each.conversation_id, each.user_input) for each in saved_in(database)]
    keep_only(database, 300)
    done = run(database, "--search", "latte")
    assert f"saved {len(before) - 300:,} in" in done.stderr
    assert "behind 300 of an earlier run" in done.stderr
    assert before == [(each.conversation_id, each.user_input) for each in saved_in(database)]


async def sessions_in(database: Path) -> list[SessionData]:
    async with SessionManager(database_adapter=SQLiteAdapter(database), table_name="visits") as sessions:
        return await sessions.list_sessions(limit=None)


def test_runs_do_not_pile_up(database: Path):
    """Of sessions those of the last run stay; of answers, orders and visits those of five runs."""
    first = saved_in(database, "answers")
    left = len(asyncio.run(sessions_in(database)))

    for _ in range(5):
        completed(database)

    last = saved_in(database, "answers")
    assert len(first) * 5 == len(last)
    assert not {each.conversation_id for each in first} & {each.conversation_id for each in last}
    assert left == len(asyncio.run(sessions_in(database)))


def test_fresh_starts_again(database: Path):
    """Earlier runs are forgotten."""
    shown = completed(database, "--fresh")
    assert f"saved {len(sample()):,} in" in shown
    assert 1 == len(re.findall(r"^ run \d{4}-", shown, re.MULTILINE))


# -- what is shown -----------------------------------------------------------------------------------------


def test_piped_output_is_plain_and_fits(first: tuple[Path, str]):
    """No control characters; no line is wider than 100 columns."""
    lines = first[1].splitlines()
    assert all(character.isprintable() for line in lines for character in line)
    assert max(len(line.rstrip()) for line in lines if "/" not in line) <= 100
    assert len(lines) <= 75


def test_all_parts_are_shown(first: tuple[Path, str]):
    """Search, a chat, branches, sessions, response times, and what to try next, in this order."""
    headings = ["Search", "A conversation", "Branches", "Sessions", "Response times", "Try next"]
    assert headings == re.findall(rf"^({'|'.join(headings)})\b", first[1], re.MULTILINE)
    assert "[Cold Brew]" in first[1]
    assert "[故宫]" in first[1]
    assert "─ #3 regenerated" in first[1]


def test_sessions_are_made_used_expire_and_are_cleaned_up(first: tuple[Path, str]):
    """Each moment tells what became of the four; conversations are found by their sessions, gone or not."""
    part = first[1].partition("\nSessions")[2].partition("\nResponse times")[0]
    states = [
        re.findall(r"\b(?:active|expired|ended|gone)\b", line)
        for line in re.findall(r"^  \d\d:.*", part, re.MULTILINE)
    ]
    assert states == [
        ["active", "active", "active", "active"],
        ["active", "active", "active", "active"],
        ["active", "ended", "active", "expired"],
        ["active", "ended", "expired", "expired"],
        ["active", "ended", "gone", "gone"],
    ]
    assert ["3", "2", "1", "1"] == re.findall(r"(\d) saved", part)
    assert "on_expired was called for Cyd and Dee" in part
    assert ["Ada", "Ben"] == sorted(each.user_id for each in asyncio.run(sessions_in(first[0])))


def test_no_id_of_a_session_is_shown(first: tuple[Path, str]):
    """Whoever knows one has the session."""
    assert not any(each.session_id in first[1] for each in asyncio.run(sessions_in(first[0])))


def test_the_histogram_counts_every_answer(first: tuple[Path, str]):
    """Its rows add up to the number of conversations."""
    counts = re.findall(r"^ +up to [\d.]+ ms +([\d,]+)", first[1], re.MULTILINE)
    conversations = {each["conversation_id"] for each in sample()}
    assert len(conversations) == sum(int(count.replace(",", "")) for count in counts)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_gets_colours_and_lines_that_fit(database: Path, columns: int):
    """What is found is green; no line of the tree or the chat wraps."""
    shown = on_terminal(database, columns)
    assert "\x1b[32mCold Brew\x1b[0m" in shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    tree = plain.split("\nBranches")[1].split("the thread of")[0]
    assert all(len(line.rstrip()) <= columns for line in tree.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_no_color_is_respected(database: Path):
    """Then what is found stands in brackets."""
    shown = on_terminal(database, 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", shown)
    assert "[Cold Brew]" in shown


def test_search_prints_results_alone(database: Path):
    """What was done to the database goes to standard error."""
    done = run(database, "--search", "latte OR mocha", "--limit", "3")
    assert 0 == done.returncode
    assert 3 == len(
        re.findall(r"^ +#\d+ taskmaster-4 .*\[(?:latte|mocha)s?\]", done.stdout, re.MULTILINE | re.IGNORECASE)
    )
    assert "nothing is saved again" in done.stderr
    assert "Branches" not in done.stdout


def test_show_prints_the_conversation_of_an_exchange(database: Path):
    """Its number may have the # with which searches show it."""
    whole = saved_in(database)[-1].conversation_id
    shown = completed(database, "--show", f"#{len(sample())}")
    assert whole in shown
    assert f"#{len(sample())} user" in shown


# -- errors ------------------------------------------------------------------------------------------------


def test_an_exchange_that_is_not_there_is_told_in_one_line(database: Path):
    """And the program fails."""
    done = run(database, "--show", "999999")
    assert (1, "") == (done.returncode, done.stdout)
    assert re.search(r"^error: no exchange has the message_id 999999", done.stderr, re.MULTILINE)


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path):
    """And left as it is."""
    path = tmp_path / "notes.db"
    path.write_text("no database\n" * 100, encoding="utf-8")
    done = run(path)
    assert 1 == done.returncode
    assert re.fullmatch(r"error: .*\n", done.stderr)
    assert path.read_text(encoding="utf-8") == "no database\n" * 100


def test_the_history_of_something_else_is_left_alone(tmp_path: Path):
    """A database with other exchanges in it is refused, and not added to."""

    async def save() -> None:
        async with ConversationHistoryUnit(SQLiteAdapter(path)) as history:
            await history.save_message(ConversationMessage("mine", "Hello", "Hi", datetime.now(UTC), 1.0))

    path = tmp_path / "mine.db"
    asyncio.run(save())
    for arguments in ([], ["--fresh"]):
        done = run(path, *arguments)
        assert 1 == done.returncode
        assert re.fullmatch(r"error: .*other conversations.*--database\n", done.stderr)
    assert ["mine"] == [each.conversation_id for each in saved_in(path)]


def test_whoever_reads_may_leave(database: Path):
    """As `| head` does: no traceback, and no error."""
    with subprocess.Popen(command(database), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"" == process.stderr.read()
