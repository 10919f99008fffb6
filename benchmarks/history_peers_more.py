"""More of those in `history_peers.py`: the session services of Google's ADK, and `llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.history_peer import Peer

if TYPE_CHECKING:
    from benchmarks.history_texts import Exchange


class Adk(Peer):
    """What the session services of Google's ADK have in common: two events an exchange."""

    fills = False
    saves = (15, 1)
    service: Any

    async def session(self, conversation_id: str) -> Any:
        return await self.service.create_session(app_name="app", user_id="user", session_id=conversation_id)

    async def save(self, session: Any, exchange: Exchange) -> None:
        from google.adk.events import Event
        from google.genai import types

        texts = (("user", "user", exchange.user_input), ("agent", "model", exchange.agent_response))
        for author, role, text in texts:
            content = types.Content(role=role, parts=[types.Part(text=text)])
            await self.service.append_event(session, Event(author=author, content=content))

    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None:
        for exchange in exchanges:
            await self.save(session, exchange)

    async def latest(self, session: Any, number: int) -> int:
        from google.adk.sessions.base_session_service import GetSessionConfig

        found = await self.service.get_session(
            app_name="app",
            user_id="user",
            session_id=session.id,
            config=GetSessionConfig(num_recent_events=2 * number),
        )
        return len(found.events) // 2


class AdkSqlite(Adk):
    name = "ADK SqliteSessionService"
    note = "aiosqlite, opens the file for each call"

    async def open(self) -> None:
        from google.adk.sessions.sqlite_session_service import SqliteSessionService

        await super().open()
        self.service = SqliteSessionService(self.path)


class AdkDatabase(Adk):
    name = "ADK DatabaseSessionService"
    note = "one engine on aiosqlite"

    async def open(self) -> None:
        from google.adk.sessions import DatabaseSessionService

        await super().open()
        self.service = DatabaseSessionService(f"sqlite+aiosqlite:///{self.path}")

    async def close(self) -> None:
        await self.service.close()


class Llm(Peer):
    name = "llm LogStore"
    note = "synchronous, keeps FTS5 as well; reads all"
    concurrent = False
    fills = False
    saves = (40, 0)
    TURNS = 20
    """A conversation of `llm` is checked from its beginning at each save: a new one is begun after these."""

    async def open(self) -> None:
        import llm
        import sqlite_utils
        from llm.logs import LogStore

        await super().open()
        self.db = sqlite_utils.Database(self.path)
        self.store = LogStore(self.db)

        class Echo(llm.Model):  # type: ignore[misc,unused-ignore]
            model_id = "echo"
            answer = ""

            def execute(self, prompt: Any, stream: Any, response: Any, conversation: Any) -> Any:
                yield self.answer

        self.model = Echo()

    async def session(self, conversation_id: str) -> Any:
        return conversation_id

    def responses(self, exchanges: list[Exchange]) -> list[Any]:
        """Return what the model would have answered: made before the clock runs."""
        made = []
        conversation: Any = None
        for index, exchange in enumerate(exchanges):
            if index % self.TURNS == 0:
                conversation = self.model.conversation()
            self.model.answer = exchange.agent_response
            made.append(conversation.prompt(exchange.user_input))
            made[-1].text()
        return made

    async def save(self, session: Any, exchange: Any) -> None:
        self.store.log(exchange)

    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None:
        from llm.parts import Message, TextPart

        self.store.ensure_thread(session)
        messages = []
        for exchange in exchanges:
            messages += [
                Message("user", [TextPart(exchange.user_input)]),
                Message("assistant", [TextPart(exchange.agent_response)]),
            ]
        with self.db.atomic():
            self.store.append(session, messages)

    async def latest(self, session: Any, number: int) -> int:
        return len(self.store.thread_messages(session)[-2 * number :]) // 2

    async def close(self) -> None:
        self.db.conn.close()
