"""The connections: held and lent, limited, one set for each event loop; transactions, and another try."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from library.infrastructure.data import NotInitializedError, StorageError, UnitClosedError
from library.infrastructure.data.conformance.foundation import other_tasks, run_in_threads
from library.infrastructure.interfaces.database import PostgreSQLAdapter
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postgresql_server import PostgreSQLServer

    from library.infrastructure.interfaces.database.postgresql.engine import Engine


@pytest.fixture
async def adapter(url: str) -> AsyncIterator[PostgreSQLAdapter]:
    """An adapter that is open, with a table of numbers."""
    adapter = PostgreSQLAdapter(url, max_size=3, command_timeout_s=15)
    await adapter.initialize()
    await adapter.engine.transact("make", make_numbers)
    yield adapter
    await adapter.shutdown()
    assert other_tasks() == []


@pytest.fixture
def engine(adapter: PostgreSQLAdapter) -> Engine:
    """What is open of it."""
    return adapter.engine


async def make_numbers(connection: Any) -> None:
    await connection.execute("CREATE TABLE numbers (number int PRIMARY KEY, value int NOT NULL DEFAULT 0)")


async def numbers(engine: Engine) -> list[int]:
    return [row[0] for row in await engine.fetch("read", "SELECT number FROM numbers ORDER BY 1")]


def adding(number: int) -> Any:
    async def add(connection: Any) -> int:
        await connection.execute("INSERT INTO numbers VALUES ($1)", number)
        return number

    return add


# -- lending -------------------------------------------------------------------------------------------------


async def test_calls_one_after_the_other_use_one_connection(engine: Engine) -> None:
    """It goes from hand to hand."""
    pids = {(await engine.fetch("ask", "SELECT pg_backend_pid()"))[0][0] for _ in range(5)}

    assert 1 == len(pids)


async def test_no_more_than_max_size_are_opened(adapter: PostgreSQLAdapter) -> None:
    """The others wait for their turn, and all get it."""
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(adapter.engine.transact("save to", adding(number)))

    assert list(range(20)) == await numbers(adapter.engine)
    assert 3 == (await adapter.stats())["connections"]


async def test_an_exhausted_pool_says_so(url: str) -> None:
    """Who waits for too long learns the limit; the others are not harmed."""
    async with PostgreSQLAdapter(url, max_size=1, command_timeout_s=0.5) as adapter:
        async with adapter.engine.reading() as connection:
            with pytest.raises(StorageError, match="max_size, which is 1") as caught:
                await adapter.engine.fetch("read", "SELECT 1")
            assert 1 == await connection.fetchval("SELECT 1")

        assert [(1,)] == [tuple(row) for row in await adapter.engine.fetch("read", "SELECT 1")]
        assert adapter.url == caught.value.path


async def test_who_gives_up_in_line_leaves_his_turn_to_the_next(url: str) -> None:
    """A cancelled waiter loses no connection."""
    async with PostgreSQLAdapter(url, max_size=1) as adapter:
        async with adapter.engine.reading():
            waiting = [asyncio.create_task(adapter.engine.fetch("read", "SELECT 1")) for _ in range(3)]
            await asyncio.sleep(0.01)
            waiting[0].cancel()
        waiting[1].cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)

        assert [(1,)] == [tuple(row) for row in results[2]]
        assert 1 == (await adapter.stats())["idle_connections"]


async def test_min_size_is_opened_at_once(url: str) -> None:
    """And kept."""
    async with PostgreSQLAdapter(url, min_size=2) as adapter:
        assert 2 == (await adapter.stats())["idle_connections"]


async def test_a_cancelled_read_leaves_nothing_behind(engine: Engine) -> None:
    """Its connection is given up, and its statement with it."""
    task = asyncio.create_task(engine.fetch("read", "SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(1,)] == [tuple(row) for row in await engine.fetch("read", "SELECT 1")]
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(30)'"
    async with asyncio.timeout(10):
        while (await engine.fetch("look", running))[0][0]:
            await asyncio.sleep(0.02)


async def test_a_snapshot_reads_as_of_one_moment(engine: Engine) -> None:
    """What is saved meanwhile is not seen, and nothing can be written."""
    async with engine.snapshot() as connection:
        assert 0 == await connection.fetchval("SELECT count(*) FROM numbers")
        await engine.transact("save to", adding(1))
        assert 0 == await connection.fetchval("SELECT count(*) FROM numbers")

    with pytest.raises(StorageError):
        async with engine.snapshot() as connection:
            await connection.execute("INSERT INTO numbers VALUES (2)")
    assert [1] == await numbers(engine)


async def test_errors_of_the_driver_are_translated(engine: Engine) -> None:
    """Whatever way a statement is sent; the driver's is the cause."""
    wrong = "SELECT * FROM nowhere"

    with pytest.raises(StorageError, match="a table is not there") as first:
        await engine.fetch("read", wrong)
    with pytest.raises(StorageError, match="cannot look into postgresql://") as second:
        async with engine.reading(attempted="look into") as connection:
            await connection.fetch(wrong)
    with pytest.raises(StorageError) as third:
        await engine.transact("save to", lambda connection: connection.fetch(wrong))
    for caught in (first, second, third):
        assert isinstance(caught.value.__cause__, asyncpg.UndefinedTableError)


async def test_a_closed_adapter_refuses(url: str) -> None:
    """Before and after; what was closed can be opened again."""
    adapter = PostgreSQLAdapter(url)
    with pytest.raises(NotInitializedError):
        _ = adapter.engine
    async with adapter:
        engine = adapter.engine
    with pytest.raises(UnitClosedError):
        _ = adapter.engine
    with pytest.raises(UnitClosedError):
        await engine.fetch("read", "SELECT 1")
    async with adapter:
        await adapter.engine.fetch("read", "SELECT 1")


async def test_closing_waits_for_what_was_begun(url: str) -> None:
    """A transaction that is under way comes to its end."""
    adapter = PostgreSQLAdapter(url)
    await adapter.initialize()
    engine = adapter.engine
    await engine.transact("make", make_numbers)
    began = asyncio.Event()

    async def slow(connection: Any) -> None:
        began.set()
        await connection.execute("INSERT INTO numbers VALUES (1)")
        await connection.execute("SELECT pg_sleep(0.3)")

    task = asyncio.create_task(engine.transact("save to", slow))
    await began.wait()
    await adapter.shutdown()
    await task

    async with adapter:
        assert [1] == await numbers(adapter.engine)


# -- transactions --------------------------------------------------------------------------------------------


async def test_a_failed_transaction_changes_nothing(engine: Engine) -> None:
    """The error is that of the work, and the connection is as good as before."""

    async def work(connection: Any) -> None:
        await connection.execute("INSERT INTO numbers VALUES (1)")
        raise LookupError

    with pytest.raises(LookupError):
        await engine.transact("save to", work)
    assert [] == await numbers(engine)


async def test_a_failure_that_the_work_hides_is_no_success(engine: Engine) -> None:
    """PostgreSQL rolls back at COMMIT, and says so."""

    async def work(connection: Any) -> None:
        await connection.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO numbers VALUES (1)")

    with pytest.raises(StorageError, match="rolled back"):
        await engine.transact("save to", work)
    assert [] == await numbers(engine)


async def test_a_transaction_whose_caller_is_cancelled_is_completed(engine: Engine) -> None:
    """Once it has begun; the caller learns of the cancellation when it is done."""
    began = asyncio.Event()

    async def work(connection: Any) -> None:
        await connection.execute("INSERT INTO numbers VALUES (1)")
        began.set()
        await connection.execute("SELECT pg_sleep(0.1)")

    task = asyncio.create_task(engine.transact("save to", work))
    await began.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [1] == await numbers(engine)


async def test_deadlocks_are_tried_again(engine: Engine) -> None:
    """Two that wait for one another crosswise both come to their end."""
    await engine.transact("save to", adding(1))
    await engine.transact("save to", adding(2))
    add_to = "UPDATE numbers SET value = value + 1 WHERE number = $1"
    tries = []
    barrier = asyncio.Barrier(2)

    def crossing(first: int, second: int) -> Any:
        async def work(connection: Any) -> None:
            tries.append(first)
            await connection.execute(add_to, first)
            if len(tries) <= 2:
                await barrier.wait()
            await connection.execute(add_to, second)

        return work

    await asyncio.gather(
        engine.transact("save to", crossing(1, 2)), engine.transact("save to", crossing(2, 1))
    )

    assert [2, 2] == [row[0] for row in await engine.fetch("read", "SELECT value FROM numbers")]
    assert 3 == len(tries)
    assert 1 == engine.retries


async def test_serialization_failures_are_tried_again(engine: Engine) -> None:
    """Also those that the server only finds at the commit."""
    tries = []

    async def work(connection: Any) -> int:
        tries.append(1)
        if len(tries) < 3:
            await connection.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END $$"
            )
        return len(tries)

    assert 3 == await engine.transact("save to", work)


async def test_a_lost_connection_is_replaced(engine: Engine) -> None:
    """Before the commit, the transaction is simply run again."""
    tries = []

    async def work(connection: Any) -> None:
        tries.append(1)
        await connection.execute("INSERT INTO numbers VALUES (1)")
        if len(tries) == 1:
            await end(engine, connection.get_server_pid())
            await connection.execute("INSERT INTO numbers VALUES (2)")

    await engine.transact("save to", work)

    assert [1] == await numbers(engine)
    assert 2 == len(tries)


async def test_a_lost_connection_is_replaced_in_reads(engine: Engine) -> None:
    """They are asked again."""
    tries = []

    async def work(connection: Any) -> int:
        tries.append(1)
        if len(tries) == 1:
            await end(engine, connection.get_server_pid())
        return int(await connection.fetchval("SELECT 7"))

    assert 7 == await engine.read("read", work, primary=True)


async def test_the_servers_farewell_is_heard(engine: Engine) -> None:
    """A connection that was idle may have been told that the server ends, and not be closed yet."""
    fields = b"SFATAL\0C57P01\0Mterminating connection\0\0"
    for use in (lambda: engine.fetch("read", "SELECT 7"), lambda: engine.transact("add", adding(1))):
        connection, _ = (await engine.homes.here()).primary._idle[-1]
        connection._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        assert not connection.is_closed()

        await use()

        assert connection.is_closed()
    assert [1] == await numbers(engine)


async def end(engine: Engine, pid: int) -> None:
    await engine.fetch("end", "SELECT pg_terminate_backend($1, 5000)", pid)


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_commit_without_an_answer_is_looked_into(engine: Engine, *, is_stored: bool) -> None:
    """`check` tells whether it has happened; if not, the work is done again."""
    tries = []

    async def work(connection: Any) -> str:
        tries.append(1)
        await connection.execute("INSERT INTO numbers VALUES (1)")
        if len(tries) == 1:
            lose_at_commit(connection, is_stored=is_stored)
        return f"try {len(tries)}"

    async def check(connection: Any) -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM numbers WHERE number = 1"))

    assert ("try 1" if is_stored else "try 2") == await engine.transact("save to", work, check=check)
    assert [1] == await numbers(engine)


async def test_a_commit_without_an_answer_is_told(engine: Engine) -> None:
    """Where nobody can find out, the caller has to."""

    async def work(connection: Any) -> None:
        await connection.execute("INSERT INTO numbers VALUES (1)")
        lose_at_commit(connection, is_stored=True)

    with pytest.raises(StorageError, match="look whether they are there"):
        await engine.transact("save to", work)


def lose_at_commit(connection: Any, *, is_stored: bool) -> None:
    """Have the answer to COMMIT get lost, or COMMIT itself."""
    execute = connection.execute

    async def lose(statement: str, *args: Any, **options: Any) -> str:
        if statement == "COMMIT":
            del connection.__class__.execute
            if is_stored:
                await execute(statement)
            connection.terminate()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return str(await execute(statement, *args, **options))

    kind = type(connection)
    connection.__class__ = type("Losing", (kind,), {"__slots__": (), "execute": staticmethod(lose)})


# -- loops, threads, processes -------------------------------------------------------------------------------


async def test_each_loop_has_its_own_connections(adapter: PostgreSQLAdapter) -> None:
    """Several threads with a loop each write at the same time; with their loops, their connections end."""

    def writer(first: int) -> Any:
        async def write() -> None:
            for number in range(first, first + 10):
                await adapter.engine.transact("save to", adding(number))
            await adapter.engine.fetch("read", "SELECT 1")

        return write

    await asyncio.to_thread(run_in_threads, *(writer(first) for first in (0, 10, 20, 30)))

    assert list(range(40)) == await numbers(adapter.engine)
    backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    async with asyncio.timeout(10):
        while (await adapter.engine.fetch("look", backends))[0][0] > 3:
            await asyncio.sleep(0.02)
    assert 3 >= (await adapter.stats())["connections"]


def test_a_loop_that_was_just_closed_leaves_no_warning(url: str) -> None:
    """Also one whose owner did not let it end its asynchronous generators."""
    adapter = PostgreSQLAdapter(url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(adapter.initialize())
    loop.run_until_complete(adapter.engine.fetch("read", "SELECT 1"))
    loop.close()

    async def go_on() -> None:
        await adapter.engine.fetch("read", "SELECT 1")
        assert 1 == (await adapter.stats())["event_loops"]
        await adapter.shutdown()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(go_on())
        del loop
        gc.collect()


def test_shutdown_closes_those_of_a_loop_that_stands_still(url: str) -> None:
    """It can be run again, and closed, and nothing is left."""
    adapter = PostgreSQLAdapter(url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(adapter.initialize())

    asyncio.run(adapter.shutdown())

    loop.run_until_complete(adapter.initialize())
    loop.run_until_complete(adapter.engine.fetch("read", "SELECT 1"))
    loop.run_until_complete(adapter.shutdown())
    loop.close()
    gc.collect()


async def test_shutdown_closes_those_of_other_loops(url: str) -> None:
    """Where these run."""
    adapter = PostgreSQLAdapter(url)
    await adapter.initialize()
    connected, may_end = threading.Event(), threading.Event()

    def use() -> None:
        async def main() -> None:
            await adapter.engine.fetch("read", "SELECT 1")
            connected.set()
            await asyncio.to_thread(may_end.wait, 20)

        asyncio.run(main())

    thread = threading.Thread(target=use)
    thread.start()
    await asyncio.to_thread(connected.wait, 20)
    await adapter.shutdown()
    may_end.set()
    await asyncio.to_thread(thread.join)


async def test_a_forgotten_adapter_warns(url: str) -> None:
    """Once, and of itself only; its connections are closed."""

    async def forget() -> None:
        adapter = PostgreSQLAdapter(url)
        await adapter.initialize()
        await adapter.engine.fetch("read", "SELECT 1")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await forget()
        gc.collect()
        await asyncio.sleep(0.05)
        gc.collect()

    assert [True] == ["was never shut down" in str(each.message) for each in caught]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_opens_its_own_connections(url: str) -> None:
    """And leaves those of its parent alone."""
    adapter = PostgreSQLAdapter(url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(adapter.initialize())
    asked = "SELECT pg_backend_pid()"
    mine = loop.run_until_complete(adapter.engine.fetch("ask", asked))[0][0]
    here, there = multiprocessing.get_context("fork").Pipe()

    def in_child() -> None:
        async def main() -> None:
            there.send((await adapter.engine.fetch("ask", asked))[0][0])
            await adapter.shutdown()

        asyncio.run(main())

    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join(20)

    assert 0 == child.exitcode
    assert mine != here.recv()
    assert mine == loop.run_until_complete(adapter.engine.fetch("ask", asked))[0][0]
    loop.run_until_complete(adapter.shutdown())
    loop.close()
    here.close()
    there.close()


# -- small parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "plain", "\0", "\ue0f0", "\ue0f00\0\ue0f01\0\0", "0\ue0f0\ue0f0\0x", "é\0"]
)
def test_any_text_comes_back(text: str) -> None:
    """NUL is escaped, and what escapes it."""
    assert text == unescape(escape(text))
    assert "\0" not in escape(text)


async def test_no_statement_stays_prepared_where_none_may(url: str, server: PostgreSQLServer) -> None:
    """`statement_cache_size=0`: each is sent whole, as what stands between may give it to any session."""
    async with PostgreSQLAdapter(url, statement_cache_size=0) as adapter:
        for _ in range(3):
            await adapter.engine.fetch("read", "SELECT $1::int", 1)
        found = await adapter.engine.fetch(
            "look", "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"
        )

    assert 0 == found[0][0]
