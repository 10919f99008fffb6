"""What the parts of the run share: the options, our manager on a file, and the databases that are filled."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Table, number, rate
from benchmarks.session_fill import fill_ours, fill_raw

from library.infrastructure.data import MemorySessionStore, SessionConfig, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import timedelta

    from library.infrastructure.data import SessionStore

OURS = "SessionManager"
STATE: dict[str, Any] = {"name": "Ada", "language": "en", "plan": "team", "turns": 12, "tokens": 48_211}
"""What each session holds, whoever keeps it."""
SMALL, MIDDLE = 10_000, 100_000
SAMPLE = 20_000


@dataclass
class Contender:
    """One library with one store; each call is a coroutine of the library itself, with nothing around it."""

    create: Callable[[str], Awaitable[Any]]
    """Given a user; returns what the others are called with."""
    get: Callable[[Any], Awaitable[Any]]
    update: Callable[[Any, int], Awaitable[Any]]
    """Given a number to keep as `turns`."""


def ours(manager: SessionManager, state: dict[str, Any] = STATE) -> Contender:
    return Contender(
        lambda user: manager.create_session(user, state),
        manager.get_session,
        lambda session, turns: manager.update_session(session, {"turns": turns}),
    )


@asynccontextmanager
async def open_manager(
    path: str | None = None,
    store: SessionStore | None = None,
    touch_interval: timedelta | None = None,
) -> AsyncIterator[SessionManager]:
    """Open our manager on a file, with an fsync for each commit; or in memory. It cleans up when asked to."""
    adapter = None
    if path is None:
        store = store or MemorySessionStore()
    else:
        adapter = SQLiteAdapter(path, synchronous="full")
    config = SessionConfig(cleanup_interval=None, touch_interval=touch_interval)
    async with SessionManager(config, adapter, store=store) as manager:
        yield manager


@dataclass
class Options:
    """What was asked for on the command line."""

    quick: bool
    sessions: int
    folder: Path

    def new_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="bench-sessions-", dir=self.folder)

    @cached_property
    def filled(self) -> Filled:
        return Filled(self)

    def close(self) -> None:
        if "filled" in vars(self):
            self.filled.folder.cleanup()


@dataclass
class Pair:
    """As many sessions in a file of ours and in a bare one, with the ids of some that have not expired."""

    ours: str
    raw: str
    ids: list[str]
    raw_ids: list[str]
    seconds: tuple[float, float]

    def table(self, sessions: int) -> Table:
        table = Table(
            f"A database of {sessions:,} sessions",
            ["", "seconds", "sessions/s", "MB"],
            note="filled in transactions of 10,000, by key; half of them expired",
        )
        names = (OURS, "floor: sqlite3"), (self.ours, self.raw)
        for name, path, spent in zip(*names, self.seconds, strict=True):
            size = sum(each.stat().st_size for each in Path(path).parent.glob(f"{Path(path).name}*"))
            table.add(name, number(spent), rate(sessions / spent), number(size / 1e6))
        return table


class Filled:
    """The databases; each is filled when it is asked for first, once in a run."""

    def __init__(self, options: Options) -> None:
        self.folder = options.new_folder()
        self.sessions = options.sessions

    @cached_property
    def small(self) -> Pair:
        return self._fill("small", SMALL, 0)

    @cached_property
    def middle(self) -> Pair:
        return self._fill("middle", MIDDLE, 0)

    @cached_property
    def quarter(self) -> Pair:
        return self._fill("quarter", self.sessions // 4, 0)

    @cached_property
    def large(self) -> Pair:
        return self._fill("large", self.sessions, self.sessions // 2)

    def _fill(self, name: str, sessions: int, expired: int) -> Pair:
        print(f"\nFilling two databases with {sessions:,} sessions in {self.folder.name}.", file=sys.stderr)
        paths = [str(Path(self.folder.name, f"{name} {kind}.db")) for kind in ("ours", "raw")]
        start = perf_counter()
        ids = fill_ours(paths[0], sessions, expired, STATE)
        filled = perf_counter()
        raw_ids = fill_raw(paths[1], sessions, expired, STATE)
        spent = filled - start, perf_counter() - filled
        return Pair(paths[0], paths[1], ids, raw_ids, spent)

    def write_ids(self, name: str, ids: list[str]) -> str:
        """Write ids for a process of its own, and return the file."""
        path = Path(self.folder.name, f"{name}.json")
        path.write_text(json.dumps(ids))
        return str(path)
