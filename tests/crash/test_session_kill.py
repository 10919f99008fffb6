"""A process that uses sessions is killed with SIGKILL, at random moments.

Six times in an ordinary run; CRASH_KILLS=200 makes it two hundred.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import SessionConfig, SessionExpiredError, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

KILLS = int(os.environ.get("CRASH_KILLS", "6"))
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)

pytestmark = pytest.mark.slow


@asynccontextmanager
async def opened(
    path: Path, clock: Callable[[], datetime] | None = None, **options: Any
) -> AsyncIterator[SessionManager]:
    """Open the sessions that a killed process left; the file is whole, and they are counted right."""
    manager = SessionManager(
        SessionConfig(cleanup_interval=None, **options),
        SQLiteAdapter(path),
        clock=clock or (lambda: datetime.now(UTC)),
    )
    async with manager:
        assert manager.database_adapter is not None
        assert [] == await manager.database_adapter.check()
        yield manager


def states_of(lines: list[str]) -> dict[str, int]:
    """Read how far each session had come when that was acknowledged last."""
    states: dict[str, int] = {}
    for line in lines:
        _, session_id, number = line.split()
        states[session_id] = max(states.get(session_id, 0), int(number))
    return states


@pytest.fixture
def killed(start: Callable[..., Any], chance: random.Random) -> Callable[..., dict[str, int]]:
    """Let a process work, kill it somewhere in between; return what it had acknowledged."""

    def killed(path: Path, **options: Any) -> dict[str, int]:
        child = start("session_write_forever", path, json.dumps(options))
        lines = [child.line() for _ in range(chance.randrange(1, 3000))]
        return states_of(lines + child.kill())

    return killed


async def test_acknowledged_calls_survive(tmp_path: Path, killed: Callable[..., dict[str, int]]) -> None:
    """32 tasks create, change and end: each session is as it was acknowledged, or one step further."""
    path = tmp_path / "sessions.db"
    acknowledged: dict[str, int] = {}
    for _ in range(KILLS):
        acknowledged |= killed(path)

        async with opened(path) as manager:
            there = {
                each.session_id: 3 + (not each.is_active)
                if each.metadata["number"] == 3
                else each.metadata["number"]
                for each in await manager.list_sessions(limit=None)
            }
            assert set() == set(acknowledged) - set(there)
            surplus = {there[session_id] - number for session_id, number in acknowledged.items()}
            assert surplus <= {0, 1}
            assert len(there) - len(acknowledged) <= 32 * KILLS


@pytest.mark.parametrize("limit_policy", ["evict_oldest", "refuse"])
async def test_limits_survive(
    limit_policy: str, tmp_path: Path, killed: Callable[..., dict[str, int]]
) -> None:
    """After each kill, no more sessions are active than allowed, and as many as allowed can be created."""
    path = tmp_path / "sessions.db"
    options: dict[str, Any] = {"max_sessions": 50, "max_sessions_per_user": 10}
    for _ in range(max(3, KILLS // 4)):
        killed(path, **options)

        async with opened(path, **options) as manager:
            active = await manager.list_sessions(active=True, limit=None)
            counts = Counter(each.user_id for each in active)
            assert counts.total() <= 50
            assert max(counts.values()) <= 10
        async with opened(path, **options, limit_policy=limit_policy) as manager:
            for _ in range(50 - counts.total()):
                user_id = next(f"new{number}" for number in range(50) if counts[f"new{number}"] < 10)
                counts[user_id] += 1
                await manager.create_session(user_id)
            assert 50 == len(await manager.list_sessions(active=True, limit=None))


TOUCHES = [
    pytest.param([0], id="one"),
    pytest.param([0, 3, 9], id="within the interval"),
    pytest.param([0, 3, 10], id="when it is over"),
    pytest.param([0, 9, 11, 12], id="beyond it"),
    pytest.param([2, 12, 22, 31.999999], id="many intervals"),
]


@pytest.mark.parametrize("ending", ["nothing", "flush", "update_session"])
@pytest.mark.parametrize("touches", TOUCHES)
async def test_a_kill_after_a_touch(
    touches: list[float], ending: str, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """The session lives as long as the last touch that returned says, or longer by up to `touch_interval`."""
    path = tmp_path / "sessions.db"
    child = start("session_serve", path, json.dumps({"session_timeout": 60, "touch_interval": 10}))

    def do(*call: Any) -> Any:
        child.tell(json.dumps([call]))
        return json.loads(child.line())[0]

    assert child.line() == "ready"
    session_id = do("create_session", "ann")
    for seconds in touches:
        do("at", seconds)
        assert do("touch", session_id) is None
    if ending == "flush":
        do("flush")
    elif ending == "update_session":
        # An update within the interval, and a touch after it, which is known in memory alone.
        do("update_session", session_id, {"key": 1})
        do("at", touches[-1] + 1)
        assert do("touch", session_id) is None
    child.kill()

    active_at = NOON + timedelta(seconds=touches[-1] + (ending == "update_session"))
    now = active_at + timedelta(seconds=60, microseconds=-1)
    async with opened(
        path, lambda: now, session_timeout=timedelta(seconds=60), touch_interval=timedelta(seconds=10)
    ) as manager:
        session = await manager.get_session(session_id)
        assert active_at - timedelta(seconds=10) <= session.last_activity <= active_at
        assert 0 == await manager.cleanup_expired_sessions()
        now = active_at + timedelta(seconds=60 if ending == "flush" else 70)
        with pytest.raises(SessionExpiredError):
            await manager.get_session(session_id)


async def test_a_kill_while_two_clean_up(tmp_path: Path, start: Callable[..., Any]) -> None:
    """One of two that clean up is killed: the other one finishes, and nothing is counted wrong."""
    path = tmp_path / "sessions.db"
    options = json.dumps({"session_timeout": 60})
    for _ in range(3):
        killer, other = start("session_serve", path, options), start("session_serve", path, options)
        assert ["ready", "ready"] == [killer.line(), other.line()]
        killer.tell(json.dumps([["create_session", "ann"]] * 3000))
        assert 3000 == len(json.loads(killer.line()))
        for child in (killer, other):
            child.tell(json.dumps([["at", 60]]))
            child.line()
            child.tell(json.dumps([["cleanup_expired_sessions"]]))
        killer.kill()
        assert 0 <= json.loads(other.line())[0] <= 3000

        async with opened(path, lambda: NOON) as manager:
            assert [] == await manager.list_sessions(limit=None)
        other.kill()
