"""One try of a transaction, which always comes to an end, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import asyncpg

from library.infrastructure.data.errors import StorageError
from library.infrastructure.interfaces.database.postgresql.failures import (
    is_lost,
    is_of_driver,
    is_read_only,
)
from library.infrastructure.interfaces.database.postgresql.farewell import dispose, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from library.infrastructure.interfaces.database.postgresql.pools import Pool

T = TypeVar("T")

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"


class Attempt(Generic[T]):
    """Runs `work` in a transaction on a connection, and gives the connection back to its pool."""

    def __init__(
        self,
        work: Callable[[Any], Awaitable[T]],
        connection: Any,
        pool: Pool,
        *,
        one_statement: bool = False,
    ) -> None:
        """Take over a connection."""
        self._work = work
        self._connection = connection
        self._pool = pool
        self._one_statement = one_statement
        self._is_committing = False
        self.is_drivers_error = False
        """Whether what was raised came from the connection, and not from `work`."""
        self.result: Any = None
        """What `work` returned; `None` where the connection was lost before it did."""

    async def run(self) -> T:
        """Run the transaction; after an error, nothing of it is left, unless `is_outcome_unknown`."""
        connection = self._connection
        try:
            if self._one_statement:
                self._is_committing = True
                self.result = await self._work(connection)
            else:
                await connection.execute(BEGIN)
                self.result = await self._work(connection)
                self._is_committing = True
                if await connection.execute("COMMIT") != "COMMIT":
                    raise StorageError("the transaction had failed, and was rolled back")
            return cast(T, self.result)
        except GeneratorExit:  # its loop was closed
            dispose(connection)
            raise
        except BaseException as error:
            self.is_drivers_error = is_of_driver(error, connection)
            await _roll_back(connection, error)
            raise
        finally:
            self._pool.release(connection)

    def is_outcome_unknown(self, error: BaseException) -> bool:
        """Tell whether, after this error, the changes may be stored or not."""
        return (
            self._is_committing
            and self.is_drivers_error
            and (is_lost(error) or isinstance(error, TimeoutError))
        )


async def _roll_back(connection: Any, error: BaseException) -> None:
    """Leave no transaction open; a connection where that cannot be done in a moment is closed."""
    await settle(connection)
    if is_lost(error) or is_read_only(error):  # it is about to close; another may be the primary by now
        dispose(connection)
    if not connection.is_closed() and connection.is_in_transaction():
        try:
            await connection.execute("ROLLBACK", timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            dispose(connection)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run something as a task, and wait for its end, also when cancelled."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
