"""The example chat service: run as a program, and used as a web server uses it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import SessionEndedError, SessionExpiredError, SessionNotFoundError
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "library" / "data" / "chat_service.py"


@pytest.fixture(scope="module")
def example() -> Any:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("chat_service", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clock(example: Any) -> Any:
    return example.HandClock()


@asynccontextmanager
async def started(example: Any, clock: Any, path: Path) -> AsyncIterator[Any]:
    async with example.ChatService(SQLiteAdapter(path), example.ScriptedAgent(), clock=clock) as service:
        yield service


@pytest.fixture
async def service(example: Any, clock: Any, tmp_path: Path) -> AsyncIterator[Any]:
    async with started(example, clock, tmp_path / "chat.db") as service:
        yield service


def test_it_prints_a_visit(tmp_path: Path):
    """By itself, with warnings as errors, and without leaving a file."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr)
    answers = [line.strip() for line in done.stdout.splitlines() if line.startswith("       ")]
    assert answers == [
        "200: Hello! What can I do for you?",
        "200: We are open from 8 to 18.",
        "401: Your session expired at 10:30. Please log in again.",
        "09:00 Hello! → Hello! What can I do for you?",
        "10:00 When are you open? → We are open from 8 to 18.",
        "200: One latte. Oat milk or almond milk?",
        "her list: 'Hello!', 3 exchanges",
        "401: You are logged out. Please log in.",
        "401: Please log in.",
    ]
    assert not list(tmp_path.iterdir())


async def test_a_visitor_who_is_there_stays_logged_in(service: Any, clock: Any):
    """Reading slides the expiry, as messages do."""
    cookie = await service.log_in("ada")
    for _ in range(10):
        clock.advance(minutes=29)
        await service.history(cookie)

    assert "You said: still here" == await service.chat(cookie, "still here")


async def test_each_error_has_its_answer(example: Any, service: Any, clock: Any):
    """Expired, logged out, unknown: 401, another text each, and the cookie goes."""
    expired, ended = await service.log_in("ada"), await service.log_in("ben")
    clock.advance(minutes=15)
    await service.history(ended)
    await service.log_out(ended)
    clock.advance(minutes=15)

    for cookie, error in (
        (expired, SessionExpiredError),
        (ended, SessionEndedError),
        ("x", SessionNotFoundError),
    ):
        with pytest.raises(error):
            await service.chat(cookie, "Hello")
    responses = [await example.answer_request(service, cookie, "Hello") for cookie in (expired, ended, "x")]
    assert [(401, False)] * 3 == [(each.status, each.keeps_cookie) for each in responses]
    assert 3 == len({each.text for each in responses})


async def test_what_is_refused_is_not_saved(example: Any, service: Any):
    """Nobody chats without a session."""
    await example.answer_request(service, "made up", "Hello")

    assert [] == await service.conversations.list_conversations()


async def test_a_conversation_outlives_its_session(service: Any, clock: Any):
    """The next session of the user goes on with it, cleaned up or not."""
    await service.chat(await service.log_in("ada"), "Hello")
    clock.advance(minutes=30)
    assert 1 == await service.sessions.cleanup_expired_sessions()

    again = await service.log_in("ada")

    assert ["ada"] == service.expired
    assert ["Hello"] == [each.user_input for each in await service.history(again)]


async def test_users_see_their_own_conversations(service: Any):
    """Nobody else's, whatever they are called."""
    await service.chat(await service.log_in("ada"), "Hello")

    other = await service.log_in("ada ")
    assert [] == await service.history(other)
    assert [] == await service.titles(other)


async def test_conversations_are_listed_by_session(service: Any, clock: Any):
    """Those in which something was said in it, the newest first."""
    cookie = await service.log_in("ada")
    await service.chat(cookie, "Hello")
    await service.start_over(cookie)
    clock.advance(minutes=1)
    await service.chat(cookie, "A latte")

    assert ["A latte", "Hello"] == [each.first_user_input for each in await service.titles(cookie)]
    assert ["A latte"] == [each.user_input for each in await service.history(cookie)]


async def test_the_fourth_device_logs_out_the_one_that_was_idle_for_longest(service: Any, clock: Any):
    """Three may be logged in at a time; other users do not count."""
    await service.log_in("ben")
    cookies = []
    for _ in range(3):
        clock.advance(minutes=1)
        cookies.append(await service.log_in("ada"))
    await service.history(cookies[0])
    clock.advance(minutes=1)

    cookies.append(await service.log_in("ada"))

    with pytest.raises(SessionEndedError):
        await service.history(cookies[1])
    for cookie in (cookies[0], cookies[2], cookies[3]):
        await service.history(cookie)


async def test_no_message_is_lost_in_counting(service: Any):
    """However many come at once."""
    cookie = await service.log_in("ada")
    await asyncio.gather(*(service.chat(cookie, f"message {number}") for number in range(50)))

    assert 50 == (await service.sessions.get_session(cookie)).metadata["messages"]
    assert 50 == len(await service.history(cookie, limit=100))


async def test_sessions_survive_a_restart(example: Any, clock: Any, tmp_path: Path):
    """A server that is started anew knows its visitors."""
    async with started(example, clock, tmp_path / "chat.db") as service:
        cookie = await service.log_in("ada")
        await service.chat(cookie, "Hello")

    clock.advance(minutes=5)
    async with started(example, clock, tmp_path / "chat.db") as service:
        assert ["Hello"] == [each.user_input for each in await service.history(cookie)]


async def test_a_week_later_nothing_is_known_of_a_session(service: Any, clock: Any):
    """Until then its user is told why it cannot be used."""
    cookie = await service.log_in("ada")
    clock.now += timedelta(days=1)
    await service.sessions.cleanup_expired_sessions()
    with pytest.raises(SessionExpiredError):
        await service.history(cookie)

    clock.now += timedelta(days=7)
    await service.sessions.cleanup_expired_sessions()
    with pytest.raises(SessionNotFoundError):
        await service.history(cookie)
