"""Sessions on PostgreSQL when something goes wrong: lost connections, damaged rows, cancelled calls."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from library.infrastructure.data import (
    CorruptDataError,
    DuplicateSessionError,
    InvalidValueError,
    MemorySessionStore,
    SessionConfig,
    SessionData,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)
from library.infrastructure.data.conformance.row_transfer import Given, Taken
from library.infrastructure.data.session_record import SessionRecord
from library.infrastructure.data.session_store import Limits
from library.infrastructure.interfaces.database import PostgreSQLAdapter
from library.infrastructure.interfaces.database.postgresql import session_loading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from postgresql_server import PostgreSQLServer

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
FIRST = 1_715_947_200_000_000


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> None:
        """Set the time."""
        self.now = NOON + timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Let the time stand still."""
    return Clock()


def manager_of(
    url: str, clock: Callable[[], datetime], table: str = "sessions", **more: Any
) -> SessionManager:
    """Build a manager whose sessions live for a minute, and that cleans up only when asked to."""
    options = {"session_timeout": timedelta(seconds=60), "cleanup_interval": None, **more}
    return SessionManager(SessionConfig(**options), PostgreSQLAdapter(url), table_name=table, clock=clock)


@pytest.fixture
async def manager(url: str, clock: Clock) -> AsyncIterator[SessionManager]:
    """A manager that is open."""
    async with manager_of(url, clock) as manager:
        yield manager
        assert [] == await problems_of(manager)


async def problems_of(manager: SessionManager) -> list[str]:
    """Check the sessions of a manager."""
    store: Any = manager._store
    problems: list[str] = await store.check()
    return problems


# -- lost connections ----------------------------------------------------------------------------------------


async def count(manager: SessionManager, session_id: str) -> Any:
    session = await manager.update_session(session_id, lambda found: {"n": found.metadata.get("n", 0) + 1})
    return session.metadata["n"]


async def create(manager: SessionManager, _: str) -> Any:
    await manager.create_session("bob")
    return len(await manager.list_sessions("bob"))


async def clean_up(manager: SessionManager, _: str) -> Any:
    manager._clock.at(61)  # type: ignore[attr-defined]  # it is ours
    return await manager.cleanup_expired_sessions()


async def touch(manager: SessionManager, session_id: str) -> Any:
    manager._clock.at(30)  # type: ignore[attr-defined]  # it is ours
    await manager.touch(session_id)
    return ((await manager.get_session(session_id)).last_activity - NOON).seconds


CALLS: dict[str, tuple[Callable[[SessionManager, str], Awaitable[Any]], Any]] = {
    "create": (create, 1),
    "update": (count, 1),
    "end": (lambda manager, session_id: manager.end_session(session_id), True),
    "delete": (lambda manager, session_id: manager.delete_session(session_id), True),
    "clean up": (clean_up, 1),
    "touch": (touch, 30),
}


@pytest.mark.parametrize("options", [{}, {"max_sessions": 5}, {"max_sessions_per_user": 2}], ids=str)
@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("call", CALLS)
async def test_a_connection_lost_in_mid_commit(
    call: str,
    is_stored: bool,
    options: dict[str, Any],
    url: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was asked for is done once, and answered rightly, whether or not the server did it at first."""
    make, expected = CALLS[call]
    async with manager_of(url, clock, **options) as manager:
        session_id = await manager.create_session("ann")
        lost: list[str] = []

        def losing(method: Any) -> Any:
            async def run(connection: Any, statement: str, *values: Any, **others: Any) -> Any:
                if lost or not (statement == "COMMIT" or "), counted AS (" in statement):
                    return await method(connection, statement, *values, **others)
                lost.append(statement)
                if is_stored:
                    await method(connection, statement, *values, **others)
                connection.terminate()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

            return run

        for name in ("execute", "fetch"):
            monkeypatch.setattr(asyncpg.Connection, name, losing(getattr(asyncpg.Connection, name)))

        assert expected == await make(manager, session_id)

        assert 1 == len(lost)
        assert [] == await problems_of(manager)


# -- damage --------------------------------------------------------------------------------------------------

DAMAGES = {
    "no json": "metadata = 'not json'",
    "no object": "metadata = '[1, 2]'",
    "no time": "last_activity = 9000000000000000000",
}


@pytest.fixture(params=list(DAMAGES))
async def damaged(
    request: pytest.FixtureRequest, url: str, clock: Clock, server: PostgreSQLServer, database: str
) -> tuple[str, str]:
    """Make a damaged session, and one that is not; return their ids."""
    async with manager_of(url, clock) as manager:
        bad = await manager.create_session("bad", {"number": 1})
        clock.at(1)
        good = await manager.create_session("good", {"number": 2})
    await server.execute(f"UPDATE sessions SET {DAMAGES[request.param]} WHERE user_id = 'bad'", database)
    return bad, good


async def test_a_damaged_session(damaged: tuple[str, str], url: str, clock: Clock) -> None:
    """Whoever asks for it is told that it is damaged; all other sessions go on."""
    bad, good = damaged
    async with manager_of(url, clock) as manager:
        calls: list[Callable[[], Any]] = [
            lambda: manager.get_session(bad),
            lambda: manager.get_session(bad, None),
            lambda: manager.touch(bad),
            lambda: manager.update_session(bad, {"number": 3}),
            lambda: manager.update_session(bad, lambda _: {"number": 3}),
            lambda: manager.end_session(bad),
        ]
        for number, call in enumerate(calls):
            calling: list[Any] = [
                call(),
                manager.get_session(good),
                manager.update_session(good, {"number": number}),
                manager.touch(good),
                manager.end_session(await manager.create_session("ann", {"number": 0})),
            ]
            results = await asyncio.gather(*calling, return_exceptions=True)
            assert CorruptDataError is type(results[0]), repr(results[0])
            assert url in str(results[0])
            assert bad not in str(results[0])
            assert [] == [each for each in results[1:] if isinstance(each, BaseException)]
            assert number == (await manager.get_session(good)).metadata["number"]
        assert [] != await problems_of(manager)


async def test_a_damaged_session_can_be_deleted(damaged: tuple[str, str], url: str, clock: Clock) -> None:
    """Nothing of it has to be understood for that; then all is well."""
    bad, good = damaged
    async with manager_of(url, clock) as manager:
        assert await manager.delete_session(bad) is True

        assert [good] == [each.session_id for each in await manager.list_sessions()]
        assert [] == await problems_of(manager)


@pytest.mark.parametrize("policy", ["delete", "deactivate"])
async def test_a_damaged_session_keeps_nothing_from_going(
    policy: str, damaged: tuple[str, str], url: str, clock: Clock
) -> None:
    """It expires with the others, and makes room for new ones first."""
    options: dict[str, Any] = {"max_sessions": 2, "max_sessions_per_user": 2, "cleanup_policy": policy}
    async with manager_of(url, clock, **options) as manager:
        third = await manager.create_session("ann")
        assert damaged[1] == (await manager.get_session(damaged[1])).session_id
        clock.at(62)
        assert 2 == await manager.cleanup_expired_sessions()
        ids = [await manager.create_session("ann", {"number": number}) for number in range(3)]
        assert 2 == (await manager.get_session(ids[2])).metadata["number"]
        assert third not in ids


# -- calls that are cancelled, or bad ------------------------------------------------------------------------


async def give_time(storm: int) -> None:
    """Let others work for a while, which differs from storm to storm."""
    for _ in range(storm % 5):
        await asyncio.sleep(0)
    if storm % 2:
        await asyncio.sleep(storm / 2_000)  # not to wait for something: the moment is the test's input


@pytest.mark.parametrize(
    "options",
    [{}, {"max_sessions": 50}, {"max_sessions_per_user": 10, "limit_policy": "refuse"}],
    ids=["no limit", "evicting", "refusing"],
)
async def test_storms_of_cancelled_creations(options: dict[str, Any], url: str, clock: Clock) -> None:
    """A session whose creation was cancelled is there or not; those acknowledged are, and all are counted."""
    async with manager_of(url, clock, **options) as manager:
        acknowledged: set[str] = set()
        for storm in range(12):
            tasks = [asyncio.create_task(manager.create_session(f"user{each % 5}")) for each in range(40)]
            await give_time(storm)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            acknowledged |= {result for result in results if isinstance(result, str)}

        there = {each.session_id for each in await manager.list_sessions(limit=None)}
        if options:
            assert 50 == len(there)
        else:
            assert 240 <= len(acknowledged) <= len(there) <= 480
            assert acknowledged <= there
        assert [] == await problems_of(manager)


async def test_storms_of_cancelled_changes(manager: SessionManager, clock: Clock) -> None:
    """A change that was cancelled was made or not; those acknowledged were, and no session was harmed."""
    ids = [await manager.create_session("ann") for _ in range(3)]
    expected: dict[str, int] = {}
    counted = 0
    for storm in range(12):
        keys = [f"key{storm}x{number}" for number in range(20)]
        calls: list[Any] = [manager.update_session(ids[0], {key: storm}) for key in keys]
        calls += [count(manager, ids[1]) for _ in range(6)]
        calls += [manager.touch(ids[2]) for _ in range(10)]
        calls += [manager.end_session(await manager.create_session("bob")) for _ in range(2)]
        calls += [manager.delete_session(await manager.create_session("bob")) for _ in range(2)]
        tasks = [asyncio.create_task(call) for call in calls]
        await give_time(storm)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {SessionData, int, bool, type(None), asyncio.CancelledError} >= {
            type(each) for each in results
        }
        made = zip(keys, results[:20], strict=True)
        expected |= {key: storm for key, result in made if isinstance(result, SessionData)}
        counted += sum(isinstance(result, int) for result in results[20:26])

    metadata = (await manager.get_session(ids[0])).metadata
    assert expected.items() <= metadata.items()
    assert counted <= (await manager.get_session(ids[1])).metadata["n"] <= 72
    clock.at(59)
    await manager.get_session(ids[2])
    clock.at(62)
    with pytest.raises(SessionExpiredError):
        await manager.get_session(ids[2])


async def test_a_bad_call_among_many_fails_alone(url: str, clock: Clock) -> None:
    """Of many calls that share transactions, the impossible ones fail, each by its own error."""
    async with manager_of(url, clock, max_sessions_per_user=10, limit_policy="refuse") as manager:
        ended = await manager.create_session("ann")
        await manager.end_session(ended)
        clock.at(-60)
        expired = await manager.create_session("bob")
        clock.at(0)
        results = await asyncio.gather(
            *(manager.create_session("ann") for _ in range(12)),
            *(manager.update_session(each, {"key": 1}) for each in (ended, expired, "unknown")),
            *(manager.touch(each) for each in (ended, expired, "unknown")),
            return_exceptions=True,
        )

        names = [type(each).__name__ for each in results]
        assert ["str"] * 10 + ["SessionLimitError"] * 2 == names[:12]
        refused = [each.__name__ for each in (SessionEndedError, SessionExpiredError, SessionNotFoundError)]
        assert refused * 2 == names[12:]
        assert [] == await problems_of(manager)


@pytest.mark.parametrize("seed", range(24))
async def test_making_room_for_many_at_once(seed: int, url: str, clock: Clock) -> None:
    """Sessions that are created together have the places, and the refusals, of those created one by one."""
    chance = random.Random(seed)
    most, most_of_user = chance.choice([(12, None), (None, 4), (14, 4), (10, 4)])
    options: dict[str, Any] = {
        "max_sessions": most,
        "max_sessions_per_user": most_of_user,
        "limit_policy": chance.choice(["evict_oldest", "refuse"]),
        "cleanup_policy": chance.choice(["delete", "deactivate"]),
    }
    former = [(chance.choice("abc"), chance.uniform(0, 100)) for _ in range(chance.randrange(8, 20))]
    new = [user for user in "abcd" for _ in range(chance.randrange(1, 4))][: most or 99]
    chance.shuffle(new)
    config = SessionConfig(session_timeout=timedelta(seconds=60), cleanup_interval=None, **options)
    outcomes = []
    for is_together in (False, True):
        expired: list[int] = []
        async with SessionManager(
            config,
            PostgreSQLAdapter(url) if is_together else None,
            store=None if is_together else MemorySessionStore(),
            clock=clock,
            on_expired=lambda session, told=expired: told.append(session.metadata["n"]),
        ) as manager:
            clock.at(0)
            unlimited = Limits(None, None, evicts=True, keeps=False)
            for number, (user, second) in enumerate(former):
                clock.at(second)
                moment = manager._moment()
                times = (clock.now,) * 3
                record = SessionRecord(f"former {number}", user, *times, {"n": number}, is_flat=True)
                await manager._store.create(record, unlimited, moment)
            clock.at(100)
            calls = [manager.create_session(user, {"n": 100 + number}) for number, user in enumerate(new)]
            if is_together:
                created = await asyncio.gather(*calls, return_exceptions=True)
            else:
                created = [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]
            active = {each.metadata["n"] for each in await manager.list_sessions(active=True, limit=None)}
            inactive = {each.metadata["n"] for each in await manager.list_sessions(active=False)}
            refused = [str(each) if isinstance(each, Exception) else None for each in created]
            outcomes.append((active, inactive, sorted(expired), refused))
            if is_together:
                assert [] == await problems_of(manager)

    assert outcomes[0] == outcomes[1]


async def test_one_table_by_two_spellings(url: str, clock: Clock) -> None:
    """Names of tables differ in more than case."""
    async with manager_of(url, clock, "Chats") as one, manager_of(url, clock, "chatS") as other:
        ids = [await manager.create_session("ann") for manager in (one, other)]

        assert set(ids) == {each.session_id for each in await one.list_sessions()}
        assert [] == await problems_of(other)


# -- what is held in memory ----------------------------------------------------------------------------------


async def test_reading_beside_writing_what_is_held(manager: SessionManager, clock: Clock) -> None:
    """Whoever reads while held activity is being written knows of all of it, all the time."""
    ids = [await manager.create_session("ann") for _ in range(20)]
    for second in range(1, 16):
        clock.at(second)
        await asyncio.gather(*(manager.touch(each) for each in ids))
        clock.at(second + 0.5)
        await asyncio.gather(*(manager.touch(each) for each in ids))
        reads = [manager.get_session(each) for each in ids]
        read, listed, _ = await asyncio.gather(
            asyncio.gather(*reads), manager.list_sessions(), manager.flush()
        )
        assert {clock.now} == {each.last_activity for each in (*read, *listed)}
        await manager.flush()


# -- imports -------------------------------------------------------------------------------------------------


def row(session_id: str, user_id: str = "ann", second: int = 0) -> tuple[Any, ...]:
    """Make the row of an active session."""
    at = FIRST + second * 1_000_000
    return (session_id, user_id, at, at, True, None, None, "{}")


async def export(manager: SessionManager) -> list[Any]:
    """Read all rows."""
    taken = Taken()
    await manager._store.export(None, taken)
    return taken.rows


async def test_a_session_that_comes_twice(manager: SessionManager) -> None:
    """It is refused, replaced or left out, as what is stored already; nothing of the import stays."""
    rows = [row("a", "first"), row("b"), row("a", "last")]
    with pytest.raises(DuplicateSessionError, match="comes twice") as caught:
        await manager._store.load(Given(rows), "append")
    assert "a" == caught.value.session_id
    assert [] == await export(manager)

    assert (2, 0, 1, 0) == await manager._store.load(Given(rows), "replace")
    assert "last" == (await manager.get_session("a")).user_id
    assert (0, 3, 0, 0) == await manager._store.load(Given(rows), "skip_duplicates")


async def test_an_import_with_another_one_s_digest(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused: two sessions of one number could not be told apart."""
    monkeypatch.setattr(session_loading, "session_key", lambda _: 1)

    with pytest.raises(InvalidValueError, match="digest"):
        await manager._store.load(Given([row("a"), row("b")]), "append")
    assert 1 == (await manager._store.load(Given([row("a")]), "append")).written
    with pytest.raises(InvalidValueError, match="digest"):
        await manager._store.load(Given([row("b")]), "replace")


async def test_imports_at_the_same_time(manager: SessionManager) -> None:
    """Of four that replace the same sessions, each is whole; of four that append them, one is stored."""
    names = [f"user{number}" for number in range(4)]
    ids = [f"s{number}" for number in range(500)]
    loads = [Given([row(each, name) for each in ids]) for name in names]
    loaded = await asyncio.gather(*(manager._store.load(each, "replace") for each in loads))
    assert [500] * 4 == [each.written for each in loaded]
    assert 1 == len({each[1] for each in await export(manager)})

    await asyncio.gather(*(manager.delete_session(each) for each in ids))
    loads = [Given([row(each, name) for each in ids]) for name in names]
    results = await asyncio.gather(
        *(manager._store.load(each, "append") for each in loads), return_exceptions=True
    )
    assert [DuplicateSessionError] * 3 == [type(each) for each in results if isinstance(each, Exception)]
    assert 1 == len({each[1] for each in await export(manager)})


async def test_exports_of_long_texts(manager: SessionManager) -> None:
    """They come in small parts, all of one moment, the oldest first."""
    long = "x" * 300_000
    rows = [(*row(f"s{number}", second=number)[:7], f'{{"t":"{long}"}}') for number in range(60)]
    await manager._store.load(Given(rows), "append")
    sizes: list[int] = []

    class Noting(Taken):
        def take(self, rows: Any) -> None:
            sizes.append(len(rows))
            super().take(rows)

    taken = Noting()
    await manager._store.export(None, taken)

    assert rows == taken.rows
    assert max(sizes) <= 20
