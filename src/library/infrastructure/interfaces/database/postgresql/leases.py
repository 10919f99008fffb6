"""Connections that are lent for the length of an `async with` block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.database.postgresql.failures import is_lost, is_of_driver, translate
from library.infrastructure.interfaces.database.postgresql.farewell import dispose, settle

if TYPE_CHECKING:
    from types import TracebackType

    from library.infrastructure.interfaces.database.postgresql.engine import Engine
    from library.infrastructure.interfaces.database.postgresql.pools import Pool


class Lease:
    """Lends a connection that reads, outside of a transaction; see `Engine.reading`."""

    __slots__ = ("_attempted", "_connection", "_deadline", "_engine", "_pool", "_primary")

    def __init__(
        self, engine: Engine, attempted: str, *, primary: bool, deadline: float | None = None
    ) -> None:
        """Prepare."""
        self._engine = engine
        self._attempted = attempted
        self._primary = primary
        self._deadline = deadline
        self._pool: Pool
        self._connection: Any = None

    async def __aenter__(self) -> Any:
        """Wait for a connection."""
        engine = self._engine
        deadline = engine.deadline() if self._deadline is None else self._deadline
        self._pool, self._connection = await engine.lend(
            self._attempted, primary=self._primary, deadline=deadline
        )
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it back; what the driver raised is translated."""
        is_drivers = error is not None and is_of_driver(error, self._connection)
        try:
            if isinstance(error, GeneratorExit) or is_lost(error):
                dispose(self._connection)
            elif error is not None:
                await settle(self._connection)
        finally:
            self._pool.release(self._connection)
        if is_drivers and isinstance(error, Exception):
            raise translate(error, self._attempted, self._engine.where) from error


class Snapshot:
    """Lends a connection within a transaction that reads as of one moment; see `Engine.snapshot`."""

    __slots__ = ("_lease", "_transaction")

    def __init__(self, engine: Engine, attempted: str) -> None:
        """Prepare."""
        self._lease = Lease(engine, attempted, primary=True)
        self._transaction: Any = None

    async def __aenter__(self) -> Any:
        """Begin."""
        connection = await self._lease.__aenter__()
        try:
            self._transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await self._transaction.start()
        except BaseException as error:
            await self._lease.__aexit__(type(error), error, error.__traceback__)
            raise
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; nothing was written, so that it makes no difference how."""
        try:
            if error is None:
                await self._transaction.rollback()
        except BaseException as failure:
            await self._lease.__aexit__(type(failure), failure, failure.__traceback__)
            raise
        await self._lease.__aexit__(kind, error, traceback)
