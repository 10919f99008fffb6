"""How people keep conversations in PostgreSQL today: each library called as its own documentation shows.

Each has a database of its own on the same server, and a pool of as many connections as everybody. None keeps
an index of the texts.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.history_peers import LangGraphStore, OpenAI
from benchmarks.postgresql_setup import POOL

if TYPE_CHECKING:
    from benchmarks.history_peer import Peer


class OpenAIAlchemy(OpenAI):
    name = "OpenAI SQLAlchemySession"
    note = "one engine on asyncpg"
    saves = (100, 10)

    async def open(self) -> None:
        from agents.extensions.memory import SQLAlchemySession
        from sqlalchemy.ext.asyncio import create_async_engine

        url = self.path.replace("postgresql://", "postgresql+asyncpg://")
        self.engine = create_async_engine(url, pool_size=POOL, max_overflow=0)
        await SQLAlchemySession("none", engine=self.engine, create_tables=True).get_items(limit=1)

    async def session(self, conversation_id: str) -> Any:
        from agents.extensions.memory import SQLAlchemySession

        return SQLAlchemySession(conversation_id, engine=self.engine)

    async def close(self) -> None:
        await self.engine.dispose()


class LangGraphPostgres(LangGraphStore):
    name = "LangGraph AsyncPostgresStore"
    note = "psycopg; the puts of one loop tick in one transaction"
    saves = (200, 50)

    async def open(self) -> None:
        from langgraph.store.postgres import AsyncPostgresStore

        self.stack = AsyncExitStack()
        store = AsyncPostgresStore.from_conn_string(
            self.path, pool_config={"min_size": POOL, "max_size": POOL}
        )
        self.store = await self.stack.enter_async_context(store)
        await self.store.setup()


PEERS: tuple[type[Peer], ...] = (OpenAIAlchemy, LangGraphPostgres)
