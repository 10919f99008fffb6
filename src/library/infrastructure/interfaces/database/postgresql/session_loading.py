"""Importing many sessions: all in one transaction, by way of a temporary table.

What is read is gathered first, so that the transaction can be tried again, and lasts no longer than it must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import (
    DuplicateSessionError,
    InvalidValueError,
    LockTimeoutError,
)
from library.infrastructure.data.record_transfer import Loaded
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.utc_time import from_microseconds
from library.infrastructure.data.worker import run_in_thread, run_in_worker
from library.infrastructure.interfaces.database.postgresql.row_spool import RowSpool
from library.infrastructure.interfaces.database.postgresql.session_rows import user_key
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import MergeStrategy, RowSource
    from library.infrastructure.interfaces.database.postgresql.engine import Engine
    from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork

_STAGE: Final = "nanobrain_stage"
_COLUMNS: Final = (
    "number",
    "session_key",
    "user_key",
    "created_at",
    "last_activity",
    "ended_at",
    "is_active",
    "session_id",
    "user_id",
    "end_reason",
    "metadata",
)
_TRIES: Final = 5


class _OvertakenError(Exception):
    """Somebody else stored one of the sessions at the same time: the transaction begins again."""


async def load(
    engine: Engine,
    begin: Callable[[Any], SessionWork],
    attempted: str,
    source: RowSource,
    merge: MergeStrategy,
) -> Loaded:
    """Import all that a source gives, or nothing; see `SessionStore.load`.

    Args:
        engine: the database.
        begin: begins the work on the table on a connection.
        attempted: what errors call this.
        source: who gives the rows.
        merge: what happens to a session that is there already.

    """
    with RowSpool() as spool:
        await run_in_thread(spool.take_all, source)
        if not spool.count:
            return Loaded(0, 0, 0, 0)

        async def work(connection: Any) -> Loaded:
            session_work = begin(connection)
            loaded = await _Load(session_work, merge).run(spool)
            await session_work.finish()
            return loaded

        loaded = await _transact(engine, attempted, work)
        await run_in_worker(source.note, loaded.written)
        return loaded


async def _transact(engine: Engine, attempted: str, work: Callable[[Any], Awaitable[Loaded]]) -> Loaded:
    """Try until nobody stores the same sessions meanwhile."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return await engine.transact(attempted, work)
        except _OvertakenError as error:
            if not tries_left:
                message = f"cannot {attempted} {engine.where}: others store the same sessions; retry"
                raise LockTimeoutError(message, path=engine.where) from error
    raise AssertionError


class _Load:
    """One attempt."""

    def __init__(self, work: SessionWork, merge: MergeStrategy) -> None:
        self._work = work
        self._merge = merge

    async def run(self, spool: RowSpool) -> Loaded:
        """Store all."""
        work = self._work
        await work.run("make_stage")
        await self._fill(spool)
        (row,) = await work.rows("count_stage")
        count, different = row
        if different < count:
            await self._see_to_twins()
        await self._refuse(await work.rows("foreign_digest"))
        replaced = active = 0
        if self._merge == "replace":
            await work.have_table_alone()
            ((replaced, active),) = await work.rows("replace_former")
        elif self._merge == "append":
            await self._refuse_stored("stored_already", "is stored already")
        ((stored, stored_active),) = await work.rows("store")
        if self._merge != "skip_duplicates" and stored < different:
            raise _OvertakenError
        work.add_active(stored_active - active)
        if self._merge == "replace":
            return Loaded(stored, 0, replaced + count - different, 0)
        return Loaded(stored, count - stored, 0, 0)

    async def _fill(self, spool: RowSpool) -> None:
        """Copy all rows into the temporary table; the number says who stays of those that come twice."""
        step = -1 if self._merge == "replace" else 1
        parts = await run_in_worker(spool.parts)
        number = 0
        while rows := await run_in_worker(_next_staged, parts, number, step):
            await self._work.copy(_STAGE, _COLUMNS, rows)
            number += len(rows) * step

    async def _see_to_twins(self) -> None:
        """Refuse what comes twice, if need be."""
        await self._refuse(await self._work.rows("twin_digest"))
        if self._merge == "append":
            await self._refuse_stored("comes_twice", "comes twice")

    @staticmethod
    async def _refuse(found: Sequence[Any]) -> None:
        for (user_id,) in found:
            message = f"the session of {user_id!r} has the digest of another session: it cannot be stored"
            raise InvalidValueError(message)

    async def _refuse_stored(self, statement: str, why: str) -> None:
        for session_id, user_id, created_at in await self._work.rows(statement):
            message = (
                f"a session of {unescape(user_id)!r} that was created at {from_microseconds(created_at)} "
                f'{why}: import with merge_strategy="replace" or "skip_duplicates"'
            )
            raise DuplicateSessionError(message, session_id=unescape(session_id))


def _next_staged(parts: Iterator[Sequence[Row]], number: int, step: int) -> list[tuple[Any, ...]]:
    """Write the next rows as the temporary table has them; none at the end."""
    staged: list[tuple[Any, ...]] = []
    for row in next(parts, ()):
        session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata = row
        number += step
        staged.append(
            (
                number,
                session_key(session_id),
                user_key(user_id),
                created_at,
                last_activity,
                ended_at,
                bool(is_active),
                escape(session_id),
                escape(user_id),
                end_reason,
                metadata,
            )
        )
    return staged
