"""How sessions leave the active ones without being asked for: they expire, or make room for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_record import End
from library.infrastructure.data.session_store import refuse_to_evict
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    Readable,
    columns_of,
    readable,
    user_key,
)
from library.infrastructure.interfaces.database.postgresql.session_work import LONG_AGO_US
from library.infrastructure.interfaces.database.postgresql.text_escape import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from library.infrastructure.data.held_activity import HeldTouch
    from library.infrastructure.data.session_record import EndReason, Moment, SessionRecord
    from library.infrastructure.data.session_store import CleanedUp, Limits
    from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork

_ALL_TIME: Final = 1 << 62
_LOOKED_AT: Final = 50
"""Of so many sessions, the index is brought up to date at once."""


class SessionExits:
    """What is done in a transaction that has the table alone, or, for the limits of users, these users.

    Sessions that are damaged, and so cannot be announced, go first.
    """

    def __init__(self, work: SessionWork, touches: list[HeldTouch]) -> None:
        """Begin.

        Args:
            work: the transaction.
            touches: activity that earlier attempts at this transaction took from memory; what is taken now is
                added.

        """
        self._work = work
        self._touches = touches
        self._written = 0

    # -- making room -----------------------------------------------------------------------------------------

    async def make_room(
        self, user_id: str, limits: Limits, moment: Moment, *, is_new: bool
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
            superfluous, damaged = await self.too_many_of_user(user_id, limits.most_of_user)
            refuse_to_evict(superfluous, limits, moment, user_id)
        if limits.most is not None and is_new:
            excess = await self._work.active_count() + 1 - limits.most - len(superfluous) - len(damaged)
            if excess > 0:
                chosen = {*damaged, *(each.key for each in superfluous)}
                others, more_damaged = await self.longest_idle(excess, chosen)
                refuse_to_evict(others, limits, moment)
                superfluous += others
                damaged += more_damaged
        await self._dismiss([(key, "evicted", moment.now) for key in damaged], keeps=limits.keeps)
        return await self.leave([(each, moment) for each in superfluous], keeps=limits.keeps)

    async def too_many_of_user(self, user_id: str, most: int) -> Readable:
        """Find the sessions of a user that were idle for longest, of which one more would be too many."""
        count = await self._work.value("count_of_user", user_key(user_id))
        return (
            await self.longest_idle_of_user(user_id, count + 1 - most) if count >= most else Readable([], [])
        )

    async def longest_idle_of_user(self, user_id: str, count: int) -> Readable:
        """Find the sessions of a user that were idle for longest."""
        await self._write_held()
        locked: set[int] = set()
        while True:
            rows = await self._work.rows("longest_idle_of_user", user_key(user_id), escape(user_id), count)
            found = {row[0] for row in rows}
            if found <= locked:
                return readable(rows)
            locked |= found  # some may have been active just before they were locked: look again

    async def longest_idle(self, count: int, chosen: set[int]) -> Readable:
        """Find the sessions that were idle for longest, beside those that will go anyway."""
        await self._write_held()
        wanted = count + len(chosen)
        while True:
            rows = await self._work.rows("longest_idle", _ALL_TIME, wanted)
            if not any(row["is_outdated"] for row in rows):
                return readable([row for row in rows if row[0] not in chosen][:count])
            await self._work.run("index_activities", _ALL_TIME, max(wanted, _LOOKED_AT))

    # -- cleaning up -----------------------------------------------------------------------------------------

    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """Delete sessions that have expired, or make them inactive.

        Returns:
            What they were, and whether there may be more.

        """
        await self._write_held()
        cutoff = to_microseconds(moment.cutoff)
        rows = await self._work.rows("longest_idle", cutoff, limit)
        idle = readable(rows)
        expired = [each for each in idle.records if each.alive_at <= moment.cutoff]
        if any(row["is_outdated"] for row in rows):
            await self._work.run("index_activities", cutoff, limit)
        await self._dismiss([(key, "expired", moment.now) for key in idle.damaged], keeps=keeps)
        gone = await self.leave([(each, moment) for each in expired], keeps=keeps)
        return gone, len(rows) == limit

    # -- leaving ---------------------------------------------------------------------------------------------

    async def leave(
        self, leaving: Sequence[tuple[SessionRecord, Moment]], *, keeps: bool
    ) -> list[SessionRecord]:
        """Delete sessions that have expired or are evicted, or make them inactive, each at its moment.

        Returns:
            What they are, or would be, kept as.

        """
        pairs = [
            (record, End("expired" if record.alive_at <= moment.cutoff else "evicted", moment.now))
            for record, moment in leaving
        ]
        await self._dismiss([(record.key, end.reason, end.at) for record, end in pairs], keeps=keeps)
        return [record.ended(*end) for record, end in pairs]

    async def _dismiss(self, leaving: Sequence[tuple[int, EndReason, datetime]], *, keeps: bool) -> None:
        if not leaving:
            return
        keys, reasons, times = columns_of(leaving)
        if keeps:
            await self._work.run("end_many", keys, reasons, [to_microseconds(each) for each in times])
        else:
            await self._work.run("delete_many", keys)
        self._work.add_active(-len(keys))

    async def _write_held(self) -> None:
        """Write when sessions were really active last, as far as this process knows."""
        self._touches += self._work.held.begin_writing()
        await write_touches(self._work, self._touches[self._written :])
        self._written = len(self._touches)


async def write_touches(work: SessionWork, touches: Sequence[HeldTouch]) -> None:
    """Write activity that was held in memory; of two for one session, the later knows all."""
    rows = [
        (
            session_key(each.session_id),
            to_microseconds(each.until),
            to_microseconds(each.floor),
            to_microseconds(each.last_activity),
        )
        for each in {each.session_id: each for each in touches}.values()
    ]
    if rows:
        await work.run("flush", *columns_of(rows), LONG_AGO_US)
