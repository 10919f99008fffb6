"""A manager that nobody shut down keeps no process alive, and loses nothing that was acknowledged."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from library.infrastructure.data import SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, sys
from datetime import timedelta
from library.infrastructure.data import MemorySessionStore, SessionConfig, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

async def main(place, is_global):
    global kept
    where = {"store": MemorySessionStore()}
    if place != "memory":
        where = {"database_adapter": SQLiteAdapter(place)}
    config = SessionConfig(cleanup_interval=timedelta(milliseconds=1))
    manager = SessionManager(config, **where)
    await manager.initialize()
    session_id = await manager.create_session("alice", {"n": 1})
    await manager.touch(session_id)
    await asyncio.sleep(0.01)
    if is_global:
        kept = manager
    print(session_id)

asyncio.run(main(sys.argv[1], sys.argv[2] == "global"))
"""


@pytest.mark.parametrize("keeps", ["global", "local"])
@pytest.mark.parametrize("place", ["file", ":memory:", "memory"])
async def test_the_process_ends(tmp_path: Path, place: str, keeps: str) -> None:
    """With a `ResourceWarning`, as any program that forgot to close something."""
    where = str(tmp_path / "sessions.db") if place == "file" else place

    finished = subprocess.run(
        [sys.executable, "-W", "always", "-c", PROGRAM, where, keeps],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert 0 == finished.returncode, finished.stderr
    assert "ResourceWarning: the session manager" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "Task was destroyed" not in finished.stderr
    if place == "file":
        async with SessionManager(None, SQLiteAdapter(where)) as heir:
            assert {"n": 1} == (await heir.get_session(finished.stdout.strip())).metadata
