"""A chat service with four visitors: their sessions, and the conversations that are saved under them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from history_steps import Question

from core.step import Step, StepConfig
from library.infrastructure.data import (
    SessionConfig,
    SessionEndedError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)

if TYPE_CHECKING:
    from history_steps import AnswerFromHistory

    from library.infrastructure.data import ConversationMessage, SessionData

VISITORS = {
    "Ada": "What kinds of coffee do you have?",
    "Ben": "How do I learn to draw?",
    "Cyd": "I would like an iced latte.",
    "Dee": "What is a good pizza topping?",
}
# Nothing is cleaned up in the background here: its clock does not know that this one is advanced.
CONFIG = SessionConfig(session_timeout=timedelta(minutes=30), cleanup_interval=None)


class Row(NamedTuple):
    """What happened at a moment, and what became of each session."""

    at: datetime
    what: str
    states: tuple[str, ...]


class HandClock:
    """A clock that is set by hand, so that nobody waits for half an hour to see a session expire."""

    def __init__(self) -> None:
        self.started = self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Tell the time, as a session manager asks for it."""
        return self.now

    def set(self, minutes: int) -> None:
        """Put the clock so many minutes behind the start."""
        self.now = self.started + timedelta(minutes=minutes)


class Request(NamedTuple):
    """What a visitor sends: the session is all that tells who it is."""

    session_id: str
    text: str


class ServeVisitor(Step):
    """Answers a visitor, and saves the exchange under the visitor's session."""

    def __init__(self, sessions: SessionManager, agent: AnswerFromHistory) -> None:
        super().__init__(StepConfig(name="serve", description="Answers visitors who have a session."))
        self.sessions = sessions
        self.agent = agent

    async def process(self, inputs: Request) -> ConversationMessage:
        """Answer a question; raises a `SessionError` where the session cannot be used."""
        # Whoever else changes the session at the same time: this counts right, and it is activity, too.
        session = await self.sessions.update_session(inputs.session_id, count_question)
        conversation: str = session.metadata["conversation_id"]
        question = Question(conversation, inputs.text, session_id=session.session_id)
        answer: ConversationMessage = await self.agent.execute(question)
        return answer


def count_question(session: SessionData) -> None:
    """Count one question more."""
    session.metadata["questions"] += 1


class Visits:
    """What happens to four visitors within 50 minutes, on a clock that is advanced by hand."""

    def __init__(self, agent: AnswerFromHistory, run: str) -> None:
        self.answers = agent.answers
        self.run = run
        self.clock = HandClock()
        self.rows: list[Row] = []
        self.session_ids: dict[str, str] = {}
        self.sessions = SessionManager(
            CONFIG,
            self.answers.database_adapter,  # sessions and conversations are in one database
            table_name="visits",
            clock=self.clock,
            on_expired=self.say_goodbye,
        )
        self.serve = ServeVisitor(self.sessions, agent)
        self.farewells: list[str] = []
        self.left: list[SessionData] = []
        self.saved: dict[str, int] = {}

    def say_goodbye(self, session: SessionData) -> None:
        """Do what is to be done once for each session that expired: here, note whose it was."""
        self.farewells.append(session.user_id)

    async def happen(self) -> None:
        """Let everything happen, and note the states of the sessions."""
        async with self.sessions:
            await self._forget_earlier_runs()
            for name, question in VISITORS.items():
                await self._log_in(name)
                await self._ask(name, question)
            await self._note("all log in, and ask something")

            self.clock.set(20)
            await self._ask("Ada", "Do you have oat milk?")
            await self._ask("Ben", "And how long does that take?")
            await self.sessions.touch(self.session_ids["Cyd"])
            await self._note("Ada and Ben ask; touch for Cyd's page")

            self.clock.set(30)
            await self.sessions.end_session(self.session_ids["Ben"])
            await self._note("Ben logs out; Dee was idle for 30 min")

            self.clock.set(45)
            await self._ask("Ada", "Then a latte with oat milk, please.")
            self.clock.set(50)
            await self._note("Ada has asked; Cyd was idle for 30 min")

            count = await self.sessions.cleanup_expired_sessions()
            await self._note(f"cleanup_expired_sessions() deletes {count}")
            self.left = await self.sessions.list_sessions(active=True)
        for name, session_id in self.session_ids.items():  # sessions go, conversations stay
            conversations = await self.answers.list_conversations(session_id=session_id)
            self.saved[name] = sum(each.message_count for each in conversations)

    async def _log_in(self, name: str) -> None:
        metadata = {"conversation_id": conversation_of(name, self.run), "questions": 0}
        self.session_ids[name] = await self.sessions.create_session(name, metadata)

    async def _ask(self, name: str, question: str) -> None:
        await self.serve.execute(Request(self.session_ids[name], question))

    async def _note(self, what: str) -> None:
        states = [await self._state(session_id) for session_id in self.session_ids.values()]
        self.rows.append(Row(self.clock.now, what, tuple(states)))

    async def _state(self, session_id: str) -> str:
        """Say in a word what a session is; to ask is no activity."""
        try:
            await self.sessions.get_session(session_id)
        except SessionExpiredError:
            return "expired"
        except SessionEndedError:
            return "ended"
        except SessionNotFoundError:
            return "gone"
        return "active"

    async def _forget_earlier_runs(self) -> None:
        for each in await self.sessions.list_sessions(limit=None):
            await self.sessions.delete_session(each.session_id)
        await self.sessions.cleanup_expired_sessions()
        self.farewells.clear()


def conversation_of(name: str, run: str) -> str:
    """Name the conversation of a visitor in one run."""
    return f"visit {run} {name}"
