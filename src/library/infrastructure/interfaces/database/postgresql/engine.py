"""What is open while an adapter is: connections for each event loop, transactions, and another try.

It knows nothing of the adapter, so that an adapter that was forgotten can be collected.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from library.infrastructure.data.errors import StorageError
from library.infrastructure.interfaces.database.postgresql import migrations
from library.infrastructure.interfaces.database.postgresql.failures import (
    DRIVER_ERRORS,
    is_conflict,
    is_lost,
    is_no_server,
    is_read_only,
    translate,
)
from library.infrastructure.interfaces.database.postgresql.leases import Lease, Snapshot
from library.infrastructure.interfaces.database.postgresql.loop_homes import Homes
from library.infrastructure.interfaces.database.postgresql.replicas import Replicas
from library.infrastructure.interfaces.database.postgresql.transactions import Attempt, to_the_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.interfaces.database.postgresql.pools import Pool
    from library.infrastructure.interfaces.database.postgresql.settings import Settings

T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]
"""What is done by a connection: from asyncpg, which has no types."""

_CONFLICTS: Final = 20
"""So often a transaction that others were in the way of is tried again."""


class Engine:
    """The open connections to one database: a set for each event loop, opened when first used there."""

    def __init__(self, settings: Settings, replicas: Sequence[Settings] = ()) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self.schema = settings.schema
        self.where = settings.url
        """What errors call the database: its URL without the password."""
        self.replicas = Replicas(len(replicas))
        self.homes = Homes(settings, replicas)
        self.commits = 0
        self.retries = 0
        self.reads = 0

    # -- reading -------------------------------------------------------------------------------------------

    def reading(self, *, primary: bool = False, attempted: str = "read from") -> Lease:
        """Lend a connection for reads outside of a transaction, for the length of an `async with` block.

        That of a replica when there are some and this task did not save before, else of the primary. What
        the driver raises in the block is translated.
        """
        return Lease(self, attempted, primary=primary)

    def snapshot(self, attempted: str = "read from") -> Snapshot:
        """Lend a connection within a transaction (REPEATABLE READ, READ ONLY) that reads as of one moment."""
        return Snapshot(self, attempted)

    async def read(self, attempted: str, work: Work[T], *, primary: bool = False) -> T:
        """Read by `work(connection)`, which is called again when the connection is lost."""
        deadline = self.deadline()
        for delay in _delays():
            try:
                async with Lease(self, attempted, primary=primary, deadline=deadline) as connection:
                    return await work(connection)
            except StorageError as error:
                cause = error.__cause__
                if cause is None or not (is_lost(cause) or is_conflict(cause)):
                    raise
                primary = primary or is_conflict(cause)  # a replica that is catching up
                await self._pause(delay, deadline, error)
        raise AssertionError

    async def fetch(self, attempted: str, statement: str, *args: Any, primary: bool = False) -> list[Any]:
        """Return the rows of one statement that reads."""
        rows: list[Any] = await self.read(
            attempted, lambda connection: connection.fetch(statement, *args), primary=primary
        )
        return rows

    async def lend(self, attempted: str, *, primary: bool, deadline: float) -> tuple[Pool, Any]:
        """Return a connection for reads, and the pool that takes it back."""
        self.reads += 1
        home = await self.homes.here()
        if not primary and self.replicas:
            for index in self.replicas.choose():
                pool = home.replicas[index]
                try:
                    connection = await pool.acquire(deadline)
                except DRIVER_ERRORS as error:
                    self.replicas.failed(index, error)
                else:
                    self.replicas.worked(index)
                    return pool, connection
        return home.primary, await self._connect(home.primary, deadline, attempted)

    # -- writing -------------------------------------------------------------------------------------------

    async def transact(
        self,
        attempted: str,
        work: Work[T],
        *,
        check: Work[bool] | None = None,
        one_statement: bool = False,
    ) -> T:
        """Change something by `work(connection)` in one READ COMMITTED transaction on the primary.

        It is called again, in a new transaction, after a serialization failure or a deadlock, and when the
        connection was lost before the commit. When that was lost while the commit was under way, `check` is
        asked. A caller that is cancelled once work has begun waits for its end.

        Args:
            attempted: what is being done, as in "cannot ...", with the preposition: "save to".
            work: changes something, through this connection only.
            check: tells whether what `work` did last is stored; called within a transaction of its own. It
                must wait for the end of the transaction that was lost, by asking for a row lock that `work`
                took; and look at what is stored, not at ids, which a server that crashed may give again.
            one_statement: `work` runs one statement only, which is a transaction of its own: two round trips
                less.

        Raises:
            StorageError: the server was not there for `command_timeout_s`, or the outcome is not known.
            DataUnitError: what `work` raised, or what became of the driver's error.

        """
        deadline = self.deadline()
        conflicts = itertools.count(1)
        home = await self.homes.here()
        for delay in _delays():
            connection = await self._connect(home.primary, deadline, attempted)
            attempt = Attempt(work, connection, home.primary, one_statement=one_statement)
            try:
                result = await to_the_end(attempt.run())
            except DRIVER_ERRORS as error:
                if not attempt.is_drivers_error:
                    raise
                failure = translate(error, attempted, self.where)
                if attempt.is_outcome_unknown(error):
                    if check is None:
                        raise self._unknown(attempted) from error
                    if await self._is_stored(attempted, check, deadline):
                        result = attempt.result
                    else:
                        continue
                elif is_conflict(error):
                    if next(conflicts) > _CONFLICTS:
                        raise failure from error
                    await self._pause(delay, deadline, failure)
                    continue
                elif is_lost(error) or is_read_only(error):
                    await self._pause(delay, deadline, failure)
                    continue
                else:
                    raise failure from error
            self.commits += 1
            self.wrote()
            return result
        raise AssertionError

    def wrote(self) -> None:
        """Have this task, and those that it starts, read from the primary from now on.

        `transact` calls it; who has a transaction run by another task calls it for its own.
        """
        self.replicas.wrote()

    async def migrate(self, kind: str, table: str) -> None:
        """Make a table, or bring it to the schema of this code; see `migrations.migrate`."""
        schema, where = self.schema, self.where

        async def find_out(connection: Any) -> bool:
            return await migrations.is_current(connection, schema, kind, table)

        async def migrate(connection: Any) -> None:
            await migrations.migrate(connection, schema, kind, table, where)

        async def is_done(connection: Any) -> bool:
            return await migrations.is_current(connection, schema, kind, table)

        if not await self.read("open", find_out, primary=True):
            await self.transact("make or change tables of", migrate, check=is_done)

    # -- life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, and see whether the server can be used."""
        home = await self.homes.here()
        connection = await self._connect(home.primary, self.deadline(), "open", waits=False)
        try:
            await migrations.check_server(connection, self.where)
            await migrations.check_database(connection, self.schema, self.where)
        except DRIVER_ERRORS as error:
            raise translate(error, "open", self.where) from error
        finally:
            home.primary.release(connection)
        await home.primary.fill()

    async def close(self) -> None:
        """Let what was begun come to its end, and close all connections, of all loops."""
        await self.homes.close()

    def abandon(self) -> None:
        """Close all connections at once."""
        self.homes.abandon()

    def deadline(self) -> float:
        """Return until when a call that begins now may take, in the loop's time."""
        return asyncio.get_running_loop().time() + self.settings.command_timeout_s

    async def _connect(self, pool: Pool, deadline: float, attempted: str, *, waits: bool = True) -> Any:
        """Return a connection of a pool; wait for a server that is not there, unless it is the first time."""
        for delay in _delays():
            try:
                return await pool.acquire(deadline)
            except DRIVER_ERRORS as error:
                failure = translate(error, attempted, self.where)
                if not waits or not is_no_server(error):
                    raise failure from error
                await self._pause(delay, deadline, failure)
        raise AssertionError

    async def _is_stored(self, attempted: str, check: Work[bool], deadline: float) -> bool:
        """Find out what became of a commit after which the connection was lost."""
        home = await self.homes.here()
        for delay in _delays():
            try:
                connection = await self._connect(home.primary, deadline, attempted)
                return await to_the_end(Attempt(check, connection, home.primary).run())
            except DRIVER_ERRORS as error:
                if not (is_lost(error) or is_conflict(error) or is_read_only(error)):
                    raise self._unknown(attempted) from error
                await self._pause(delay, deadline, self._unknown(attempted))
            except StorageError as error:
                raise self._unknown(attempted) from error
        raise AssertionError

    def _unknown(self, attempted: str) -> StorageError:
        return StorageError(
            f"cannot tell whether it was done to {attempted} {self.where}: the connection was lost while the "
            "changes were being committed; look whether they are there before you retry",
            path=self.where,
        )

    async def _pause(self, delay: float, deadline: float, failure: Exception) -> None:
        """Wait before the next try; when there is no time left for it, raise what was wrong."""
        if asyncio.get_running_loop().time() + delay >= deadline:
            raise failure
        self.retries += 1
        await asyncio.sleep(delay)


def _delays() -> Iterator[float]:
    """Yield how long to wait before each further try: longer and longer, and by chance: so many part."""
    for exponent in itertools.count():
        yield min(0.5, 0.01 * 2 ** min(exponent, 6)) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
