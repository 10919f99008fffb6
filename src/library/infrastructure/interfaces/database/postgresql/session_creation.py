"""How sessions are created: many at once, also where others have to make room for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from library.infrastructure.data.errors import SessionLimitError
from library.infrastructure.data.session_store import refuse_to_evict
from library.infrastructure.interfaces.database.postgresql.session_exits import SessionExits
from library.infrastructure.interfaces.database.postgresql.session_rows import (
    columns_of,
    to_session_row,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.held_activity import HeldTouch
    from library.infrastructure.data.session_record import Moment, SessionRecord
    from library.infrastructure.data.session_store import Changed, Limits
    from library.infrastructure.interfaces.database.postgresql.session_work import SessionWork


class Creation(NamedTuple):
    """A session to be created."""

    record: SessionRecord
    limits: Limits
    moment: Moment


class _Places(NamedTuple):
    """How many sessions more fit, and who makes room beyond that."""

    free: int
    """Negative where there are more than allowed."""
    idle: list[SessionRecord]
    """Those that were idle for longest, the longest first."""


class SessionCreation:
    """Creates sessions within limits, in a transaction that has the table, or the users, alone."""

    def __init__(self, work: SessionWork, touches: list[HeldTouch]) -> None:
        """Begin; see `SessionExits`."""
        self._work = work
        self._exits = SessionExits(work, touches)

    async def create(self, orders: Sequence[Creation]) -> list[Any]:
        """Insert sessions; those for which there is no room are refused, the others stand."""
        places = await self._places(orders) if len(orders) > 1 else None
        if places is None:
            return [await self._create_one(order) for order in orders]
        return await self._create_all(orders, places)

    async def _create_one(self, order: Creation) -> Any:
        try:
            made_room = await self._exits.make_room(
                order.record.user_id, order.limits, order.moment, is_new=True
            )
        except SessionLimitError as error:
            return error
        (created,) = await insert(self._work, [order])
        return created and (order.record, made_room)

    # -- all at once -----------------------------------------------------------------------------------------

    async def _places(self, orders: Sequence[Creation]) -> dict[str | None, _Places] | None:
        """Find out what room there is for each user, or, as that of `None`, for all together.

        Returns:
            `None` where the orders have to be done one by one: their limits differ, both limits are reached,
            some of the new sessions would have to make room for others of them, or two users share a digest.

        """
        limits = orders[0].limits
        if any(order.limits != limits for order in orders):
            return None
        free: dict[str | None, int] = {}
        wanted: Counter[str | None] = Counter()
        if limits.most_of_user is not None:
            wanted.update(order.record.user_id for order in orders)
            users = {user_key(user_id): user_id for user_id in wanted if user_id is not None}
            if len(users) < len(wanted):
                return None
            rows = await self._work.rows("counts_of_users", list(users))
            free = dict.fromkeys(wanted, limits.most_of_user)
            for key, count in rows:
                free[users[key]] -= count
        if limits.most is not None:
            free_of_all = limits.most - await self._work.active_count()
            if free_of_all < len(orders) and any(free[each] < wanted[each] for each in wanted):
                return None
            if free_of_all < len(orders) or not wanted:
                free, wanted = {None: free_of_all}, Counter({None: len(orders)})
        places = {each: await self._with_idle(each, free[each], wanted[each]) for each in wanted}
        earliest = min(order.record.alive_at for order in orders)
        for each in places.values():
            if each is None or (each.idle and each.idle[-1].alive_at > earliest):
                return None
        return {user_id: each for user_id, each in places.items() if each is not None}

    async def _with_idle(self, user_id: str | None, free: int, wanted: int) -> _Places | None:
        """Add who makes room; `None` if those are too few, or cannot be read."""
        excess = wanted - free
        if excess <= 0:
            return _Places(free, [])
        if user_id is None:
            found = await self._exits.longest_idle(excess, set())
        else:
            found = await self._exits.longest_idle_of_user(user_id, excess)
        return None if len(found.records) < excess else _Places(free, found.records)

    async def _create_all(self, orders: Sequence[Creation], places: dict[str | None, _Places]) -> list[Any]:
        decided = _decide(orders, places)
        fitting = [order for order, given in zip(orders, decided, strict=True) if type(given) is list]
        stored = iter(await insert(self._work, fitting) if fitting else [])
        # For one whose id is taken, nobody has to leave.
        answers = [
            given if type(given) is not list or next(stored) is not None else None for given in decided
        ]
        leaving = [
            (each, order.moment)
            for order, given in zip(orders, answers, strict=True)
            if type(given) is list
            for each in given
        ]
        gone = iter(await self._exits.leave(leaving, keeps=orders[0].limits.keeps))
        return [
            (order.record, [next(gone) for _ in given]) if type(given) is list else given
            for order, given in zip(orders, answers, strict=True)
        ]


def _decide(orders: Sequence[Creation], places: dict[str | None, _Places]) -> list[Any]:
    """Give each order, in turn, those who make room for it, or the error by which it is refused."""
    is_of_all = None in places
    free = {user_id: each.free for user_id, each in places.items()}
    first = dict.fromkeys(places, 0)
    decided: list[Any] = []
    for order in orders:
        user_id = None if is_of_all else order.record.user_id
        needed = max(0, 1 - free[user_id])
        idle = places[user_id].idle[first[user_id] : first[user_id] + needed]
        try:
            refuse_to_evict(idle, order.limits, order.moment, user_id)
        except SessionLimitError as error:
            decided.append(error)
            continue
        decided.append(idle)
        first[user_id] += needed
        free[user_id] += needed - 1
    return decided


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
