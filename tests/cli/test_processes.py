"""The command as a process: pipes, signals, standard input, and what it imports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Command, Run

MODULE = "library.infrastructure.interfaces.cli.main"
Begin = Any
"""A function like `subprocess.Popen`, all pipes of whose processes are there."""
SCRIPT = Path(sys.executable).with_name("nanobrain-data")
HEAVY = ("apsw", "asyncio", "library.infrastructure.data", "orjson", "pydantic", "rich")


@pytest.fixture
def begin(folder: Path) -> Iterator[Callable[..., Any]]:
    """Start the command with pipes."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        line = [sys.executable, "-m", MODULE, *arguments]
        started.append(subprocess.Popen(line, cwd=folder, **pipes))
        return started[-1]

    yield begin
    for child in started:
        if child.poll() is None:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["search", "--help"], ["sessions"], ["serach"]]
)
def test_help_imports_little(folder: Path, arguments: list[str]) -> None:
    """Neither the library nor rich, nor a driver: that would take several times as long."""
    program = (
        f"import sys; from {MODULE} import main; main({arguments!r}); "
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert child.stderr.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("database")
def test_rich_is_for_terminals(folder: Path) -> None:
    """In a pipe, it is not imported."""
    program = f"import sys; from {MODULE} import main; main(['list']); print('rich' in sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, cwd=folder
    )

    assert child.stdout.splitlines()[-1] == "False"


def test_the_script_is_installed(folder: Path) -> None:
    """It prints its version."""
    child = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, timeout=30)

    assert child.stdout.startswith("nanobrain-data ")
    assert child.stderr == ""


@pytest.mark.usefixtures("database")
def test_exit_codes(command: Command) -> None:
    """Those of the process are those of the command."""
    assert command("show", "zebra").returncode == 3


def test_a_pipe_that_is_closed(run: Run, folder: Path, begin: Begin) -> None:
    """With `| head -1` it ends without a word, whether it lists or exports."""
    line = '{"conversation_id": "c", "user_input": "%s", "agent_response": "", "timestamp": "2026-11-23"}\n'
    (folder / "many.jsonl").write_text("".join(line % (str(number) * 500) for number in range(1000)))
    assert run("import", "many.jsonl").exit_code == 0
    for arguments in (["tail", "--lines", "1000"], ["export"]):
        child = begin(*arguments)
        assert child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 141


@pytest.mark.usefixtures("database")
def test_a_full_disk(folder: Path, begin: Begin) -> None:
    """What cannot be written is an error of one line."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        child = begin("list", stdout=full)
        _, stderr = child.communicate(timeout=30)

    assert child.returncode == 1
    assert stderr.startswith(b"error: ")
    assert stderr.count(b"\n") == 1


@pytest.mark.usefixtures("database")
def test_standard_input_and_output(command: Command) -> None:
    """An export is imported through a pipe."""
    exported = command("export").stdout
    imported = command("import", "-", "--database", "new.db", "--json", input=exported)

    (report,) = json.loads(imported.stdout)
    assert (report["file"], report["written"]) == ("-", 7)
    assert imported.stderr == ""


def test_follow_prints_what_others_save(run: Run, database: Path, begin: Begin) -> None:
    """At once, until Ctrl-C: exit code 130, and nothing more."""
    child = begin("tail", "--follow", "--jsonl", "--lines", "1", stdin=subprocess.DEVNULL)
    assert json.loads(child.stdout.readline())["message_id"] == 7
    (database.parent / "new.jsonl").write_text(
        '{"conversation_id": "c", "user_input": "Now?", "agent_response": "", "timestamp": "2026-11-23"}\n'
    )
    assert run("import", "new.jsonl").exit_code == 0
    assert json.loads(child.stdout.readline())["user_input"] == "Now?"
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=30)
    assert (child.returncode, stdout, stderr) == (130, b"", b"")


def test_ctrl_c_during_an_import(run: Run, folder: Path, begin: Begin) -> None:
    """While it waits for standard input: exit code 130 at once, and nothing is imported."""
    child = begin("import", "-")
    line = b'{"conversation_id": "c", "user_input": "?", "agent_response": "!", "timestamp": "2026-11-23"}\n'
    child.stdin.write(line * 1000)
    child.stdin.flush()
    while not (folder / "conversations.db").exists():
        time.sleep(0.02)
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 130
    stdout, stderr = child.communicate(timeout=30)
    assert (stdout, stderr) == (b"", b"")
    assert run("list").stdout == ""


@pytest.mark.usefixtures("database")
def test_ctrl_c_while_it_starts(begin: Begin) -> None:
    """Whenever it comes, nothing is printed; before this code runs, Python itself has a word."""
    for delay in (0.15, 0.25, 0.35):
        child = begin("tail", "--follow", stdin=subprocess.DEVNULL)
        time.sleep(delay)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=30)
        # Where it came within an `exec` of text, as `dataclass` does, CPython ends by the signal itself.
        assert child.returncode in {130, -signal.SIGINT}
        assert stderr == b"" or b"interfaces/cli/main.py" not in stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_locale_that_knows_few_characters(command: Command, database: Path, encoding: str) -> None:
    """What it cannot show is escaped."""
    shown = command("list", env={**os.environ, "PYTHONIOENCODING": encoding})

    assert shown.returncode == 0
    assert "trip" in shown.stdout


@pytest.fixture
def big(folder: Path) -> Path:
    """Make a file that is saved in steps, for a second or two."""
    line = (
        '{"conversation_id": "c%d", "user_input": "%s", "agent_response": "!", "timestamp": "2026-11-23"}\n'
    )
    path = folder / "big.jsonl"
    path.write_text("".join(line % (number // 50, "word " * 40) for number in range(60_000)))
    return path


def wait_until_saving(path: Path) -> None:
    """Wait until some, and not all, is saved."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.01)
        with contextlib.suppress(apsw.Error):
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                if connection.execute("SELECT count(*) > 0 FROM conversations").get:
                    return
            finally:
                connection.close()
    raise AssertionError("nothing is saved")


@pytest.mark.slow
def test_ctrl_c_while_an_import_is_being_saved(run: Run, big: Path, begin: Begin) -> None:
    """It says at once that this is completed, and in the end that it is: nothing is half done."""
    child = begin("import", "big.jsonl", "x.jsonl")
    wait_until_saving(big.parent / "conversations.db")
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    first = child.stderr.readline().decode()
    is_running = child.poll() is None
    _, stderr = child.communicate(timeout=60)

    assert first == "interrupted while it is being saved: this is completed, so that it is not half done …\n"
    assert is_running
    assert child.returncode == 130
    lines = stderr.decode().splitlines()
    assert lines[0] == "all of it is stored"
    assert lines[1].startswith(
        "big.jsonl (jsonl): 60,000 exchanges of 1,200 conversations read, 60,000 written"
    )
    assert len(lines) == 2
    assert json.loads(run("info", "--json").stdout)["tables"][0]["exchanges"] == 60_000


@pytest.mark.slow
def test_a_command_says_that_it_completes_an_import_first(big: Path, begin: Begin) -> None:
    """Before it does so, since that takes its time."""
    child = begin("import", "big.jsonl")
    wait_until_saving(big.parent / "conversations.db")
    child.kill()
    child.wait(30)
    reader = begin("list", "--limit", "1")
    warning = reader.stderr.readline().decode()
    is_running = reader.poll() is None
    stdout, _ = reader.communicate(timeout=60)

    assert warning.startswith("warning: completing an import into ")
    assert is_running
    assert stdout.startswith(b"c1199\t50\t")
