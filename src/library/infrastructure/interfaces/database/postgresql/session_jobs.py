"""What is done to sessions by their ids: they are changed, touched, ended and deleted, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from library.infrastructure.data.errors import CorruptDataError, SessionLimitError
from library.infrastructure.data.session_record import SessionRecord
from library.infrastructure.data.storage import StaleVersion
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_exits import SessionExits
from library.infrastructure.interfaces.database.postgresql.session_groups import BUSY
from library.infrastructure.interfaces.database.postgresql.session_rows import columns_of, to_changed_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment
    from library.infrastructure.data.session_store import Changed, Limits
    from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork


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


class Ending(NamedTuple):
    """A session to be ended, or to be marked if it has expired."""

    session_id: str
    moment: Moment


class SessionJobs:
    """What is done in one transaction.

    What goes wrong for one of several is returned as its answer, not raised: raising would undo them all.
    Those that others work on are left out, and answered by `BUSY`, unless it is one alone.
    """

    def __init__(self, work: SessionWork) -> None:
        """Begin."""
        self._work = work
        self._held = work.held

    # -- changing --------------------------------------------------------------------------------------------

    async def update(self, orders: Sequence[Update]) -> list[Any]:
        """Change sessions; only one alone may be ended by that, or given to another user."""
        found = await self._work.lock([order.session_id for order in orders])
        answers: list[Any] = []
        changed: dict[str, tuple[Any, ...]] = {}
        expired: dict[str, SessionRecord] = {}
        for order in orders:
            if order.session_id not in found:
                answers.append(BUSY)
                continue
            former = found[order.session_id]
            error = self._work.refuse(order.session_id, former, order.moment)
            if not isinstance(former, SessionRecord) or error is not None:
                answers.append(error)
                if isinstance(former, SessionRecord) and order.session_id not in changed:
                    expired[order.session_id] = former
            elif order.if_version not in (None, former.version):
                answers.append(StaleVersion())
            else:
                answer, written = await self._update_one(order, former)
                answers.append(answer)
                if written is not None:
                    found[order.session_id] = written
                    changed[order.session_id] = to_changed_row(written, written.alive_at)
        await self._work.mark_expired(list(expired.values()))
        if changed:
            await self._work.run("change", *columns_of(list(changed.values())))
        return answers

    async def _update_one(
        self, order: Update, former: SessionRecord
    ) -> tuple[Changed | SessionLimitError, SessionRecord | None]:
        """Return the answer, and the session as it is to be written."""
        moment = order.moment
        record = order.changes.apply(self._held.exactly(former), moment.now)
        if order.changes.last_activity is None:
            # What was written for activity that is held, here or elsewhere, stands while it is in the future.
            alive_at = max(former.alive_at, moment.now)
        else:
            alive_at = record.alive_at
            self._work.set_aside(record.session_id)
        made_room: list[SessionRecord] = []
        if record.user_id != former.user_id and record.end is None:
            exits = SessionExits(self._work, [])
            try:
                made_room = await exits.make_room(record.user_id, order.limits, moment, is_new=False)
            except SessionLimitError as refused:
                return refused, None
        if record.end is not None:
            self._work.add_active(-1)
        return (record, made_room), record.alive_since(record.last_activity, alive_at)

    async def touch(self, orders: Sequence[Touch]) -> list[Any]:
        """Write that sessions are active, and may be for some time."""
        found = await self._work.lock([order.session_id for order in orders])
        latest: dict[str, Touch] = {}
        for order in orders:
            known = latest.setdefault(order.session_id, order)
            if known.moment.now < order.moment.now:
                latest[order.session_id] = order
        answers: dict[str, Any] = {}
        rows: list[tuple[Any, ...]] = []
        expired: list[SessionRecord] = []
        for order in latest.values():
            if order.session_id not in found:
                answers[order.session_id] = BUSY
                continue
            former = found[order.session_id]
            error = self._work.refuse(order.session_id, former, order.moment)
            if not isinstance(former, SessionRecord) or error is not None:
                answers[order.session_id] = error
                if isinstance(former, SessionRecord):
                    expired.append(former)
                continue
            until = _until(former, order)
            last_activity = max(former.last_activity, order.moment.now)
            rows.append((former.key, to_microseconds(last_activity), to_microseconds(until)))
            answers[order.session_id] = until > order.moment.now
            if until > order.moment.now:
                # Should this not be committed, nothing is noted under it: what is read is less than `until`.
                self._held.hold(former, until, order.moment.now)
        await self._work.mark_expired(expired)
        if rows:
            await self._work.run("touch", *columns_of(rows))
        return [answers[order.session_id] for order in orders]

    # -- ending ----------------------------------------------------------------------------------------------

    async def end(self, orders: Sequence[Ending]) -> list[Any]:
        """Make sessions inactive."""
        await self._work.share_table()
        found = await self._work.lock([order.session_id for order in orders])
        answers: list[Any] = []
        rows: list[tuple[Any, ...]] = []
        expired: list[SessionRecord] = []
        for order in orders:
            if order.session_id not in found:
                answers.append(BUSY)
                continue
            former = found[order.session_id]
            error = self._work.refuse(order.session_id, former, order.moment)
            if isinstance(former, SessionRecord) and error is None:
                exact = self._held.exactly(former)
                times = to_microseconds(order.moment.now), to_microseconds(exact.last_activity)
                rows.append((former.key, *times))
                self._work.set_aside(order.session_id)
                found[order.session_id] = former.ended("ended", order.moment.now)
                answers.append(True)
            else:
                if isinstance(former, SessionRecord):
                    expired.append(former)
                answers.append(error if isinstance(error, CorruptDataError) else False)
        await self._work.mark_expired(expired)
        if rows:
            await self._work.run("end", *columns_of(rows))
            self._work.add_active(-len(rows))
        return answers

    async def mark_expired(self, order: Ending) -> None:
        """Put down that a session has expired for good."""
        found = (await self._work.lock([order.session_id]))[order.session_id]
        error = self._work.refuse(order.session_id, found, order.moment)
        if isinstance(found, SessionRecord) and error is not None:
            await self._work.mark_expired([found])

    async def delete(self, session_ids: Sequence[str]) -> list[Any]:
        """Delete sessions, which need not be readable for that."""
        await self._work.share_table()
        found = await self._work.lock_states(session_ids)
        gone = {each: state for each, state in found.items() if state is not None}
        if gone:
            await self._work.run("delete_many", [state.key for state in gone.values()])
            self._work.add_active(-sum(state.is_active for state in gone.values()))
        return [BUSY if each not in found else gone.pop(each, None) is not None for each in session_ids]


def _until(former: SessionRecord, order: Touch) -> datetime:
    """Return up to when activity need not be written again."""
    try:
        return max(former.alive_at, order.moment.now + order.hold_for)
    except OverflowError:  # at the end of time
        return max(former.alive_at, order.moment.now)
