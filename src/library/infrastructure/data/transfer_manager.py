"""What `ExportManager` and `ImportManager` share: a database that is open while something is moved."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.storage import DatabaseAdapter, default_adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from library.infrastructure.data.session_store import SessionStore
    from library.infrastructure.data.storage import ConversationStore


class TransferManager:
    """Moves records out of a database, or into it.

    There is nothing to initialise or to shut down: each call opens the database, unless it is open, and
    releases it.
    """

    def __init__(
        self,
        database_adapter: DatabaseAdapter | None = None,
        *,
        table_name: str = "conversations",
        sessions_table: str = "sessions",
        session_store: SessionStore | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            database_adapter: the database; default: the one that the environment variable
                `NANOBRAIN_DATABASE_URL` names, else `conversations.db` in the working directory.
            table_name: where in the database conversations are.
            sessions_table: where sessions are.
            session_store: keeps the sessions in place of the database: a `MemorySessionStore`.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        if database_adapter is not None and not isinstance(database_adapter, DatabaseAdapter):
            kind = type(database_adapter).__name__
            message = f"database_adapter must be a DatabaseAdapter, such as SQLiteAdapter, not {kind}"
            raise InvalidOptionError(message, option="database_adapter")
        self._adapter = default_adapter() if database_adapter is None else database_adapter
        self._conversations = self._adapter.conversations(table_name)
        self._sessions = self._adapter.sessions(sessions_table) if session_store is None else session_store

    @property
    def database_adapter(self) -> DatabaseAdapter:
        """The database."""
        return self._adapter

    @asynccontextmanager
    async def _open_conversations(self) -> AsyncIterator[ConversationStore]:
        await self._adapter.acquire()
        try:
            async with self._conversations.mutex.hold():
                await self._conversations.open()
            yield self._conversations
        finally:
            await self._adapter.release()

    @asynccontextmanager
    async def _open_sessions(self) -> AsyncIterator[SessionStore]:
        await self._adapter.acquire()
        try:
            await self._sessions.open()
            yield self._sessions
        finally:
            await self._adapter.release()
