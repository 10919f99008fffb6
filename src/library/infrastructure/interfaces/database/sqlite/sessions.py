"""`SQLiteSessionStore`: sessions in one table of an SQLite database."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.held_activity import HeldActivity
from library.infrastructure.data.session_data import new_dated_session_id, session_key
from library.infrastructure.data.session_store import Delay, SessionStore
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.sqlite.exporting import export, read_sessions
from library.infrastructure.interfaces.database.sqlite.loader import Loader
from library.infrastructure.interfaces.database.sqlite.migrations import is_current, migrate
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_known_row
from library.infrastructure.interfaces.database.sqlite.session_exits import SessionExits
from library.infrastructure.interfaces.database.sqlite.session_jobs import (
    CleanUp,
    Creation,
    SessionJobs,
    Touch,
    Update,
)
from library.infrastructure.interfaces.database.sqlite.session_loading import SessionLoading
from library.infrastructure.interfaces.database.sqlite.session_rows import (
    session_statements,
    to_record,
    to_session_row,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import apsw

    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, CleanedUp, Limits, Listing, Page
    from library.infrastructure.interfaces.database.sqlite.adapter import SQLiteAdapter
    from library.infrastructure.interfaces.database.sqlite.point_reader import PointReader

logger = logging.getLogger(__name__)

SESSIONS: Final = "sessions"
_REMEMBERED: Final = 1024
"""Sessions that are remembered until anything in the database changes."""
_MOST_HELD: Final = 10_000
"""Sessions whose activity is held in memory, at the most."""
_BEHIND_ALL: Final = (1 << 62, 0)


class SQLiteSessionStore(SessionStore):
    """Sessions in one table; see `SessionStore` for what it promises.

    A session that is asked for again is answered from memory, if nothing was committed to the database since,
    by any process: SQLite counts that in memory which all processes share.
    """

    def __init__(self, adapter: SQLiteAdapter, table: str) -> None:
        """Prepare; `table` was checked."""
        self._adapter = adapter
        self._table = table
        self._sql = session_statements(table)
        self._held = HeldActivity()
        self._jobs = SessionJobs(table, self._held)
        self._loader = Loader(SessionLoading(table, SessionExits(table, self._held)), table)
        self._opened: object = None
        self._reader: PointReader | None = None
        self._remembered: dict[str, SessionRecord] = {}
        self._remembered_at = -1

    async def open(self) -> None:
        """See `SessionStore`."""
        engine = self._adapter.engine
        if self._opened is engine:
            return
        if not await engine.read(is_current, SESSIONS, self._table):
            await engine.write(self._migrate, None, f"make the table {self._table} in")
        if engine.point_reader is not None:
            await run_in_worker(engine.point_reader.open)
        if engine.writer is not None:
            await self._loader.recover_if_possible(engine)
        self._remembered_at = -1
        self._reader = engine.point_reader
        self._opened = engine

    def _migrate(self, connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
        migrate(connection, self._adapter.path, SESSIONS, self._table)
        return payloads

    # -- reading ---------------------------------------------------------------------------------------------

    def new_id(self, now: datetime) -> str:
        """See `SessionStore`."""
        return new_dated_session_id(now)

    def look_up(self, session_id: str) -> SessionRecord | Delay | None:
        """See `SessionStore`."""
        found = self._look_up_now(session_id)
        return found if found is None or found is Delay.NOT_NOW else self._held.exactly(found)

    async def find(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        found = await self._adapter.engine.read(self._jobs.find, session_id)
        return None if found is None else self._held.exactly(found)

    def _look_up_now(self, session_id: str) -> SessionRecord | Delay | None:
        """Read what is written, in this thread, if nobody has to wait."""
        if self._reader is None or self._adapter.engine is not self._opened:
            return Delay.NOT_NOW
        return self._reader.read(self._look_up, session_id)

    def _look_up(self, connection: apsw.Connection, session_id: str) -> SessionRecord | None:
        """Answer from memory, if nothing was committed since; else read."""
        now_at: Any = connection.execute("PRAGMA data_version").fetchone()
        if now_at[0] == self._remembered_at:
            remembered = self._remembered.get(session_id)
            if remembered is not None:
                return remembered
        if now_at[0] != self._remembered_at or len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
            self._remembered_at = now_at[0]
        row: Any = connection.execute(self._sql["find"], (session_key(session_id),)).fetchone()
        if row is None or row[0] != session_id:
            return None
        record = self._remembered[session_id] = to_record(row)
        return record

    async def page(self, listing: Listing, limit: int) -> Page:
        """See `SessionStore`."""
        if self._held.has_idle(listing.cutoff):
            await self._flush_if_possible()
        records = await self._adapter.engine.read(self._read_page, listing, limit)
        return records, (records[-1].created_at, records[-1].key) if len(records) == limit else None

    async def _flush_if_possible(self) -> None:
        try:
            await self.flush()
        except StorageError as error:  # reading goes on where writing is impossible
            logger.debug("reading sessions without what is held in memory: %s", error)

    def _read_page(self, connection: apsw.Connection, listing: Listing, limit: int) -> list[SessionRecord]:
        created_at, key = _BEHIND_ALL
        if listing.after is not None:
            created_at, key = to_microseconds(listing.after[0]), listing.after[1]
        bindings: dict[str, Any] = {
            "created_at": created_at,
            "session_key": key,
            "cutoff": to_microseconds(listing.cutoff),
            "wants_active": listing.is_active is not False,
            "wants_inactive": listing.is_active is not True,
            "wants_expired": listing.is_active is not True and listing.shows_expired,
            "limit": limit,
        }
        name = "page"
        if listing.user_id is not None:
            name = "page_of_user"
            bindings |= {"user_id": listing.user_id, "user_key": user_key(listing.user_id)}
        rows: Any = connection.execute(self._sql[name], bindings).fetchall()
        return [self._held.exactly(to_record(row)) for row in rows]

    async def check(self) -> list[str]:
        """Read all sessions, and compare what is counted with what is there; see `DatabaseAdapter.check`."""
        return await self._adapter.engine.read(self._check)

    def _check(self, connection: apsw.Connection) -> list[str]:
        connection.execute("BEGIN")
        (counted,) = fetch_known_row(connection, self._sql["active_count"], self._table)
        problems: list[str] = []
        active = 0
        for row in connection.execute(self._sql["all"]):
            active += row[6] == 1
            try:
                to_record(row)
            except ValueError as error:
                problems.append(f"{self._table}: a session is damaged: {error}")
        connection.execute("COMMIT")
        if counted != active:
            problems.append(f"{self._table}: {counted} active sessions are counted, but {active} are there")
        return problems

    # -- writing ---------------------------------------------------------------------------------------------

    async def create(self, record: SessionRecord, limits: Limits, moment: Moment) -> Changed | None:
        """See `SessionStore`."""
        order = Creation(record, to_session_row(record), limits, moment)
        created: Changed | None = await self._write(self._jobs.create, order, "create a session in")
        return created

    async def update(
        self,
        session_id: str,
        changes: SessionChanges,
        limits: Limits,
        moment: Moment,
        if_version: int | None = None,
    ) -> Changed:
        """See `SessionStore`."""
        order = Update(session_id, changes, limits, moment, if_version)
        changed: Changed = await self._write(self._jobs.update, order, "change a session in")
        return changed

    async def touch(self, session_id: str, moment: Moment, hold_for: timedelta) -> bool:
        """See `SessionStore`."""
        record = self._look_up_now(session_id)
        if record is Delay.NOT_NOW:
            record = await self._adapter.engine.read(self._jobs.find, session_id)
        is_alive = record is not None and self._held.exactly(record).is_alive(moment.cutoff)
        if record is not None and is_alive and self._held.note(record, moment.now):
            return False
        if len(self._held) >= _MOST_HELD:
            await self.flush()
        order = Touch(session_id, moment, hold_for)
        return bool(await self._write(self._jobs.touch, order, "touch a session in"))

    async def flush(self, now: datetime | None = None) -> bool:
        """See `SessionStore`."""
        if self._held.is_due(now):
            self._held.forget(await self._write(self._jobs.flush, now, "write the activity of sessions in"))
        return bool(self._held)

    async def end(self, session_id: str, moment: Moment) -> bool:
        """See `SessionStore`."""
        return bool(await self._write(self._jobs.end, (session_id, moment), "end a session in"))

    async def mark_expired(self, session_id: str, moment: Moment) -> None:
        """See `SessionStore`."""
        await self._write(self._jobs.mark_expired, (session_id, moment), "mark a session in")

    async def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        return bool(await self._write(self._jobs.delete, session_id, "delete a session from"))

    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """See `SessionStore`."""
        order = CleanUp(moment, limit, keeps)
        cleaned_up: CleanedUp = await self._write(self._jobs.clean_up, order, "clean sessions up in")
        return cleaned_up

    async def remove_ended(self, before: datetime, limit: int) -> int:
        """See `SessionStore`."""
        return int(await self._write(self._jobs.remove_ended, (before, limit), "remove sessions from"))

    # -- many at once ----------------------------------------------------------------------------------------

    async def export(self, session_ids: Sequence[str] | None, target: RowTarget) -> None:
        """See `SessionStore`."""
        await self._flush_if_possible()
        read = partial(read_sessions, table=self._table, session_ids=session_ids, target=target)
        await export(self._adapter.engine, read)

    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """See `SessionStore`."""
        await self.flush()
        return await self._loader.load(self._adapter.engine, source, merge)

    async def _write(self, run: Any, payload: Any, attempted: str) -> Any:
        return await self._adapter.engine.write(run, payload, attempted)
