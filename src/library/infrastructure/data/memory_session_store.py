"""`MemorySessionStore`: sessions of one process, which end with it."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Final

from library.infrastructure.data.creation_order import CreationOrder
from library.infrastructure.data.errors import DuplicateSessionError
from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.data.record_transfer import Loaded
from library.infrastructure.data.session_record import LONG_AGO, refusal
from library.infrastructure.data.session_rows import to_session_record, to_session_row
from library.infrastructure.data.session_store import SessionStore, refuse_to_evict
from library.infrastructure.data.storage import StaleVersion
from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from library.infrastructure.data.errors import SessionError
    from library.infrastructure.data.record_transfer import MergeStrategy, RowSource, RowTarget
    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, CleanedUp, Limits, Listing, Page

_STEP: Final = 2_000
"""So many sessions are looked at before others have their turn."""
_SPARE: Final = 10_000
"""So many outdated entries of the queues are kept before they are made anew."""


class MemorySessionStore(SessionStore):
    """Keeps sessions in this process only, on no disk: `SessionManager(config, store=MemorySessionStore())`.

    Several managers may share one store. Nothing of it survives the process, or is seen by another.
    """

    def __init__(self) -> None:
        """Begin with no session."""
        self._guard = threading.Lock()
        self._records: dict[str, SessionRecord] = {}
        self._active = 0
        self._active_of_user: dict[str, int] = {}
        self._order = CreationOrder()
        self._of_user: dict[str, CreationOrder] = {}
        # An entry tells since when, and which. Activity leaves it as it is: one that comes first is compared
        # with its session, and put back where it belongs if that was active meanwhile.
        self._expiring: list[tuple[datetime, str]] = []
        self._ended: list[tuple[datetime, str]] = []
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Make the lock new, which a thread of the parent may have held."""
        self._guard = threading.Lock()

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def look_up(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        return self._records.get(session_id)

    async def find(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        return self._records.get(session_id)

    async def create(self, record: SessionRecord, limits: Limits, moment: Moment) -> Changed | None:
        """See `SessionStore`."""
        with self._guard:
            if record.session_id in self._records:
                return None
            made_room: list[SessionRecord] = []
            if limits.most is not None or limits.most_of_user is not None:
                made_room = self._make_room(record.user_id, limits, moment, is_new=True)
            self._add(record)
            return record, made_room

    async def update(
        self,
        session_id: str,
        changes: SessionChanges,
        limits: Limits,
        moment: Moment,
        if_version: int | None = None,
    ) -> Changed:
        """See `SessionStore`."""
        with self._guard:
            former = self._records.get(session_id)
            if former is None or former.end is not None or former.alive_at <= moment.cutoff:
                raise self._refusal(session_id, former, moment)
            if if_version is not None and former.version != if_version:
                raise StaleVersion
            record = changes.apply(former, moment.now)
            if record.user_id == former.user_id:
                self._replace(former, record)
                return record, []
            made_room: list[SessionRecord] = []
            if record.end is None:
                made_room = self._make_room(record.user_id, limits, moment, is_new=False)
            self._remove(former)
            self._add(record)
            return record, made_room

    async def touch(self, session_id: str, moment: Moment, hold_for: timedelta) -> bool:  # noqa: ARG002
        """See `SessionStore`; nothing is written, and so nothing held back."""
        with self._guard:
            former = self._records.get(session_id)
            if former is None or former.end is not None or former.alive_at <= moment.cutoff:
                raise self._refusal(session_id, former, moment)
            alive_at = max(former.alive_at, moment.now)
            self._records[session_id] = former.alive_since(max(former.last_activity, moment.now), alive_at)
        return False

    async def flush(self, now: datetime | None = None) -> bool:  # noqa: ARG002
        """Do nothing: nothing is held back."""
        return False

    async def end(self, session_id: str, moment: Moment) -> bool:
        """See `SessionStore`."""
        with self._guard:
            record = self._records.get(session_id)
            if record is None or record.end is not None:
                return False
            is_alive = record.alive_at > moment.cutoff
            if is_alive:
                self._replace(record, record.ended("ended", moment.now))
            else:
                self._mark_expired(record)
            return is_alive

    async def mark_expired(self, session_id: str, moment: Moment) -> None:
        """See `SessionStore`."""
        with self._guard:
            record = self._records.get(session_id)
            if record is not None and record.is_active and record.alive_at <= moment.cutoff:
                self._mark_expired(record)

    async def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        with self._guard:
            record = self._records.get(session_id)
            if record is not None:
                self._remove(record)
            return record is not None

    async def page(self, listing: Listing, limit: int) -> Page:
        """See `SessionStore`."""
        with self._guard:
            order = self._order if listing.user_id is None else self._of_user.get(listing.user_id)
            found: list[SessionRecord] = []
            ids = () if order is None else order.before(listing.after)
            for looked_at, session_id in enumerate(ids, 1):
                record = self._records[session_id]
                if _is_listed(record, listing):
                    found.append(record)
                if len(found) == limit or looked_at == _STEP:
                    return found, (record.created_at, record.key)
            return found, None

    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """See `SessionStore`."""
        expired: list[SessionRecord] = []
        with self._guard:
            for _ in range(limit):
                if not self._expiring or self._expiring[0][0] > moment.cutoff:
                    return expired, False
                session_id = heapq.heappop(self._expiring)[1]
                record = self._records.get(session_id)
                if record is None or record.end is not None:
                    continue
                if record.alive_at <= moment.cutoff:
                    expired.append(self._expire(record, moment, keeps=keeps))
                else:
                    heapq.heappush(self._expiring, (record.alive_at, session_id))
            return expired, True

    async def remove_ended(self, before: datetime, limit: int) -> int:
        """See `SessionStore`."""
        removed = 0
        with self._guard:
            while removed < limit and self._ended and self._ended[0][0] <= before:
                _, session_id = heapq.heappop(self._ended)
                record = self._records.get(session_id)
                if record is not None and not record.is_active:
                    self._remove(record)
                    removed += 1
        return removed

    async def export(self, session_ids: Sequence[str] | None, target: RowTarget) -> None:
        """See `SessionStore`."""
        with self._guard:
            records = sorted(self._records.values(), key=lambda each: (each.created_at, each.key))
        if session_ids is not None:
            wanted = set(session_ids)
            records = [each for each in records if each.session_id in wanted]
        known = {each.session_id for each in records}
        missing = [each for each in dict.fromkeys(session_ids or ()) if each not in known]
        await run_in_worker(_give, records, missing, target)

    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """See `SessionStore`."""
        records, twice = await run_in_worker(_take, source, merge)
        with self._guard:
            present = [each for each in records if each.session_id in self._records]
            if merge == "append" and (present or twice):
                raise DuplicateSessionError(session_id=(present or records)[0].session_id)
            if merge == "skip_duplicates":
                records = [each for each in records if each.session_id not in self._records]
            else:
                for each in present:
                    self._remove(self._records[each.session_id])
            for each in records:
                self._add(each)
        surplus = len(present) + twice
        source.note(len(records))
        is_replacing = merge == "replace"
        return Loaded(len(records), 0 if is_replacing else surplus, surplus if is_replacing else 0, 0)

    # -- with the guard held ---------------------------------------------------------------------------------

    def _refusal(self, session_id: str, record: SessionRecord | None, moment: Moment) -> SessionError:
        """Say why a session cannot be used; what has expired is marked so."""
        if record is not None and record.end is None:
            self._mark_expired(record)
        return refusal(session_id, record, moment)

    def _mark_expired(self, record: SessionRecord) -> None:
        if record.alive_at > LONG_AGO:
            self._replace(record, record.alive_since(record.last_activity, LONG_AGO))

    def _add(self, record: SessionRecord) -> None:
        place = record.created_at, record.session_id
        self._records[record.session_id] = record
        self._order.add(place)
        of_user = self._of_user.get(record.user_id)
        if of_user is None:
            of_user = self._of_user[record.user_id] = CreationOrder()
        of_user.add(place)
        if record.end is None:
            self._active += 1
            self._active_of_user[record.user_id] = self._active_of_user.get(record.user_id, 0) + 1
        self._queue(record)

    def _remove(self, record: SessionRecord) -> None:
        place = record.created_at, record.session_id
        del self._records[record.session_id]
        self._order.discard(place)
        of_user = self._of_user[record.user_id]
        of_user.discard(place)
        if not of_user:
            del self._of_user[record.user_id]
        if record.end is None:
            self._count_inactive(record.user_id)

    def _replace(self, former: SessionRecord, record: SessionRecord) -> None:
        """Put a record of the same id and user in the place of the former."""
        self._records[record.session_id] = record
        if record.end is not None:
            if former.end is None:
                self._count_inactive(former.user_id)
            self._queue(record)
        elif record.alive_at < former.alive_at:
            self._queue(record)

    def _count_inactive(self, user_id: str) -> None:
        self._active -= 1
        self._active_of_user[user_id] -= 1
        if not self._active_of_user[user_id]:
            del self._active_of_user[user_id]

    def _queue(self, record: SessionRecord) -> None:
        """Have a session looked at when it may expire, or may be removed."""
        if record.end is None:
            if len(self._expiring) > 2 * self._active + _SPARE:
                active = (each for each in self._records.values() if each.is_active)
                self._expiring = [(each.alive_at, each.session_id) for each in active]
                heapq.heapify(self._expiring)
            heapq.heappush(self._expiring, (record.alive_at, record.session_id))
        elif record.end is not None:
            heapq.heappush(self._ended, (record.end.at, record.session_id))

    def _longest_idle(self, count: int) -> list[SessionRecord]:
        """Find the active sessions that were alive longest ago, the longest first."""
        found: dict[str, SessionRecord] = {}
        while self._expiring and len(found) < count:
            since, session_id = self._expiring[0]
            record = self._records.get(session_id)
            if record is None or record.end is not None or session_id in found:
                heapq.heappop(self._expiring)
            elif record.alive_at != since:
                heapq.heapreplace(self._expiring, (record.alive_at, session_id))
            else:
                heapq.heappop(self._expiring)
                found[session_id] = record
        for record in found.values():
            heapq.heappush(self._expiring, (record.alive_at, record.session_id))
        return list(found.values())

    def _expire(self, record: SessionRecord, moment: Moment, *, keeps: bool) -> SessionRecord:
        """Clean a session up that has expired, and return it as it is, or would be, kept."""
        expired = record.ended("expired", moment.now)
        if keeps:
            self._replace(record, expired)
        else:
            self._remove(record)
        return expired

    def _make_room(
        self, user_id: str, limits: Limits, moment: Moment, *, is_new: bool
    ) -> list[SessionRecord]:
        """See that one more session of a user fits; return what had to go, each with the reason."""
        superfluous: list[SessionRecord] = []
        if limits.most_of_user is not None and self._active_of_user.get(user_id, 0) >= limits.most_of_user:
            ids = self._of_user.get(user_id, CreationOrder()).before(None)
            records = (self._records[session_id] for session_id in ids)
            active = sorted((each for each in records if each.is_active), key=lambda each: each.alive_at)
            superfluous = active[: max(0, len(active) + 1 - limits.most_of_user)]
            refuse_to_evict(superfluous, limits, moment, user_id)
        if limits.most is not None and is_new:
            excess = self._active + 1 - limits.most - len(superfluous)
            if excess > 0:
                idle = self._longest_idle(excess + len(superfluous))
                others = [each for each in idle if each not in superfluous][:excess]
                refuse_to_evict(others, limits, moment)
                superfluous += others
        return [self._evict(record, limits, moment) for record in superfluous]

    def _evict(self, record: SessionRecord, limits: Limits, moment: Moment) -> SessionRecord:
        """Clean a session up that has expired, or end it all the same; return it as it is then."""
        if record.alive_at <= moment.cutoff:
            return self._expire(record, moment, keeps=limits.keeps)
        evicted = record.ended("evicted", moment.now)
        if limits.keeps:
            self._replace(record, evicted)
        else:
            self._remove(record)
        return evicted


def _is_listed(record: SessionRecord, listing: Listing) -> bool:
    """Tell whether a session is shown in a list."""
    is_alive = record.is_alive(listing.cutoff)
    if record.is_active and not is_alive and not listing.shows_expired:
        return False
    return listing.is_active is None or listing.is_active is is_alive


def _give(records: Sequence[SessionRecord], missing: Sequence[str], target: RowTarget) -> None:
    target.begin(len(records), missing)
    for start in range(0, len(records), _STEP):
        target.take([to_session_row(each) for each in records[start : start + _STEP]])


def _take(source: RowSource, merge: MergeStrategy) -> tuple[list[SessionRecord], int]:
    """Read all rows; of sessions that come twice, which are counted, the last or the first is taken."""
    found: dict[str, SessionRecord] = {}
    count = 0
    while rows := source.read():
        count += len(rows)
        for row in rows:
            if merge == "replace" or row[0] not in found:
                found[row[0]] = to_session_record(row)
    return list(found.values()), count - len(found)
