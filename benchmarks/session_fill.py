"""Filling databases with sessions, faster than they would be created one by one.

Ours are inserted by the job of the library that inserts them, 10,000 in a transaction, in the order of their
keys: a table that grew day by day has the same rows in the same order, on pages that are less full.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.session_data import new_dated_session_id, session_key
from library.infrastructure.data.session_record import Moment, SessionRecord
from library.infrastructure.data.session_store import Limits
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite.session_jobs import Creation
from library.infrastructure.interfaces.database.sqlite.session_rows import to_session_row

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 10_000
USERS = 200_000
NO_LIMITS = Limits(None, None, evicts=False, keeps=False)
TIMEOUT = timedelta(hours=24)
"""The default of `SessionConfig`."""
HOUR_S = 3600


def times_of(sessions: int, expired: int) -> Iterator[tuple[datetime, datetime]]:
    """Give when each session was created and last active; those that have expired are spread evenly."""
    chance = random.Random(11)
    now = datetime.now(UTC)
    for index in range(sessions):
        if (index + 1) * expired // sessions > index * expired // sessions:
            idle = TIMEOUT + timedelta(seconds=chance.uniform(HOUR_S, 30 * 24 * HOUR_S))
        else:
            idle = timedelta(seconds=chance.uniform(60, 12 * HOUR_S))
        yield now - idle - timedelta(seconds=chance.uniform(0, HOUR_S)), now - idle


def fill_ours(path: str, sessions: int, expired: int, state: dict[str, Any]) -> list[str]:
    """Return the ids of those that have not expired."""
    return asyncio.run(_fill_ours(path, sessions, expired, state))


async def _fill_ours(path: str, sessions: int, expired: int, state: dict[str, Any]) -> list[str]:
    made = ((new_dated_session_id(times[0]), times) for times in times_of(sessions, expired))
    ordered = sorted(made, key=lambda each: session_key(each[0]))
    now = datetime.now(UTC)
    moment = Moment(now, now - TIMEOUT)
    alive = []
    async with SQLiteAdapter(path) as adapter:
        store = adapter.sessions()
        await store.open()

        def insert(connection: Any, batches: Any) -> list[int]:
            return [len(store._jobs.create(connection, batch)) for batch in batches]

        for start in range(0, sessions, BATCH):
            batch = []
            for index, (session_id, times) in enumerate(ordered[start : start + BATCH], start):
                created_at, active_at = times
                user_id = f"user {index % USERS}"
                record = SessionRecord(session_id, user_id, created_at, active_at, active_at, state, True)
                batch.append(Creation(record, to_session_row(record), NO_LIMITS, moment))
                if active_at > moment.cutoff:
                    alive.append(session_id)
            await adapter.engine.write(insert, batch, "fill")
    return alive


def fill_raw(path: str, sessions: int, expired: int, state: dict[str, Any]) -> list[str]:
    """Return the ids of those that have not expired."""
    from benchmarks.session_floors import INSERT, OnDisk

    names = sorted(secrets.token_urlsafe(32) for _ in range(sessions))
    times = times_of(sessions, expired)
    cutoff = datetime.now(UTC) - TIMEOUT
    text = json.dumps(state)
    alive = []
    OnDisk(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cache_size=-32768")
    for start in range(0, sessions, BATCH):
        rows = []
        for index, session_id in enumerate(names[start : start + BATCH], start):
            created_at, active_at = next(times)
            user_id = f"user {index % USERS}"
            rows.append((session_id, user_id, created_at.timestamp(), active_at.timestamp(), 1, text))
            if active_at > cutoff:
                alive.append(session_id)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
    connection.close()
    return alive
