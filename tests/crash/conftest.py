"""Child processes for the fault tests.

Two hundred kills need two hundred processes. Each is forked from one that has imported the library and done
nothing else, which takes milliseconds instead of a quarter of a second.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(__file__).parent / "programs"
DEADLINE_S = 60.0
"""No child takes anywhere near as long; one that does hangs."""


class Child:
    """A running program; its lines can be read, it can be told things, and killed."""

    def __init__(self, pid: int, wait: Callable[[int], int], to_child: int, from_child: int) -> None:
        self.pid = pid
        self._wait = wait
        self._to_child = to_child
        self._from_child = from_child
        self._buffer = b""
        self._ended = False
        self._status: int | None = None

    def line(self) -> str:
        """Wait for the next line that the program prints."""
        while b"\n" not in self._buffer:
            assert self._receive(), f"the program ended early, after {self._buffer!r}"
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def lines(self) -> list[str]:
        """Wait for the end of the program, and return its whole lines that are left."""
        while self._receive():
            continue
        *whole, _ = self._buffer.decode().split("\n")
        self._buffer = b""
        return whole

    def tell(self, text: str) -> None:
        """Send a line to the program."""
        os.write(self._to_child, text.encode() + b"\n")

    def wait(self) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        if self._status is None:
            self._status = self._wait(self.pid)
        return self._status

    def kill(self) -> list[str]:
        """Kill the program at once with SIGKILL; return the whole lines that were not read."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
        unread = self.lines()
        assert self.wait() == -signal.SIGKILL
        return unread

    def close(self) -> None:
        """Kill the program if it still runs."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self._to_child)
        os.close(self._from_child)

    def _receive(self) -> bool:
        """Wait for output; tell whether there was any."""
        if self._ended:
            return False
        ready, _, _ = select.select([self._from_child], [], [], DEADLINE_S)
        assert ready, f"the program was silent for {DEADLINE_S} s"
        chunk = os.read(self._from_child, 1 << 16)
        self._buffer += chunk
        self._ended = not chunk
        return bool(chunk)


class Forker:
    """The process from which the others are forked."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(DEADLINE_S)
        command = [sys.executable, PROGRAMS / "fork_programs.py", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(self, program: str, arguments: list[str]) -> Child:
        """Start `programs/<program>.py`."""
        stdin, to_child = os.pipe()
        from_child, stdout = os.pipe()
        request = json.dumps({"start": str(PROGRAMS / f"{program}.py"), "arguments": arguments})
        socket.send_fds(self._socket, [request.encode()], [stdin, stdout])
        os.close(stdin)
        os.close(stdout)
        return Child(int(self._socket.recv(100)), self._wait, to_child, from_child)

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        assert self._process.wait(timeout=DEADLINE_S) == 0

    def _wait(self, pid: int) -> int:
        self._socket.sendall(json.dumps({"wait": pid}).encode())
        return int(self._socket.recv(100))


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Hold the process from which the others are forked."""
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture
def start(forker: Forker) -> Iterator[Callable[..., Child]]:
    """Start a program of `programs/` with arguments; it is killed at the end of the test."""
    with ExitStack() as children:

        def start(program: str, *arguments: object) -> Child:
            child = forker.start(program, [str(argument) for argument in arguments])
            children.callback(child.close)
            return child

        yield start


@pytest.fixture
def chance() -> random.Random:
    """Random numbers, from a seed that is printed; CRASH_SEED sets it."""
    seed = int(os.environ.get("CRASH_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"CRASH_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def kill_later(chance: random.Random) -> Callable[[Child, float], int]:
    """Kill a program, which prints a growing number for each promise, at a random moment after the first one.

    Returns the last number that it printed.
    """

    def kill_later(child: Child, within_s: float) -> int:
        promised = child.line()
        time.sleep(chance.uniform(0, within_s))  # not to wait for something: the moment is the test's input
        return int((child.kill() or [promised])[-1])

    return kill_later


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program of `programs/` in an interpreter of its own, to its end."""

    def run(program: str, *arguments: object, options: tuple[str, ...] = (), **others: Any) -> Any:
        command = [sys.executable, *options, str(PROGRAMS / f"{program}.py"), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_S, cwd=tmp_path, **others
        )

    return run


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every user can look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="data-units-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.fixture
def strays() -> Callable[[Path], list[str]]:
    """List the temporary files of a folder."""

    def strays(folder: Path) -> list[str]:
        return [found.name for found in folder.iterdir() if found.name.endswith(".tmp")]

    return strays


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of so many bytes; where that is not allowed, the test is skipped.

    Tests with a limited file size stand in there.
    """
    folder = tmp_path / "disk"
    with ExitStack() as mounts:

        def mount(size: int) -> Path:
            folder.mkdir()
            if os.geteuid() != 0 or shutil.which("mount") is None:
                pytest.skip("only root can mount a small disk")
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
            mounted = subprocess.run(command, capture_output=True, text=True)
            if mounted.returncode:
                pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
            mounts.callback(subprocess.run, ["umount", str(folder)], check=True)
            return folder

        yield mount


@pytest.fixture
def use_up() -> Callable[[Path], None]:
    """Write into a file until its disk has no more room."""

    def use_up(ballast: Path) -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 12))
            except OSError:
                return

    return use_up
