"""The main job, run as its users run it: as a program, piped, twice, and with files of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "library" / "data"
FILES = sorted(each.name for each in (EXAMPLE / "exports").iterdir() if each.suffix != ".md")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE / "import_exports.py"), *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        timeout=60,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a first run, and what that run printed."""
    folder = tmp_path_factory.mktemp("first")
    done = run(folder)
    assert 0 == done.returncode, done.stderr
    return folder, done.stdout


def test_every_export_is_imported(first: tuple[Path, str]) -> None:
    """Each file is shown with its format and what it held; all of it is new."""
    rows = re.findall(r"^ (\S+) +(\S+) +(\d+) +(\d+) +(\d+) *$", first[1], re.MULTILINE)

    assert FILES == [row[0] for row in rows]
    assert 9 == len({row[1] for row in rows})
    assert all(0 < int(row[2]) <= int(row[3]) == int(row[4]) for row in rows)


def test_what_was_imported_is_searched_and_exported(first: tuple[Path, str]) -> None:
    """Each search finds something; each format gives back what it was given."""
    assert 3 == len(re.findall(r"\d best, ", first[1]))
    assert 5 == first[1].count("   equal")
    assert "NOT EQUAL" not in first[1]


def test_it_ends_with_three_commands_that_work(first: tuple[Path, str]) -> None:
    """As they stand there, in the folder where it ran."""
    folder, printed = first
    lines = printed.partition("Try next\n")[2].splitlines()
    commands = [re.split(r" {2,}", line.strip())[0] for line in lines]

    assert 3 == len(commands)
    for command in commands:
        done = subprocess.run(
            command, shell=True, capture_output=True, encoding="utf-8", cwd=folder, timeout=60
        )
        assert 0 == done.returncode, done.stderr
    assert (folder / "everything.csv").exists()


def test_nothing_is_imported_twice(first: tuple[Path, str]) -> None:
    """A second run finds everything there."""
    done = run(first[0])

    assert 0 == done.returncode
    assert re.search(r" 0 exchanges are new in .*; \d+ were there already", done.stdout)


def test_files_of_ones_own(tmp_path: Path) -> None:
    """They are imported in the place of the sample; one that is none is refused in a line."""
    export = tmp_path / "export.json"
    export.write_text(json.dumps([{"user_input": "Hello", "agent_response": "Hi"}]), encoding="utf-8")

    done = run(tmp_path, "--database", "own.db", "export.json")
    assert " 1 exchanges are new in own.db" in done.stdout

    export.write_text("no export", encoding="utf-8")
    refused = run(tmp_path, "--database", "own.db", "export.json")
    assert 1 == refused.returncode
    assert re.fullmatch(r"error: .*export\.json.*\n", refused.stderr)
