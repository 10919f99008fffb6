"""What is typed: options of every command, wrong usage, databases that are not there, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import ExportFormat
from library.infrastructure.data.formats.registry import writer_class
from library.infrastructure.interfaces.cli.ending import masked
from library.infrastructure.interfaces.cli.grammar import values

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Run

READING = [
    ("search", "mocha"),
    ("list",),
    ("show", "order-7"),
    ("tail",),
    ("stats",),
    ("export",),
    ("backup", "copy.db"),
    ("delete", "order-7", "--yes"),
    ("purge", "--older-than", "1d", "--yes"),
    ("check",),
    ("migrate",),
    ("sessions", "list"),
    ("sessions", "show", "x"),
    ("sessions", "end", "x"),
    ("sessions", "cleanup"),
]
"""Everything but `import` and `demo`, which make a database, and `info`, which tells that there is none."""


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_nothing_is_made_where_there_is_no_database(
    run: Run, folder: Path, arguments: tuple[str, ...]
) -> None:
    """The exit code is 3, the error says what to do, and the folder stays empty."""
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (3, "")
    assert "no database at" in result.stderr
    assert "nanobrain-data demo" in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_no_table_is_made_in_the_database_of_others(
    run: Run, folder: Path, arguments: tuple[str, ...]
) -> None:
    """An empty file stays empty, and no other comes to be."""
    (folder / "conversations.db").touch()

    assert run(*arguments).exit_code == 3
    assert [(each.name, each.stat().st_size) for each in folder.iterdir()] == [("conversations.db", 0)]


@pytest.mark.usefixtures("database")
def test_a_table_that_is_not_there(run: Run) -> None:
    """The error names those that are; case does not matter."""
    result = run("list", "--table", "drafts")

    assert result.exit_code == 3
    assert "it has conversations: choose with --table" in result.stderr
    assert run("list", "--table", "Conversations").exit_code == 0
    assert run("sessions", "list", "--table", "conversations").exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--database", "other.db", "--json", "list"),
        ("list", "--database", "other.db", "--json"),
        ("--json", "list", "--database", "sqlite:///other.db"),
        ("--database", "nowhere.db", "list", "--database", "other.db", "--json"),
    ],
)
def test_options_stand_before_and_behind_the_command(
    run: Run, database: Path, arguments: tuple[str, ...]
) -> None:
    """What stands behind it holds."""
    database.rename("other.db")

    assert len(json.loads(run(*arguments).stdout)) == 3


def test_options_stand_anywhere_in_a_group(run: Run, database: Path) -> None:
    """Before the group, between, and behind."""
    database.rename("other.db")

    for arguments in (
        ("--database", "other.db", "sessions", "--json", "list"),
        ("sessions", "--database", "other.db", "list", "--json"),
    ):
        assert len(json.loads(run(*arguments).stdout)) == 3


def test_the_environment_names_the_database(
    run: Run, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a URL or a path; `--database` goes first, and an empty text is none."""
    database.rename("a b.db")
    for name in ("sqlite:///a%20b.db", "a b.db"):
        monkeypatch.setenv("NANOBRAIN_DATABASE_URL", name)
        result = run("list", "--verbose")
        assert (result.exit_code, result.stderr) == (0, f"database sqlite:///{database.parent}/a%20b.db\n")
    assert run("list", "--database", "nowhere.db").exit_code == 3
    assert run("list", "--database", "").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("serach", "x"), "Did you mean 'search'?"),
        (("sessions", "lst"), "Did you mean 'list'?"),
        (("list", "--limits", "5"), "--limit"),
        (("import", "x", "--format", "jsn"), "Did you mean 'json'?"),
        (("export", "--format", "chatgpt"), "is not one of"),
        (("import", "x", "--merge", "skip"), "Did you mean 'skip_duplicates'?"),
        (("import", "x", "--map", "question"), "FROM=TO"),
        (("export", "--fields", ","), "holds no name"),
        (("purge", "--older-than", "soon"), "no time"),
        (("sessions", "cleanup", "--timeout", "5 parsecs"), "12h"),
        (("list", "--limit", "0"), "--limit"),
        (("list", "--database", "sqlite:chats.db"), "sqlite:///relative.db"),
        (("list", "--database", "mongodb://host"), "no database that is known"),
        (("list", "--table", "1;drop"), "1;drop"),
        (("search",), "Missing argument"),
    ],
)
def test_wrong_usage(run: Run, folder: Path, arguments: tuple[str, ...], text: str) -> None:
    """The exit code is 2, and one line says what is meant."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_command_the_help_is_printed(run: Run) -> None:
    """On standard error, since nothing was asked for."""
    result = run()

    assert (result.exit_code, result.stdout) == (2, "")
    assert "search" in result.stderr


def test_a_file_that_is_no_database(run: Run, folder: Path) -> None:
    """One line; `--debug` shows where it comes from."""
    (folder / "notes.db").write_text("Dear diary, " * 100)

    assert len(run("list", "--database", "notes.db").stderr.splitlines()) == 1
    shown = run("list", "--database", "notes.db", "--debug")
    assert shown.exit_code == 1
    assert "Traceback" in shown.stderr
    assert (folder / "notes.db").read_text().startswith("Dear diary")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host/db",
        "sqlite://user:s3cret@host/x.db",
        "sqlite:///x.db?password=s3cret",
        "nosuch://user:s3c@s3cret@host",
    ],
)
def test_passwords_are_not_printed(run: Run, url: str) -> None:
    """Neither in errors nor in tracebacks."""
    result = run("--debug", "--verbose", "list", "--database", url)

    assert result.exit_code != 0
    assert "s3cret" not in result.output


def test_masking_leaves_the_rest() -> None:
    """Users, passwords and tokens go."""
    assert masked("at pg://a:b@h/d?sslpassword=x&mode=1 and") == "at pg://…@h/d?sslpassword=…&mode=1 and"


def test_formats_are_those_of_the_library() -> None:
    """The help names them without importing it."""
    assert values.IMPORT_FORMATS == tuple(each.value for each in ExportFormat)
    for each in values.EXPORT_FORMATS:
        assert writer_class(ExportFormat(each), "conversations")


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("info",), ("import", "x.jsonl"), ("demo",), ("sessions", "list"), ("export",)],
)
def test_a_folder_is_no_database(run: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    """And no device failed."""
    (folder / "data").mkdir()
    result = run(*arguments, "--database", "data")

    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {folder}/data is a folder, and a database is a file: name the one in it that is meant\n"
    )
    assert run("copy", "data", "x.db").exit_code == 1


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("import", "README"), "say which with --format"),
        (("import", "odd.jsonl", "--format", "jsonl"), "name its fields with --map"),
        (("import", "odd.jsonl", "--map", "q=user_input", "--map", "x=timestamp"), "--map names 'x'"),
        (("import", "odd.jsonl", "--map", "q=nothing"), "--map must lead to"),
        (("import", "odd.jsonl", "--map", "q=user_input", "--table", "sessions"), "another --table"),
        (("import", "sessions.json", "--kind", "sessions"), "--merge replace or --merge skip_duplicates"),
        (("import", "odd.jsonl", "--encoding", "nothing"), "--encoding must be"),
        (("list", "--after", "x"), "--after must be what the page before names in its last line"),
        (("sessions", "list", "--after", "x"), "--after must be what the page before names"),
        (("export", "out.nothing"), "give --format"),
        (("export", "out.csv", "--fields", "nothing"), "--fields must name"),
        (("export", "out.csv", "--fields", "metadata", "--no-metadata"), "which --no-metadata leaves out"),
    ],
)
def test_errors_name_options_as_they_are_typed(
    run: Run, folder: Path, arguments: tuple[str, ...], option: str
) -> None:
    """Not the arguments of the library."""
    (folder / "README").write_text("Hello there.\nWho reads this?\n")
    (folder / "odd.jsonl").write_text('{"q": "a", "timestamp": "2026-11-23"}\n')
    run("export", "sessions.json", "--kind", "sessions")
    result = run(*arguments)

    assert result.exit_code in {1, 2}
    assert option in result.stderr
    for name in (
        "field_mapping",
        "table_name",
        "ConversationSummary",
        "ImportLimits",
        "format=",
        "_strategy",
    ):
        assert name not in result.stderr
