"""`PostgreSQLSessionStore`: sessions in one table of a PostgreSQL database."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.held_activity import HeldActivity
from library.infrastructure.data.session_data import new_dated_session_id, session_key
from library.infrastructure.data.session_store import SessionStore
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_changing import SessionChanging
from library.infrastructure.interfaces.database.postgresql.session_creation import Creation
from library.infrastructure.interfaces.database.postgresql.session_exporting import export_all, export_some
from library.infrastructure.interfaces.database.postgresql.session_jobs import Ending, Touch, Update
from library.infrastructure.interfaces.database.postgresql.session_loading import load
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    session_statements,
    to_record,
    user_key,
)
from library.infrastructure.interfaces.database.postgresql.session_work import damaged
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, CleanedUp, Limits, Listing, Page
    from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter

logger = logging.getLogger(__name__)

T = TypeVar("T")

SESSIONS: Final = "sessions"
_MOST_HELD: Final = 10_000
"""Sessions whose activity is held in memory, at the most."""
_BEHIND_ALL: Final = (1 << 62, 0)
_CHECKED_AT_ONCE: Final = 500


class PostgreSQLSessionStore(SessionStore):
    """Sessions in one table; see `SessionStore` for what it promises.

    Nothing but activity is held in memory: whatever is asked is asked of the primary server, since a replica
    may not know yet what another process did.
    """

    def __init__(self, adapter: PostgreSQLAdapter, table: str) -> None:
        """Prepare; `table` was checked."""
        self._adapter = adapter
        self._table = table
        self._held = HeldActivity()
        self._changing = SessionChanging(adapter, table, self._held)
        self._opened: object = None

    async def open(self) -> None:
        """See `SessionStore`."""
        engine = self._adapter.engine
        if self._opened is not engine:
            await engine.migrate(SESSIONS, self._table)
            self._opened = engine

    @property
    def _sql(self) -> Mapping[str, str]:
        return session_statements(self._adapter.engine.schema, self._table)

    # -- reading ---------------------------------------------------------------------------------------------

    def new_id(self, now: datetime) -> str:
        """See `SessionStore`."""
        return new_dated_session_id(now)

    async def find(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        return await self._as_of_now(partial(self._find, session_id))

    async def _find(self, session_id: str) -> SessionRecord | None:
        found = await self._find_written(session_id)
        return None if found is None else self._held.exactly(found)

    async def _find_written(self, session_id: str) -> SessionRecord | None:
        engine = self._adapter.engine
        rows = await engine.fetch(
            f"read from the table {self._table} of",
            self._sql["find"],
            session_key(session_id),
            primary=True,
        )
        if not rows or unescape(rows[0]["session_id"]) != session_id:
            return None
        return self._read(rows[0])

    async def _as_of_now(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read what is written, and add what is held in memory: again if that was written meanwhile.

        For else it might be missing in what was read, as in what is held.
        """
        while True:
            before = self._changing.writing
            found = await read()
            if before is self._changing.writing:
                return found

    async def page(self, listing: Listing, limit: int) -> Page:
        """See `SessionStore`."""
        if self._held.has_idle(listing.cutoff):
            await self._flush_if_possible()
        records = await self._as_of_now(partial(self._read_page, listing, limit))
        return records, (records[-1].created_at, records[-1].key) if len(records) == limit else None

    async def _read_page(self, listing: Listing, limit: int) -> list[SessionRecord]:
        created_at, key = _BEHIND_ALL
        if listing.after is not None:
            created_at, key = to_microseconds(listing.after[0]), listing.after[1]
        bindings: list[Any] = [
            created_at,
            key,
            to_microseconds(listing.cutoff),
            listing.is_active is not True,
            listing.is_active is not False,
            listing.is_active is not True and listing.shows_expired,
            limit,
        ]
        name = "page"
        if listing.user_id is not None:
            name = "page_of_user"
            bindings += [user_key(listing.user_id), escape(listing.user_id)]
        rows = await self._adapter.engine.fetch(
            f"list sessions of the table {self._table} of", self._sql[name], *bindings, primary=True
        )
        return [self._held.exactly(self._read(row)) for row in rows]

    def _read(self, row: Any) -> SessionRecord:
        try:
            return to_record(row)
        except ValueError as error:
            raise damaged(error, self._adapter.url) from error

    async def _flush_if_possible(self) -> None:
        try:
            await self.flush()
        except StorageError as error:  # reading goes on where writing is impossible
            logger.debug("reading sessions without what is held in memory: %s", error)

    async def check(self) -> list[str]:
        """Read all sessions, and compare what is counted with what is there; see `DatabaseAdapter.check`."""
        problems: list[str] = []
        active = 0
        sql = self._sql
        async with self._adapter.engine.snapshot(f"check the table {self._table} of") as connection:
            counted = await connection.fetchval(sql["active_count"])
            cursor = await connection.cursor(sql["all"])
            while rows := await cursor.fetch(_CHECKED_AT_ONCE):
                active += sum(row["is_active"] for row in rows)
                for row in rows:
                    try:
                        to_record(row)
                    except ValueError as error:
                        problems.append(f"{self._table}: a session is damaged: {error}")
        if counted != active:
            problems.append(f"{self._table}: {counted} active sessions are counted, but {active} are there")
        return problems

    # -- writing ---------------------------------------------------------------------------------------------

    async def create(self, record: SessionRecord, limits: Limits, moment: Moment) -> Changed | None:
        """See `SessionStore`."""
        return await self._changing.create(Creation(record, limits, moment))

    async def update(
        self,
        session_id: str,
        changes: SessionChanges,
        limits: Limits,
        moment: Moment,
        if_version: int | None = None,
    ) -> Changed:
        """See `SessionStore`."""
        return await self._changing.update(Update(session_id, changes, limits, moment, if_version))

    async def touch(self, session_id: str, moment: Moment, hold_for: timedelta) -> bool:
        """See `SessionStore`."""
        record = await self._find_written(session_id)
        is_alive = record is not None and self._held.exactly(record).is_alive(moment.cutoff)
        if record is not None and is_alive and self._held.note(record, moment.now):
            return False
        if len(self._held) >= _MOST_HELD:
            await self.flush()
        return await self._changing.touch(Touch(session_id, moment, hold_for))

    async def flush(self, now: datetime | None = None) -> bool:
        """See `SessionStore`."""
        if self._held.is_due(now):
            await self._changing.flush(now)
        return bool(self._held)

    async def end(self, session_id: str, moment: Moment) -> bool:
        """See `SessionStore`."""
        return await self._changing.end(Ending(session_id, moment))

    async def mark_expired(self, session_id: str, moment: Moment) -> None:
        """See `SessionStore`."""
        await self._changing.mark_expired(Ending(session_id, moment))

    async def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        return await self._changing.delete(session_id)

    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """See `SessionStore`."""
        return await self._changing.clean_up(moment, limit, keeps=keeps)

    async def remove_ended(self, before: datetime, limit: int) -> int:
        """See `SessionStore`."""
        return await self._changing.remove_ended(before, limit)

    # -- many at once ----------------------------------------------------------------------------------------

    async def export(self, session_ids: Sequence[str] | None, target: RowTarget) -> None:
        """See `SessionStore`."""
        await self._flush_if_possible()
        sql = self._sql
        async with self._adapter.engine.snapshot(f"export the table {self._table} of") as connection:
            if session_ids is None:
                await export_all(connection, sql, target)
            else:
                await export_some(connection, sql, session_ids, target)

    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """See `SessionStore`."""
        await self.flush()
        attempted = f"import into the table {self._table} of"
        return await load(self._adapter.engine, self._changing.begin, attempted, source, merge)
