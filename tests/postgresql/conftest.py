"""Databases of their own for the tests of the PostgreSQL adapter, on a server that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from postgresql_server import PostgreSQLServer, shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def server() -> PostgreSQLServer:
    """The server that all tests of this process share; nobody stops it."""
    return shared_server()


@pytest.fixture
async def database(server: PostgreSQLServer, tmp_path: Path) -> AsyncIterator[str]:
    """The name of an empty database, with the tables `conversations` and `sessions`."""
    yield await server.database_of(tmp_path)
    await server.drop_database_of(tmp_path)


@pytest.fixture
def url(server: PostgreSQLServer, database: str) -> str:
    """The URL of an empty database."""
    return server.url(database)


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    """A server that a test may kill: what was committed there is on the disk."""
    server = PostgreSQLServer(is_durable=True)
    yield server
    server.remove()
