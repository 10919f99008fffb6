"""Every session store under the contract of sessions: a backend adds one `SessionKind`, and no test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postgresql_server import shared_server

from library.infrastructure.data import MemorySessionStore
from library.infrastructure.data.conformance.session_contract import (
    Home,
    SessionAbility,
    SessionContract,
    SessionKind,
)
from library.infrastructure.interfaces.database import PostgreSQLAdapter, SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path


async def sqlite_file(place: Path) -> Home:
    return Home(adapter=SQLiteAdapter(place / "sessions.db"))


async def sqlite_memory(_: Path) -> Home:
    return Home(adapter=SQLiteAdapter(":memory:"))


async def postgresql(place: Path) -> Home:
    server = shared_server()
    return Home(adapter=PostgreSQLAdapter(server.url(await server.database_of(place))))


async def remove_postgresql(place: Path) -> None:
    await shared_server().drop_database_of(place)


async def in_process(_: Path) -> Home:
    return Home(store=MemorySessionStore())


DATABASE = SessionAbility.DATABASE | SessionAbility.COUNTED


class TestSessions(SessionContract):
    """SQLite, in a file and in memory, PostgreSQL, and the plain store of one process."""

    kinds = (
        SessionKind(
            name="SQLite file",
            make=sqlite_file,
            can=DATABASE | SessionAbility.DURABLE | SessionAbility.SHARED,
        ),
        SessionKind(name="SQLite memory", make=sqlite_memory, can=DATABASE),
        SessionKind(
            name="PostgreSQL",
            make=postgresql,
            can=DATABASE | SessionAbility.DURABLE | SessionAbility.SHARED,
            remove=remove_postgresql,
        ),
        SessionKind(name="in process", make=in_process),
    )


def test_no_test_hides_another() -> None:
    """The parts of the contract name their tests differently, or some would never run."""
    names = [name for part in SessionContract.__bases__ for name in vars(part) if name.startswith("test_")]

    assert len(names) > 100
    assert sorted(set(names)) == sorted(names)
