"""How changes to sessions reach the database: in groups, in transactions, and what of a lost commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.session_record import End, SessionRecord
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.postgresql.session_creation import (
    Creation,
    SessionCreation,
    insert,
)
from library.infrastructure.interfaces.database.postgresql.session_exits import SessionExits, write_touches
from library.infrastructure.interfaces.database.postgresql.session_groups import Groups
from library.infrastructure.interfaces.database.postgresql.session_jobs import (
    Ending,
    SessionJobs,
    Touch,
    Update,
)
from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from library.infrastructure.data.held_activity import HeldActivity, HeldTouch
    from library.infrastructure.data.session_record import Moment
    from library.infrastructure.data.session_store import Changed, CleanedUp
    from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter

T = TypeVar("T")

_FLUSHED_AT_ONCE: Final = 500


class SessionChanging:
    """Changes to one table.

    Each has a check, by which it is found out whether it was done when the connection is lost in mid commit:
    that waits for the end of the lost transaction, by a lock. What may be done twice just is done again.
    """

    def __init__(self, adapter: PostgreSQLAdapter, table: str, held: HeldActivity) -> None:
        """Prepare; `table` was checked."""
        self._adapter = adapter
        self._table = table
        self._held = held
        self.writing = object()
        """Another one whenever activity that was held in memory is held no more, since it is written."""
        self._creations = Groups(self._create_group, "create-sessions")
        self._updates = Groups(self._update_group, "update-sessions")
        self._touches = Groups(self._touch_group, "touch-sessions")
        self._endings = Groups(self._end_group, "end-sessions")
        self._deletions = Groups(self._delete_group, "delete-sessions")

    def begin(self, connection: Any) -> SessionWork:
        """Begin to work in a transaction."""
        return SessionWork(connection, self._adapter.engine, self._table, self._held)

    async def _transact(
        self,
        attempted: str,
        job: Callable[[SessionWork], Awaitable[T]],
        check: Callable[[SessionWork], Awaitable[bool]],
        *,
        one_statement: bool = False,
    ) -> T:
        """Do a job in a transaction; see `Engine.transact`."""
        done: list[SessionWork] = []

        async def run(connection: Any) -> T:
            work = self.begin(connection)
            done[:] = [work]
            result = await job(work)
            await work.finish()
            return result

        result = await self._adapter.engine.transact(
            f"{attempted} the table {self._table} of",
            run,
            check=lambda connection: check(self.begin(connection)),
            one_statement=one_statement,
        )
        self._forget(done[0].written)
        return result

    def _forget(self, touches: list[HeldTouch]) -> None:
        """Hold activity no more that is written."""
        if touches:
            self.writing = object()
            self._held.forget(touches)

    # -- creating --------------------------------------------------------------------------------------------

    async def create(self, order: Creation) -> Changed | None:
        """Create a session."""
        created: Changed | None = await self._creations.submit(order)
        return created

    async def _create_group(self, orders: Sequence[Creation]) -> Sequence[Any]:
        taken: list[HeldTouch] = []
        answers: list[Any] = []
        has_limit = any(each.limits.most is not None for each in orders)
        users = [each.record.user_id for each in orders if each.limits.most_of_user is not None]

        async def job(work: SessionWork) -> list[Any]:
            if not has_limit and not users:
                answers[:] = await insert(work, orders, counts=True)
                return answers
            if has_limit:
                await work.have_table_alone()
            else:
                await work.share_table()
                await work.have_users_alone(users)
            answers[:] = await SessionCreation(work, taken).create(orders)
            return answers

        async def is_done(work: SessionWork) -> bool:
            if answers:
                pairs = zip(orders, answers, strict=True)
                return any(await _are_there(work, [order for order, given in pairs if type(given) is tuple]))
            stored = await _are_there(work, orders)
            if any(stored):  # the one statement was completed, though its answer was lost
                pairs = zip(orders, stored, strict=True)
                answers[:] = [(order.record, []) if there else None for order, there in pairs]
            return any(stored)

        one_statement = not has_limit and not users
        await self._transact("create sessions in", job, is_done, one_statement=one_statement)
        return answers

    # -- changing --------------------------------------------------------------------------------------------

    async def update(self, order: Update) -> Changed:
        """Change a session."""
        if order.changes.user_id is None and not order.changes.ends:
            changed: Changed = await self._updates.submit(order)
            return changed
        (changed,) = await self._update_group([order])
        if isinstance(changed, Exception):
            raise changed
        return changed

    async def _update_group(self, orders: Sequence[Update]) -> Sequence[Any]:
        answers: list[Any] = []
        makes_room = any(each.changes.user_id and each.limits.most_of_user is not None for each in orders)
        ends = any(each.changes.ends for each in orders)

        async def job(work: SessionWork) -> list[Any]:
            if makes_room:
                await work.have_table_alone()
            elif ends:
                await work.share_table()
            answers[:] = await SessionJobs(work).update(orders)
            return answers

        async def is_done(work: SessionWork) -> bool:
            changed = [given[0] for given in answers if isinstance(given, tuple)]
            return bool(changed) and await _is_there(work, changed[-1])

        return await self._transact("change sessions in", job, is_done)

    async def touch(self, order: Touch) -> bool:
        """Write that a session is active."""
        return bool(await self._touches.submit(order))

    async def _touch_group(self, orders: Sequence[Touch]) -> Sequence[Any]:
        return await self._transact(
            "touch sessions in", lambda work: SessionJobs(work).touch(orders), _may_be_done_again
        )

    async def flush(self, now: datetime | None) -> None:
        """Write activity that is held in memory: what nobody else works on at once, the rest one by one."""
        touches = self._held.begin_writing(now, again=True)
        for start in range(0, len(touches), _FLUSHED_AT_ONCE):
            part = touches[start : start + _FLUSHED_AT_ONCE]
            busy = await self._flush(part)
            for each in busy:
                await self._flush([each])

    async def _flush(self, touches: list[HeldTouch]) -> list[HeldTouch]:
        """Write activity; return that of sessions that others work on."""

        async def job(work: SessionWork) -> list[HeldTouch]:
            states = await work.lock_states([each.session_id for each in touches])
            work.written += [each for each in touches if each.session_id in states]
            await write_touches(work, work.written)
            return [each for each in touches if each.session_id not in states]

        return await self._transact("write the activity of sessions in", job, _may_be_done_again)

    # -- ending ----------------------------------------------------------------------------------------------

    async def end(self, order: Ending) -> bool:
        """Make a session inactive."""
        return bool(await self._endings.submit(order))

    async def _end_group(self, orders: Sequence[Ending]) -> Sequence[Any]:
        answers: list[Any] = []

        async def job(work: SessionWork) -> list[Any]:
            answers[:] = await SessionJobs(work).end(orders)
            return answers

        async def is_done(work: SessionWork) -> bool:
            ended = [order for order, given in zip(orders, answers, strict=True) if given is True]
            if not ended:
                return False
            found = (await work.lock([ended[0].session_id]))[ended[0].session_id]
            return isinstance(found, SessionRecord) and found.end == End("ended", ended[0].moment.now)

        return await self._transact("end sessions in", job, is_done)

    async def mark_expired(self, order: Ending) -> None:
        """Put down that a session has expired for good."""
        await self._transact(
            "mark a session in", lambda work: SessionJobs(work).mark_expired(order), _may_be_done_again
        )

    async def delete(self, session_id: str) -> bool:
        """Delete a session."""
        return bool(await self._deletions.submit(session_id))

    async def _delete_group(self, session_ids: Sequence[str]) -> Sequence[Any]:
        answers: list[Any] = []

        async def job(work: SessionWork) -> list[Any]:
            answers[:] = await SessionJobs(work).delete(session_ids)
            return answers

        async def is_done(work: SessionWork) -> bool:
            deleted = [each for each, given in zip(session_ids, answers, strict=True) if given is True]
            return bool(deleted) and await _has_gone(work, deleted[0])

        return await self._transact("delete sessions from", job, is_done)

    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """Delete what has expired, or make it inactive."""
        taken: list[HeldTouch] = []
        gone: list[SessionRecord] = []

        async def job(work: SessionWork) -> CleanedUp:
            await work.have_table_alone()
            cleaned_up = await SessionExits(work, taken).clean_up(moment, limit, keeps=keeps)
            gone[:] = cleaned_up[0]
            return cleaned_up

        async def is_done(work: SessionWork) -> bool:
            return bool(gone) and await _has_gone(work, gone[0].session_id)

        return await self._transact("clean sessions up in", job, is_done)

    async def remove_ended(self, before: datetime, limit: int) -> int:
        """Delete what was ended long enough ago."""
        return await self._transact(
            "remove sessions from",
            lambda work: work.value("remove_ended", to_microseconds(before), limit),
            _may_be_done_again,
        )


async def _may_be_done_again(_: SessionWork) -> bool:
    return False


async def _are_there(work: SessionWork, orders: Sequence[Creation]) -> list[bool]:
    """Tell which sessions are stored: to store them again waits for whoever is just doing that."""
    if not orders:
        return []
    stored = await insert(work, orders)
    await work.run("delete_many", [given[0].key for given in stored if given is not None])
    found = await work.lock_states([order.record.session_id for order in orders])
    return [found.get(order.record.session_id, True) is not None for order in orders]


async def _is_there(work: SessionWork, record: SessionRecord) -> bool:
    """Tell whether a session stands in the table as it was changed last.

    Raises:
        StorageError: it was changed again since, so that nobody can tell.

    """
    found = (await work.lock([record.session_id]))[record.session_id]
    if not isinstance(found, SessionRecord) or found.version > record.version:
        message = "the session was changed again, or deleted"
        raise StorageError(message)
    return (found.version, found.metadata) == (record.version, record.metadata)


async def _has_gone(work: SessionWork, session_id: str) -> bool:
    """Tell whether a session is not active any more, once whoever worked on the table has ended."""
    await work.have_table_alone()
    state = (await work.lock_states([session_id]))[session_id]
    return state is None or not state.is_active
