"""`PostgreSQLAdapter`: one PostgreSQL database, on one server and any number of replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.storage import DatabaseAdapter
from library.infrastructure.interfaces.database.postgresql import migrations
from library.infrastructure.interfaces.database.postgresql.engine import Engine
from library.infrastructure.interfaces.database.postgresql.settings import check_replicas, parse_settings
from library.infrastructure.interfaces.database.table_names import check_table_name

if TYPE_CHECKING:
    import os
    import ssl as tls
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data.storage import TableInfo
    from library.infrastructure.interfaces.database.postgresql.conversations import (
        PostgreSQLConversationStore,
    )
    from library.infrastructure.interfaces.database.postgresql.sessions import PostgreSQLSessionStore
    from library.infrastructure.interfaces.database.postgresql.settings import Password


class PostgreSQLAdapter(DatabaseAdapter):
    """Keeps everything in one PostgreSQL database, for any number of tasks, threads, processes and machines.

    Each event loop has connections of its own, opened when they are needed. When the server goes away, calls
    wait for it to come back for `command_timeout_s`, and then raise. Works through PgBouncer in transaction
    mode, with `statement_cache_size=0` where that is older than 1.21.

    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: Password | None = None,
        schema: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        connect_timeout_s: float | None = None,
        command_timeout_s: float | None = None,
        ssl: bool | str | tls.SSLContext | None = None,
        replicas: Sequence[str] = (),
        statement_cache_size: int | None = None,
        application_name: str | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        What is neither given here nor in the DSN is as the variables of PostgreSQL say: `PGHOST`, `PGPORT`,
        `PGDATABASE`, `PGUSER`, `PGPASSWORD`, `PGSSLMODE`, and the file `~/.pgpass`.

        Args:
            dsn: `postgresql://user:password@host:port/database?option=value`; several hosts with commas
                between them are tried until one may be written. Options: those below with a number or a text,
                and `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslcrl`.
            host: a name, an address, or the folder of a socket.
            port: 5432 if not given.
            database: its name.
            user: who connects.
            password: of the user; or a function that gives one for each new connection.
            schema: where the tables are, `"public"` if not given; it is made if it is not there.
            min_size: so many connections are opened at once, and kept. 0 if not given.
            max_size: the most connections of one event loop to one server. 10 if not given.
            connect_timeout_s: seconds that connecting may take. 10 if not given.
            command_timeout_s: seconds that one statement may take, and for which a call waits for a
                connection, or for a server that is restarted. 60 if not given.
            ssl: `True`: the server's certificate is verified; `False`: none; or a mode of PostgreSQL, as
                `"require"`; or a context. `"prefer"` if not given.
            replicas: servers that follow this one, to read from: DSNs, or `host` or `host:port` with all else
                as above. What a task saved it reads from the primary, all it reads afterwards too.
            statement_cache_size: how many statements a connection keeps prepared; 0 for what stands between
                and does not keep them. 100 if not given.
            application_name: as the server shows it. `"nanobrain-data"` if not given.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        super().__init__()
        self._engine: Engine | None = None
        self._settings = parse_settings(
            dsn,
            {
                "host": host,
                "port": port,
                "database": database,
                "user": user,
                "password": password,
                "schema": schema,
                "min_size": min_size,
                "max_size": max_size,
                "connect_timeout_s": connect_timeout_s,
                "command_timeout_s": command_timeout_s,
                "ssl": ssl,
                "statement_cache_size": statement_cache_size,
                "application_name": application_name,
            },
        )
        self._replicas = [self._settings.at(each) for each in check_replicas(replicas)]
        self._stores: dict[str, PostgreSQLConversationStore] = {}
        self._session_stores: dict[str, PostgreSQLSessionStore] = {}

    @property
    def url(self) -> str:
        """The URL of the database, without the password."""
        return self._settings.url

    def conversations(self, table_name: str = "conversations") -> PostgreSQLConversationStore:
        """Return the store of one table; see `DatabaseAdapter.conversations`."""
        check_table_name(table_name)
        from library.infrastructure.interfaces.database.postgresql.conversations import (  # noqa: PLC0415
            PostgreSQLConversationStore,
        )

        key = table_name.lower()
        store = self._stores.get(key)
        if store is None:
            store = self._stores.setdefault(key, PostgreSQLConversationStore(self, table_name))
        return store

    def sessions(self, table_name: str = "sessions") -> PostgreSQLSessionStore:
        """Return the store of one table; see `DatabaseAdapter.sessions`."""
        check_table_name(table_name)
        from library.infrastructure.interfaces.database.postgresql.sessions import (  # noqa: PLC0415
            PostgreSQLSessionStore,
        )

        key = table_name.lower()
        store = self._session_stores.get(key)
        if store is None:
            store = self._session_stores.setdefault(key, PostgreSQLSessionStore(self, table_name))
        return store

    @property
    def engine(self) -> Engine:
        """What is open; for the stores.

        Raises:
            NotInitializedError, UnitClosedError: the adapter is not open.

        """
        engine = self._engine
        if engine is None:
            self.check_open()
            raise AssertionError
        return engine

    async def check(self) -> list[str]:
        """Look for damage, in the full-text index too; see `DatabaseAdapter.check`."""
        problems: list[str] = []
        for table in await self.tables():
            if table.kind == "conversations":
                problems += await self.conversations(table.name).check_index()
            else:
                problems += await self.sessions(table.name).check()
        return problems

    async def backup(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:  # noqa: ARG002
        """Refuse: a server's database is copied by the server's own means.

        Raises:
            InvalidOptionError: always.

        """
        self.check_open()
        message = (
            f"{self.url} is not a file that could be copied: use `pg_dump` for a backup, or "
            "`nanobrain-data export` for files that any database can import"
        )
        raise InvalidOptionError(message, option="path")

    async def tables(self) -> list[TableInfo]:
        """List the tables that this library made; see `DatabaseAdapter.tables`."""
        engine = self.engine
        return await engine.read(
            "look into", lambda connection: migrations.known_tables(connection, engine.schema), primary=True
        )

    async def stats(self) -> Mapping[str, Any]:
        """Return what was counted since the adapter was opened.

        Returns:
            `url`, `commits`, `reads`, `retries`, `connections` and `idle_connections` (of all event loops),
            `event_loops`, `replicas` and `replicas_available`.

        """
        engine = self.engine
        homes = engine.homes.all()
        pools = [pool for home in homes for pool in (home.primary, *home.replicas)]
        return {
            "url": self.url,
            "commits": engine.commits,
            "reads": {"count": engine.reads},
            "retries": engine.retries,
            "connections": sum(pool.size for pool in pools),
            "idle_connections": sum(pool.idle_count for pool in pools),
            "event_loops": len(homes),
            "replicas": len(self._replicas),
            "replicas_available": engine.replicas.available,
        }

    async def _open(self) -> None:
        engine = Engine(self._settings, self._replicas)
        try:
            await engine.open()
        except BaseException:
            await engine.close()
            raise
        self._engine = engine

    async def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    def _abandon(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.abandon()
