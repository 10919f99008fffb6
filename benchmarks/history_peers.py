"""How people save conversations today: each library called as its own documentation shows.

Each is given a file that was put into WAL before, which SQLite remembers, so that none pays for the rollback
journal that some of them would use (one is measured so as well); `synchronous` is FULL, SQLite's default, in
all of them. None but `llm` keeps an index of the texts. Sessions are opened outside of what is timed.
"""

from __future__ import annotations

import warnings
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.history_peer import Peer
from benchmarks.history_peers_more import AdkDatabase, AdkSqlite, Llm

if TYPE_CHECKING:
    from benchmarks.history_texts import Exchange


def items(exchange: Exchange) -> list[Any]:
    """Return an exchange as OpenAI sessions take it."""
    return [
        {"role": "user", "content": exchange.user_input},
        {"role": "assistant", "content": exchange.agent_response},
    ]


class OpenAI(Peer):
    """What the sessions of OpenAI Agents have in common."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.sessions: list[Any] = []

    async def save(self, session: Any, exchange: Exchange) -> None:
        await session.add_items(items(exchange))

    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None:
        await session.add_items([item for exchange in exchanges for item in items(exchange)])

    async def latest(self, session: Any, number: int) -> int:
        return len(await session.get_items(limit=2 * number)) // 2


class OpenAISQLite(OpenAI):
    name = "OpenAI SQLiteSession"
    note = "sqlite3, a connection a session and thread"

    async def session(self, conversation_id: str) -> Any:
        from agents import SQLiteSession

        self.sessions.append(SQLiteSession(conversation_id, self.path))
        return self.sessions[-1]

    async def close(self) -> None:
        for session in self.sessions:
            session.close()


class OpenAIAsync(OpenAI):
    name = "OpenAI AsyncSQLiteSession"
    note = "aiosqlite, a connection a session"
    saves = (100, 2)

    async def session(self, conversation_id: str) -> Any:
        from agents.extensions.memory import AsyncSQLiteSession

        self.sessions.append(AsyncSQLiteSession(conversation_id, db_path=self.path))
        await self.sessions[-1].get_items(limit=1)
        return self.sessions[-1]

    async def close(self) -> None:
        for session in self.sessions:
            await session.close()


class OpenAIAlchemy(OpenAI):
    name = "OpenAI SQLAlchemySession"
    note = "one engine on aiosqlite, its default pool"
    saves = (60, 2)

    async def open(self) -> None:
        from agents.extensions.memory import SQLAlchemySession
        from sqlalchemy.ext.asyncio import create_async_engine

        await super().open()
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{self.path}")
        await SQLAlchemySession("none", engine=self.engine, create_tables=True).get_items(limit=1)

    async def session(self, conversation_id: str) -> Any:
        from agents.extensions.memory import SQLAlchemySession

        return SQLAlchemySession(conversation_id, engine=self.engine)

    async def close(self) -> None:
        await self.engine.dispose()


class LangChain(Peer):
    name = "LangChain SQLChatMessageHistory"
    note = "one engine on aiosqlite; reads all"
    saves = (60, 3)

    async def open(self) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        await super().open()
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{self.path}")

    async def session(self, conversation_id: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from langchain_community.chat_message_histories import SQLChatMessageHistory
        history = SQLChatMessageHistory(session_id=conversation_id, connection=self.engine)
        await history.aadd_messages([])
        return history

    async def save(self, session: Any, exchange: Exchange) -> None:
        await self.save_many(session, [exchange])

    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None:
        from langchain_core.messages import AIMessage, HumanMessage

        messages: list[Any] = []
        for exchange in exchanges:
            messages += [HumanMessage(exchange.user_input), AIMessage(exchange.agent_response)]
        await session.aadd_messages(messages)

    async def latest(self, session: Any, number: int) -> int:
        return len((await session.aget_messages())[-2 * number :]) // 2

    async def close(self) -> None:
        await self.engine.dispose()


class LangGraphStore(Peer):
    name = "LangGraph AsyncSqliteStore"
    note = "aiosqlite; the puts of one loop tick in one transaction"
    saves = (200, 50)

    async def open(self) -> None:
        from langgraph.store.sqlite import AsyncSqliteStore

        await super().open()
        self.stack = AsyncExitStack()
        self.store = await self.stack.enter_async_context(AsyncSqliteStore.from_conn_string(self.path))
        await self.store.setup()

    async def session(self, conversation_id: str) -> Any:
        return ("history", conversation_id)

    @staticmethod
    def value(exchange: Exchange) -> dict[str, Any]:
        return {
            "user": exchange.user_input,
            "agent": exchange.agent_response,
            "response_time_ms": exchange.response_time_ms,
        }

    async def save(self, session: Any, exchange: Exchange) -> None:
        await self.store.aput(session, str(exchange.timestamp), self.value(exchange))

    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None:
        from langgraph.store.base import PutOp

        for start in range(0, len(exchanges), 100):
            part = exchanges[start : start + 100]
            await self.store.abatch([PutOp(session, str(each.timestamp), self.value(each)) for each in part])

    async def latest(self, session: Any, number: int) -> int:
        return len(await self.store.asearch(session, limit=number))

    async def close(self) -> None:
        await self.stack.aclose()


class LangGraphStoreAsIs(LangGraphStore):
    name = "LangGraph AsyncSqliteStore, as it opens"
    note = "with a rollback journal"
    journal = "DELETE"


PEERS: tuple[type[Peer], ...] = (
    OpenAISQLite,
    OpenAIAsync,
    OpenAIAlchemy,
    LangChain,
    LangGraphStore,
    LangGraphStoreAsIs,
    AdkSqlite,
    AdkDatabase,
    Llm,
)
