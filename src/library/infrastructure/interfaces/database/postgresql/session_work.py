"""What is done to a table of sessions within one transaction, and whom it waits for.

No two transactions ever wait for each other in a circle, for all keep to this order:

1. Who creates sessions within a limit of the table, gives one to a user within a limit, or cleans up, has the
   table alone, by an advisory lock, which all others share who make active sessions fewer. Who creates within
   a limit of users only takes the locks of these users next, in ascending order.
2. Rows come next. Who has the table, or users, alone may hold many, and wait for more. All others hold one,
   for which they may have waited, or many that nobody else held: those that somebody holds are left out, and
   done one by one later.
3. The counter of active sessions comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.errors import CorruptDataError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_record import LONG_AGO, SessionRecord, refusal
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    columns_of,
    lock_key,
    session_statements,
    to_record,
)
from library.infrastructure.interfaces.database.postgresql.text_escape import unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from library.infrastructure.data.errors import DataUnitError
    from library.infrastructure.data.held_activity import HeldActivity, HeldTouch
    from library.infrastructure.data.session_record import Moment
    from library.infrastructure.interfaces.database.postgresql.engine import Engine

LONG_AGO_US: Final = to_microseconds(LONG_AGO)
"""As it stands in the table."""

Found = SessionRecord | CorruptDataError | None
"""A session, or why it cannot be read; `None` if there is none."""


class State(NamedTuple):
    """What has to be known of a session to delete it."""

    key: int
    is_active: bool


class SessionWork:
    """One transaction on one table."""

    def __init__(self, connection: Any, engine: Engine, table: str, held: HeldActivity) -> None:
        """Begin; the transaction has begun already."""
        self.held = held
        self._where = engine.where
        self._connection = connection
        self._names = engine.schema, table.lower()
        self._sql = session_statements(engine.schema, table)
        self._active = 0
        self.written: list[HeldTouch] = []
        """Activity that need not be held in memory any more once this is committed."""

    # -- statements ------------------------------------------------------------------------------------------

    async def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Return the rows that a statement gives."""
        found: list[Any] = await self._connection.fetch(self._sql[name], *bindings)
        return found

    async def value(self, name: str, *bindings: Any) -> int:
        """Return the one number that a statement gives."""
        return int(await self._connection.fetchval(self._sql[name], *bindings))

    async def run(self, name: str, *bindings: Any) -> None:
        """Run a statement."""
        await self._connection.execute(self._sql[name], *bindings)

    async def copy(self, stage: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Copy rows into a temporary table."""
        await self._connection.copy_records_to_table(
            stage, records=rows, columns=columns, schema_name="pg_temp"
        )

    # -- locks -----------------------------------------------------------------------------------------------

    async def have_table_alone(self) -> None:
        """Wait until nobody else works within limits; see above."""
        await self.run("exclude_others", lock_key(*self._names))

    async def share_table(self) -> None:
        """Wait until nobody has the table alone."""
        await self.run("exclude_excluders", lock_key(*self._names))

    async def have_users_alone(self, user_ids: Iterable[str]) -> None:
        """Wait until nobody else creates or gives sessions of these users within a limit."""
        for key in sorted({lock_key(*self._names, user_id) for user_id in user_ids}):
            await self.run("exclude_others", key)

    # -- sessions --------------------------------------------------------------------------------------------

    async def lock(self, session_ids: Sequence[str]) -> dict[str, Found]:
        """Lock the rows of sessions that nobody else holds, or one for which to wait.

        Returns:
            The sessions as they are written; those that are held by others are left out.

        """
        rows = await self._lock_rows(session_ids)
        return {each: None if row is None else self._read(row) for each, row in rows.items()}

    async def lock_states(self, session_ids: Sequence[str]) -> dict[str, State | None]:
        """Lock as `lock` does, whether or not the sessions can be read."""
        rows = await self._lock_rows(session_ids)
        return {each: row and State(row["session_key"], row["is_active"]) for each, row in rows.items()}

    async def _lock_rows(self, session_ids: Sequence[str]) -> dict[str, Any]:
        keys = {each: session_key(each) for each in session_ids}
        wanted = set(keys.values())
        if len(wanted) == 1:
            rows = await self.rows("lock_one", *wanted)
            busy: set[int] = set()
        else:
            rows = await self.rows("lock_free", list(wanted))
            missing = wanted - {row[0] for row in rows}
            busy = {row[0] for row in await self.rows("known", list(missing))} if missing else set()
        # One whose id has the same digest is another session.
        locked = {(row[0], unescape(row[1])): row for row in rows}
        return {each: locked.get((key, each)) for each, key in keys.items() if key not in busy}

    def _read(self, row: Any) -> SessionRecord | CorruptDataError:
        try:
            return to_record(row)
        except ValueError as error:
            return damaged(error, self._where)

    def refuse(self, session_id: str, found: Found, moment: Moment) -> DataUnitError | None:
        """Say why a session cannot be used; `None` if it can."""
        if isinstance(found, CorruptDataError):
            return found
        exact = None if found is None else self.held.exactly(found)
        if exact is not None and exact.is_alive(moment.cutoff):
            return None
        return refusal(session_id, exact, moment)

    async def mark_expired(self, records: Sequence[SessionRecord]) -> None:
        """Put down of sessions that were found to have expired that they have, for good."""
        marks = [
            (each.key, to_microseconds(self.held.exactly(each).last_activity), LONG_AGO_US)
            for each in records
            if each.end is None and each.alive_at > LONG_AGO
        ]
        if marks:
            await self.run("touch", *columns_of(marks))

    def set_aside(self, session_id: str) -> None:
        """Hold no more activity of a session, once this is committed."""
        touch = self.held.close(session_id)
        if touch is not None:
            self.written.append(touch)

    # -- counting --------------------------------------------------------------------------------------------

    async def active_count(self) -> int:
        """Count the active sessions; exact while nobody else works within limits."""
        return await self.value("active_count") + self._active

    def add_active(self, count: int) -> None:
        """Count active sessions on, or back."""
        self._active += count

    async def finish(self) -> None:
        """Write what was counted; nothing may be done afterwards."""
        if self._active:
            await self.run("add_active", self._active)


def damaged(error: ValueError, where: str) -> CorruptDataError:
    """Build the error for a row that nobody could have saved."""
    message = f"a session in {where} is damaged ({error}): delete it, or mend its row"
    corrupt = CorruptDataError(message, path=where)
    corrupt.__cause__ = error
    return corrupt
