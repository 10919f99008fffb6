"""What goes wrong with a real server: killed, restarted, gone, full, slow, wrong, or newer than the code."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgresql_server import PASSWORD, PostgreSQLServer, free_port
from tls_proxy import make_certificate, tls_in_front_of

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    InvalidOptionError,
    NewerSchemaError,
    ReadOnlyStorageError,
    StorageError,
)
from library.infrastructure.interfaces.database import PostgreSQLAdapter
from library.infrastructure.interfaces.database.postgresql.named_sql import read_migrations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from library.infrastructure.interfaces.database.postgresql.engine import Engine

ASK = "SELECT pg_is_in_recovery()"


async def made(server: PostgreSQLServer) -> str:
    """Make a database on a server of one's own, and return its URL."""
    await server.execute("CREATE DATABASE own")
    return server.url("own")


def message(number: int, conversation: str = "c") -> ConversationMessage:
    return ConversationMessage(conversation, f"question {number}", "answer", datetime.now(UTC), 1.0)


# -- killed and restarted ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "restarted"])
async def test_every_acknowledged_save_is_there_once(
    own_server: PostgreSQLServer, how: signal.Signals
) -> None:
    """The server ends in the middle of many saves, twice; the callers wait until it is back."""
    async with PostgreSQLAdapter(await made(own_server), command_timeout_s=30) as adapter:
        unit = ConversationHistoryUnit(adapter)
        await unit.initialize()
        acknowledged: dict[int, str] = {}
        is_over = False

        async def save(worker: int) -> None:
            number = 0
            while not is_over:
                saved = message(number, f"worker {worker}")
                acknowledged[await unit.save_message(saved)] = f"{worker}/{saved.user_input}"
                number += 1

        async with asyncio.TaskGroup() as group:
            for worker in range(12):
                group.create_task(save(worker))
            for _ in range(2):
                await asyncio.sleep(0.5)
                before = len(acknowledged)
                await asyncio.to_thread(own_server.stop, how)
                await asyncio.sleep(0.2)
                await asyncio.to_thread(own_server.start)
                while len(acknowledged) < before + 50:
                    await asyncio.sleep(0.01)
            is_over = True

        found: list[tuple[int | None, str]] = []
        for worker in range(12):
            history = await unit.get_conversation_history(f"worker {worker}", 100_000)
            found += [(each.message_id, f"{worker}/{each.user_input}") for each in history]
        assert sorted(acknowledged.items()) == sorted(found)
        assert len({text for _, text in found}) == len(found)
        await unit.shutdown()


async def test_an_earlier_exchange_is_not_taken_for_one_that_was_not_sent(
    server: PostgreSQLServer, database: str, url: str
) -> None:
    """The connection is lost before the second of two that are equal is sent."""
    twin = message(1)
    async with PostgreSQLAdapter(url) as adapter, ConversationHistoryUnit(adapter) as unit:
        first = await unit.save_message(twin)
    async with PostgreSQLAdapter(url) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.get_conversation_history("c")
        blocker = await asyncpg.connect(url)
        lock = blocker.transaction()
        await lock.start()
        await blocker.execute('ALTER SEQUENCE "nb:conversations:ids" RENAME TO other')
        saving = asyncio.create_task(unit.save_message(twin))
        ended = 0
        while not ended:
            ended = await end_who_waits(server, database)
        await lock.rollback()
        await blocker.close()

        assert first != await saving
        assert 2 == len(await unit.get_conversation_history("c"))


async def end_who_waits(server: PostgreSQLServer, database: str) -> int:
    """End the connections that wait for a lock; return how many there were."""
    waiting = "FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    return len(await server.fetch(f"SELECT pg_terminate_backend(pid) {waiting}", database))


async def test_callers_wait_for_a_server_that_is_restarted(own_server: PostgreSQLServer) -> None:
    """Reads and saves, begun while it is down."""
    async with PostgreSQLAdapter(await made(own_server)) as adapter:
        engine = adapter.engine
        await engine.fetch("read", "SELECT 1")
        await asyncio.to_thread(own_server.stop)
        reading = asyncio.create_task(engine.fetch("read", "SELECT 7"))
        writing = asyncio.create_task(
            engine.transact("save to", lambda connection: connection.execute("CREATE TABLE x (a int)"))
        )
        await asyncio.sleep(0.3)
        assert not reading.done()
        assert not writing.done()

        await asyncio.to_thread(own_server.start)

        assert [(7,)] == [tuple(row) for row in await reading]
        assert "CREATE TABLE" == await writing


async def test_a_server_that_stays_away_is_told(own_server: PostgreSQLServer) -> None:
    """When `command_timeout_s` has passed; and all is well again when it is back."""
    async with PostgreSQLAdapter(await made(own_server), command_timeout_s=0.6) as adapter:
        await adapter.engine.fetch("read", "SELECT 1")
        await asyncio.to_thread(own_server.kill)

        for _ in range(2):
            with pytest.raises(StorageError, match=r"cannot read from postgresql://.*nothing listens there"):
                await adapter.engine.fetch("read from", "SELECT 1")
            with pytest.raises(StorageError, match=r"cannot save to postgresql://.*check host and port"):
                await adapter.engine.transact("save to", lambda connection: connection.execute("SELECT 1"))

        await asyncio.to_thread(own_server.start)
        assert [(1,)] == [tuple(row) for row in await adapter.engine.fetch("read", "SELECT 1")]


async def test_a_server_that_is_gone_does_not_hold_up_the_end(own_server: PostgreSQLServer) -> None:
    """Nothing warns, nothing hangs."""
    adapter = PostgreSQLAdapter(await made(own_server))
    await adapter.initialize()
    await asyncio.to_thread(own_server.kill)

    async with asyncio.timeout(5):
        await adapter.shutdown()


# -- slow and full -------------------------------------------------------------------------------------------


async def test_the_servers_statement_timeout(server: PostgreSQLServer, database: str, url: str) -> None:
    """Is told, with what to do; the next statement works."""
    await server.execute(f"ALTER DATABASE {database} SET statement_timeout = '100ms'")
    async with PostgreSQLAdapter(url) as adapter:
        with pytest.raises(StorageError, match="statement_timeout"):
            await adapter.engine.fetch("search", "SELECT pg_sleep(20)")
        with pytest.raises(StorageError, match="statement_timeout"):
            await adapter.engine.transact(
                "save to", lambda connection: connection.execute("SELECT pg_sleep(20)")
            )

        assert [(1,)] == [tuple(row) for row in await adapter.engine.fetch("read", "SELECT 1")]


async def test_a_statement_that_takes_too_long_is_cancelled(url: str) -> None:
    """On the server too, and what it locked is free."""
    async with PostgreSQLAdapter(url, command_timeout_s=0.3) as adapter:

        async def lock(connection: Any) -> None:
            await connection.execute("SELECT pg_advisory_xact_lock(7)")
            await connection.execute("SELECT pg_sleep(20)")

        with pytest.raises(StorageError, match="did not answer in time"):
            await adapter.engine.transact("save to", lock)
        with pytest.raises(StorageError, match="did not answer in time"):
            await adapter.engine.fetch("search", "SELECT pg_sleep(20)")

        free = await adapter.engine.transact(
            "save to", lambda connection: connection.fetchval("SELECT pg_try_advisory_xact_lock(7)")
        )
        assert free


async def test_a_server_that_takes_no_more_connections(server: PostgreSQLServer, database: str) -> None:
    """Callers wait for the connections that there are."""
    await server.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 1")
    try:
        async with PostgreSQLAdapter(server.url(database, "limited"), schema="none") as adapter:
            rows = await asyncio.gather(
                *(
                    adapter.engine.fetch("read", "SELECT $1::int, pg_sleep(0.01)", number)
                    for number in range(8)
                )
            )
            assert list(range(8)) == [row[0][0] for row in rows]

            other = PostgreSQLAdapter(server.url(database, "limited"), schema="none")
            with pytest.raises(StorageError, match="max_connections"):
                await other.initialize()
    finally:
        await server.execute("DROP ROLE limited")


# -- wrong ---------------------------------------------------------------------------------------------------


async def refusal(*args: Any, **options: Any) -> StorageError:
    """Return the error with which a database is not opened."""
    adapter = PostgreSQLAdapter(*args, **options)
    with pytest.raises(StorageError) as caught:
        await adapter.initialize()
    assert adapter.url in str(caught.value)
    assert not adapter.is_open
    return caught.value


async def test_a_database_that_is_not_there(server: PostgreSQLServer) -> None:
    """It is not made: a slip of the pen makes no database."""
    assert "CREATE DATABASE" in str(await refusal(server.url("missing")))


async def test_a_wrong_password(server: PostgreSQLServer, database: str) -> None:
    """Is not tried again, and not told."""
    await server.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    try:
        error = await refusal(server.url(database, "guarded"), password="not the one")
    finally:
        await server.execute("DROP ROLE guarded")

    assert "the server refuses the user or the password" in str(error)
    assert "not the one" not in str(error)


async def test_a_port_on_which_nothing_listens() -> None:
    """Opening fails at once: it is most likely a slip of the pen."""
    async with asyncio.timeout(5):
        error = await refusal(host="127.0.0.1", port=free_port(), database="d", user="u")

    assert "nothing listens there: check host and port" in str(error)


async def test_a_host_that_does_not_exist() -> None:
    """The name is not known."""
    error = await refusal(host="nowhere.invalid", database="d", user="u", connect_timeout_s=5)

    assert "check host, port and the network" in str(error)


async def test_a_host_that_does_not_answer() -> None:
    """After `connect_timeout_s`."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = await refusal(
            host="127.0.0.1", port=silent.getsockname()[1], database="d", user="u", connect_timeout_s=0.3
        )

    assert "did not answer in time" in str(error)


async def test_a_server_without_tls(server: PostgreSQLServer, database: str) -> None:
    """Where TLS is asked for."""
    error = await refusal(server.url(database), ssl="require")

    assert "TLS" in str(error)


async def test_a_certificate_that_nobody_vouches_for(
    server: PostgreSQLServer, database: str, tmp_path: Path
) -> None:
    """Is refused, unless it is named; with less asked for, it is taken."""
    certificate, key = make_certificate(tmp_path)
    async with tls_in_front_of(server.port, certificate, key) as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{database}"

        assert "its certificate cannot be verified" in str(await refusal(url, ssl=True))
        for options in ("?sslmode=require", f"?sslmode=verify-full&sslrootcert={certificate}"):
            async with PostgreSQLAdapter(url + options) as adapter:
                assert [(1,)] == [tuple(row) for row in await adapter.engine.fetch("read", "SELECT 1")]


async def test_a_loop_that_was_closed_with_tls(
    server: PostgreSQLServer, database: str, tmp_path: Path
) -> None:
    """Leaves no warning either."""
    certificate, key = make_certificate(tmp_path)

    def use(port: int) -> None:
        adapter = PostgreSQLAdapter(
            host="127.0.0.1", port=port, database=database, user="postgres", ssl="require"
        )
        loop = asyncio.new_event_loop()
        loop.run_until_complete(adapter.initialize())
        loop.close()
        asyncio.run(adapter.shutdown())
        gc.collect()

    async with tls_in_front_of(server.port, certificate, key) as port:
        await asyncio.to_thread(use, port)


async def test_an_encoding_that_cannot_hold_all_text(server: PostgreSQLServer) -> None:
    """Is refused before anything is lost."""
    await server.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        assert "ENCODING 'UTF8'" in str(await refusal(server.url("ascii")))
    finally:
        await server.execute("DROP DATABASE ascii")


async def test_a_user_who_may_not_make_tables(server: PostgreSQLServer, database: str) -> None:
    """Learns what to ask for; a schema of one's own helps."""
    await server.execute("CREATE ROLE modest LOGIN")
    try:
        async with PostgreSQLAdapter(server.url(database, "modest"), schema="none") as adapter:
            with pytest.raises(StorageError, match="GRANT"):
                await adapter.engine.migrate("conversations", "chats")
        await server.execute("CREATE SCHEMA modest AUTHORIZATION modest", database)
        async with PostgreSQLAdapter(server.url(database, "modest"), schema="modest") as adapter:
            await adapter.engine.migrate("conversations", "chats")
    finally:
        await server.execute("DROP SCHEMA IF EXISTS modest CASCADE", database)
        await server.execute("DROP ROLE modest")


# -- schemas -------------------------------------------------------------------------------------------------


async def test_a_schema_that_is_newer_than_the_code(
    server: PostgreSQLServer, database: str, url: str
) -> None:
    """Is refused, and not touched: of the database when it is opened, of a table with the table."""
    newer = "UPDATE nanobrain_tables SET schema_version = schema_version + 1 WHERE name = "
    await server.execute(newer + "'conversations'", database)
    async with PostgreSQLAdapter(url) as adapter:
        with pytest.raises(NewerSchemaError, match="upgrade nanobrain-data"):
            await adapter.engine.migrate("conversations", "conversations")
        await adapter.engine.migrate("sessions", "sessions")
    await server.execute(newer + "''", database)

    assert isinstance(await refusal(url), NewerSchemaError)


async def test_tables_of_others_are_not_touched(server: PostgreSQLServer, database: str, url: str) -> None:
    """Nor one that keeps something else."""
    await server.execute('CREATE TABLE "Chats" (a int)', database)
    async with PostgreSQLAdapter(url) as adapter:
        with pytest.raises(InvalidOptionError, match="did not make"):
            await adapter.engine.migrate("conversations", "chats")
        with pytest.raises(InvalidOptionError, match="keeps conversations, not sessions"):
            await adapter.engine.migrate("sessions", "Conversations")


async def test_many_make_one_table_at_once(server: PostgreSQLServer, url: str) -> None:
    """One of them does, in a schema that was not there."""
    adapters = [PostgreSQLAdapter(url, schema="Own_1") for _ in range(6)]
    for adapter in adapters:
        await adapter.initialize()

    await asyncio.gather(*(adapter.engine.migrate("conversations", "x" * 48) for adapter in adapters))

    tables = await adapters[0].engine.fetch("look", 'SELECT name FROM "Own_1".nanobrain_tables ORDER BY 1')
    assert [("",), ("x" * 48,)] == [tuple(row) for row in tables]
    for adapter in adapters:
        await adapter.shutdown()


def test_no_name_is_cut() -> None:
    """PostgreSQL cuts what is longer than 63 bytes, and then takes two for one."""
    names = {
        name.replace("{table}", "x" * 48)
        for kind in ("conversations", "sessions")
        for text in read_migrations(kind)
        for name in re.findall(r'"([^"\n]*\{table\}[^"\n]*)"', text)
    }

    assert len(names) > 8
    assert [] == [name for name in names if len(name) > 63]


# -- replicas ------------------------------------------------------------------------------------------------


@pytest.fixture
def replica(own_server: PostgreSQLServer) -> Iterator[PostgreSQLServer]:
    """A server that follows the test's own."""
    server = PostgreSQLServer(primary=own_server)
    yield server
    server.remove()


@pytest.fixture
async def engine(own_server: PostgreSQLServer, replica: PostgreSQLServer) -> AsyncIterator[Engine]:
    """The engine of an adapter with one replica, which knows the database."""
    url = await made(own_server)
    adapter = PostgreSQLAdapter(url, replicas=[f"{replica.host}:{replica.port}"], command_timeout_s=20)
    async with adapter:
        async with asyncio.timeout(20):
            while not await replica.fetch("SELECT 1 FROM pg_database WHERE datname = 'own'"):
                await asyncio.sleep(0.05)
        yield adapter.engine


async def is_from_replica(engine: Engine, **options: Any) -> bool:
    return bool((await engine.fetch("ask", ASK, **options))[0][0])


async def write(engine: Engine) -> None:
    await engine.transact(
        "save to", lambda connection: connection.execute("CREATE TABLE IF NOT EXISTS w (a int)")
    )


async def test_replicas_are_read_from(engine: Engine) -> None:
    """Unless the primary is asked for; a task that saved reads what it saved."""
    assert await is_from_replica(engine)
    assert not await is_from_replica(engine, primary=True)

    await asyncio.create_task(write(engine))
    assert await is_from_replica(engine)

    await write(engine)
    assert not await is_from_replica(engine)
    assert not await asyncio.create_task(is_from_replica(engine))


async def test_a_replica_that_is_gone_is_set_aside(
    engine: Engine, replica: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary is asked meanwhile; it is tried again after a while."""
    monkeypatch.setattr("library.infrastructure.interfaces.database.postgresql.replicas._ASIDE_S", 0.5)
    assert await is_from_replica(engine)

    await asyncio.to_thread(replica.kill)
    assert not await is_from_replica(engine)
    assert 0 == engine.replicas.available

    await asyncio.to_thread(replica.start)
    async with asyncio.timeout(20):
        while not await is_from_replica(engine):
            await asyncio.sleep(0.05)
    assert 1 == engine.replicas.available


async def test_a_replica_is_not_taken_for_the_primary(
    own_server: PostgreSQLServer, replica: PostgreSQLServer
) -> None:
    """What may only be read says so; among several hosts, the one that may be written is found."""
    await made(own_server)
    async with asyncio.timeout(20):
        while not await replica.fetch("SELECT 1 FROM pg_database WHERE datname = 'own'"):
            await asyncio.sleep(0.05)

    async with PostgreSQLAdapter(replica.url("own"), command_timeout_s=0.5) as adapter:
        with pytest.raises(ReadOnlyStorageError, match="name the primary"):
            await write(adapter.engine)

    hosts = f"{replica.host}:{replica.port},{own_server.host}:{own_server.port}"
    async with PostgreSQLAdapter(host=hosts, database="own", user="postgres") as adapter:
        await write(adapter.engine)
