"""How SQLite goes about each hot query on 50,000 exchanges: by an index, without a scan or a sort.

Speed is tested without a clock: what is read and how is decided by SQLite's plan, which it tells.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, ConversationQuery
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.interfaces.database.sqlite import search as search_module
from library.infrastructure.interfaces.database.sqlite.counters import statements
from library.infrastructure.interfaces.database.sqlite.indexing import _SQL as INDEXING
from library.infrastructure.interfaces.database.sqlite.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.sqlite.pages import Pages
from library.infrastructure.interfaces.database.sqlite.rows import conversation_key, session_key
from library.infrastructure.interfaces.database.sqlite.search import _SQL as SEARCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
COUNT = 50_000
BY_CONVERSATION = "nanobrain:conversations:by_conversation"
BY_TIME = "nanobrain:conversations:by_time"
BY_RESPONSE_TIME = "nanobrain:conversations:by_response_time"
BY_PARENT = "nanobrain:conversations:by_parent"
BY_SESSION = "nanobrain:conversations:by_session"
ROWID = "INTEGER PRIMARY KEY"
FULL_TEXT = "VIRTUAL TABLE INDEX"
KEY = conversation_key("conversation1")
CONVERSATION = (KEY, "conversation1")

Plan = list[str]


async def make(path: Path) -> None:
    """Save exchanges of 500 conversations, some with parents."""
    messages = [
        ConversationMessage(
            f"conversation{number % 500}",
            f"word{number % 97} mark{number} {'mark' * (number % 1000 == 0)}",
            "",
            NOON + timedelta(seconds=number * 7919 % COUNT),
            float(number % 1000),
            parent_id=number - 499 if number > 40_000 else None,
            metadata={"key": 1, "session_id": f"session{number % 7}"} if number % 100 == 0 else {},
        )
        for number in range(COUNT)
    ]
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch(messages)
        await unit.search_conversations("anything")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the database that all tests look at."""
    path = tmp_path_factory.mktemp("plans") / "conversations.db"
    asyncio.run(make(path))
    return path


@pytest.fixture
def plan_of(database: Path) -> Iterator[Callable[[str, Any], Plan]]:
    """Ask SQLite how it would go about a statement; only indexes of this library are there to be used."""
    runner = asyncio.Runner()
    adapter = SQLiteAdapter(database)
    runner.run(adapter.initialize())

    def explain(connection: apsw.Connection, statement: str, bindings: Any) -> Plan:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)
        return [str(row[3]) for row in rows]

    def plan_of(statement: str, bindings: Any = ()) -> Plan:
        return runner.run(adapter.engine.read(explain, statement, bindings))

    yield plan_of
    runner.run(adapter.shutdown())
    runner.close()


def check(plan: Plan, *indexes: str, scans: tuple[str, ...] = (), may_sort: bool = False) -> None:
    """See that a plan uses indexes, each in turn, and scans no table but by those indexes that it may."""
    shown = "\n".join(plan)
    used = re.findall(rf"{ROWID}|{FULL_TEXT}|nanobrain:conversations:by_\w+", shown)
    assert list(indexes) == used, shown
    for step in plan:
        if step.startswith("SCAN") and "VIRTUAL TABLE" not in step:
            assert any(scan in step for scan in scans), shown
        if not may_sort:
            assert "USE TEMP B-TREE" not in step, shown


def named(name: str) -> str:
    """Return a statement of `conversations.sql` for the table."""
    return statements("conversations")[name]


@pytest.mark.parametrize(
    ("name", "bindings", "index"),
    [
        ("get", (1,), ROWID),
        ("exists", (1,), ROWID),
        ("conversation_of", (1,), ROWID),
        ("latest", (), None),
        ("lengths", (1,), ROWID),
        ("replace", (1, "conversation1", 0, "", "", 1.0, None, "{}", KEY, None), ROWID),
        ("blank", (1,), ROWID),
        ("delete", (1,), ROWID),
        ("set_parent", (1, 2), ROWID),
        ("texts_of_one", (1,), ROWID),
        ("texts_of_conversation", (*CONVERSATION, -1), BY_CONVERSATION),
        ("texts_before", (0, 1000, 500), BY_TIME),
        ("texts_of_all", (1000, 500), ROWID),
        ("count_of_conversation", CONVERSATION, BY_CONVERSATION),
        ("children", (1,), BY_PARENT),
        ("history", (*CONVERSATION, 100), BY_CONVERSATION),
        ("history_before", (*CONVERSATION, 0, 1, 100), BY_CONVERSATION),
        ("place", (1, "conversation1"), ROWID),
        ("has_backlog", ("conversations", 500), ROWID),
        ("any_of_conversation", CONVERSATION, BY_CONVERSATION),
        ("has_parents", CONVERSATION, BY_CONVERSATION),
        ("leading_to", (*CONVERSATION, 0, 1), BY_CONVERSATION),
    ],
)
def test_statements_of_one_step(
    name: str, bindings: tuple[Any, ...], index: str | None, plan_of: Callable[..., Plan]
) -> None:
    """They go straight to what they want; where that is the table's own order, along the table."""
    plan = plan_of(named(name), bindings)

    check(plan, *([index] if index else []), scans=() if index else ("SCAN conversations",))


@pytest.mark.parametrize(
    ("name", "bindings"),
    [("history", (*CONVERSATION, 100)), ("history_before", (*CONVERSATION, 1 << 60, 1, 100))],
)
def test_history_is_read_in_its_order(
    name: str, bindings: tuple[Any, ...], plan_of: Callable[..., Plan]
) -> None:
    """The index gives conversation and time; what is before a moment is not read and thrown away."""
    (step,) = plan_of(named(name), bindings)

    assert "conversation_key=?" in step
    assert (name == "history") or "(timestamp,id)<(?,?)" in step or "timestamp<?" in step


def test_what_is_older_is_counted(plan_of: Callable[..., Plan]) -> None:
    """It is counted in an index, without reading texts."""
    plan = plan_of(named("count_before"), (0, 500))

    check(plan, BY_TIME)
    assert "COVERING INDEX" in plan[0]


def test_thread(plan_of: Callable[..., Plan]) -> None:
    """Each step up is one look-up; the path itself is put into order."""
    check(plan_of(named("thread"), (1,)), *[ROWID] * 4, scans=("SCAN path",), may_sort=True)


def test_summaries(plan_of: Callable[..., Plan]) -> None:
    """Conversations are found from the newest exchange on, without sorting; counts need indexes only."""
    plan = plan_of(named("summaries"), (1 << 62, 0, 50))

    shown = "\n".join(plan)
    assert "USE TEMP B-TREE" not in shown
    assert any(BY_TIME in step and "last" in step for step in plan), shown
    assert all("USING" in step for step in plan if step.startswith(("SCAN", "SEARCH"))), shown
    assert sum(f"USING COVERING INDEX {BY_CONVERSATION}" in step for step in plan) == 3, shown


def test_summaries_of_a_session(plan_of: Callable[..., Plan]) -> None:
    """The index leads from one of its conversations to the next; all else is looked up."""
    bindings = (session_key("session1"), "[]", 1 << 62, 0, 50)

    plan = plan_of(named("summaries_of_session"), bindings)

    shown = "\n".join(plan)
    assert 2 == sum(f"USING COVERING INDEX {BY_SESSION} (session_key=?" in step for step in plan), shown
    assert f"USING COVERING INDEX {BY_SESSION} (session_key=? AND conversation_key>?)" in shown
    assert f"USING INDEX {BY_SESSION} (session_key=? AND conversation_key=?)" in shown
    assert 3 == sum(f"USING COVERING INDEX {BY_CONVERSATION} (conversation_key=?)" in step for step in plan)
    assert {"SCAN each", "SCAN page"} >= {step for step in plan if step.startswith("SCAN")}, shown
    assert all("USING" in step for step in plan if step.startswith("SEARCH")), shown


@pytest.mark.parametrize("part", ["", "_per_day"])
@pytest.mark.parametrize(
    ("name", "index"),
    [("metrics", f"COVERING INDEX {BY_TIME}"), ("metrics_of_conversation", BY_CONVERSATION)],
)
def test_metrics(name: str, index: str, part: str, plan_of: Callable[..., Plan]) -> None:
    """They are computed from an index, without reading texts, or from one conversation."""
    bindings: dict[str, Any] = {"since": 0, "day_us": 86_400_000_000}
    if name == "metrics_of_conversation":
        bindings |= {"conversation_key": KEY, "conversation_id": "conversation1"}
    wanted = bindings if name == "metrics_of_conversation" or part else {"since": 0}

    plan = plan_of(named(name + part), wanted)

    assert any(index in step and step.startswith("SEARCH") for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN")]


def test_state(plan_of: Callable[..., Plan]) -> None:
    """It is one look-up in a small table."""
    for name in ("state", "counters", "has_split_pages"):
        assert ["SEARCH nanobrain_tables USING PRIMARY KEY (name=?)"] == plan_of(
            named(name), ("conversations",)
        )


# -- queries -------------------------------------------------------------------------------------------------

Q = ConversationQuery


def statements_of_pages(connection: apsw.Connection, query: ConversationQuery) -> list[tuple[str, Any]]:
    """Read two pages, and return what was asked for that."""
    asked: list[tuple[str, Any]] = []

    def trace(cursor: apsw.Cursor, statement: str, bindings: Any) -> bool:
        asked.append((statement, bindings))
        return True

    pages = Pages("conversations", query.filters)
    connection.exec_trace = trace
    try:
        for _ in range(2):
            pages.read(connection, 20)
    finally:
        connection.exec_trace = None
    return [each for each in asked if "page_rows" in each[0]]


@pytest.fixture
def plans_of_query(database: Path, plan_of: Callable[..., Plan]) -> Callable[[ConversationQuery], list[Plan]]:
    """Ask for the plans of the first page of a query, and of the next."""

    async def write(query: ConversationQuery) -> list[tuple[str, Any]]:
        async with SQLiteAdapter(database) as adapter:
            return await adapter.engine.read(statements_of_pages, query)

    return lambda query: [plan_of(*each) for each in asyncio.run(write(query))]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(Q().conversation_id("conversation1"), BY_CONVERSATION, id="conversation"),
        pytest.param(
            Q().conversation_id("conversation1").order_by(descending=True), BY_CONVERSATION, id="newest first"
        ),
        pytest.param(
            Q().conversation_id("conversation1").since(NOON + timedelta(hours=1)),
            BY_CONVERSATION,
            id="conversation since",
        ),
        pytest.param(Q().date_range(NOON, NOON + timedelta(hours=2)), BY_TIME, id="time"),
        pytest.param(
            Q().date_range(NOON, NOON + timedelta(hours=2)).order_by(descending=True), BY_TIME, id="time back"
        ),
        pytest.param(Q(), BY_TIME, id="all"),
        pytest.param(Q().order_by(descending=True), BY_TIME, id="all back"),
        pytest.param(Q().order_by("response_time_ms"), BY_RESPONSE_TIME, id="by response time"),
        pytest.param(
            Q().min_response_time(900).order_by("response_time_ms", descending=True),
            BY_RESPONSE_TIME,
            id="slowest",
        ),
        pytest.param(
            Q().min_response_time(990).max_response_time(995).order_by("response_time_ms"),
            BY_RESPONSE_TIME,
            id="between",
        ),
        pytest.param(Q().order_by("message_id"), None, id="by id"),
        pytest.param(Q().order_by("message_id", descending=True), None, id="by id back"),
        pytest.param(Q().metadata("key", 1), BY_TIME, id="metadata"),
    ],
)
def test_queries(
    query: ConversationQuery, index: str | None, plans_of_query: Callable[..., list[Plan]]
) -> None:
    """The first page and the next ones go along the index that has the order, and nothing is sorted."""
    first, behind = plans_of_query(query)

    for plan in (first, behind):
        shown = "\n".join(plan)
        assert "USE TEMP B-TREE" not in shown
        assert len(plan) == 1
        if index is None:
            assert "conversations" in shown
            assert "INDEX" not in shown
        else:
            assert f"INDEX {index} " in f"{shown} "
    assert behind[0].startswith("SEARCH")
    assert index is None or "<" in behind[0] or ">" in behind[0]


@pytest.mark.parametrize("text", ["mark", "word5"])
def test_queries_for_texts_that_are_rare(text: str, plans_of_query: Callable[..., list[Plan]]) -> None:
    """What holds a rare text is looked up in the full-text index, not in the table."""
    plans = plans_of_query(Q().contains_text(text))

    assert 2 == len(plans)
    for plan in plans:
        shown = "\n".join(plan)
        assert FULL_TEXT in shown
        assert [step for step in plan if step.startswith(f"SEARCH conversations USING {ROWID} (rowid=?)")], (
            shown
        )
        assert not [step for step in plan if re.match(r"SCAN conversations(?! VIRTUAL)", step)], shown


# -- exporting and importing ---------------------------------------------------------------------------------

LOADS = {name: for_table(statement, "conversations") for name, statement in read_named("loads.sql").items()}


@pytest.mark.parametrize(
    ("order", "plan"),
    [
        ("id", "SCAN conversations"),
        ("conversation_key, timestamp, id", f"SCAN conversations USING INDEX {BY_CONVERSATION}"),
    ],
    ids=["all", "whole conversations"],
)
def test_exports(order: str, plan: str, plan_of: Callable[..., Plan]) -> None:
    """They walk through the table, or one of its indexes, and sort nothing."""
    statement = Pages("conversations", Q().filters).statement(order)

    assert [plan] == plan_of(statement, {"page_rows": -1})


@pytest.mark.parametrize(
    ("name", "bindings", "expected"),
    [
        ("same", (*CONVERSATION, 0, "a", "b"), BY_CONVERSATION),
        ("former_of_conversation", (*CONVERSATION, 9, 300), BY_CONVERSATION),
        ("any_between", (1, 9), ROWID),
        ("greatest_id", (), "SEARCH conversations"),
    ],
)
def test_what_is_asked_for_each_row_of_an_import(
    name: str, bindings: Any, expected: str, plan_of: Callable[..., Plan]
) -> None:
    """It is found by an index."""
    plan = plan_of(LOADS[name], bindings)

    assert expected in plan[0], plan
    assert plan[0].startswith("SEARCH"), plan
    assert 1 == len(plan), plan


@pytest.mark.parametrize(("name", "bindings"), [("taken", ("[1]",)), ("is_ancestor", (1, 2))])
def test_ids_of_an_import(name: str, bindings: Any, plan_of: Callable[..., Plan]) -> None:
    """They are looked up one by one."""
    found = [step for step in plan_of(LOADS[name], bindings) if "conversations" in step]

    assert 1 == len(found), found
    assert re.fullmatch(rf"SEARCH conversations (EXISTS )?USING {ROWID} \(rowid=\?\)", found[0])


# -- searching and indexing ----------------------------------------------------------------------------------


def test_the_newest_matches(plan_of: Callable[..., Plan]) -> None:
    """The full-text index gives the newest first by itself."""
    plan = plan_of(for_table(SEARCH["newest"], "conversations"), ("word5", 300))

    check(plan, FULL_TEXT)


def test_rows_of_a_search(plan_of: Callable[..., Plan]) -> None:
    """Rows are looked up by their ids."""
    plan = plan_of(for_table(SEARCH["rows"], "conversations"), ("[1, 2, 3]",))

    assert any(step.startswith("SEARCH conversations USING INTEGER PRIMARY KEY") for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN conversations")]


@pytest.mark.parametrize("direction", ["before", "behind"])
def test_neighbours(direction: str, plan_of: Callable[..., Plan]) -> None:
    """What lies around an exchange is read from one place of an index, and from nowhere else."""
    plan = plan_of(for_table(SEARCH[direction], "conversations"), (KEY, 0, 1, 2))

    check(plan, BY_CONVERSATION)
    assert "COVERING INDEX" in plan[0]


@pytest.mark.parametrize("name", ["not_indexed", "not_indexed_of_conversation"])
def test_what_is_not_indexed_yet(name: str, plan_of: Callable[..., Plan]) -> None:
    """The exchanges behind the last one that is indexed are read, and no others."""
    bindings = {"indexed_id": 49_000, "conversation_id": "conversation1"}
    asked = bindings if name.endswith("conversation") else {"indexed_id": 49_000}

    plan = plan_of(for_table(SEARCH[name], "conversations"), asked)

    check(plan, ROWID)
    assert "rowid>?" in plan[0]


def test_the_size_of_a_conversation(plan_of: Callable[..., Plan]) -> None:
    """It is counted in an index."""
    plan = plan_of(for_table(SEARCH["count_conversation"], "conversations"), (KEY, 10_000))

    assert any(f"COVERING INDEX {BY_CONVERSATION}" in step for step in plan), plan


def test_what_is_to_be_indexed_next(plan_of: Callable[..., Plan]) -> None:
    """The exchanges behind an id are read from there on."""
    check(plan_of(for_table(INDEXING["next_rows"], "conversations"), (1, 1000)), ROWID)


def test_every_statement_of_a_search_is_looked_at() -> None:
    """A statement that is added here gets a test of its plan."""
    known = {"newest", "reach", "not_indexed", "not_indexed_of_conversation"}
    known |= {"count_conversation", "rows", "before", "behind"}
    assert known == set(search_module._SQL)
