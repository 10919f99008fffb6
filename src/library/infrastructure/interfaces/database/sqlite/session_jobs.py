"""What is done to a table of sessions within the writer's transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import apsw

from library.infrastructure.data.errors import SessionError, SessionLimitError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_record import LONG_AGO, refusal
from library.infrastructure.data.storage import StaleVersion
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    fetch_row,
)
from library.infrastructure.interfaces.database.sqlite.rows import insert_rows
from library.infrastructure.interfaces.database.sqlite.session_exits import LONG_AGO_US, SessionExits
from library.infrastructure.interfaces.database.sqlite.session_rows import (
    metadata_text,
    session_statements,
    to_record,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from library.infrastructure.data.held_activity import HeldActivity, HeldTouch
    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, CleanedUp, Limits

_ALL: Final = 1 << 62


class Creation(NamedTuple):
    """A session to be created."""

    record: SessionRecord
    row: tuple[Any, ...]
    limits: Limits
    moment: Moment


class Update(NamedTuple):
    """A session to be changed."""

    session_id: str
    changes: SessionChanges
    limits: Limits
    moment: Moment
    if_version: int | None


class Touch(NamedTuple):
    """Activity to be written."""

    session_id: str
    moment: Moment
    hold_for: timedelta


class CleanUp(NamedTuple):
    """What has expired is to go."""

    moment: Moment
    limit: int
    keeps: bool


class SessionJobs:
    """The jobs that change one table, see `writer.Job`.

    What goes wrong for one of several is returned as its answer, not raised: raising would undo them all.
    """

    def __init__(self, table: str, held: HeldActivity) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._held = held
        self._sql = session_statements(table)
        self._exits = SessionExits(table, held)

    # -- creating --------------------------------------------------------------------------------------------

    def create(self, connection: apsw.Connection, orders: Sequence[Creation]) -> list[Any]:
        """Insert sessions; those for which there is no room are refused, the others stand."""
        limits = [order.limits for order in orders]
        if all(each.most is None and each.most_of_user is None for each in limits):
            return self._insert(connection, orders)
        (active,) = fetch_known_row(connection, self._sql["active_count"], self._table)
        most = min((each.most for each in limits if each.most is not None), default=_ALL)
        if active + len(orders) <= most and all(each.most_of_user is None for each in limits):
            return self._insert(connection, orders)
        return [self._create_one(connection, order) for order in orders]

    def _insert(self, connection: apsw.Connection, orders: Sequence[Creation]) -> list[Changed | None]:
        try:
            insert_rows(connection, self._sql["insert"], [order.row for order in orders])
        except apsw.ConstraintError:
            if len(orders) > 1:
                raise
            return [None]
        self._exits.add_active(connection, len(orders))
        return [(order.record, []) for order in orders]

    def _create_one(self, connection: apsw.Connection, order: Creation) -> Any:
        try:
            made_room = self._exits.make_room(
                connection, order.record.user_id, order.limits, order.moment, is_new=True
            )
        except SessionLimitError as error:
            return error
        (created,) = self._insert(connection, [order])
        return created and (order.record, made_room)

    # -- changing --------------------------------------------------------------------------------------------

    def update(self, connection: apsw.Connection, orders: Sequence[Update]) -> list[Any]:
        """Change sessions."""
        return [self._update_one(connection, order) for order in orders]

    def _update_one(self, connection: apsw.Connection, order: Update) -> Any:
        former, error = self._usable(connection, order.session_id, order.moment)
        if former is None:
            return error
        if order.if_version not in (None, former.version):
            return StaleVersion()
        record = order.changes.apply(self._held.exactly(former), order.moment.now)
        if order.changes.last_activity is None:
            # What was written for activity that is held, here or elsewhere, stands while it is in the future.
            alive_at = max(former.alive_at, order.moment.now)
        else:
            alive_at = record.alive_at
            self._held.drop(record.session_id)
        made_room: list[SessionRecord] = []
        if record.user_id != former.user_id:
            if record.end is None:
                try:
                    made_room = self._exits.make_room(
                        connection, record.user_id, order.limits, order.moment, is_new=False
                    )
                except SessionLimitError as refused:
                    return refused
            assignment = (record.key, record.user_id, user_key(record.user_id))
            connection.execute(self._sql["assign"], assignment)
        connection.execute(
            self._sql["change"],
            (
                record.key,
                to_microseconds(record.last_activity),
                to_microseconds(alive_at),
                former.version + 1,
                metadata_text(record),
            ),
        )
        if alive_at < former.alive_at:
            connection.execute(self._sql["index_activity"], (record.key,))
        if record.end is not None:
            self._end(connection, record, order.moment)
        return record, made_room

    def touch(self, connection: apsw.Connection, orders: Sequence[Touch]) -> list[Any]:
        """Write that sessions are active, and may be for some time."""
        answers: dict[str, Any] = {}
        for order in orders:
            if order.session_id not in answers:
                answers[order.session_id] = self._touch_one(connection, order)
        return [answers[order.session_id] for order in orders]

    def _touch_one(self, connection: apsw.Connection, order: Touch) -> Any:
        former, error = self._usable(connection, order.session_id, order.moment)
        if former is None:
            return error
        now = order.moment.now
        try:
            until = max(former.alive_at, now + order.hold_for)
        except OverflowError:  # at the end of time
            until = max(former.alive_at, now)
        last_activity = to_microseconds(max(former.last_activity, now))
        connection.execute(self._sql["touch"], (former.key, last_activity, to_microseconds(until)))
        if until > now:
            # Should this not be committed, nothing is noted under it: what is read then is less than `until`.
            self._held.hold(former, until, now)
        return until > now

    def flush(self, connection: apsw.Connection, orders: Sequence[datetime | None]) -> list[list[HeldTouch]]:
        """Write what is held in memory; return what that was."""
        return [self._exits.write_held(connection, now, again=True) for now in orders]

    # -- ending ----------------------------------------------------------------------------------------------

    def end(self, connection: apsw.Connection, orders: Sequence[tuple[str, Moment]]) -> list[bool]:
        """Make sessions inactive."""
        return [self._end_one(connection, *order) for order in orders]

    def _end_one(self, connection: apsw.Connection, session_id: str, moment: Moment) -> bool:
        record, _ = self._usable(connection, session_id, moment)
        if record is not None:
            self._end(connection, self._held.exactly(record), moment)
            self._held.drop(session_id)
        return record is not None

    def _end(self, connection: apsw.Connection, record: SessionRecord, moment: Moment) -> None:
        times = to_microseconds(moment.now), to_microseconds(record.last_activity)
        connection.execute(self._sql["end"], (record.key, *times))
        self._exits.add_active(connection, -1)

    def mark_expired(self, connection: apsw.Connection, orders: Sequence[tuple[str, Moment]]) -> list[None]:
        """Put down that sessions have expired for good."""
        for session_id, moment in orders:
            self._usable(connection, session_id, moment)
        return [None for _ in orders]

    def delete(self, connection: apsw.Connection, orders: Sequence[str]) -> list[bool]:
        """Delete sessions."""
        return [self._delete_one(connection, session_id) for session_id in orders]

    def _delete_one(self, connection: apsw.Connection, session_id: str) -> bool:
        """Delete a session, which need not be readable for that."""
        key = session_key(session_id)
        found = fetch_row(connection, self._sql["find_state"], key)
        if found is None or found[0] != session_id:
            return False
        connection.execute(self._sql["delete"], (key,))
        self._exits.add_active(connection, -int(found[1] == 1))
        return True

    def clean_up(self, connection: apsw.Connection, orders: Sequence[CleanUp]) -> list[CleanedUp]:
        """Delete what has expired, or make it inactive."""
        return [self._exits.clean_up(connection, *order) for order in orders]

    def remove_ended(self, connection: apsw.Connection, orders: Sequence[tuple[datetime, int]]) -> list[int]:
        """Delete what was ended long enough ago."""
        removed: list[int] = []
        for before, limit in orders:
            connection.execute(self._sql["remove_ended"], (to_microseconds(before), limit))
            removed.append(connection.changes())
        return removed

    # -- finding ---------------------------------------------------------------------------------------------

    def find(self, connection: apsw.Connection, session_id: str) -> SessionRecord | None:
        """Read a session as it is written."""
        row = fetch_row(connection, self._sql["find"], session_key(session_id))
        return to_record(row) if row is not None and row[0] == session_id else None

    def _usable(
        self, connection: apsw.Connection, session_id: str, moment: Moment
    ) -> tuple[SessionRecord | None, SessionError | None]:
        """Read, as it is written, a session that can be used, or say why not; mark what has expired."""
        record = self.find(connection, session_id)
        if record is not None:
            exact = self._held.exactly(record)
            if exact.is_alive(moment.cutoff):
                return record, None
            if record.end is None and record.alive_at > LONG_AGO:
                mark = (record.key, to_microseconds(exact.last_activity), LONG_AGO_US)
                connection.execute(self._sql["touch"], mark)
                connection.execute(self._sql["index_activity"], (record.key,))
        return None, refusal(session_id, record, moment)
