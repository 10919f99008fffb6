"""A chat service in one file: sessions and conversations, in one database.

    browser ──> answer_request ──> ChatService ──> sessions, conversations (SQLite)

It needs neither a web framework nor a model: the agent says what it always says, and `answer_request` stands
for a handler of your framework. What matters is who is let in, what is kept, and what a visitor is told.
Run it to see a conversation that outlives its session.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    SessionConfig,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from library.infrastructure.data import ConversationSummary, DatabaseAdapter, SessionData

CONFIG = SessionConfig(
    session_timeout=timedelta(minutes=30),
    # Whoever logs in on a fourth device is logged out on the one that was idle for longest.
    max_sessions_per_user=3,
    limit_policy="evict_oldest",
    # For a week it is remembered why a session cannot be used, so that its user can be told.
    cleanup_policy="deactivate",
    retention=timedelta(days=7),
)


class ScriptedAgent:
    """Where your model would be: it knows three answers, and else repeats what was said."""

    ANSWERS = (
        ("hello", "Hello! What can I do for you?"),
        ("open", "We are open from 8 to 18."),
        ("latte", "One latte. Oat milk or almond milk?"),
    )

    async def answer(self, text: str) -> str:
        """Answer a message."""
        for word, answer in self.ANSWERS:
            if word in text.lower():
                return answer
        return f"You said: {text}"


class ChatService:
    """What a web server calls.

    All but `log_in` and `log_out` raise a `SessionError` where the session cannot be used.
    """

    def __init__(
        self,
        adapter: DatabaseAdapter,
        agent: ScriptedAgent,
        *,
        config: SessionConfig = CONFIG,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.agent = agent
        self.clock = clock
        self.sessions = SessionManager(config, adapter, clock=clock, on_expired=self.on_expired)
        self.conversations = ConversationHistoryUnit(adapter)
        self.expired: list[str] = []

    async def __aenter__(self) -> Self:
        """Open both; the database opens with the first and closes with the last."""
        await self.conversations.initialize()
        await self.sessions.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close both."""
        await self.sessions.shutdown()
        await self.conversations.shutdown()

    async def log_in(self, user_id: str) -> str:
        """Create a session for a user whose password was checked; return its id, for a cookie.

        The conversation goes on where the user's last session left it, as long as that is kept.
        """
        latest = await self.sessions.list_sessions(user_id, limit=1)
        conversation = latest[0].metadata["conversation_id"] if latest else secrets.token_hex(8)
        return await self.sessions.create_session(user_id, {"conversation_id": conversation, "messages": 0})

    async def chat(self, session_id: str, text: str) -> str:
        """Answer a message, and save both."""
        # Changing a session is activity, and so its time begins anew.
        session = await self.sessions.update_session(session_id, count_message)
        started = time.perf_counter()
        answer = await self.agent.answer(text)
        await self.conversations.save_message(
            ConversationMessage(
                conversation_id=session.metadata["conversation_id"],
                user_input=text,
                agent_response=answer,
                timestamp=self.clock(),
                response_time_ms=(time.perf_counter() - started) * 1000,
                metadata={"session_id": session_id},
            )
        )
        return answer

    async def history(self, session_id: str, limit: int = 50) -> list[ConversationMessage]:
        """Return the end of the conversation, as a page shows it that is loaded, or that asks for news.

        Send the texts to browsers, not the metadata: these hold ids of sessions, of other devices too.
        """
        session = await self.sessions.get_session(session_id)
        # Reading is no activity, but whoever has the page open is there. That may be said every second.
        await self.sessions.touch(session_id)
        return await self.conversations.get_conversation_history(session.metadata["conversation_id"], limit)

    async def start_over(self, session_id: str) -> None:
        """Begin another conversation; the former stays."""
        await self.sessions.update_session(session_id, {"conversation_id": secrets.token_hex(8)})

    async def titles(self, session_id: str) -> list[ConversationSummary]:
        """Return the conversations that the user went on with since logging in, for a list at the side."""
        await self.sessions.touch(session_id)
        return await self.conversations.list_conversations(session_id=session_id)

    async def log_out(self, session_id: str) -> None:
        """End the session, here and in all processes; whoever logs out twice is logged out."""
        await self.sessions.end_session(session_id)

    def on_expired(self, session: SessionData) -> None:
        """Do what is due once for each session that expired, such as a mail; here it is noted."""
        self.expired.append(session.user_id)


def count_message(session: SessionData) -> None:
    """Count one message more; called again if the session was changed meanwhile, so nothing else is done."""
    session.metadata["messages"] += 1


class Response(NamedTuple):
    """What a browser gets."""

    status: int
    text: str
    keeps_cookie: bool = True


async def answer_request(service: ChatService, cookie: str, text: str) -> Response:
    """Answer a message of a browser, as a handler of a web framework does."""
    try:
        return Response(200, await service.chat(cookie, text))
    except SessionExpiredError as error:
        # The user did nothing wrong: keep what was typed, ask for the password, and send it again.
        return Response(
            401, f"Your session expired at {error.expired_at:%H:%M}. Please log in again.", keeps_cookie=False
        )
    except SessionEndedError:
        # Logged out, here or in another window, or on too many devices.
        return Response(401, "You are logged out. Please log in.", keeps_cookie=False)
    except SessionNotFoundError:
        # A cookie from long ago, or a guess. Tell no more; never write the cookie into a log.
        return Response(401, "Please log in.", keeps_cookie=False)


class HandClock:
    """A clock that is set by hand, so that nobody waits for half an hour."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def advance(self, minutes: float) -> None:
        """Go on by so many minutes."""
        self.now += timedelta(minutes=minutes)


async def main() -> None:
    """Show a visit: log in, chat, be away for too long, log in again, log out."""
    clock = HandClock()

    async def say(text: str, cookie: str) -> None:
        response = await answer_request(service, cookie, text)
        print(f"{clock.now:%H:%M}  ada: {text}\n       {response.status}: {response.text}")

    # SQLiteAdapter("chat.db") keeps everything; this one is gone at the end.
    async with ChatService(SQLiteAdapter(":memory:"), ScriptedAgent(), clock=clock) as service:
        print(f"{clock.now:%H:%M}  ada logs in")
        cookie = await service.log_in("ada")
        await say("Hello!", cookie)
        for _ in range(3):
            clock.advance(minutes=20)
            await service.history(cookie)
        print(f"{clock.now:%H:%M}  for an hour her page asks for news every 20 minutes")
        await say("When are you open?", cookie)
        clock.advance(minutes=40)
        await say("Then a latte, please.", cookie)

        await service.sessions.cleanup_expired_sessions()  # else done in the background, every five minutes
        print(f"{clock.now:%H:%M}  clean-up: the session of {', '.join(service.expired)} has expired")

        cookie = await service.log_in("ada")
        print(f"{clock.now:%H:%M}  ada logs in again, and her conversation goes on:")
        for each in await service.history(cookie):
            print(f"       {each.timestamp:%H:%M} {each.user_input} → {each.agent_response}")
        await say("Then a latte, please.", cookie)
        (title,) = await service.titles(cookie)
        print(f"       her list: {title.first_user_input!r}, {title.message_count} exchanges")
        await service.log_out(cookie)
        print(f"{clock.now:%H:%M}  ada logs out")
        await say("Hello?", cookie)
        await say("Let me in!", "a-cookie-that-was-made-up")


if __name__ == "__main__":
    asyncio.run(main())
