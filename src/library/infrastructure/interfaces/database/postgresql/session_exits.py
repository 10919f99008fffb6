"""How sessions leave the active ones without being asked for: they expire, or make room for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.errors import SessionLimitError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.session_store import refuse_to_evict
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    Readable,
    columns_of,
    readable,
    to_session_row,
    user_key,
)
from library.infrastructure.interfaces.database.postgresql.session_work import LONG_AGO_US
from library.infrastructure.interfaces.database.postgresql.text_escape import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.held_activity import HeldTouch
    from library.infrastructure.data.session_record import EndReason, Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, CleanedUp, Limits
    from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork

_ALL_TIME: Final = 1 << 62
_LOOKED_AT: Final = 50
"""Of so many sessions, the index is brought up to date at once."""


class Creation(NamedTuple):
    """A session to be created."""

    record: SessionRecord
    limits: Limits
    moment: Moment


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

    # -- creating --------------------------------------------------------------------------------------------

    async def create(self, orders: Sequence[Creation]) -> list[Any]:
        """Insert sessions; those for which there is no room are refused, the others stand."""
        if await self._are_within_limits(orders):
            return await insert(self._work, orders)
        return [await self._create_one(order) for order in orders]

    async def _are_within_limits(self, orders: Sequence[Creation]) -> bool:
        """Tell whether nothing has to make room, which few questions can."""
        if any(each.limits.most_of_user is not None for each in orders):
            return False
        most = min((each.limits.most for each in orders if each.limits.most is not None), default=_ALL_TIME)
        return await self._work.active_count() + len(orders) <= most

    async def _create_one(self, order: Creation) -> Any:
        try:
            made_room = await self.make_room(order.record.user_id, order.limits, order.moment, is_new=True)
        except SessionLimitError as error:
            return error
        (created,) = await insert(self._work, [order])
        return created and (order.record, made_room)

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
            superfluous, damaged = await self._too_many_of_user(user_id, limits.most_of_user)
            refuse_to_evict(superfluous, limits, moment, user_id)
        if limits.most is not None and is_new:
            excess = await self._work.active_count() + 1 - limits.most - len(superfluous) - len(damaged)
            if excess > 0:
                chosen = {*damaged, *(each.key for each in superfluous)}
                others, more_damaged = await self._longest_idle(excess, chosen)
                refuse_to_evict(others, limits, moment)
                superfluous += others
                damaged += more_damaged
        await self._dismiss(damaged, "evicted", moment, keeps=limits.keeps)
        expired = [each for each in superfluous if each.alive_at <= moment.cutoff]
        evicted = [each for each in superfluous if each.alive_at > moment.cutoff]
        return [
            *await self._dismiss_records(expired, "expired", moment, keeps=limits.keeps),
            *await self._dismiss_records(evicted, "evicted", moment, keeps=limits.keeps),
        ]

    async def _too_many_of_user(self, user_id: str, most: int) -> Readable:
        """Find the sessions of a user that were idle for longest, of which one more would be too many."""
        key = user_key(user_id)
        count = await self._work.value("count_of_user", key)
        if count < most:
            return Readable([], [])
        await self._write_held()
        locked: set[int] = set()
        while True:
            rows = await self._work.rows("longest_idle_of_user", key, escape(user_id), count + 1 - most)
            found = {row[0] for row in rows}
            if found <= locked:
                return readable(rows)
            locked |= found  # some may have been active just before they were locked: look again

    async def _longest_idle(self, count: int, chosen: set[int]) -> Readable:
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
        await self._dismiss(idle.damaged, "expired", moment, keeps=keeps)
        gone = await self._dismiss_records(expired, "expired", moment, keeps=keeps)
        return gone, len(rows) == limit

    # -- leaving ---------------------------------------------------------------------------------------------

    async def _dismiss_records(
        self, records: Sequence[SessionRecord], reason: EndReason, moment: Moment, *, keeps: bool
    ) -> list[SessionRecord]:
        """Delete active sessions, or make them inactive; return them as they are, or would be, kept."""
        await self._dismiss([each.key for each in records], reason, moment, keeps=keeps)
        return [each.ended(reason, moment.now) for each in records]

    async def _dismiss(self, keys: Sequence[int], reason: EndReason, moment: Moment, *, keeps: bool) -> None:
        if not keys:
            return
        if keeps:
            await self._work.run("end_many", keys, to_microseconds(moment.now), reason)
        else:
            await self._work.run("delete_many", keys)
        self._work.add_active(-len(keys))

    async def _write_held(self) -> None:
        """Write when sessions were really active last, as far as this process knows."""
        self._touches += self._work.held.begin_writing()
        await write_touches(self._work, self._touches[self._written :])
        self._written = len(self._touches)


async def insert(
    work: SessionWork, orders: Sequence[Creation], *, counts: bool = False
) -> list[Changed | None]:
    """Insert sessions; `None` for those whose ids are taken.

    Args:
        work: the transaction.
        orders: the sessions.
        counts: whether they are counted by the same statement, after which nothing may be done.

    """
    columns = columns_of([to_session_row(order.record) for order in orders])
    rows = await work.rows("insert_counted" if counts else "insert", *columns)
    if not counts:
        work.add_active(len(rows))
    inserted = {row[0] for row in rows}
    answers: list[Changed | None] = []
    for order in orders:
        is_new = order.record.key in inserted
        inserted.discard(order.record.key)  # of two with one key, the first was inserted
        answers.append((order.record, []) if is_new else None)
    return answers


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
