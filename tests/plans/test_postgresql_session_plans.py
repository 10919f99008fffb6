"""How PostgreSQL goes about each statement on 50,000 sessions: by an index, without a scan or a sort.

With what ANALYZE finds out about them, and without; with a plan for the values given, and with one for any
values, of which PostgreSQL takes the one or the other for a statement that it has prepared.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgresql_server import shared_server

from library.infrastructure.data.session_data import session_key
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    columns_of,
    session_statements,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = pytest.mark.slow

COUNT = 50_000
FIRST = 1_700_000_000_000_000
MIDDLE = FIRST + COUNT // 2 * 1_000_000
ALL_TIME = 1 << 62
SQL = session_statements("public", "sessions")
SOME, MOST = (user_key("user1"), "user1"), (user_key("user0"), "user0")
PAGE = [MIDDLE, 0, 0, True, True, False, 100]
CHANGED = [[1], [1], ["ann"], [1], [1], [None], [1], [True], [None], ["{}"]]
KEY, CREATION, USER, ACTIVITY, END = (
    f'"nb:sessions:{name}"' for name in ("key", "by_creation", "by_user", "by_activity", "by_end")
)


def row_of(number: int) -> tuple[Any, ...]:
    """Build a session: of one of 500 users, one of whom has very many; one in four was ended."""
    created_at = FIRST + number * 7919 % COUNT * 1_000_000
    active_at = created_at + number % 997 * 1_000_000
    user_id = f"user{0 if number % 10 == 0 else number % 500}"
    ended_at, reason = (active_at, "ended") if number % 4 == 0 else (None, None)
    session_id = f"session{number}"
    return (
        session_key(session_id),
        user_key(user_id),
        created_at,
        active_at,
        active_at,
        active_at,
        ended_at,
        1,
        ended_at is None,
        session_id,
        user_id,
        reason,
        "{}",
    )


async def make(name: str, *, is_analyzed: bool) -> None:
    """Fill the table of sessions."""
    connection = await asyncpg.connect(shared_server().url(name), ssl=False)
    await connection.fetch(SQL["insert"], *columns_of([row_of(number) for number in range(COUNT)]))
    if is_analyzed:
        await connection.execute("VACUUM ANALYZE sessions")
    await connection.close()


@pytest.fixture(scope="module", params=["not analyzed", "analyzed"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make the database that all tests look at."""
    place = tmp_path_factory.mktemp("plans")
    name = asyncio.run(shared_server().database_of(place))
    asyncio.run(make(name, is_analyzed=request.param == "analyzed"))
    yield name
    asyncio.run(shared_server().drop_database_of(place))


@pytest.fixture(params=["custom", "generic"])
def plan_of(request: pytest.FixtureRequest, database: str) -> Callable[..., Awaitable[str]]:
    """Ask PostgreSQL how it would go about a statement of `sessions.sql`."""

    async def plan_of(name: str, *values: Any) -> str:
        connection = await asyncpg.connect(shared_server().url(database), ssl=False)
        try:
            await connection.execute(f"SET plan_cache_mode = force_{request.param}_plan")
            await connection.execute(f"PREPARE looked_at AS {SQL[name]}")
            given = f"({', '.join(map(literal, values))})" if values else ""
            rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE looked_at{given}")
        finally:
            await connection.close()
        return "\n".join(row[0] for row in rows)

    return plan_of


def literal(value: Any) -> str:
    """Write a value as SQL has it."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        shown = ["NULL" if each is None else f'"{each}"' for each in value]
        return f"'{{{','.join(shown)}}}'"
    return f"'{str(value).lower() if isinstance(value, bool) else value}'"


def see(plan: str, *indexes: str, sorts: bool = False) -> None:
    """See that a plan goes by these indexes, and no others, and reads no whole table."""
    assert "Seq Scan" not in plan, plan
    assert sorts or not re.search(r"\bSort$", plan, re.MULTILINE), plan
    for index in (KEY, CREATION, USER, ACTIVITY, END):
        assert (index in plan) is (index in indexes), plan


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("find", [1], KEY),
        ("lock_one", [1], KEY),
        ("lock_free", [[1, 2, 3]], KEY),
        ("known", [[1, 2, 3]], KEY),
        ("change", CHANGED, KEY),
        ("touch", [[1, 2], [0, 0], [0, 0]], KEY),
        ("end", [[1, 2], [0, 0], [0, 0]], KEY),
        ("end_many", [[1, 2], ["expired", "evicted"], [0, 0]], KEY),
        ("delete_many", [[1, 2]], KEY),
        ("flush", [[1, 2], [0, 0], [0, 0], [0, 0], 0], KEY),
        ("export_chosen", [[1, 2, 3]], KEY),
        ("longest_idle", [MIDDLE, 500], ACTIVITY),
        ("longest_idle", [ALL_TIME, 1], ACTIVITY),
        ("count_of_user", [SOME[0]], USER),
        ("counts_of_users", [[SOME[0], 2, 3]], USER),
        ("page", PAGE, CREATION),
        ("export", [], CREATION),
    ],
)
async def test_statements_of_one_step(
    name: str, values: list[Any], index: str, plan_of: Callable[..., Awaitable[str]]
) -> None:
    """They go straight to what they want, in the order in which it is wanted."""
    plan = await plan_of(name, *values)

    see(plan, index)


async def test_a_page_of_a_user_who_has_many(
    database: str, request: pytest.FixtureRequest, plan_of: Callable[..., Awaitable[str]]
) -> None:
    """Active ones and others are read from one index, each in their order, and merged as they come."""
    plan = await plan_of("page_of_user", *PAGE, *MOST)

    is_told = "not analyzed-custom" not in request.node.name  # else it may take them for few
    see(plan, USER, sorts=not is_told)
    assert "Merge Append" in plan
    assert plan.count("Index Scan Backward") == 2 or not is_told


async def test_a_page_of_a_user_who_has_few(plan_of: Callable[..., Awaitable[str]]) -> None:
    """No more is read than their sessions."""
    see(await plan_of("page_of_user", *PAGE, *SOME), USER, sorts=True)


async def test_what_is_looked_at_for_the_limit_of_a_user(plan_of: Callable[..., Awaitable[str]]) -> None:
    """Which of their sessions was idle for longest is asked for at the limit only."""
    see(await plan_of("longest_idle_of_user", *SOME, 1), USER, sorts=True)


async def test_bringing_the_index_up_to_date(plan_of: Callable[..., Awaitable[str]]) -> None:
    """Those that come first in it are looked at, and changed by their keys."""
    see(await plan_of("index_activities", ALL_TIME, 50), ACTIVITY, KEY)


async def test_what_is_removed(plan_of: Callable[..., Awaitable[str]]) -> None:
    """What was ended longest ago is found, once, in an index of nothing else, and deleted by its key."""
    plan = await plan_of("remove_ended", MIDDLE, 500)

    see(plan, END, KEY)
    assert "InitPlan" in plan


@pytest.mark.parametrize("name", ["insert", "insert_counted"])
async def test_a_new_session(name: str, plan_of: Callable[..., Awaitable[str]]) -> None:
    """Nothing is looked for but whether its key is taken."""
    plan = await plan_of(name, *([each] for each in row_of(1)))

    assert "Scan on sessions" not in plan, plan
    assert "Conflict Arbiter Indexes: nb:sessions:key" in plan


@pytest.mark.parametrize("name", ["all", "count"])
async def test_reading_all(name: str, plan_of: Callable[..., Awaitable[str]]) -> None:
    """Only the check, and the count for an export, read the whole table, in no order."""
    assert "Sort" not in await plan_of(name)


@pytest.mark.parametrize(("name", "values"), [("active_count", []), ("add_active", [1])])
async def test_how_many_are_active(
    name: str, values: list[int], plan_of: Callable[..., Awaitable[str]]
) -> None:
    """That is a few rows of a small table."""
    assert "Scan on sessions" not in await plan_of(name, *values)


def test_every_statement_is_looked_at() -> None:
    """A statement that is added gets a test of its plan."""
    known = {"find", "lock_one", "lock_free", "known", "change", "touch", "end", "end_many", "delete_many"}
    known |= {
        "flush",
        "export_chosen",
        "longest_idle",
        "count_of_user",
        "counts_of_users",
        "page",
        "export",
        "page_of_user",
    }
    known |= {"longest_idle_of_user", "index_activities", "remove_ended", "insert", "insert_counted", "all"}
    known |= {"count", "active_count", "add_active"}
    locks = {"exclude_others", "exclude_excluders"}
    imports = {"make_stage", "count_stage", "foreign_digest", "twin_digest", "stored_already", "comes_twice"}
    imports |= {"replace_former", "store"}
    assert known | locks | imports == set(SQL)


async def test_activity_changes_no_index(database: str) -> None:
    """Nearly all versions of rows that activity makes find room on the page of the former one."""
    connection = await asyncpg.connect(shared_server().url(database), ssl=False)
    try:
        before = await connection.fetchrow(HEAP_ONLY)
        keys = [row_of(number)[0] for number in range(0, COUNT, 5)]
        for turn in range(5):
            times = [MIDDLE * 2 + turn] * len(keys)
            await connection.execute(SQL["touch"], keys, times, times)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        after = await connection.fetchrow(HEAP_ONLY)
    finally:
        await connection.close()

    updates, heap_only = after[0] - before[0], after[1] - before[1]
    assert 5 * len(keys) == updates
    assert heap_only > 0.95 * updates


HEAP_ONLY = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
