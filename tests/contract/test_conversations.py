"""Every database under the contract of conversations: a backend adds one `DatabaseKind`, and no test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgresql_server import shared_server

from library.infrastructure.data.conformance.conversation_contract import (
    ConversationContract,
    DatabaseAbility,
    DatabaseKind,
)
from library.infrastructure.interfaces.database import PostgreSQLAdapter, SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DatabaseAdapter


async def sqlite_file(place: Path) -> DatabaseAdapter:
    return SQLiteAdapter(place / "conversations.db")


async def sqlite_memory(_: Path) -> DatabaseAdapter:
    return SQLiteAdapter(":memory:")


async def postgresql(place: Path) -> DatabaseAdapter:
    server = shared_server()
    return PostgreSQLAdapter(server.url(await server.database_of(place)))


async def remove_postgresql(place: Path) -> None:
    await shared_server().drop_database_of(place)


class TestConversations(ConversationContract):
    """SQLite, in a file and in memory, and PostgreSQL."""

    kinds = (
        DatabaseKind(
            name="SQLite file",
            make=sqlite_file,
            url=lambda place: f"sqlite:///{place}/conversations.db",
            can=DatabaseAbility.DURABLE | DatabaseAbility.SHARED,
        ),
        DatabaseKind(name="SQLite memory", make=sqlite_memory, url=lambda _: "sqlite:///:memory:"),
        DatabaseKind(
            name="PostgreSQL",
            make=postgresql,
            url=lambda place: shared_server().url(shared_server().name_of(place)),
            can=DatabaseAbility.DURABLE | DatabaseAbility.SHARED,
            remove=remove_postgresql,
        ),
    )
