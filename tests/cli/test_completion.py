"""What shells complete."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Run

PREFIX = "nanobrain-data"


@pytest.fixture
def complete(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Ask as bash does, with the last word unfinished."""

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_NANOBRAIN_DATA_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"{PREFIX} {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(f"{PREFIX} {line}".split(" ")) - 1))
        result = run()
        assert (result.exit_code, result.stderr) == (0, "")
        return [value.partition(",")[2] for value in result.stdout.splitlines() if value]

    return complete


def test_commands_and_options(complete: Callable[[str], list[str]]) -> None:
    """Those that begin so."""
    assert complete("se") == ["search", "sessions"]
    assert complete("sessions ") == ["list", "show", "end", "cleanup"]
    assert "--follow" in complete("tail --f")
    assert complete("search --lim") == ["--limit"]
    assert complete("export --format js") == ["json", "jsonl"]
    assert complete("completion ") == ["bash", "zsh", "fish"]


@pytest.mark.usefixtures("database")
def test_conversations(complete: Callable[[str], list[str]]) -> None:
    """Newest first; an id that a shell would obey is not offered."""
    for line in ("show ", "tail ", "delete ", "search x --conversation ", "export --conversation "):
        assert complete(line) == ["trip", "order-7"]
    assert complete("delete trip o") == ["order-7"]
    assert complete("sessions show ") == []


def test_conversations_of_the_database_that_is_named(
    complete: Callable[[str], list[str]], database: Path
) -> None:
    """Before the command or behind it."""
    database.rename("other.db")

    assert complete("--database other.db show t") == ["trip"]
    assert complete("show --database other.db t") == ["trip"]
    assert complete("show --database other.db --table nope t") == []


@pytest.mark.parametrize(
    "line", ["show ", "show --database mongodb://x ", "show --database sqlite:x ", "nosuch "]
)
def test_nothing_fails_and_nothing_is_made(
    complete: Callable[[str], list[str]], folder: Path, line: str
) -> None:
    """Where there is no database, nothing is offered."""
    complete(line)

    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_database(complete: Callable[[str], list[str]], folder: Path) -> None:
    """It is left alone."""
    (folder / "conversations.db").write_text("no database " * 50)

    assert complete("show ") == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", ["$(reboot)", "a b", "a;b", "-rf", "a`b`", "a'b", "~x", "a:b"])
def test_ids_that_a_shell_would_obey(
    complete: Callable[[str], list[str]], run: Run, folder: Path, name: str
) -> None:
    """Whoever talks to an agent may have chosen them."""
    record = {"conversation_id": name, "user_input": "?", "agent_response": "", "timestamp": "2026-11-23"}
    (folder / "x.jsonl").write_text(json.dumps(record))
    run("import", "x.jsonl")

    assert complete("show ") == ["trip", "order-7"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(run: Run, shell: str) -> None:
    """Each shell has one, which asks the command."""
    script = run("completion", shell)

    assert script.exit_code == 0
    assert f"_NANOBRAIN_DATA_COMPLETE={shell}_complete" in script.stdout


def test_bash_takes_its_script(run: Run) -> None:
    """It has a completion for the command then."""
    script = run("completion", "bash").stdout
    child = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ncomplete -p nanobrain-data"], capture_output=True, text=True
    )

    assert child.stdout.endswith("nanobrain-data\n")
