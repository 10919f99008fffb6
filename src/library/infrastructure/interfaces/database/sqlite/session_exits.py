"""How sessions leave the active ones without being asked for: they expire, or make room for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_record import LONG_AGO
from library.infrastructure.data.session_store import refuse_to_evict
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_known_row, fetch_rows
from library.infrastructure.interfaces.database.sqlite.session_rows import (
    Readable,
    readable,
    session_statements,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import apsw

    from library.infrastructure.data.held_activity import HeldActivity, HeldTouch
    from library.infrastructure.data.session_record import EndReason, Moment, SessionRecord
    from library.infrastructure.data.session_store import Limits

LONG_AGO_US: Final = to_microseconds(LONG_AGO)
"""As it stands in the table."""
_ALL_TIME: Final = 1 << 62
_LEAST_LOOKED_AT: Final = 50
"""Of so many sessions, the index is brought up to date at once."""


class SessionExits:
    """Called within the writer's transactions; see `SessionJobs`.

    Sessions that are damaged, and so cannot be announced, go first.
    """

    def __init__(self, table: str, held: HeldActivity) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._held = held
        self._sql = session_statements(table)

    def clean_up(
        self,
        connection: apsw.Connection,
        moment: Moment,
        limit: int,
        keeps: bool,  # noqa: FBT001 - in the order of the job's fields
    ) -> tuple[list[SessionRecord], bool]:
        """Delete sessions that have expired, or make them inactive.

        Returns:
            What they were, and whether there may be more.

        """
        self.write_held(connection)
        cutoff = to_microseconds(moment.cutoff)
        rows = fetch_rows(connection, self._sql["longest_idle"], cutoff, limit)
        idle = readable(rows)
        expired = [each for each in idle.records if each.alive_at <= moment.cutoff]
        active = [each.key for each in idle.records if each.alive_at > moment.cutoff]
        connection.execute(self._sql["index_activities"], (_list(active),))
        self._dismiss(connection, idle.damaged, "expired", moment, keeps=keeps)
        gone = self._dismiss_records(connection, expired, "expired", moment, keeps=keeps)
        return gone, len(rows) == limit

    def make_room(
        self, connection: apsw.Connection, user_id: str, limits: Limits, moment: Moment, *, is_new: bool
    ) -> list[SessionRecord]:
        """See that a session fits among those of a user, and of the table if it is new.

        Returns:
            What had to go, each with the reason.

        Raises:
            SessionLimitError: it does not fit, and nothing may be evicted.

        """
        superfluous: list[SessionRecord] = []
        damaged: list[int] = []
        if limits.most_of_user is not None:
            superfluous, damaged = self._too_many_of_user(connection, user_id, limits.most_of_user)
            refuse_to_evict(superfluous, limits, moment, user_id)
        if limits.most is not None and is_new:
            (count,) = fetch_known_row(connection, self._sql["active_count"], self._table)
            excess = count + 1 - limits.most - len(superfluous) - len(damaged)
            if excess > 0:
                others, more_damaged = self._longest_idle(connection, excess, superfluous, damaged)
                refuse_to_evict(others, limits, moment)
                superfluous += others
                damaged += more_damaged
        self._dismiss(connection, damaged, "evicted", moment, keeps=limits.keeps)
        expired = [each for each in superfluous if each.alive_at <= moment.cutoff]
        evicted = [each for each in superfluous if each.alive_at > moment.cutoff]
        return [
            *self._dismiss_records(connection, expired, "expired", moment, keeps=limits.keeps),
            *self._dismiss_records(connection, evicted, "evicted", moment, keeps=limits.keeps),
        ]

    def _too_many_of_user(self, connection: apsw.Connection, user_id: str, most: int) -> Readable:
        """Find the sessions of a user that were idle for longest, of which one more would be too many."""
        key = user_key(user_id)
        (count,) = fetch_known_row(connection, self._sql["count_of_user"], key)
        if count < most:
            return Readable([], [])
        self.write_held(connection)
        rows = fetch_rows(connection, self._sql["longest_idle_of_user"], key, user_id, count + 1 - most)
        return readable(rows)

    def _longest_idle(
        self,
        connection: apsw.Connection,
        count: int,
        superfluous: Sequence[SessionRecord],
        damaged: Sequence[int],
    ) -> Readable:
        """Find the sessions that were idle for longest, beside those that will go anyway."""
        self.write_held(connection)
        chosen = {*damaged, *(each.key for each in superfluous)}
        wanted = count + len(chosen)
        while True:
            rows = fetch_rows(connection, self._sql["longest_idle"], _ALL_TIME, max(wanted, _LEAST_LOOKED_AT))
            outdated = [row[-1] for row in rows[:wanted] if not row[-2]]
            if not outdated:
                return readable([row for row in rows[:wanted] if row[-1] not in chosen][:count])
            outdated += [row[-1] for row in rows[wanted:] if not row[-2]]
            connection.execute(self._sql["index_activities"], (_list(outdated),))

    def _dismiss_records(
        self,
        connection: apsw.Connection,
        records: Sequence[SessionRecord],
        reason: EndReason,
        moment: Moment,
        *,
        keeps: bool,
    ) -> list[SessionRecord]:
        """Delete active sessions, or make them inactive; return them as they are, or would be, kept."""
        self._dismiss(connection, [each.key for each in records], reason, moment, keeps=keeps)
        return [each.ended(reason, moment.now) for each in records]

    def _dismiss(
        self,
        connection: apsw.Connection,
        keys: Sequence[int],
        reason: EndReason,
        moment: Moment,
        *,
        keeps: bool,
    ) -> None:
        if keeps:
            connection.execute(self._sql["end_many"], (_list(keys), to_microseconds(moment.now), reason))
        else:
            connection.execute(self._sql["delete_many"], (_list(keys),))
        self.add_active(connection, -len(keys))

    def write_held(
        self, connection: apsw.Connection, now: datetime | None = None, *, again: bool = False
    ) -> list[HeldTouch]:
        """Write when sessions were really active last; return what was written."""
        touches = self._held.begin_writing(now, again=again)
        rows = [
            {
                "session_key": session_key(each.session_id),
                "until": to_microseconds(each.until),
                "floor": to_microseconds(each.floor),
                "last_activity": to_microseconds(each.last_activity),
                "long_ago": LONG_AGO_US,
            }
            for each in touches
        ]
        connection.executemany(self._sql["flush"], rows)
        return touches

    def add_active(self, connection: apsw.Connection, count: int) -> None:
        """Count active sessions on, or back."""
        if count:
            connection.execute(self._sql["add_active"], (count, self._table))


def _list(keys: Sequence[int]) -> str:
    return orjson.dumps(keys).decode()
