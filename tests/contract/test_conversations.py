"""Every database under the contract of conversations: a backend adds one `DatabaseKind`, and no test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from library.infrastructure.data.conformance.conversation_contract import (
    ConversationContract,
    DatabaseAbility,
    DatabaseKind,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from library.infrastructure.data import DatabaseAdapter


async def sqlite_file(place: Path) -> DatabaseAdapter:
    return SQLiteAdapter(place / "conversations.db")


async def sqlite_memory(_: Path) -> DatabaseAdapter:
    return SQLiteAdapter(":memory:")


class TestConversations(ConversationContract):
    """SQLite, in a file and in memory."""

    kinds = (
        DatabaseKind(
            name="SQLite file",
            make=sqlite_file,
            url=lambda place: f"sqlite:///{place}/conversations.db",
            can=DatabaseAbility.DURABLE | DatabaseAbility.SHARED,
        ),
        DatabaseKind(name="SQLite memory", make=sqlite_memory, url=lambda _: "sqlite:///:memory:"),
    )
