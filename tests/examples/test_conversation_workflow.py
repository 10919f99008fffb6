"""The example workflow, run as its users run it: as a program, which is killed, interrupted and resumed."""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "library" / "data"
PROGRAM = EXAMPLE / "conversation_workflow.py"
SAMPLE = EXAMPLE / "sample"
SAMPLE_BYTES = 1_500_000

Run = subprocess.CompletedProcess[str]


def command(directory: Path, *options: str) -> list[str]:
    return [sys.executable, "-W", "error", str(PROGRAM), "--directory", str(directory), *options]


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command(directory, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )


def run(directory: Path, *options: str) -> Run:
    with start(directory, *options) as process:
        stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def completed(directory: Path, *options: str) -> Run:
    done = run(directory, *options)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    return done


def totals_in(directory: Path) -> Any:
    return json.loads((directory / "checkpoint.json").read_bytes())


def log_in(directory: Path) -> list[str]:
    return (directory / "exchanges.log").read_text(encoding="utf-8").splitlines(keepends=True)


def conversations() -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in sorted(SAMPLE.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]


def words_in(text: str) -> Counter[str]:
    """Count words letter by letter, without the regular expression of the example."""
    words: Counter[str] = Counter()
    for kind, group in itertools.groupby(text.casefold(), key=kind_of):
        part = "".join(group)
        if kind == "han":
            words.update([part] if len(part) == 1 else map("".join, itertools.pairwise(part)))
        elif kind == "letters":
            # An apostrophe belongs to a word if letters stand at both sides of it.
            words.update(piece for piece in re.split(r"['\u2019]{2,}|^['\u2019]|['\u2019]$", part) if piece)
    return words


def kind_of(character: str) -> str:
    if "\u3400" <= character <= "\u9fff":
        return "han"
    is_letter = (character.isalnum() and not character.isdecimal()) or character in "'\u2019"
    return "letters" if is_letter else "other"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory and the output of a run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole")
    return directory, completed(directory).stdout


@pytest.fixture(scope="module")
def whole(undisturbed: tuple[Path, str]) -> Path:
    return undisturbed[0]


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run over some of the conversations."""
    directory = tmp_path_factory.mktemp("part")
    completed(directory, "--limit", "160")
    return directory


def copy(directory: Path, target: Path) -> Path:
    return shutil.copytree(directory, target / "copy")


def assert_same(directory: Path, whole: Path) -> None:
    assert totals_in(whole) == totals_in(directory)
    assert log_in(whole) == log_in(directory)


# -- the sample ------------------------------------------------------------------------------------------


def test_every_conversation_of_the_sample_has_the_described_form():
    required = {"user_input", "agent_response"}
    for each in conversations():
        assert {"conversation_id", "source", "language", "exchanges"} == each.keys()
        assert each["exchanges"], each["conversation_id"]
        for exchange in each["exchanges"]:
            assert required <= exchange.keys() <= required | {"timestamp"}
            assert all(isinstance(text, str) and text for text in exchange.values())


def test_ids_of_the_sample_are_unique_and_begin_with_their_source():
    ids = [each["conversation_id"] for each in conversations()]
    assert len(ids) == len(set(ids))
    assert all(each["conversation_id"].startswith(f"{each['source']}/") for each in conversations())


def test_the_sample_is_as_large_as_its_readme_says():
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    found = conversations()
    exchanges = sum(len(each["exchanges"]) for each in found)
    assert f"{len(found)} real conversations with {exchanges:,} exchanges" in readme
    assert sum(file.stat().st_size for file in SAMPLE.iterdir() if file.is_file()) <= SAMPLE_BYTES


def test_the_readme_of_the_sample_gives_each_source_a_row_origin_authors_licence_and_changes():
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for source, count in Counter(each["source"] for each in conversations()).items():
        assert re.search(rf"^\| `{source}\.jsonl` \| `{source}` \| {count} \|", readme, re.MULTILINE), source
        section = readme.split(f"## `{source}`")[1].split("\n## ")[0]
        for item in ("- Origin: <https://github.com/", "- Authors: ", "- Licence: ", "- Changes: "):
            assert item in section, f"{item!r} is missing for {source}"


# -- whole runs --------------------------------------------------------------------------------------------


def test_totals_equal_an_independent_count_of_the_sample(whole: Path):
    totals = totals_in(whole)
    for source in {each["source"] for each in conversations()}:
        own = [each for each in conversations() if each["source"] == source]
        exchanges = [exchange for each in own for exchange in each["exchanges"]]
        asked, answered = Counter[str](), Counter[str]()
        for exchange in exchanges:
            asked.update(words_in(exchange["user_input"]))
            answered.update(words_in(exchange["agent_response"]))
        expected = {
            "languages": sorted({each["language"] for each in own}),
            "conversations": len(own),
            "exchanges": len(exchanges),
            "user_words": asked.total(),
            "agent_words": answered.total(),
            "words": dict(asked + answered),
        }
        assert expected == totals["sources"][source], source
    assert sum(len(each["exchanges"]) for each in conversations()) == totals["exchanges"]


def test_response_lengths_and_longest_conversation_equal_an_independent_count(whole: Path):
    totals = totals_in(whole)
    bounds = [0, 25, 50, 100, 200, 400, 800, 1600, 10**9]
    lengths = [len(exchange["agent_response"]) for each in conversations() for exchange in each["exchanges"]]
    classes = [
        sum(low < length <= high or length == low == 0 for length in lengths)
        for low, high in itertools.pairwise(bounds)
    ]
    assert classes == totals["response_lengths"]
    longest = max(conversations(), key=lambda each: len(each["exchanges"]))
    assert (longest["conversation_id"], len(longest["exchanges"])) == (
        totals["longest_conversation"],
        totals["longest_turns"],
    )


def test_the_log_has_one_line_for_each_exchange_in_order(whole: Path):
    expected = [
        f"{each['language']} {each['conversation_id']}#{turn}\n"
        for each in conversations()
        for turn in range(1, len(each["exchanges"]) + 1)
    ]
    assert expected == [line.split(maxsplit=4)[4] for line in log_in(whole)]
    assert list(range(1, len(expected) + 1)) == [int(line.split()[0]) for line in log_in(whole)]


def test_the_summary_shows_what_each_reader_read_and_missed_in_plain_lines(undisturbed: tuple[Path, str]):
    shown = undisturbed[1]
    rows = {
        name: [int(number.replace(",", "")) for number in numbers.split()]
        for name, numbers in re.findall(
            r"^ ?(index|log|preview) .*?((?: +[\d,]+){3}) *$", shown, re.MULTILINE
        )
    }
    count = sum(len(each["exchanges"]) for each in conversations())
    assert [count, 0, 0] == rows["index"] == rows["log"]
    read, dropped, unread = rows["preview"]
    assert count == read + dropped + unread
    assert dropped > 0
    assert f"preview missed {dropped:,} exchanges" in shown
    assert "\x1b" not in shown
    assert re.search(rf"{count:,} of {count:,} exchanges \(100%\); unread: ", shown)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_terminal_gets_a_live_table_and_then_the_summary(tmp_path: Path):
    import pty

    terminal, its_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command(tmp_path, "--pace", "0"), stdout=its_end, env=environment) as process:
        os.close(its_end)
        shown = b""
        with contextlib.suppress(OSError):  # that is how the end of a terminal is told
            while part := os.read(terminal, 65536):
                shown += part
        os.close(terminal)
    assert 0 == process.returncode
    live, summary = shown.decode().split("Complete: ")
    hide_cursor, show_cursor = "\x1b[?25l", "\x1b[?25h"
    assert hide_cursor in live
    assert show_cursor in live
    assert "oldest are dropped" in live
    assert "longest conversation" in summary


def test_a_second_run_says_complete_and_changes_nothing(whole: Path):
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir() if path.suffix in {".json", ".log"}}
    shown = completed(whole).stdout
    assert shown.startswith("Complete since ")
    assert "longest conversation" in shown
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_fresh_starts_again(tmp_path: Path, part: Path, whole: Path):
    directory = copy(part, tmp_path)
    assert completed(directory, "--fresh").stdout.startswith("Reading ")
    assert_same(directory, whole)


def test_a_run_with_a_limit_is_continued_without_it(tmp_path: Path, part: Path, whole: Path):
    directory = copy(part, tmp_path)
    assert completed(directory).stdout.startswith(f"Resuming after {len(log_in(part)):,} of ")
    assert_same(directory, whole)


# -- disturbed runs ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_it_ends_with_the_same_totals_and_log(
    tmp_path: Path, whole: Path, seed: int
):
    moments = random.Random(seed)
    lengths = []
    for _ in range(5):
        with start(tmp_path, "--pace", "900") as process:
            assert process.stdout is not None
            process.stdout.readline()  # from here on it works
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0, 0.35))
            process.kill()
            process.communicate()
        assert -signal.SIGKILL == process.returncode
        lengths.append(len(log_in(tmp_path)))
    assert lengths == sorted(lengths)
    assert 0 < lengths[-1] < len(log_in(whole))
    assert completed(tmp_path).stdout.startswith("Resuming after ")
    assert_same(tmp_path, whole)


def interrupted(directory: Path) -> Run:
    """Run until a part is done, and press Ctrl-C."""
    with start(directory, "--pace", "900") as process:
        assert process.stdout is not None
        while "exchanges (" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_an_interrupted_run_says_how_to_resume_and_resumes(tmp_path: Path, whole: Path):
    stopped = interrupted(tmp_path)
    assert 130 == stopped.returncode
    assert "Stopped. What was done is kept: run the same command again to go on.\n" == stopped.stderr
    assert completed(tmp_path).stdout.startswith("Resuming after ")
    assert_same(tmp_path, whole)


def damage_checkpoint(directory: Path) -> None:
    """Cut the file in place; its newest backup is another name of it, and so is cut as well."""
    path = directory / "checkpoint.json"
    half = path.stat().st_size // 2
    backups = directory.glob(".checkpoint.json.*.bak")
    same = [backup for backup in backups if filecmp.cmp(backup, path, shallow=False)]
    assert len(same) == 1
    for each in (path, *same):
        os.truncate(each, half)


def damage_checkpoint_and_backups(directory: Path) -> None:
    for path in directory.glob("*checkpoint.json*"):
        if path.suffix in {".json", ".bak"}:
            path.write_bytes(b"\0" * 100)


def replace_checkpoint(directory: Path) -> None:
    (directory / "checkpoint.json").write_text('{"exchanges": "many"}', encoding="utf-8")


def delete_checkpoint(directory: Path) -> None:
    for path in directory.glob("*checkpoint.json*"):
        path.unlink()


def delete_log(directory: Path) -> None:
    (directory / "exchanges.log").unlink()


def tear_log(directory: Path) -> None:
    path = directory / "exchanges.log"
    os.truncate(path, path.stat().st_size - 10)


@pytest.mark.parametrize(
    ("former", "damage"),
    [
        ("part", damage_checkpoint),
        ("part", damage_checkpoint_and_backups),
        ("part", replace_checkpoint),
        ("part", delete_checkpoint),
        ("part", delete_log),
        ("part", tear_log),
        ("whole", damage_checkpoint),
        ("whole", damage_checkpoint_and_backups),
        ("whole", delete_log),
    ],
)
def test_after_damage_it_ends_with_the_same_totals_and_log(
    tmp_path: Path, request: pytest.FixtureRequest, whole: Path, former: str, damage: Callable[[Path], None]
):
    directory = copy(request.getfixturevalue(former), tmp_path)
    damage(directory)
    done = run(directory)
    assert 0 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    assert_same(directory, whole)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no conversations found in"),
        ("no JSON\n", "input.jsonl, line 1: Invalid JSON"),
        ('{"conversation_id": "a", "source": "s", "language": "en"}\n', "line 1: exchanges: Field required"),
    ],
)
def test_wrong_input_is_told_in_one_line(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "input.jsonl"
    path.write_text(text, encoding="utf-8")
    done = run(tmp_path / "work", "--input", str(path))
    assert 1 == done.returncode
    assert re.fullmatch(r"error: .*\n", done.stderr)
    assert problem in done.stderr


def test_the_directory_of_other_input_is_refused_in_one_line(part: Path):
    done = run(part, "--input", str(SAMPLE / "oasst.jsonl"))
    assert 1 == done.returncode
    assert re.fullmatch(r"error: .* belongs to other input.*--fresh\n", done.stderr)


def test_a_second_run_at_the_same_time_is_refused_in_one_line(tmp_path: Path):
    with start(tmp_path, "--pace", "1") as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = run(tmp_path)
        first.kill()
        first.communicate()
    assert 1 == second.returncode
    assert re.fullmatch(r"error: .*\n", second.stderr)
