"""`import` and `export`."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import ImportLimits
from library.infrastructure.interfaces.cli.grammar.values import IMPORT_LIMITS

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run


@pytest.fixture
def file(run: Run, database: Path) -> Path:
    """Export what there is; the database is away then."""
    run("export", "chats.jsonl")
    database.unlink()
    return database.parent / "chats.jsonl"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "name", ["chats.json", "chats.jsonl.gz", "chats.csv", "chats.xml", "chats.jsonl.zst"]
)
def test_there_and_back(run: Run, folder: Path, name: str) -> None:
    """What is imported elsewhere equals what was exported, escape sequences and all."""
    exported = run("export", name)
    imported = run("import", name, "--database", "new.db")

    assert (exported.exit_code, exported.stdout, imported.exit_code, imported.stdout) == (0, "", 0, "")
    assert "7 exchanges written to" in exported.stderr
    assert "7 exchanges of 3 conversations read, 7 written" in imported.stderr
    before, after = (
        run("tail", "--lines", 50, "--json", "--database", each).stdout
        for each in ("conversations.db", "new.db")
    )
    assert before == after


@pytest.mark.usefixtures("database")
def test_export_to_standard_output(run: Run) -> None:
    """JSON Lines, or the format that is asked for; the report goes to standard error."""
    result = run("export", "--conversation", "order-7", "--fields", "message_id,user_input")
    table = run("export", "-", "--format", "csv", "--since", "2026-11-24", "--no-metadata")

    assert [json.loads(line)["message_id"] for line in result.stdout.splitlines()] == [1, 2, 3]
    assert "3 exchanges written to standard output (jsonl)" in result.stderr
    assert table.stdout.splitlines()[0] == (
        "message_id,conversation_id,timestamp,user_input,agent_response,response_time_ms,parent_id"
    )
    assert run("export", "--json").exit_code == 2


@pytest.mark.usefixtures("database")
def test_export_of_some(run: Run) -> None:
    """By time and by words, all of which must hold."""
    found = run("export", "--until", "2026-11-23", "--search", "oat milk").stdout
    none = run("export", "--since", "9h")

    assert [json.loads(line)["message_id"] for line in found.splitlines()] == [2, 3]
    assert (none.exit_code, none.stdout) == (0, "")


@pytest.mark.usefixtures("database")
def test_export_of_what_is_not_there(run: Run, folder: Path) -> None:
    """The exit code is 3 and there is no file; or it is left out, and told."""
    result = run("export", "out.json", "--conversation", "nope")

    assert result.exit_code == 3
    assert "'nope'" in result.stderr
    assert "--missing skip" in result.stderr
    assert not (folder / "out.json").exists()
    report = json.loads(
        run("export", "out.json", "--conversation", "nope", "--missing", "skip", "--json").stdout
    )
    assert (report["written"], report["missing"]) == (0, ["nope"])


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "arguments",
    [
        ("out.db",),
        ("out.csv", "--fields", "nothing"),
        ("out.csv", "--kind", "sessions", "--search", "x"),
        ("out.csv", "--session", "x"),
        ("out.csv", "--format", "chatgpt"),
    ],
)
def test_export_of_what_cannot_be(run: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    """That is wrong usage; the database is the only file."""
    result = run("export", *arguments)

    assert result.exit_code == 2
    assert [each.name for each in folder.iterdir()] == ["conversations.db"]


def test_import_makes_the_database(run: Run, file: Path) -> None:
    """And says what was in the file."""
    result = run("import", file)

    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{file} (jsonl): 7 exchanges of 3 conversations read, 7 written, in " in result.stderr


def test_import_of_several_files_as_json(run: Run, file: Path) -> None:
    """A report for each; what is there already is not imported again."""
    reports = json.loads(run("import", file, file, "--merge", "skip_duplicates", "--json").stdout)

    assert [(each["written"], each["skipped"]) for each in reports] == [(7, 0), (0, 7)]
    assert run("import", "-", "-").exit_code == 2


def test_import_of_what_is_wrong(run: Run, file: Path, folder: Path) -> None:
    """Nothing of it is stored, or all but the record; the line is named."""
    good = file.read_text(encoding="utf-8").splitlines()[0]
    (folder / "wrong.jsonl").write_text(f'{good}\n{{"conversation_id": 5}}\n{good}\n')

    refused = run("import", file, "wrong.jsonl", "--merge", "append")
    assert refused.exit_code == 1
    assert "line 2" in refused.stderr
    assert "--on-error skip" in refused.stderr
    assert "7 written" in refused.stderr  # of the file before it
    taken = run("import", "wrong.jsonl", "--on-error", "skip", "--merge", "skip_duplicates")
    assert taken.exit_code == 0
    assert "left out: line 2" in taken.stderr
    assert "1 left out" in taken.stderr


def test_import_of_columns_with_other_names(run: Run, folder: Path) -> None:
    """`--map` says what they are here, and `--conversation-id` what is missing."""
    (folder / "log.csv").write_text("question;answer;when\nWho?;Me.;2026-11-23T09:00:00Z\n")
    names = ("question=user_input", "answer=agent_response", "when=timestamp")
    maps = [part for name in names for part in ("--map", name)]
    result = run("import", "log.csv", "--delimiter", ";", "--conversation-id", "log", *maps)

    assert result.exit_code == 0, result.stderr
    assert run("show", "log").stdout.splitlines()[0] == "1\t2026-11-23T09:00:00Z\tuser\tWho?"


def test_import_of_a_file_that_is_not_there(run: Run, folder: Path) -> None:
    """One line says so."""
    result = run("import", "nothing.json")

    assert result.exit_code == 1
    assert "nothing.json" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("database")
def test_sessions_there_and_back(run: Run) -> None:
    """With their ids, by which one can be chosen."""
    assert run("export", "sessions.json", "--kind", "sessions").exit_code == 0
    assert (
        "4 sessions read" in run("import", "sessions.json", "--kind", "sessions", "--database", "n.db").stderr
    )
    ids = [
        json.loads(run("sessions", "list", "--all", "--full-ids", "--json", "--database", each).stdout)
        for each in ("conversations.db", "n.db")
    ]
    assert ids[0] == ids[1]
    one = run("export", "--kind", "sessions", "--session", ids[0][0]["session_id"])
    assert json.loads(one.stdout)["user_id"] == "ben"
    missing = run("export", "--kind", "sessions", "--session", "a-secret-id")
    assert missing.exit_code == 3
    assert "a-secret-id" not in missing.output
    assert run("import", "sessions.json", "--kind", "sessions", "--conversation-id", "x").exit_code == 2


def test_copying(run: Run, database: Path, tmp_path: Path) -> None:
    """All is copied, compared, and not copied twice."""
    target = tmp_path / "copy.db"

    first = run("copy", str(database), str(target), "--json")
    again = run("copy", str(database), f"sqlite:///{target}", "--json")

    assert 0 == first.exit_code == again.exit_code
    copied, known = json.loads(first.stdout), json.loads(again.stdout)
    assert copied["exchanges"] == copied["copied_exchanges"] == known["exchanges"] > 0
    assert 0 == known["copied_exchanges"] == known["copied_sessions"]
    assert copied["checksum"] == known["checksum"]


def test_copying_what_is_not_there(run: Run, database: Path, tmp_path: Path) -> None:
    """A source that does not exist makes no target; a database is not copied onto itself."""
    target = tmp_path / "copy.db"

    assert 3 == run("copy", str(tmp_path / "nowhere.db"), str(target)).exit_code
    assert not target.exists()
    assert 2 == run("copy", str(database), str(database)).exit_code


def test_limits_can_be_raised(run: Run, folder: Path) -> None:
    """The error names the option; the limits are those of the library."""
    record = {"user_input": "a" * 17_000_000, "agent_response": "b", "timestamp": "2026-11-23"}
    (folder / "long.jsonl.gz").write_bytes(gzip.compress(json.dumps(record).encode()))

    refused = run("import", "long.jsonl.gz")
    raised = ("--limit", "max_ratio=100k", "--limit", "max_field_characters=17,000,000")

    assert refused.exit_code == 1
    assert "allow more with --limit max_" in refused.stderr
    assert run("import", "long.jsonl.gz", *raised).exit_code == 0
    assert tuple(field.name for field in fields(ImportLimits)) == IMPORT_LIMITS


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("max_rato=5", "Did you mean 'max_ratio'?"),
        ("max_ratio", "names no number from 1 up"),
        ("max_ratio=0", "names no number from 1 up"),
        ("max_ratio=0.5", "names no number from 1 up"),
        ("max_bytes=5T", "names no number from 1 up"),
    ],
)
def test_limits_that_cannot_be(run: Run, limit: str, text: str) -> None:
    """That is wrong usage."""
    result = run("import", "x.jsonl", "--limit", limit)

    assert result.exit_code == 2
    assert text in result.stderr


def test_import_of_nothing_but_what_is_wrong(run: Run, folder: Path) -> None:
    """The report has no "of 0 conversations", and names options as they are typed."""
    (folder / "wrong.jsonl").write_text('{"q": "a"}\n')
    result = run("import", "wrong.jsonl", "--format", "jsonl", "--on-error", "skip")

    assert result.exit_code == 0
    assert "left out: line 1: it has neither user_input nor agent_response: name its fields with --map" in (
        result.stderr
    )
    assert "1 exchange read, 0 written, 1 left out" in result.stderr
