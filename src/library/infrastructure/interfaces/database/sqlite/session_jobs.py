"""What is done to a table of sessions within the writer's transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import apsw

from library.infrastructure.data.errors import SessionError, SessionLimitError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_record import LONG_AGO, refusal
from library.infrastructure.data.session_store import Changed, Limits, refuse_to_evict
from library.infrastructure.data.storage import StaleVersion
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    fetch_row,
    fetch_rows,
)
from library.infrastructure.interfaces.database.sqlite.rows import insert_rows
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
    from library.infrastructure.data.session_record import EndReason, Moment, SessionRecord

_LONG_AGO: Final = to_microseconds(LONG_AGO)
_ALL_TIME: Final = 1 << 62


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

    # -- creating --------------------------------------------------------------------------------------------

    def create(self, connection: apsw.Connection, orders: Sequence[Creation]) -> list[Any]:
        """Insert sessions; those for which there is no room are refused, the others stand."""
        limits = [order.limits for order in orders]
        if all(each.most is None and each.most_of_user is None for each in limits):
            return self._insert(connection, orders)
        (active,) = fetch_known_row(connection, self._sql["active_count"], self._table)
        most = min((each.most for each in limits if each.most is not None), default=_ALL_TIME)
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
        self._add_active(connection, len(orders))
        return [(order.record, []) for order in orders]

    def _create_one(self, connection: apsw.Connection, order: Creation) -> Any:
        try:
            made_room = self._make_room(
                connection, order.record.user_id, order.limits, order.moment, newcomers=1
            )
        except SessionLimitError as error:
            return error
        (created,) = self._insert(connection, [order])
        return created and (order.record, made_room)

    def _make_room(
        self, connection: apsw.Connection, user_id: str, limits: Limits, moment: Moment, newcomers: int
    ) -> list[SessionRecord]:
        """See that one more session of a user fits; return what had to go, each with the reason."""
        self._write_held(connection)
        superfluous: list[SessionRecord] = []
        if limits.most_of_user is not None:
            rows = fetch_rows(connection, self._sql["active_of_user"], user_key(user_id), user_id)
            active = sorted(map(to_record, rows), key=lambda each: each.alive_at)
            superfluous = active[: max(0, len(active) + 1 - limits.most_of_user)]
            refuse_to_evict(superfluous, limits, moment, user_id)
        if limits.most is not None:
            (count,) = fetch_known_row(connection, self._sql["active_count"], self._table)
            excess = count + newcomers - limits.most - len(superfluous)
            if excess > 0:
                chosen = {each.session_id for each in superfluous}
                rows = fetch_rows(connection, self._sql["longest_idle"], _ALL_TIME, excess + len(chosen))
                idle = map(to_record, rows)
                others = [each for each in idle if each.session_id not in chosen][:excess]
                refuse_to_evict(others, limits, moment)
                superfluous += others
        expired = [each for each in superfluous if each.alive_at <= moment.cutoff]
        evicted = [each for each in superfluous if each.alive_at > moment.cutoff]
        return [
            *self._dismiss(connection, expired, "expired", moment, keeps=limits.keeps),
            *self._dismiss(connection, evicted, "evicted", moment, keeps=limits.keeps),
        ]

    def _dismiss(
        self,
        connection: apsw.Connection,
        records: list[SessionRecord],
        reason: EndReason,
        moment: Moment,
        *,
        keeps: bool,
    ) -> list[SessionRecord]:
        """Delete active sessions, or make them inactive; return them as they are, or would be, kept."""
        if not records:
            return []
        if keeps:
            now = to_microseconds(moment.now)
            connection.executemany(self._sql["end"], [(each.key, now, reason) for each in records])
        else:
            connection.executemany(self._sql["delete"], [(each.key,) for each in records])
        self._add_active(connection, -len(records))
        return [each.ended(reason, moment.now) for each in records]

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
        record = order.changes.apply(former, order.moment.now)
        made_room: list[SessionRecord] = []
        if record.user_id != former.user_id:
            try:
                made_room = self._make_room(
                    connection, record.user_id, order.limits, order.moment, newcomers=0
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
                to_microseconds(record.alive_at),
                former.version + 1,
                metadata_text(record),
            ),
        )
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
        until = max(former.alive_at, now + order.hold_for)
        last_activity = to_microseconds(max(former.last_activity, now))
        connection.execute(self._sql["touch"], (former.key, last_activity, to_microseconds(until)))
        return until

    def flush(self, connection: apsw.Connection, orders: Sequence[None]) -> list[list[HeldTouch]]:
        """Write what is held in memory; return what that was."""
        return [self._write_held(connection, again=True) for _ in orders]

    def _write_held(self, connection: apsw.Connection, *, again: bool = False) -> list[HeldTouch]:
        """Write when sessions were really active last; return what was written."""
        touches = self._held.begin_writing(again=again)
        rows = [
            (session_key(each.session_id), to_microseconds(each.until), to_microseconds(each.last_activity))
            for each in touches
        ]
        if rows:
            connection.executemany(self._sql["flush"], rows)
        return touches

    # -- ending ----------------------------------------------------------------------------------------------

    def end(self, connection: apsw.Connection, orders: Sequence[tuple[str, Moment]]) -> list[bool]:
        """Make sessions inactive."""
        return [self._end_one(connection, *order) for order in orders]

    def _end_one(self, connection: apsw.Connection, session_id: str, moment: Moment) -> bool:
        record, _ = self._usable(connection, session_id, moment)
        if record is not None:
            self._end(connection, record, moment)
        return record is not None

    def _end(self, connection: apsw.Connection, record: SessionRecord, moment: Moment) -> None:
        connection.execute(self._sql["end"], (record.key, to_microseconds(moment.now), "ended"))
        self._add_active(connection, -1)

    def mark_expired(self, connection: apsw.Connection, orders: Sequence[tuple[str, Moment]]) -> list[None]:
        """Put down that sessions have expired for good."""
        for session_id, moment in orders:
            self._usable(connection, session_id, moment)
        return [None for _ in orders]

    def delete(self, connection: apsw.Connection, orders: Sequence[str]) -> list[bool]:
        """Delete sessions."""
        return [self._delete_one(connection, session_id) for session_id in orders]

    def _delete_one(self, connection: apsw.Connection, session_id: str) -> bool:
        record = self.find(connection, session_id)
        if record is None:
            return False
        connection.execute(self._sql["delete"], (record.key,))
        self._add_active(connection, -int(record.is_active))
        return True

    def clean_up(self, connection: apsw.Connection, orders: Sequence[CleanUp]) -> list[list[SessionRecord]]:
        """Delete what has expired, or make it inactive."""
        return [self._clean_up_one(connection, order) for order in orders]

    def _clean_up_one(self, connection: apsw.Connection, order: CleanUp) -> list[SessionRecord]:
        self._write_held(connection)
        cutoff = to_microseconds(order.moment.cutoff)
        rows = fetch_rows(connection, self._sql["longest_idle"], cutoff, order.limit)
        return self._dismiss(
            connection, list(map(to_record, rows)), "expired", order.moment, keeps=order.keeps
        )

    def remove_ended(self, connection: apsw.Connection, orders: Sequence[tuple[datetime, int]]) -> list[int]:
        """Delete what was ended long enough ago."""
        removed: list[int] = []
        for before, limit in orders:
            connection.execute(self._sql["remove_ended"], (to_microseconds(before), limit))
            removed.append(connection.changes())
        return removed

    # -- finding ---------------------------------------------------------------------------------------------

    def find(self, connection: apsw.Connection, session_id: str) -> SessionRecord | None:
        """Read a session, with what is known of its activity in this process."""
        row = fetch_row(connection, self._sql["find"], session_key(session_id))
        return self._held.exactly(to_record(row)) if row is not None and row[0] == session_id else None

    def _usable(
        self, connection: apsw.Connection, session_id: str, moment: Moment
    ) -> tuple[SessionRecord | None, SessionError | None]:
        """Read a session that can be used, or say why not; what has expired is marked so."""
        record = self.find(connection, session_id)
        if record is not None:
            if record.is_alive(moment.cutoff):
                return record, None
            if record.end is None and record.alive_at > LONG_AGO:
                mark = (record.key, to_microseconds(record.last_activity), _LONG_AGO)
                connection.execute(self._sql["touch"], mark)
        return None, refusal(session_id, record, moment)

    def _add_active(self, connection: apsw.Connection, count: int) -> None:
        if count:
            connection.execute(self._sql["add_active"], (count, self._table))
