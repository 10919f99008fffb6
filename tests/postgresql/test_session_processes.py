"""Several processes use the sessions of one PostgreSQL database: limits, times and cleaning up are exact."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import SessionConfig, SessionManager
from library.infrastructure.interfaces.database import PostgreSQLAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgresql_server import PostgreSQLServer

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
REFUSED = "SessionLimitError"
PROGRAM = Path(__file__).parents[1] / "crash" / "programs" / "session_serve.py"


class Servant:
    """Another process that does to sessions what it is told, see `crash/programs/session_serve.py`."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        command = [sys.executable, str(PROGRAM), url, json.dumps(options)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        """Wait for the next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the program ended early"
        return line.strip()

    def ask(self, *calls: list[Any]) -> None:
        """Have it make calls, all at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(calls) + "\n")
        self._process.stdin.flush()

    def answers(self) -> list[Any]:
        """Wait for what became of them."""
        answers: list[Any] = json.loads(self.line())
        return answers

    def do(self, *call: Any) -> Any:
        """Have it make one call, and wait for what became of that."""
        self.ask(list(call))
        return self.answers()[0]

    def close(self) -> None:
        """Let it come to its end."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0


@pytest.fixture
def serve(url: str) -> Iterator[Callable[..., list[Servant]]]:
    """Start some processes that do what they are told."""
    with ExitStack() as started:

        def serve(count: int, **options: Any) -> list[Servant]:
            servants = [Servant(url, options) for _ in range(count)]
            for servant in servants:
                started.callback(servant.close)
            assert ["ready"] * count == [servant.line() for servant in servants]
            return servants

        yield serve


@pytest.fixture(autouse=True)
def no_deadlocks(server: PostgreSQLServer) -> Iterator[None]:
    """No two transactions wait for each other, though the server would end one of them, which begins anew."""
    log = server.folder / "log"
    before = log.read_text().count("deadlock detected")
    yield
    assert before == log.read_text().count("deadlock detected")


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> None:
        """Set the time."""
        self.now = NOON + timedelta(seconds=seconds)


def manager_of(url: str, clock: Callable[[], datetime] = lambda: NOON, **options: Any) -> SessionManager:
    """Build a manager that cleans up only when asked to."""
    config = SessionConfig(cleanup_interval=None, **options)
    return SessionManager(config, PostgreSQLAdapter(url), clock=clock)


async def problems_of(manager: SessionManager) -> list[str]:
    """Check the sessions of a manager."""
    adapter: Any = manager.database_adapter
    problems: list[str] = await adapter.sessions("sessions").check()
    return problems


def ask_all(servants: list[Servant], *calls: list[Any]) -> list[Any]:
    """Have all processes make calls at the same time; return all answers."""
    for servant in servants:
        servant.ask(*calls)
    return [answer for servant in servants for answer in servant.answers()]


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["delete", "deactivate"])
async def test_processes_that_evict(policy: str, url: str, serve: Callable[..., list[Servant]]) -> None:
    """Four processes create 160 sessions at once where 20 may be: all are created, and 20 are left."""
    servants = serve(4, max_sessions=20, cleanup_policy=policy)

    ids = ask_all(servants, *[["create_session", "ann"]] * 40)

    assert 160 == len(set(ids))
    async with manager_of(url) as manager:
        active = {each.session_id for each in await manager.list_sessions(active=True, limit=None)}
        assert 20 == len(active)
        assert active <= set(ids)
        kept = 140 if policy == "deactivate" else 0
        assert kept == len(await manager.list_sessions(active=False, limit=None))
        assert [] == await problems_of(manager)


async def test_processes_that_are_refused(url: str, serve: Callable[..., list[Servant]]) -> None:
    """Four processes create 160 sessions at once where 20 may be: 20 are there, 140 were refused."""
    servants = serve(4, max_sessions=20, limit_policy="refuse")

    answers = ask_all(servants, *[["create_session", "ann"]] * 40)

    assert 140 == answers.count(REFUSED)
    async with manager_of(url) as manager:
        there = {each.session_id for each in await manager.list_sessions(limit=None)}
        assert set(answers) - {REFUSED} == there
        assert 20 == len(there)
        assert [] == await problems_of(manager)


@pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
@pytest.mark.parametrize("most", [18, None])
async def test_limits_of_users(
    limit_policy: str, most: int | None, url: str, serve: Callable[..., list[Servant]]
) -> None:
    """Four processes create sessions of four users: no user has too many, nor all of them together."""
    servants = serve(4, max_sessions=most, max_sessions_per_user=5, limit_policy=limit_policy)

    answers = ask_all(servants, *[["create_session", f"user{number % 4}"] for number in range(40)])

    left = most or 20
    assert (160 - left if limit_policy == "refuse" else 0) == answers.count(REFUSED)
    async with manager_of(url) as manager:
        counts = Counter(each.user_id for each in await manager.list_sessions(limit=None))
        assert left == counts.total()
        assert max(counts.values()) == 5
        assert [] == await problems_of(manager)


async def test_limits_beside_ending_and_giving(url: str, serve: Callable[..., list[Servant]]) -> None:
    """While others end, delete, touch and give sessions away, never more are active than allowed."""
    servants = serve(4, max_sessions=30, max_sessions_per_user=10)
    ids = ask_all(servants[:1], *[["create_session", f"user{number % 3}"] for number in range(30)])
    servants[0].ask(*[["create_session", "user0"]] * 30)
    servants[1].ask(*[["create_session", "user1"], ["touch", ids[1]]] * 15)
    servants[2].ask(*[["update_session", each, {"user_id": "user2"}] for each in ids])
    servants[3].ask(*[[("end_session", "delete_session")[n % 2], each] for n, each in enumerate(ids)])
    for servant in servants:
        servant.answers()

    async with manager_of(url) as manager:
        sessions = await manager.list_sessions(active=True, limit=None)
        assert 30 >= len(sessions)
        assert 10 >= max(Counter(each.user_id for each in sessions).values())
        assert [] == await problems_of(manager)


async def test_the_room_of_expired_sessions(url: str, serve: Callable[..., list[Servant]]) -> None:
    """What has expired makes room for as many sessions as there were, in all processes together."""
    servants = serve(4, max_sessions=20, limit_policy="refuse", session_timeout=60)
    ask_all(servants[:1], *[["create_session", "ann"]] * 20)
    ask_all(servants, ["at", 60])

    answers = ask_all(servants, *[["create_session", "bob"]] * 10)

    assert 20 == answers.count(REFUSED)
    announced = [each for servant in servants for each in servant.do("announced")]
    assert 20 == len(set(announced)) == len(announced)
    async with manager_of(url) as manager:
        users = Counter(each.user_id for each in await manager.list_sessions(limit=None))
        assert {"bob": 20} == users
        assert [] == await problems_of(manager)


# -- one session, many processes -----------------------------------------------------------------------------


async def test_updates_of_processes(url: str, serve: Callable[..., list[Servant]]) -> None:
    """Four processes set keys of one session, and count in it: no key is lost, and no count."""
    servants = serve(4)
    session_id = servants[0].do("create_session", "ann")
    for number, servant in enumerate(servants):
        keys = [["update_session", session_id, {f"key{number}x{key}": key}] for key in range(25)]
        servant.ask(*keys, *[["count", session_id]] * 10)
    for servant in servants:
        assert {None, type({})} >= {each if each is None else type(each) for each in servant.answers()}

    async with manager_of(url) as manager:
        session = await manager.get_session(session_id)
        expected = {f"key{number}x{key}": key for number in range(4) for key in range(25)}
        assert expected | {"count": 40} == session.metadata
        assert [] == await problems_of(manager)


async def test_touches_and_updates_of_many_sessions(url: str, serve: Callable[..., list[Servant]]) -> None:
    """Four processes touch and change the same hundred sessions in different orders, without a deadlock."""
    servants = serve(4, touch_interval=0)
    ids = ask_all(servants[:1], *[["create_session", "ann"]] * 100)
    for number, servant in enumerate(servants):
        servant.do("at", number + 1)
        order = ids[number * 25 :] + ids[: number * 25]
        if number % 2:
            order.reverse()
        updates = [["update_session", each, {f"k{number}": 1}] for each in order]
        servant.ask(*[["touch", each] for each in order], *updates, ["flush"])
    for servant in servants:
        assert "StorageError" not in servant.answers()

    async with manager_of(url, lambda: NOON + timedelta(seconds=9)) as manager:
        for each in await manager.list_sessions(limit=None):
            assert {f"k{number}": 1 for number in range(4)} == each.metadata
            assert NOON + timedelta(seconds=4) == each.last_activity
        assert [] == await problems_of(manager)


@pytest.mark.parametrize("later", [[], ["there"], ["here"], ["there", "here"], ["here", "there"]])
@pytest.mark.parametrize(
    "calls", [["here", "there"] * 2, ["here", "there", "here"], ["there", "here", "there"]]
)
async def test_touches_of_two_processes(
    calls: list[str], later: list[str], url: str, serve: Callable[..., list[Servant]]
) -> None:
    """A session that two processes touch lives as long as the last touch says, or a little longer."""
    (servant,) = serve(1, session_timeout=60, touch_interval=10)
    clock = Clock()
    durations = {"session_timeout": timedelta(seconds=60), "touch_interval": timedelta(seconds=10)}
    async with manager_of(url, clock, **durations) as manager:
        session_id = await manager.create_session("ann")

        async def do(where: str, method: str, *arguments: Any) -> None:
            if where == "here":
                await getattr(manager, method)(*arguments)
            else:
                assert await asyncio.to_thread(servant.do, method, *arguments) is None

        for seconds, where in enumerate(calls, 1):
            clock.at(seconds * 2)
            servant.do("at", seconds * 2)
            await do(where, "touch", session_id)
        for where in later:
            await do(where, "flush")

        last = len(calls) * 2
        clock.at(last + 59)
        servant.do("at", last + 59)
        assert session_id == (await manager.get_session(session_id)).session_id
        assert servant.do("get_session", session_id) != "SessionExpiredError"
        clock.at(last + 71)
        servant.do("at", last + 71)
        assert "SessionExpiredError" == servant.do("get_session", session_id)
        assert await manager.get_session(session_id, None) is None


# -- cleaning up ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["delete", "deactivate"])
async def test_processes_that_clean_up(policy: str, url: str, serve: Callable[..., list[Servant]]) -> None:
    """Two clean 2,000 sessions up, a third makes room for new ones: each is announced once in all."""
    servants = serve(3, session_timeout=60, cleanup_policy=policy, max_sessions=2000)
    async with manager_of(url) as manager:
        expired = await asyncio.gather(*(manager.create_session("ann") for _ in range(2000)))
    ask_all(servants, ["at", 60])
    servants[0].ask(["cleanup_expired_sessions"])
    servants[1].ask(["cleanup_expired_sessions"])
    servants[2].ask(*[["create_session", "bob"]] * 100)

    cleaned = servants[0].answers()[0] + servants[1].answers()[0]
    created = servants[2].answers()

    announced = [each for servant in servants for each in servant.do("announced")]
    assert sorted(expired) == sorted(announced)
    assert cleaned + len(servants[2].do("announced")) == 2000
    async with manager_of(url) as manager:
        active = await manager.list_sessions(active=True, limit=None)
        assert set(created) == {each.session_id for each in active}
        kept = 2000 if policy == "deactivate" else 0
        assert kept == len(await manager.list_sessions(active=False, limit=None))
        assert [] == await problems_of(manager)


async def test_processes_that_remove_what_was_ended(url: str, serve: Callable[..., list[Servant]]) -> None:
    """Two processes remove 1,200 ended sessions at once; those that are active stay."""
    servants = serve(2, retention=60, session_timeout=1000)
    async with manager_of(url) as manager:
        ids = await asyncio.gather(*(manager.create_session("ann") for _ in range(1210)))
        await asyncio.gather(*(manager.end_session(each) for each in ids[10:]))
    ask_all(servants, ["at", 61])

    assert [0, 0] == ask_all(servants, ["cleanup_expired_sessions"])

    async with manager_of(url) as manager:
        assert set(ids[:10]) == {each.session_id for each in await manager.list_sessions(limit=None)}
        assert [] == await problems_of(manager)
