"""How SQLite goes about each statement on 50,000 sessions: by an index, without a scan or a sort.

With what ANALYZE finds out about them, and without. Speed is tested without a clock: what is read and how is
decided by SQLite's plan, which it tells.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from library.infrastructure.data import SessionConfig, SessionManager
from library.infrastructure.data.session_data import session_key
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite.session_rows import session_statements, user_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

COUNT = 50_000
BY_CREATION = "nanobrain:sessions:by_creation"
BY_USER = "nanobrain:sessions:by_user"
BY_ACTIVITY = "nanobrain:sessions:by_activity"
BY_END = "nanobrain:sessions:by_end"
ROWID = "INTEGER PRIMARY KEY"
TABLES = ["SEARCH nanobrain_tables USING PRIMARY KEY (name=?)"]
USER = (user_key("user1"), "user1")
SORTS = "USE TEMP B-TREE"

Plan = list[str]
STATEMENTS = session_statements("sessions")
PAGE: dict[str, Any] = {
    "created_at": 1 << 62,
    "session_key": 0,
    "cutoff": 0,
    "wants_active": True,
    "wants_inactive": True,
    "wants_expired": False,
    "limit": 100,
}


def row_of(number: int) -> tuple[Any, ...]:
    """Build a session: of one of 500 users, one of whom has very many; one in four was ended."""
    created_at = 1_700_000_000_000_000 + number * 7919 % COUNT * 1_000_000
    active_at = created_at + number % 997 * 1_000_000
    user_id = f"user{0 if number % 10 == 0 else number % 500}"
    ended_at, reason = (active_at, "ended") if number % 4 == 0 else (None, None)
    session_id = f"session{number}"
    times = created_at, active_at, active_at, active_at
    return (
        session_key(session_id),
        session_id,
        user_id,
        user_key(user_id),
        *times,
        ended_at is None,
        ended_at,
        reason,
        1,
        "{}",
    )


FLUSHED = {"session_key": 1, "until": 0, "floor": 0, "last_activity": 0, "long_ago": 0}


async def make(path: Path, count: int) -> None:
    """Make a table of sessions."""
    async with SessionManager(database_adapter=SQLiteAdapter(path)):
        pass
    connection = apsw.Connection(str(path))
    with connection:
        rows = [row_of(number) for number in range(count)]
        connection.executemany(f"{STATEMENTS['insert']} VALUES ({', '.join('?' * 13)})", rows)
    connection.close()


@pytest.fixture(scope="module", params=["not analyzed", "analyzed"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the database that all tests look at."""
    path = tmp_path_factory.mktemp("plans") / "sessions.db"
    asyncio.run(make(path, COUNT))
    if request.param == "analyzed":
        connection = apsw.Connection(str(path))
        connection.execute("ANALYZE")
        connection.close()
    return path


@pytest.fixture
def plan_of(database: Path) -> Iterator[Callable[..., Plan]]:
    """Ask SQLite how it would go about a statement of `sessions.sql`."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)

    def plan_of(name: str, bindings: Any) -> Plan:
        statement = STATEMENTS[name]
        if name == "insert":
            statement += f"VALUES ({', '.join('?' * len(bindings))})"
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)
        return [str(row[3]) for row in rows]

    yield plan_of
    connection.close()


@pytest.mark.parametrize(
    ("name", "bindings", "index"),
    [
        ("find", (1,), f"{ROWID} (rowid=?)"),
        ("change", (1, 0, 0, 2, "{}"), f"{ROWID} (rowid=?)"),
        ("touch", (1, 0, 0), f"{ROWID} (rowid=?)"),
        ("assign", (1, *reversed(USER)), f"{ROWID} (rowid=?)"),
        ("end", (1, 0, 0), f"{ROWID} (rowid=?)"),
        ("flush", FLUSHED, f"{ROWID} (rowid=?)"),
        ("index_activity", (1,), f"{ROWID} (rowid=?)"),
        ("find_state", (1,), f"{ROWID} (rowid=?)"),
        ("delete", (1,), f"{ROWID} (rowid=?)"),
        ("longest_idle", (0, 500), f"INDEX {BY_ACTIVITY} (indexed_alive_at<?)"),
        ("longest_idle", (1 << 62, 1), f"INDEX {BY_ACTIVITY} (indexed_alive_at<?)"),
        ("page", PAGE, f"INDEX {BY_CREATION} (created_at<?)"),
    ],
)
def test_statements_of_one_step(name: str, bindings: Any, index: str, plan_of: Callable[..., Plan]) -> None:
    """They go straight to what they want, in the order in which it is wanted."""
    assert [f"SEARCH sessions USING {index}"] == plan_of(name, bindings)


@pytest.mark.parametrize(
    ("name", "bindings"), [("active_count", ("sessions",)), ("add_active", (1, "sessions"))]
)
def test_how_many_are_active(name: str, bindings: Any, plan_of: Callable[..., Plan]) -> None:
    """That is one look-up in a small table."""
    assert TABLES == plan_of(name, bindings)


def test_a_page_of_a_user(plan_of: Callable[..., Plan]) -> None:
    """Active ones and others are read from one index, each in their order, and merged as they come."""
    plan = plan_of("page_of_user", {**PAGE, "user_key": USER[0], "user_id": USER[1]})

    shown = "\n".join(plan)
    assert plan[0] == "MERGE (UNION ALL)", shown
    found = [step for step in plan if "sessions" in step]
    assert 2 == len(found), shown
    for step in found:
        assert step.startswith(f"SEARCH sessions USING INDEX {BY_USER} (user_key=? AND is_active=? AND "), (
            shown
        )
        assert "created_at" in step, shown
    assert SORTS not in shown


@pytest.mark.parametrize(
    ("name", "bindings"),
    [("index_activities", ("[1]",)), ("delete_many", ("[1]",)), ("end_many", ("[1]", 0, "expired"))],
)
def test_statements_on_many(plan_of: Callable[..., Plan], name: str, bindings: Any) -> None:
    """Each session is found by its key."""
    found = [step for step in plan_of(name, bindings) if "sessions" in step]

    assert [f"SEARCH sessions USING {ROWID} (rowid=?)"] == found


def test_what_is_looked_at_for_the_limit_of_a_user(plan_of: Callable[..., Plan]) -> None:
    """Their sessions are counted in the index; which was idle for longest is asked for at the limit only."""
    by_user = f"{BY_USER} (user_key=? AND is_active=?)"

    assert [f"SEARCH sessions USING COVERING INDEX {by_user}"] == plan_of("count_of_user", (1,))
    assert f"SEARCH sessions USING INDEX {by_user}" in plan_of("longest_idle_of_user", (*USER, 1))


def test_what_is_removed(plan_of: Callable[..., Plan]) -> None:
    """What was ended longest ago is found in an index that holds nothing else, and deleted by its key."""
    plan = plan_of("remove_ended", (0, 500))

    shown = "\n".join(plan)
    found = [step for step in plan if "sessions" in step]
    assert [
        f"SEARCH sessions USING {ROWID} (rowid=?)",
        f"SEARCH sessions USING COVERING INDEX {BY_END} (ended_at<?)",
    ] == found, shown
    assert SORTS not in shown
    assert "SCAN" not in shown


def test_reading_all_for_the_check(plan_of: Callable[..., Plan]) -> None:
    """Only `check` reads the whole table, in no order."""
    assert ["SCAN sessions"] == plan_of("all", ())


def test_exporting(plan_of: Callable[..., Plan]) -> None:
    """All are walked through in the order of an index; a few are found by their keys."""
    assert ["SCAN sessions USING INDEX nanobrain:sessions:by_creation"] == plan_of("export", ())
    assert [f"SEARCH sessions USING {ROWID} (rowid=?)"] == plan_of("export_one", (1, "s"))
    assert ["SCAN sessions USING COVERING INDEX"] == [
        step.partition(" nanobrain")[0] for step in plan_of("count", ())
    ]


def test_a_new_session(plan_of: Callable[..., Plan]) -> None:
    """Nothing is looked for."""
    assert [] == [step for step in plan_of("insert", range(13)) if "SCAN" in step or "SEARCH" in step]


def test_every_statement_is_looked_at() -> None:
    """A statement that is added gets a test of its plan."""
    known = {"find", "insert", "change", "touch", "assign", "end", "flush", "delete", "longest_idle", "page"}
    known |= {
        "count_of_user",
        "longest_idle_of_user",
        "active_count",
        "add_active",
        "page_of_user",
        "remove_ended",
        "find_state",
        "all",
        "index_activity",
        "index_activities",
        "delete_many",
        "end_many",
        "export",
        "export_one",
        "count",
    }
    assert known == set(STATEMENTS)


async def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    """Each of 100,000 sessions is looked up once: what stays in memory of them is bounded."""
    path = tmp_path / "sessions.db"
    await make(path, 100_000)
    config = SessionConfig(session_timeout=timedelta(days=36_500), cleanup_interval=None)
    blocks: list[int] = []
    async with SessionManager(
        config, SQLiteAdapter(path), clock=lambda: datetime(2024, 1, 1, tzinfo=UTC)
    ) as manager:
        for start in range(0, 100_000, 20_000):
            found = 0
            for number in range(start, start + 20_000):
                found += await manager.get_session(f"session{number}", None) is not None
            assert 15_000 == found
            gc.collect()
            blocks.append(sys.getallocatedblocks())

    # One block for each session would be 80,000 more.
    assert max(blocks) - blocks[0] < 20_000
