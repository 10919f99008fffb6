"""The least code that keeps sessions: a dict behind an `asyncio.Lock`, and one table of SQLite.

Neither checks anything, knows when a session has expired, or limits how many there are. What the dict gives
out is what it holds: a caller who changes it changes the session. The table is as its features need it: found
by id, listed by user, cleaned up by activity; WAL, `synchronous=FULL`, one transaction an operation, by
stdlib `sqlite3`. An update reads the row, merges the JSON of its metadata, and writes it, in one `BEGIN
IMMEDIATE`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from benchmarks.session_setup import STATE, Contender

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS session(session_id TEXT PRIMARY KEY, user_id TEXT NOT NULL,
    created_at REAL NOT NULL, last_activity REAL NOT NULL, is_active INTEGER NOT NULL,
    metadata TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_activity ON session(last_activity)",
    "CREATE INDEX IF NOT EXISTS by_user ON session(user_id, created_at)",
)
PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA busy_timeout=30000")
INSERT = "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)"
FIND = (
    "SELECT session_id, user_id, created_at, last_activity, is_active, metadata FROM session"
    " WHERE session_id = ?"
)
METADATA = "SELECT metadata FROM session WHERE session_id = ?"
CHANGE = "UPDATE session SET metadata = ?, last_activity = ? WHERE session_id = ?"
CLEAN_UP = (
    "DELETE FROM session WHERE session_id IN"
    " (SELECT session_id FROM session WHERE last_activity <= ? ORDER BY last_activity LIMIT ?)"
)


class InMemory:
    """Sessions in a mapping behind a lock."""

    def __init__(self, sessions: MutableMapping[str, dict[str, Any]]) -> None:
        self.sessions = sessions
        self.lock = asyncio.Lock()

    async def create(self, user_id: str, metadata: dict[str, Any]) -> str:
        session_id = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        session = {
            "user_id": user_id,
            "created_at": now,
            "last_activity": now,
            "is_active": True,
            "metadata": metadata.copy(),
        }
        async with self.lock:
            self.sessions[session_id] = session
        return session_id

    async def get(self, session_id: str) -> dict[str, Any]:
        async with self.lock:
            return self.sessions[session_id]

    async def update(self, session_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        async with self.lock:
            session = self.sessions[session_id]
            session["metadata"].update(changes)
            session["last_activity"] = datetime.now(UTC)
            return session

    def contender(self) -> Contender:
        return Contender(
            lambda user: self.create(user, STATE),
            self.get,
            lambda session, turns: self.update(session, {"turns": turns}),
        )


class InCache(InMemory):
    """The same in a cache, which counts the time to live from when an entry was put in."""

    async def update(self, session_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        async with self.lock:
            session = self.sessions[session_id]
            session["metadata"].update(changes)
            session["last_activity"] = datetime.now(UTC)
            self.sessions[session_id] = session
            return session


class OnDisk:
    """Sessions in one table; what it does, it does in the thread that asks."""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in (*PRAGMAS, *SCHEMA):
            self.connection.execute(statement)

    def create(self, user_id: str) -> str:
        session_id = secrets.token_urlsafe(32)
        now = time()
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        execute(INSERT, (session_id, user_id, now, now, 1, json.dumps(STATE)))
        execute("COMMIT")
        return session_id

    def get(self, session_id: str) -> Any:
        return self.connection.execute(FIND, (session_id,)).fetchone()

    def get_decoded(self, session_id: str) -> Any:
        *columns, metadata = self.connection.execute(FIND, (session_id,)).fetchone()
        return (*columns, json.loads(metadata))

    def update(self, session_id: str, turns: int) -> None:
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        (text,) = execute(METADATA, (session_id,)).fetchone()
        metadata = json.loads(text)
        metadata["turns"] = turns
        execute(CHANGE, (json.dumps(metadata), time(), session_id))
        execute("COMMIT")

    def clean_up(self, cutoff: float, limit: int) -> int:
        """Delete up to `limit` sessions that were last active at `cutoff` or before; tell how many."""
        self.connection.execute("BEGIN IMMEDIATE")
        deleted = self.connection.execute(CLEAN_UP, (cutoff, limit)).rowcount
        self.connection.execute("COMMIT")
        return deleted

    def close(self) -> None:
        self.connection.close()
