"""Several processes use the sessions of one SQLite file, fork while it is open, or end without closing it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    SessionConfig,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
REFUSED = "SessionLimitError"


class Servant:
    """Another process that does to sessions what it is told, see `programs/session_serve.py`."""

    def __init__(self, child: Any) -> None:
        self._child = child
        assert child.line() == "ready"

    def ask(self, *calls: list[Any]) -> None:
        """Have it make calls, all at once."""
        self._child.tell(json.dumps(calls))

    def answers(self) -> list[Any]:
        """Wait for what became of them."""
        answers: list[Any] = json.loads(self._child.line())
        return answers

    def do(self, *call: Any) -> Any:
        """Have it make one call, and wait for what became of that."""
        self.ask(list(call))
        return self.answers()[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file for the sessions."""
    return tmp_path / "sessions.db"


@pytest.fixture
def serve(start: Callable[..., Any], path: Path) -> Callable[..., list[Servant]]:
    """Start some processes that do what they are told."""

    def serve(count: int, **options: Any) -> list[Servant]:
        children = [start("session_serve", path, json.dumps(options)) for _ in range(count)]
        return [Servant(child) for child in children]

    return serve


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> None:
        """Set the time."""
        self.now = NOON + timedelta(seconds=seconds)


def manager_of(path: Path, clock: Callable[[], datetime], **options: Any) -> SessionManager:
    """Build a manager that cleans up only when asked to."""
    config = SessionConfig(cleanup_interval=None, **options)
    return SessionManager(config, SQLiteAdapter(path), clock=clock)


async def problems_of(manager: SessionManager) -> list[str]:
    """Check the database of a manager."""
    assert manager.database_adapter is not None
    return await manager.database_adapter.check()


def ask_all(servants: list[Servant], *calls: list[Any]) -> list[Any]:
    """Have all processes make calls at the same time; return all answers."""
    for servant in servants:
        servant.ask(*calls)
    return [answer for servant in servants for answer in servant.answers()]


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["delete", "deactivate"])
async def test_processes_that_evict(policy: str, path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Four processes create 160 sessions at once where 20 may be: all are created, and 20 are left."""
    servants = serve(4, max_sessions=20, cleanup_policy=policy)

    ids = ask_all(servants, *[["create_session", "ann"]] * 40)

    assert 160 == len(set(ids))
    async with manager_of(path, lambda: NOON) as manager:
        active = {each.session_id for each in await manager.list_sessions(active=True, limit=None)}
        assert 20 == len(active)
        assert active <= set(ids)
        kept = 140 if policy == "deactivate" else 0
        assert kept == len(await manager.list_sessions(active=False, limit=None))
        assert [] == await problems_of(manager)


async def test_processes_that_are_refused(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Four processes create 160 sessions at once where 20 may be: 20 are there, 140 were refused."""
    servants = serve(4, max_sessions=20, limit_policy="refuse")

    answers = ask_all(servants, *[["create_session", "ann"]] * 40)

    assert 140 == answers.count(REFUSED)
    async with manager_of(path, lambda: NOON) as manager:
        there = {each.session_id for each in await manager.list_sessions(limit=None)}
        assert set(answers) - {REFUSED} == there
        assert 20 == len(there)
        assert [] == await problems_of(manager)


@pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
async def test_limits_of_users(limit_policy: str, path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Four processes create sessions of four users: no user has too many, nor all of them together."""
    servants = serve(4, max_sessions=18, max_sessions_per_user=5, limit_policy=limit_policy)

    answers = ask_all(servants, *[["create_session", f"user{number % 4}"] for number in range(40)])

    refused = answers.count(REFUSED)
    assert (142 if limit_policy == "refuse" else 0) == refused
    async with manager_of(path, lambda: NOON) as manager:
        counts = Counter(each.user_id for each in await manager.list_sessions(limit=None))
        assert 18 == counts.total()
        assert max(counts.values()) == 5
        assert [] == await problems_of(manager)


async def test_the_room_of_expired_sessions(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """What has expired makes room for as many sessions as there were, in all processes together."""
    servants = serve(4, max_sessions=20, limit_policy="refuse", session_timeout=60)
    ask_all(servants[:1], *[["create_session", "ann"]] * 20)
    ask_all(servants, ["at", 60])

    answers = ask_all(servants, *[["create_session", "bob"]] * 10)

    assert 20 == answers.count(REFUSED)
    announced = [each for servant in servants for each in servant.do("announced")]
    assert 20 == len(set(announced)) == len(announced)
    async with manager_of(path, lambda: NOON) as manager:
        assert [("bob", 20)] == list(
            Counter(each.user_id for each in await manager.list_sessions(limit=None)).items()
        )
        assert [] == await problems_of(manager)


# -- one session, many processes -----------------------------------------------------------------------------


@pytest.mark.slow
async def test_updates_of_processes(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Four processes set keys of one session, and count in it: no key is lost, and no count."""
    servants = serve(4)
    session_id = servants[0].do("create_session", "ann")
    for number, servant in enumerate(servants):
        keys = [["update_session", session_id, {f"key{number}x{key}": key}] for key in range(25)]
        servant.ask(*keys, *[["count", session_id]] * 25)
    for servant in servants:
        assert {None, type({})} >= {each if each is None else type(each) for each in servant.answers()}

    async with manager_of(path, lambda: NOON) as manager:
        session = await manager.get_session(session_id)
        expected = {f"key{number}x{key}": key for number in range(4) for key in range(25)}
        assert expected | {"count": 100} == session.metadata
        assert [] == await problems_of(manager)


@pytest.mark.slow
async def test_a_hot_session_is_never_stale(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """What another process did is seen by the very next read here, however hot the session was."""
    (servant,) = serve(1)
    async with manager_of(path, lambda: NOON) as manager:
        bystander = await manager.create_session("bob")
        for number in range(100):
            session_id = servant.do("create_session", "ann")
            for _ in range(2):
                assert {} == (await manager.get_session(session_id)).metadata
                await manager.get_session(bystander)

            servant.do("update_session", session_id, {"number": number})
            assert {"number": number} == (await manager.get_session(session_id)).metadata

            if number % 10 == 0:
                servant.do("vacuum")
            ending = ("end_session", "delete_session")[number % 2]
            assert servant.do(ending, session_id) is True
            with pytest.raises((SessionEndedError, SessionNotFoundError)[number % 2]):
                await manager.get_session(session_id)
            assert {} == (await manager.get_session(bystander)).metadata


async def test_what_another_process_touched(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """A session that was hot here lives on since another process touched it."""
    (servant,) = serve(1, session_timeout=60)
    clock = Clock()
    async with manager_of(path, clock, session_timeout=timedelta(seconds=60)) as manager:
        session_id = await manager.create_session("ann")
        for seconds in range(50, 1000, 50):
            clock.at(seconds)
            await manager.get_session(session_id)
            await asyncio.to_thread(servant.do, "at", seconds)
            await asyncio.to_thread(servant.do, "touch", session_id)
            clock.at(seconds + 59)
            assert NOON + timedelta(seconds=seconds) == (await manager.get_session(session_id)).last_activity


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([], id="nothing"),
        pytest.param([("there", "flush")], id="flush there"),
        pytest.param([("here", "flush")], id="flush here"),
        pytest.param([("there", "flush"), ("here", "flush")], id="there, then here"),
        pytest.param([("here", "flush"), ("there", "flush")], id="here, then there"),
    ],
)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(["here", "there", "here"], id="last here"),
        pytest.param(["here", "there", "here", "there"], id="last there"),
        pytest.param(["there", "here", "there"], id="there first"),
    ],
)
async def test_touches_of_two_processes(
    calls: list[str], later: list[tuple[str, str]], path: Path, serve: Callable[..., list[Servant]]
) -> None:
    """A session that two processes touch lives as long as the last touch says, or a little longer."""
    (servant,) = serve(1, session_timeout=60, touch_interval=10)
    clock = Clock()
    duration = {"session_timeout": timedelta(seconds=60), "touch_interval": timedelta(seconds=10)}
    async with manager_of(path, clock, **duration) as manager:
        session_id = await manager.create_session("ann")

        async def do(where: str, method: str) -> None:
            arguments = [session_id] if method == "touch" else []
            if where == "here":
                await getattr(manager, method)(*arguments)
            else:
                assert servant.do(method, *arguments) is None

        for seconds, where in enumerate(calls, 1):
            clock.at(seconds * 2)
            servant.do("at", seconds * 2)
            await do(where, "touch")
        for where, method in later:
            await do(where, method)

        last = len(calls) * 2
        clock.at(last + 59)
        servant.do("at", last + 59)
        await manager.get_session(session_id)
        assert servant.do("get_session", session_id) != "SessionExpiredError"
        clock.at(last + 71)
        servant.do("at", last + 71)
        with pytest.raises(SessionExpiredError):
            await manager.get_session(session_id)
        assert servant.do("get_session", session_id) == "SessionExpiredError"


@pytest.mark.parametrize("flushes", [False, True], ids=["held", "flushed"])
@pytest.mark.parametrize("where", ["here", "there"])
async def test_an_update_between_touches(
    where: str, flushes: bool, path: Path, serve: Callable[..., list[Servant]]
) -> None:
    """A touch after an update, in whatever process, counts: the session lives as long as it says."""
    (servant,) = serve(1, session_timeout=60, touch_interval=10)
    clock = Clock()
    durations = {"session_timeout": timedelta(seconds=60), "touch_interval": timedelta(seconds=10)}
    async with manager_of(path, clock, **durations) as manager:
        session_id = await manager.create_session("ann")
        clock.at(1)
        await manager.touch(session_id)
        clock.at(2)
        servant.do("at", 2)
        if where == "here":
            await manager.update_session(session_id, {"key": 1})
        else:
            servant.do("update_session", session_id, {"key": 1})
        clock.at(4)
        await manager.touch(session_id)
        if flushes:
            await manager.flush()

        assert NOON + timedelta(seconds=4) == (await manager.get_session(session_id)).last_activity
        clock.at(63)
        servant.do("at", 63)
        assert {"key": 1} == (await manager.get_session(session_id)).metadata
        assert servant.do("get_session", session_id) != "SessionExpiredError"


# -- cleaning up ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["delete", "deactivate"])
async def test_processes_that_clean_up(policy: str, path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Two clean 2,000 sessions up, a third makes room for new ones: each is announced once in all."""
    servants = serve(3, session_timeout=60, cleanup_policy=policy, max_sessions=2000)
    async with manager_of(path, lambda: NOON) as manager:
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
    async with manager_of(path, lambda: NOON) as manager:
        active = await manager.list_sessions(active=True, limit=None)
        assert set(created) == {each.session_id for each in active}
        kept = 2000 if policy == "deactivate" else 0
        assert kept == len(await manager.list_sessions(active=False, limit=None))
        assert [] == await problems_of(manager)


async def test_processes_that_remove_what_was_ended(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Two processes remove 1,200 ended sessions at once; those that are active stay."""
    servants = serve(2, retention=60, session_timeout=1000)
    async with manager_of(path, lambda: NOON) as manager:
        ids = await asyncio.gather(*(manager.create_session("ann") for _ in range(1210)))
        await asyncio.gather(*(manager.end_session(each) for each in ids[10:]))
    ask_all(servants, ["at", 61])

    assert [0, 0] == ask_all(servants, ["cleanup_expired_sessions"])

    async with manager_of(path, lambda: NOON) as manager:
        assert set(ids[:10]) == {each.session_id for each in await manager.list_sessions(limit=None)}
        assert [] == await problems_of(manager)


# -- opening, forking, ending --------------------------------------------------------------------------------


async def test_processes_that_make_the_file(path: Path, serve: Callable[..., list[Servant]]) -> None:
    """Eight processes make the file and its table at once, and create sessions in it."""
    servants = serve(8)

    ids = ask_all(servants, *[["create_session", "ann"]] * 3)

    async with manager_of(path, lambda: NOON) as manager:
        assert set(ids) == {each.session_id for each in await manager.list_sessions()}
        assert 24 == len(set(ids))
        assert [] == await problems_of(manager)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["idle", "touching"])
@pytest.mark.parametrize("how", ["use", "open", "both", "shutdown", "nothing"])
async def test_a_fork_of_open_sessions(how: str, state: str, path: Path, run: Callable[..., Any]) -> None:
    """The child is refused by name, and ends; the parent goes on, with all activity that it knows."""
    finished = run("session_fork", path, how, state)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    number = {"use": 9, "open": 2, "both": 11, "shutdown": 0, "nothing": 0}[how]
    assert ["ForkedDatabaseError"] * number == report["child"]
    assert {"status": 0, "log": True, "problems": [], "there": True, "is active": True} == {
        name: report[name] for name in ("status", "log", "problems", "there", "is active")
    }


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-X", "dev"), ("-W", "default")], ids=" ".join)
@pytest.mark.parametrize("ending", ["forgotten", "collected", "global", "creating", "exit"])
async def test_sessions_that_were_never_closed(
    ending: str, options: tuple[str, ...], path: Path, run: Callable[..., Any]
) -> None:
    """The process ends with success, it warns, and what was acknowledged is there."""
    finished = run("session_exit", path, ending, options=options)

    assert finished.returncode == 0, finished.stderr
    assert "ResourceWarning: the session manager on sqlite:///" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "destroyed" not in finished.stderr
    await see_all(path, finished.stdout.splitlines())


async def see_all(path: Path, acknowledged: list[str]) -> None:
    """See that all sessions are there that were acknowledged, and that they are counted right."""
    assert len(acknowledged) >= 3
    async with manager_of(path, lambda: datetime.now(UTC)) as manager:
        there = {each.session_id for each in await manager.list_sessions(limit=None)}
        assert set() == set(acknowledged) - there
        assert [] == await problems_of(manager)


async def test_an_event_loop_that_closes_with_calls_on_their_way(path: Path, run: Callable[..., Any]) -> None:
    """They are completed or dropped; the same manager goes on in another loop, and can be shut down there."""
    finished = run("session_exit", path, "loop", options=("-X", "dev"))

    assert finished.returncode == 0, finished.stderr
    assert "Exception in thread" not in finished.stderr
    before, after = finished.stdout.split("closing\n")
    assert 2 == len(after.splitlines())
    await see_all(path, before.splitlines() + after.splitlines())
