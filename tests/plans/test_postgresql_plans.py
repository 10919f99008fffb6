"""How PostgreSQL goes about each hot query on 50,000 exchanges: by an index, without a scan or a sort.

With a plan for the values given, and with one for any values, of which PostgreSQL takes the one or the other
for a statement that it has prepared; and where nothing is known yet of what is in the table, too.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgresql_server import shared_server

from library.infrastructure.data import ConversationMessage, ConversationQuery
from library.infrastructure.interfaces.database.keys import conversation_key, session_key
from library.infrastructure.interfaces.database.postgresql.inserting import searches_of
from library.infrastructure.interfaces.database.postgresql.pages import Pages
from library.infrastructure.interfaces.database.postgresql.rows import statements, to_row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

pytestmark = pytest.mark.slow

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
END = datetime(9000, 1, 1, tzinfo=UTC)
COUNT = 50_000
LATER = NOON + timedelta(seconds=COUNT // 2)
KEY = conversation_key("conversation1")
CONVERSATION = (KEY, "conversation1")
BY_CONVERSATION, BY_ID, BY_TIME, BY_DURATION, BY_PARENT, BY_SESSION, BY_TEXT = (
    f"nb:conversations:{name}"
    for name in ("key", "by_id", "by_time", "by_duration", "by_parent", "by_session", "by_text")
)
SQL = statements("public", "conversations")
Q = ConversationQuery


def message(number: int) -> ConversationMessage:
    """Make one exchange of 500 conversations, some with parents."""
    return ConversationMessage(
        f"conversation{number % 500}",
        f"word{number % 97} mark{number} {'mark' * (number % 1000 == 0)}",
        "",
        NOON + timedelta(seconds=number * 7919 % COUNT),
        float(number % 1000),
        parent_id=number - 499 if number > 40_000 else None,
        metadata={"key": 1, "session_id": f"session{number % 7}"} if number % 100 == 0 else {},
    )


async def make(name: str, *, is_analyzed: bool) -> None:
    """Fill the table of exchanges."""
    connection = await asyncpg.connect(shared_server().url(name), ssl=False)
    for start in range(0, COUNT, 5000):
        rows = [to_row(message(number)) for number in range(start, start + 5000)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        await connection.fetch(SQL["insert"], *columns, searches_of(rows))
    if is_analyzed:
        await connection.execute("VACUUM ANALYZE conversations")
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
    """Ask PostgreSQL how it would go about a statement."""

    async def plan_of(statement: str, *values: Any) -> str:
        connection = await asyncpg.connect(shared_server().url(database), ssl=False)
        try:
            await connection.execute(f"SET plan_cache_mode = force_{request.param}_plan")
            await connection.execute(f"PREPARE looked_at AS {statement}")
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
        shown = ",".join("NULL" if each is None else f'"{each}"' for each in value)
        return f"'{{{shown}}}'"
    return "'" + str(value).replace("'", "''") + "'"


def see(plan: str, *indexes: str, sorts: bool = False) -> None:
    """See that a plan goes by these indexes, and no others, and reads no whole table."""
    assert not re.search(r"Seq Scan on conversations", plan), plan
    assert sorts or not re.search(r"\bSort$", plan, re.MULTILINE), plan
    used = set(re.findall(r"nb:conversations:\w+", plan))
    assert set(indexes) == used, plan


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("get", [1], BY_ID),
        ("get_locked", [1], BY_ID),
        ("latest", [], BY_ID),
        ("taken", [[1, 2]], BY_ID),
        ("parents", [[1, 2]], BY_ID),
        ("conversations_of", [[1, 2]], BY_ID),
        ("any_left", [[1, 2]], BY_ID),
        ("replace", [1, "c", NOON, "", "", 1.0, None, "{}", KEY, None, "'a'"], BY_ID),
        ("set_parents", [[1], [2]], BY_ID),
        ("delete", [[1, 2]], BY_ID),
        ("one_locked", [1], BY_ID),
        ("up_to_locked", [1000, 500], BY_ID),
        ("before_locked", [NOON, 1000, 500], BY_TIME),
        ("conversation_locked", CONVERSATION, BY_CONVERSATION),
        ("children", [[1, 2]], BY_PARENT),
        ("history", [*CONVERSATION, 20], BY_CONVERSATION),
        ("history_before", [*CONVERSATION, LATER, 1, 20], BY_CONVERSATION),
        ("place", [1, "conversation1"], BY_ID),
        ("any_of_conversation", CONVERSATION, BY_CONVERSATION),
        ("has_parents", CONVERSATION, BY_CONVERSATION),
        ("leading_to", [*CONVERSATION, LATER, 1], BY_CONVERSATION),
        ("count_conversations", [501], BY_CONVERSATION),
    ],
)
async def test_statements_of_one_step(
    name: str, values: Sequence[Any], index: str, plan_of: Callable[..., Awaitable[str]]
) -> None:
    """They go straight to what they want, in the order in which they want it."""
    see(await plan_of(SQL[name], *values), index, sorts=name in {"taken", "leading_to"})


@pytest.mark.parametrize("name", ["history", "history_before"])
async def test_history_is_read_in_its_order(name: str, plan_of: Callable[..., Awaitable[str]]) -> None:
    """The index gives conversation and time, backwards; what comes later is not read and thrown away."""
    values = [*CONVERSATION, 20] if name == "history" else [*CONVERSATION, LATER, 1, 20]

    plan = await plan_of(SQL[name], *values)

    assert f'Index Scan Backward using "{BY_CONVERSATION}"' in plan
    assert name == "history" or re.search(r"Index Cond: .*ROW\(\"timestamp\", message_id\) <", plan), plan


async def test_save(plan_of: Callable[..., Awaitable[str]]) -> None:
    """Parents are looked up; nothing else is read of the table."""
    row = to_row(message(1))
    columns = [[each] for each in row[1:]]

    plan = await plan_of(SQL["save"], *columns, ["a"], [1], [1], 0, [1], ["conversation1"])

    see(plan, BY_ID, sorts=True)


async def test_thread(plan_of: Callable[..., Awaitable[str]]) -> None:
    """Each step up is one look-up; the path itself is put into order."""
    see(await plan_of(SQL["thread"], 1), BY_ID, sorts=True)


async def test_summaries(plan_of: Callable[..., Awaitable[str]]) -> None:
    """Conversations are found from the newest exchange on, without sorting."""
    see(await plan_of(SQL["summaries"], END, 1, 50), BY_TIME, BY_CONVERSATION)


async def test_summaries_of_few(plan_of: Callable[..., Awaitable[str]]) -> None:
    """The index leads from one conversation to the next."""
    see(await plan_of(SQL["summaries_of_few"], END, 1, 50), BY_CONVERSATION, sorts=True)


async def test_summaries_of_a_session(plan_of: Callable[..., Awaitable[str]]) -> None:
    """The index leads from one of its conversations to the next; all else is looked up."""
    plan = await plan_of(SQL["summaries_of_session"], END, 1, 50, session_key("session1"))

    see(plan, BY_SESSION, BY_CONVERSATION, sorts=True)


async def test_metrics_of_a_conversation(plan_of: Callable[..., Awaitable[str]]) -> None:
    """They are computed from one conversation."""
    see(await plan_of(SQL["metrics_of_conversation"], NOON, *CONVERSATION), BY_CONVERSATION, sorts=True)


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
        pytest.param(Q().order_by("response_time_ms"), BY_DURATION, id="by response time"),
        pytest.param(
            Q().min_response_time(900).order_by("response_time_ms", descending=True),
            BY_DURATION,
            id="slowest",
        ),
        pytest.param(Q().order_by("message_id"), BY_ID, id="by id"),
        pytest.param(Q().order_by("message_id", descending=True), BY_ID, id="by id back"),
        pytest.param(Q().metadata("key", 1), BY_TIME, id="metadata"),
    ],
)
@pytest.mark.parametrize("is_behind", [False, True], ids=["first page", "next page"])
async def test_queries(
    query: ConversationQuery, index: str, *, is_behind: bool, plan_of: Callable[..., Awaitable[str]]
) -> None:
    """The first page and the next ones go along the index that has the order, and nothing is sorted."""
    if is_behind:
        query = query.after(to_stored(message(25_000)))
    statement, values = await Pages("public", "conversations", query.filters).statement(None, limit=20)

    plan = await plan_of(statement, *values)

    see(plan, index)
    assert not is_behind or "Index Cond" in plan, plan


def to_stored(stored: ConversationMessage) -> ConversationMessage:
    """Give an exchange an id, as if it came from the store."""
    stored.message_id = 25_001
    return stored


@pytest.mark.parametrize("database", ["analyzed"], indirect=True)
async def test_queries_for_texts_that_are_rare(database: str, plan_of: Callable[..., Awaitable[str]]) -> None:
    """What holds a rare text is looked up in the full-text index, once the server has counted the rows."""
    connection = await asyncpg.connect(shared_server().url(database), ssl=False)
    pages = Pages("public", "conversations", Q().contains_text("markmark").filters)
    statement, values = await pages.statement(connection, limit=100)
    await connection.close()

    plan = await plan_of(statement, *values)

    see(plan, BY_TEXT, BY_ID, sorts=True)
