"""Ways to run the command: within the process, as a child process, and on a pseudo terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    SessionConfig,
    SessionManager,
)
from library.infrastructure.interfaces.cli.grammar.root import ROOT
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULE = "library.infrastructure.interfaces.cli.main"
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NASTY = "\x1b]0;owned\x07 \x1b[2J\x9b31m [bold red]markup[/bold red] :smile: \u202eabc"
"""What a terminal would obey, what rich would take for markup, and what hides text."""
DEADLINE_S = 30.0

Run = Callable[..., Result]
Command = Callable[..., subprocess.CompletedProcess[str]]


def at(
    number: int, minute: float, conversation: str, asked: str, answered: str, **fields: Any
) -> ConversationMessage:
    moment = MONDAY + timedelta(minutes=minute)
    return ConversationMessage(
        conversation, asked, answered, moment, 400.0 + minute, message_id=number, **fields
    )


EXCHANGES = [
    at(1, 0, "order-7", "Can I get a mocha?", "Of course. Which size?", metadata={"session_id": "s-1"}),
    at(2, 1, "order-7", "A large one with oat milk.", "We have oat milk\nand almond milk."),
    at(3, 40, "order-7", "Oat milk, then.", "One large mocha."),
    at(4, 1500, "trip", "Where to in May?", "To Lisbon."),
    at(5, 1501, "trip", "Which hotel?", "The Grand.", parent_id=4),
    at(6, 1502, "trip", "Which hotel?", "The Small.", parent_id=4),
    at(7, 1503, "nasty id\x1b[31m", NASTY, f"answer {NASTY}"),
]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database once, for `database` to copy."""
    path = tmp_path_factory.mktemp("filled") / "chats.db"

    async def fill() -> None:
        moment = datetime.now(UTC) - timedelta(days=3)
        config = SessionConfig(cleanup_interval=None)
        async with (
            SQLiteAdapter(path) as adapter,
            ConversationHistoryUnit(adapter) as history,
            SessionManager(config, adapter, clock=lambda: moment) as sessions,
        ):
            await history.save_messages_batch(EXCHANGES)
            await sessions.create_session("long-gone")
            moment = datetime.now(UTC)
            for user in ("ana", "ana", "ben"):
                moment += timedelta(milliseconds=7)
                await sessions.create_session(user, {"client": NASTY})

    asyncio.run(fill())
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no database named by the environment, and in UTC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOBRAIN_DATABASE_URL", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return tmp_path


@pytest.fixture
def database(filled: Path, folder: Path) -> Path:
    """Put a database where the command looks for one."""
    return Path(shutil.copy(filled, folder / "conversations.db"))


@pytest.fixture
def run(folder: Path) -> Run:
    """Run the command within this process, without a terminal."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(ROOT, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def command(folder: Path) -> Command:
    """Run the command as a child process."""

    def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", MODULE, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=DEADLINE_S, cwd=folder, **options)

    return command


class Shown(NamedTuple):
    """What a terminal was sent."""

    text: str
    exit_code: int


class Terminal:
    """The command on a pseudo terminal, which is its input, output and error."""

    def __init__(self, arguments: list[str], folder: Path, columns: int, env: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", **env},
            start_new_session=True,
        )
        os.close(slave)
        self._text = b""

    @property
    def text(self) -> str:
        return self._text.decode().replace("\r\n", "\n")

    def until(self, text: str) -> None:
        """Wait until something was printed."""
        while text not in self.text:
            assert self._receive(), f"{text!r} is not in {self.text!r}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Shown:
        """Wait for the end."""
        while self._receive():
            pass
        return Shown(self.text, self.process.wait(DEADLINE_S))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _receive(self) -> bool:
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError:  # on Linux, the end of a pseudo terminal
            return False
        self._text += chunk
        return bool(chunk)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the command on a terminal."""
    started: list[Terminal] = []

    def start(*arguments: object, columns: int = 100, **env: str) -> Terminal:
        terminal = Terminal([str(each) for each in arguments], folder, columns, env)
        started.append(terminal)
        return terminal

    yield start
    for each in started:
        each.close()


@pytest.fixture
def show(start: Callable[..., Terminal]) -> Callable[..., Shown]:
    """Run the command on a terminal to its end."""
    return lambda *arguments, **options: start(*arguments, **options).end()
