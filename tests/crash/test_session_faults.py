"""Full disks, files that may only be read, damaged rows, locks of others: errors say so, the rest goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    CorruptDataError,
    InvalidOptionError,
    LockTimeoutError,
    SessionConfig,
    SessionData,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
    StorageError,
    StorageFullError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
MEGABYTE = 1 << 20


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file for the sessions."""
    return tmp_path / "sessions.db"


def manager_of(
    path: Path, clock: Callable[[], datetime], *, busy_timeout_s: float = 30, **options: Any
) -> SessionManager:
    """Build a manager whose sessions live for a minute, and that cleans up only when asked to."""
    options = {"session_timeout": timedelta(seconds=60), "cleanup_interval": None, **options}
    adapter = SQLiteAdapter(path, busy_timeout_s=busy_timeout_s)
    return SessionManager(SessionConfig(**options), adapter, clock=clock)


async def problems_of(manager: SessionManager) -> list[str]:
    """Check the database of a manager."""
    assert manager.database_adapter is not None
    return await manager.database_adapter.check()


async def numbers_of(manager: SessionManager) -> dict[str, Any]:
    """Read what each session has as its number."""
    return {each.session_id: each.metadata["number"] for each in await manager.list_sessions(limit=None)}


def change(path: Path, *statements: str) -> None:
    """Change a closed database by hand."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


# -- no space ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """Mount a small file system."""
    return disk_of(4 * MEGABYTE)


async def create_all(manager: SessionManager, numbers: range, size: int) -> tuple[dict[str, int], list[Any]]:
    """Create sessions at the same time; return those that were acknowledged, and the errors."""
    creations = [manager.create_session("ann", {"number": number, "text": "." * size}) for number in numbers]
    results = await asyncio.gather(*creations, return_exceptions=True)
    pairs = zip(results, numbers, strict=True)
    created = {result: number for result, number in pairs if isinstance(result, str)}
    return created, [result for result in results if not isinstance(result, str)]


async def test_a_disk_that_fills_up_while_tasks_create(small_disk: Path, clock: Clock) -> None:
    """Each session is acknowledged and there, or refused by name and not; with room again, all goes on."""
    path = small_disk / "sessions.db"
    (small_disk / "ballast").write_bytes(bytes(2 * MEGABYTE))
    async with manager_of(path, clock, max_sessions=10_000) as manager:
        acknowledged: dict[str, int] = {}
        refused: list[Any] = []
        for part, size in enumerate((100, 60_000, 20_000, 100)):
            created, errors = await create_all(manager, range(part * 100, part * 100 + 100), size)
            acknowledged |= created
            refused += errors
        assert len(acknowledged) >= 100
        assert {StorageFullError} == {type(error) for error in refused}
        assert all(str(path) in str(error) for error in refused)
        assert acknowledged == await numbers_of(manager)
        assert [] == await problems_of(manager)

        (small_disk / "ballast").unlink()
        created, errors = await create_all(manager, range(1000, 1020), 20_000)

        assert [] == errors
        assert acknowledged | created == await numbers_of(manager)
    async with manager_of(path, clock) as manager:
        assert acknowledged | created == await numbers_of(manager)
        assert [] == await problems_of(manager)


@pytest.fixture
async def on_a_full_disk(
    small_disk: Path, clock: Clock, use_up: Callable[[Path], None]
) -> AsyncIterator[tuple[SessionManager, str, str]]:
    """Open sessions on a disk that is full: one that has expired, and one with activity held in memory."""
    async with manager_of(small_disk / "sessions.db", clock) as manager:
        expired_id = await manager.create_session("ann", {"number": 0})
        clock.at(30)
        session_id = await manager.create_session("ann", {"number": 1})
        await manager.touch(session_id)
        clock.at(30.5)
        await manager.touch(session_id)
        use_up(small_disk / "ballast")
        with pytest.raises(StorageFullError):
            await manager.create_session("ann", {"text": "." * MEGABYTE})
        clock.at(60)
        yield manager, expired_id, session_id
        (small_disk / "ballast").unlink()


async def test_reading_on_a_full_disk(
    on_a_full_disk: tuple[SessionManager, str, str], small_disk: Path, clock: Clock
) -> None:
    """With no byte left, sessions are read, have expired, and are closed; with room, all goes on."""
    manager, expired_id, session_id = on_a_full_disk
    for _ in range(2):
        assert 1 == (await manager.get_session(session_id)).metadata["number"]
        with pytest.raises(SessionExpiredError):
            await manager.get_session(expired_id)
    with contextlib.suppress(StorageFullError):
        await manager.shutdown()
    assert not manager.is_open

    with (small_disk / "ballast").open("wb"):
        await manager.initialize()
    clock.at(90)
    assert 1 == (await manager.get_session(session_id)).metadata["number"]
    await manager.touch(session_id)
    assert [] == await problems_of(manager)


async def test_listing_on_a_full_disk(on_a_full_disk: tuple[SessionManager, str, str]) -> None:
    """Sessions are listed, whatever activity is held in memory; what is told of that is right."""
    manager, _, session_id = on_a_full_disk

    (session,) = await manager.list_sessions()

    assert (session_id, NOON + timedelta(seconds=30.5)) == (session.session_id, session.last_activity)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [200_000, MEGABYTE])
def test_a_file_that_may_not_grow(limit: int, path: Path, run: Callable[..., Any]) -> None:
    """Calls fail as those to a broken device do: what was refused is not there, what was acknowledged is."""
    finished = run("session_fill_disk", path, limit)

    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["errors"]
    assert all(str(path) in error and error.startswith("Storage") for error in report["errors"])
    assert report["whole"]
    assert report["whole problems"] == []
    assert report["errors with room"] == []
    assert report["whole with room"]
    assert report["whole with room problems"] == []


# -- permissions ---------------------------------------------------------------------------------------------

ONLY_READ = ["create", "update", "touch", "end", "delete", "clean up"]


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open elsewhere"])
@pytest.mark.parametrize("folder_mode", [0o755, 0o777], ids=["folder read only", "folder writable"])
async def test_a_file_that_may_only_be_read(
    folder_mode: int, is_open: bool, open_folder: Path, run: Callable[..., Any]
) -> None:
    """Sessions are found, and expire; every change is refused by an error that names the file."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = open_folder / "sessions.db"
    clock = Clock()
    async with manager_of(path, clock) as manager:
        expired_id = await manager.create_session("ann")
        clock.now = datetime.now(UTC)
        session_id = await manager.create_session("ann", {"key": 1})
        ended_id = await manager.create_session("ann")
        await manager.end_session(ended_id)
        if not is_open:
            await manager.shutdown()
        for each in open_folder.iterdir():
            each.chmod(0o644)
        open_folder.chmod(folder_mode)

        finished = run("session_as_nobody", path, session_id, expired_id, ended_id)

    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    report = json.loads(finished.stdout)
    assert "open" not in report
    for number in range(2):
        assert {"key": 1} == report[f"metadata{number}"]
        assert report[f"expired{number}"][0] == "SessionExpiredError"
        assert report[f"ended{number}"][0] == "SessionEndedError"
        assert report[f"unknown{number}"][0] == "SessionNotFoundError"
    assert [session_id] == report["listed"]
    assert report["default"] == "default"
    assert [] == report["check"]
    assert ["ReadOnlyStorageError"] * len(ONLY_READ) == [report[each][0] for each in ONLY_READ]
    assert all(str(path) in report[each][1] for each in ONLY_READ)
    assert report["flush"] == ["", ""]


# -- tables of others ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ours", "Ours", "OURS"])
async def test_a_table_of_conversations_is_not_for_sessions(name: str, path: Path, clock: Clock) -> None:
    """Sessions are refused there by name, and conversations in a table of sessions; both are left alone."""
    async with SQLiteAdapter(path) as adapter:
        async with ConversationHistoryUnit(adapter, table_name="ours") as unit:
            message_id = await unit.save_message(ConversationMessage("a", "kept", "", NOON, 1.0))
            with pytest.raises(InvalidOptionError, match="keeps conversations, not sessions") as caught:
                await SessionManager(None, adapter, table_name=name).initialize()
            assert caught.value.option == "table_name"
            assert (await unit.get_message(message_id)).user_input == "kept"

        async with SessionManager(None, adapter, table_name=f"{name}_too", clock=clock) as manager:
            session_id = await manager.create_session("ann")
            with pytest.raises(InvalidOptionError, match="keeps sessions, not conversations") as caught:
                await ConversationHistoryUnit(adapter, table_name="ours_too").initialize()
            assert caught.value.option == "table_name"
            assert (await manager.get_session(session_id)).user_id == "ann"
        assert [] == await adapter.check()


@pytest.mark.parametrize("name", ["sessions", "Sessions"])
async def test_a_table_that_somebody_else_made(name: str, path: Path, clock: Clock) -> None:
    """It is left alone; under another name, a table is made beside it."""
    change(path, f"CREATE TABLE {name} (what)", f"INSERT INTO {name} VALUES ('theirs')")
    async with SQLiteAdapter(path) as adapter:
        with pytest.raises(InvalidOptionError) as caught:
            await SessionManager(None, adapter).initialize()
        assert caught.value.option == "table_name"

        async with SessionManager(None, adapter, table_name="ours", clock=clock) as manager:
            await manager.create_session("ann")
            assert [] == await adapter.check()
    connection = apsw.Connection(str(path))
    assert [("theirs",)] == connection.execute(f"SELECT what FROM {name}").fetchall()
    connection.close()


async def test_one_table_by_two_spellings(path: Path, clock: Clock) -> None:
    """Two adapters that spell the table's name in different ways use one table, and count it as one."""
    ours, theirs = SQLiteAdapter(path), SQLiteAdapter(path)
    config = SessionConfig(max_sessions=3, cleanup_interval=None)
    async with (
        SessionManager(config, ours, table_name="mine", clock=clock) as one,
        SessionManager(config, theirs, table_name="MINE", clock=clock) as other,
    ):
        ids = [await manager.create_session("ann") for manager in (one, other, one, other)]

        assert 3 == len(await one.list_sessions())
        assert ids[3] == (await one.get_session(ids[3])).session_id
        assert [] == await ours.check()
        assert [] == await theirs.check()


# -- damage --------------------------------------------------------------------------------------------------

DAMAGES = {
    "no json": "metadata = 'not json'",
    "no object": "metadata = '[1, 2]'",
    "no text": "metadata = CAST(x'7bff7d' AS TEXT)",
    "no time": "last_activity = 9000000000000000000",
}


@pytest.fixture(params=list(DAMAGES))
def damage(request: pytest.FixtureRequest) -> str:
    """Say what is done to a row that nobody saved."""
    return DAMAGES[request.param]


async def make_damaged(path: Path, clock: Clock, damage: str) -> tuple[str, str]:
    """Make a damaged session, and one that is not; return their ids."""
    async with manager_of(path, clock) as manager:
        bad = await manager.create_session("bad", {"number": 1})
        clock.at(1)
        good = await manager.create_session("good", {"number": 2})
    change(path, f"UPDATE sessions SET {damage} WHERE user_id = 'bad'")
    return bad, good


async def test_a_damaged_session(path: Path, clock: Clock, damage: str) -> None:
    """Whoever asks for it is told that it is damaged; all other sessions, and the loop, go on."""
    bad, good = await make_damaged(path, clock, damage)
    async with manager_of(path, clock) as manager:
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
                manager.create_session("ann", {"number": 0}),
            ]
            results = await asyncio.gather(*calling, return_exceptions=True)
            assert CorruptDataError is type(results[0]), repr(results[0])
            assert "sessions.db" in str(results[0])
            assert [] == [each for each in results[1:] if isinstance(each, BaseException)]
            assert number == (await manager.get_session(good)).metadata["number"]


async def test_a_damaged_session_can_be_deleted(path: Path, clock: Clock, damage: str) -> None:
    """Nothing of it has to be understood for that; then all is well."""
    bad, good = await make_damaged(path, clock, damage)
    async with manager_of(path, clock) as manager:
        assert await manager.delete_session(bad) is True

        assert {good: 2} == await numbers_of(manager)
        assert [] == await problems_of(manager)


async def test_a_damaged_session_is_found_by_the_check(path: Path, clock: Clock, damage: str) -> None:
    """The check tells of what cannot be read."""
    await make_damaged(path, clock, damage)
    async with manager_of(path, clock) as manager:
        assert [] != await problems_of(manager)


async def test_a_damaged_session_keeps_nothing_from_going(path: Path, clock: Clock, damage: str) -> None:
    """What has expired is cleaned up but for the damaged session, or with it; there is room for new ones."""
    _, good = await make_damaged(path, clock, damage)
    clock.at(61)
    async with manager_of(path, clock, max_sessions=2) as manager:
        with contextlib.suppress(CorruptDataError):
            await manager.cleanup_expired_sessions()
        with pytest.raises(SessionNotFoundError):
            await manager.get_session(good)
        ids = [await manager.create_session("ann", {"number": number}) for number in range(3)]
        assert 2 == (await manager.get_session(ids[2])).metadata["number"]


# -- locks ---------------------------------------------------------------------------------------------------


async def longest_pause(until: asyncio.Future[Any]) -> float:
    """Return for how many seconds the event loop did nothing else, at most, until something is done."""
    longest, before = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
async def test_a_lock_that_another_process_holds(
    statement: str, path: Path, clock: Clock, start: Callable[..., Any]
) -> None:
    """Reads go on, changes wait for the time allowed and say so; the event loop is never kept waiting."""
    async with manager_of(path, clock, busy_timeout_s=0.6) as manager:
        expired_id = await manager.create_session("ann")
        clock.at(59)
        hot, cold = [await manager.create_session("ann", {"number": number}) for number in range(2)]
        await manager.get_session(hot)
        clock.at(60)
        await manager.touch(hot)
        holder = start("session_hold", path, statement)
        assert holder.line() == "holding"

        assert [0, 1] == [(await manager.get_session(each)).metadata["number"] for each in (hot, cold)]
        await manager.touch(hot)
        assert await manager.get_session("unknown", None) is None
        waiting = asyncio.gather(
            manager.get_session(expired_id),
            manager.create_session("ann"),
            manager.update_session(hot, {"number": 2}),
            manager.touch(cold),
            manager.end_session(hot),
            return_exceptions=True,
        )
        assert await longest_pause(waiting) < 0.3
        assert [SessionExpiredError] + [LockTimeoutError] * 4 == [type(each) for each in await waiting]

        holder.tell("let go")
        assert holder.wait() == 0
        await manager.update_session(hot, {"number": 3})
        assert await manager.end_session(cold)
        assert [] == await problems_of(manager)


async def test_what_waits_for_a_lock(path: Path, clock: Clock, start: Callable[..., Any]) -> None:
    """Changes that wait while another process writes are done when it lets go."""
    async with manager_of(path, clock) as manager:
        session_id = await manager.create_session("ann")
        holder = start("session_hold", path, "BEGIN IMMEDIATE")
        assert holder.line() == "holding"
        waiting = asyncio.gather(
            manager.update_session(session_id, {"number": 1}),
            manager.touch(session_id),
            manager.create_session("bob"),
        )
        assert {} == (await manager.get_session(session_id)).metadata

        holder.tell("let go")
        _, _, created = await waiting

        assert {"number": 1} == (await manager.get_session(session_id)).metadata
        assert (await manager.get_session(created)).user_id == "bob"


async def test_listing_while_another_process_writes(
    path: Path, clock: Clock, start: Callable[..., Any]
) -> None:
    """It needs no lock, whatever activity is held in memory; what it tells of that is right."""
    async with manager_of(path, clock, busy_timeout_s=0.2) as manager:
        session_id = await manager.create_session("ann")
        for microseconds in range(1, 4):
            clock.now = NOON + timedelta(microseconds=microseconds)
            await manager.touch(session_id)
        holder = start("session_hold", path, "BEGIN IMMEDIATE")
        assert holder.line() == "holding"

        assert [clock.now] == [each.last_activity for each in await manager.list_sessions()]

        holder.tell("let go")
        assert holder.wait() == 0


async def test_opening_while_another_process_writes(
    path: Path, clock: Clock, start: Callable[..., Any]
) -> None:
    """Sessions that are there can be opened and read: there is nothing to be written for that."""
    async with manager_of(path, clock) as manager:
        session_id = await manager.create_session("ann")
    holder = start("session_hold", path, "BEGIN IMMEDIATE")
    assert holder.line() == "holding"

    async with manager_of(path, clock, busy_timeout_s=1) as manager:
        assert (await manager.get_session(session_id)).user_id == "ann"
        holder.tell("let go")
        assert holder.wait() == 0


# -- calls that are cancelled --------------------------------------------------------------------------------


async def give_time(storm: int) -> None:
    """Let the calls come so far: none, a step or a few, or to the writer's thread and beyond."""
    for _ in range(storm % 5):
        await asyncio.sleep(0)
    if storm % 2:
        await asyncio.sleep(storm / 20_000)  # not to wait for something: the moment is the test's input


@pytest.mark.parametrize(
    "options",
    [{}, {"max_sessions": 50}, {"max_sessions_per_user": 10, "limit_policy": "refuse"}],
    ids=["no limit", "evicting", "refusing"],
)
async def test_storms_of_cancelled_creations(options: dict[str, Any], path: Path, clock: Clock) -> None:
    """A session whose creation was cancelled is there or not; those acknowledged are, and all are counted."""
    async with manager_of(path, clock, **options) as manager:
        acknowledged: set[str] = set()
        for storm in range(20):
            tasks = [asyncio.create_task(manager.create_session(f"user{each % 5}")) for each in range(40)]
            await give_time(storm)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            acknowledged |= {result for result in results if isinstance(result, str)}

        there = {each.session_id for each in await manager.list_sessions(limit=None)}
        if not options:
            assert 400 <= len(acknowledged)
            assert acknowledged <= there
            assert len(there) <= 800
        else:
            assert 50 == len(there)
        assert [] == await problems_of(manager)


async def test_storms_of_cancelled_changes(path: Path, clock: Clock) -> None:
    """A change that was cancelled was made or not; those acknowledged were, and no session was harmed."""
    async with manager_of(path, clock) as manager:
        ids = [await manager.create_session("ann") for _ in range(4)]
        expected: dict[str, int] = {}
        counted = 0
        for storm in range(20):
            keys = [f"key{storm}x{number}" for number in range(20)]
            calls: list[Any] = [manager.update_session(ids[0], {key: storm}) for key in keys]
            calls += [manager.update_session(ids[1], _count) for _ in range(6)]
            calls += [manager.touch(ids[2]) for _ in range(10)]
            calls += [manager.end_session(await manager.create_session("bob")) for _ in range(2)]
            calls += [manager.delete_session(await manager.create_session("bob")) for _ in range(2)]
            tasks = [asyncio.create_task(call) for call in calls]
            await give_time(storm)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {SessionData, bool, type(None), asyncio.CancelledError} >= {type(each) for each in results}
            made = zip(keys, results[:20], strict=True)
            expected |= {key: storm for key, result in made if isinstance(result, SessionData)}
            counted += sum(isinstance(result, SessionData) for result in results[20:26])

        metadata = (await manager.get_session(ids[0])).metadata
        assert expected.items() <= metadata.items()
        assert 200 <= len(expected)
        assert counted <= (await manager.get_session(ids[1])).metadata["count"] <= 120
        assert [] == await problems_of(manager)
        clock.at(59)
        await manager.get_session(ids[2])
        clock.at(62)
        with pytest.raises(SessionExpiredError):
            await manager.get_session(ids[2])


def _count(session: SessionData) -> dict[str, Any]:
    return {"count": session.metadata.get("count", 0) + 1}


async def test_a_clean_up_that_is_cancelled(path: Path, clock: Clock) -> None:
    """It ends between two steps: all that is left can be cleaned up, and is counted right."""
    async with manager_of(path, clock) as manager:
        await asyncio.gather(*(manager.create_session("ann") for _ in range(1500)))
        clock.at(60)
        for storm in range(5):
            task = asyncio.create_task(manager.cleanup_expired_sessions())
            await give_time(storm)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert [] == await problems_of(manager)

        await manager.cleanup_expired_sessions()
        assert 0 == await manager.cleanup_expired_sessions()
        assert [] == await problems_of(manager)


# -- what other programs do ----------------------------------------------------------------------------------


async def test_a_file_that_is_deleted_while_it_is_open(path: Path, clock: Clock) -> None:
    """Nothing is acknowledged that would be gone with the file."""
    async with manager_of(path, clock) as manager:
        await manager.create_session("ann")
        for each in path.parent.iterdir():
            each.unlink()

        with pytest.raises(StorageError, match=r"sessions\.db was deleted, moved or replaced"):
            await manager.create_session("bob")


async def test_a_bad_call_among_many_fails_alone(path: Path, clock: Clock) -> None:
    """Of 60 calls that share a transaction, the impossible ones fail, each by its own error."""
    async with manager_of(path, clock, max_sessions_per_user=10, limit_policy="refuse") as manager:
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
