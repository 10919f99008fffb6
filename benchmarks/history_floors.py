"""The least code that saves an exchange durably, searchable at once: what SQLite costs, and no more.

All of them: WAL, `synchronous=FULL`, one row in a table with an index on conversation and time, one row in an
FTS5 index (unicode61) over the columns of that table. The index row is inserted explicitly, or by a trigger:
inside one transaction FTS5 writes its pages for each statement that runs a trigger, which halves the speed.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.history_texts import Exchange

PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA busy_timeout=30000")
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS exchange(id INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL,
    user_input TEXT NOT NULL, agent_response TEXT NOT NULL, timestamp INTEGER NOT NULL,
    response_time_ms REAL NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_conversation ON exchange(conversation_id, timestamp)",
    """CREATE VIRTUAL TABLE IF NOT EXISTS fts USING fts5(user_input, agent_response, content='exchange',
    content_rowid='id', tokenize='unicode61')""",
)
TRIGGER = (
    "CREATE TRIGGER IF NOT EXISTS indexed AFTER INSERT ON exchange BEGIN INSERT INTO"
    " fts(rowid, user_input, agent_response) VALUES (new.id, new.user_input, new.agent_response); END"
)
SAVE = (
    "INSERT INTO exchange(conversation_id, user_input, agent_response, timestamp, response_time_ms)"
    " VALUES (?, ?, ?, ?, ?)"
)
INDEX = "INSERT INTO fts(rowid, user_input, agent_response) VALUES (?, ?, ?)"
LATEST = (
    "SELECT id, conversation_id, user_input, agent_response, timestamp, response_time_ms FROM exchange"
    " WHERE conversation_id=? ORDER BY timestamp DESC LIMIT ?"
)
EVERYTHING = (
    "SELECT id, conversation_id, user_input, agent_response, timestamp, response_time_ms FROM exchange"
)
SEARCH = (
    "SELECT e.id, e.conversation_id, e.user_input, e.agent_response, e.timestamp, e.response_time_ms, f.score"
    " FROM (SELECT rowid AS id, bm25(fts) AS score FROM fts WHERE fts MATCH ? ORDER BY bm25(fts) LIMIT ?) f"
    " JOIN exchange e ON e.id = f.id ORDER BY f.score"
)


def open_stdlib(path: str, *, trigger: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for statement in (*PRAGMAS, *SCHEMA, *([TRIGGER] if trigger else [])):
        connection.execute(statement)
    return connection


def open_apsw(path: str, *, trigger: bool = False) -> apsw.Connection:
    connection = apsw.Connection(path)
    for statement in (*PRAGMAS, *SCHEMA, *([TRIGGER] if trigger else [])):
        connection.execute(statement).fetchall()
    return connection


def save_with_stdlib(connection: sqlite3.Connection, exchange: Exchange) -> int:
    connection.execute("BEGIN IMMEDIATE")
    message_id = connection.execute(SAVE, exchange).lastrowid
    connection.execute(INDEX, (message_id, exchange.user_input, exchange.agent_response))
    connection.execute("COMMIT")
    assert message_id is not None
    return message_id


def save_with_apsw(connection: apsw.Connection, exchange: Exchange) -> int:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(SAVE, exchange)
    message_id = connection.last_insert_rowid()
    connection.execute(INDEX, (message_id, exchange.user_input, exchange.agent_response))
    connection.execute("COMMIT")
    return message_id


def save_many(connection: Any, exchanges: Iterable[Exchange]) -> None:
    """Save through the trigger, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(SAVE, exchanges)
    connection.execute("COMMIT")


def save_explicitly(connection: Any, exchanges: list[Exchange]) -> None:
    """Save the rows, and then their index rows, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM exchange").fetchall()[0][0]
    connection.executemany(SAVE, exchanges)
    rows = enumerate(exchanges, first)
    connection.executemany(INDEX, ((index, each.user_input, each.agent_response) for index, each in rows))
    connection.execute("COMMIT")


class GroupCommit:
    """One thread that takes all that tasks have queued into one transaction.

    Args:
        path: of the file.
        trigger: whether a trigger keeps the index.
        alone: whether each save has a transaction of its own instead.

    """

    def __init__(self, path: str, *, trigger: bool = False, alone: bool = False) -> None:
        self.connection = open_apsw(path, trigger=trigger)
        self.trigger = trigger
        self.most = 1 if alone else 100_000
        self.loop = asyncio.get_running_loop()
        self.queue: queue.SimpleQueue[tuple[Exchange, asyncio.Future[int]] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    async def save(self, exchange: Exchange) -> int:
        saved: asyncio.Future[int] = self.loop.create_future()
        self.queue.put((exchange, saved))
        return await saved

    async def close(self) -> None:
        self.queue.put(None)
        await asyncio.to_thread(self.thread.join)
        self.connection.close()

    def _write(self) -> None:
        while (first := self.queue.get()) is not None:
            batch = [first]
            stop = False
            while len(batch) < self.most:
                try:
                    job = self.queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stop = True
                    break
                batch.append(job)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: Sequence[tuple[Exchange, asyncio.Future[int]]]) -> None:
        execute = self.connection.execute
        done = []
        execute("BEGIN IMMEDIATE")
        for exchange, saved in batch:
            execute(SAVE, exchange)
            message_id = self.connection.last_insert_rowid()
            if not self.trigger:
                execute(INDEX, (message_id, exchange.user_input, exchange.agent_response))
            done.append((saved, message_id))
        execute("COMMIT")
        self.loop.call_soon_threadsafe(partial(_wake, done))


def _wake(done: Iterable[tuple[asyncio.Future[int], int]]) -> None:
    for saved, message_id in done:
        saved.set_result(message_id)


def latest(connection: Any, conversation_id: str, limit: int) -> list[tuple[Any, ...]]:
    """Return the latest exchanges of a conversation as tuples, the oldest first."""
    rows: list[tuple[Any, ...]] = connection.execute(LATEST, (conversation_id, limit)).fetchall()
    rows.reverse()
    return rows


def search(connection: Any, words: str, limit: int) -> list[tuple[Any, ...]]:
    """Return the best exchanges by bm25 as tuples; all words have to be there."""
    quoted = " ".join(f'"{word}"' for word in words.split())
    rows: list[tuple[Any, ...]] = connection.execute(SEARCH, (quoted, limit)).fetchall()
    return rows
