"""Storing new exchanges: those that come at the same time share one statement, which is their transaction.

One statement takes one round trip. It gives the ids, stores the rows, counts the changes, and stores nothing,
and uses no id up, if a parent is not there. What it cannot do is done in a transaction of several statements:
ids of the caller's, a condition on the number of changes, and many rows.

Whoever takes ids from the sequence shares a lock, which whoever sets the sequence holds alone.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID
from library.infrastructure.data.errors import DuplicateMessageError, InvalidValueError, StorageError
from library.infrastructure.data.storage import Saved, StaleVersion
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.postgresql.counters import count_changes, now_us, slots_of
from library.infrastructure.interfaces.database.postgresql.group_saving import GroupSaving, SaveOrder
from library.infrastructure.interfaces.database.postgresql.inserting import insert_rows, searches_of
from library.infrastructure.interfaces.database.postgresql.rows import statements
from library.infrastructure.interfaces.database.postgresql.text_escape import unescape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from library.infrastructure.interfaces.database.postgresql.engine import Engine
    from library.infrastructure.interfaces.database.postgresql.group_saving import Entry
    from library.infrastructure.interfaces.database.postgresql.rows import Row

_SMALL_ROWS: Final = 100
_SMALL_CHARACTERS: Final = 100_000
_INLINE_CHARACTERS: Final = 8_000
"""What is found by up to so much text is written on the event loop: that takes about a millisecond."""
_ATTEMPTED: Final = "save exchanges to"

Parents = dict[int, str]
"""Conversations, as they stand in the table, by exchanges that are named as parents."""


class Saving:
    """Stores exchanges in one table."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._groups = GroupSaving(self._save_group)
        self._last_ids: weakref.WeakKeyDictionary[Engine, int] = weakref.WeakKeyDictionary()

    async def save(self, engine: Engine, rows: Sequence[Row], if_version: int | None) -> Saved:
        """Store exchanges; see `ConversationStore.save`."""
        if if_version is None and len(rows) <= _SMALL_ROWS and not any(row.message_id for row in rows):
            characters = sum([len(row.user_input) + len(row.agent_response) for row in rows])
            if characters <= _SMALL_CHARACTERS:
                is_inline = characters <= _INLINE_CHARACTERS
                searches = searches_of(rows) if is_inline else await run_in_worker(searches_of, rows)
                saved: Saved = await self._groups.submit(SaveOrder(engine, rows, searches))
                engine.wrote()
                return saved
        return await self._save_many(engine, rows, if_version)

    # -- few -------------------------------------------------------------------------------------------------

    async def _save_group(self, engine: Engine, gather: Callable[[], Awaitable[list[Entry]]]) -> None:
        """Store what was asked for at the same time, and answer; not, if it cannot be stored together."""
        sql = statements(engine.schema, self._table)
        entries: list[Entry] = []
        rows: list[Row] = []
        last_id = 0
        is_doubtful = False

        async def store(connection: Any) -> bool:
            nonlocal last_id, is_doubtful
            entries[:] = await gather()
            rows[:] = [row for entry in entries for row in entry.order.rows]
            if not rows:  # all who asked were cancelled
                return True
            last_id = self._last_ids.get(engine, 0) or await connection.fetchval(sql["last_id"])
            bindings = _bindings(entries, rows)
            is_doubtful = True
            try:
                saved = await connection.fetchrow(sql["save"], *bindings)
            except asyncpg.SequenceGeneratorLimitExceededError as error:
                is_doubtful = False
                raise self._no_id_left() from error
            is_doubtful = False
            if saved["ids"] is not None:
                self._last_ids[engine] = max(last_id, saved["ids"][-1])
                _answer(entries, saved["ids"], saved["version"])
            return saved["ids"] is not None

        async def is_stored(connection: Any) -> bool:
            nonlocal is_doubtful
            if not is_doubtful:  # nothing was sent: what looks the same is an earlier one
                return False
            found = await _find(connection, sql, rows, last_id)
            is_doubtful = False
            if found:
                state = await connection.fetchrow(sql["state"])
                _answer(entries, found, state["changes"])
            return bool(found)

        try:
            is_done = await engine.transact(_ATTEMPTED, store, check=is_stored, one_statement=True)
        except asyncio.CancelledError:
            if is_doubtful:  # whoever waits with the one who was cancelled
                for entry in entries:
                    entry.give(self._unknown(engine))
            raise
        if is_done is False and len(entries) == 1:
            raise await self._missing_parent(engine, sql, rows)

    async def _missing_parent(
        self, engine: Engine, sql: Mapping[str, str], rows: Sequence[Row]
    ) -> InvalidValueError:
        ids = [row.parent_id for row in rows if row.parent_id is not None]
        found = await engine.fetch(_ATTEMPTED, sql["conversations_of"], ids, primary=True)
        parents: Parents = {row[0]: row[1] for row in found}
        for row in rows:
            if row.parent_id is not None and parents.get(row.parent_id) != row.conversation_id:
                return wrong_parent(row.parent_id, parents.get(row.parent_id), row.conversation_id)
        return InvalidValueError("a parent of an exchange was deleted, or saved, just now: retry")

    def _unknown(self, engine: Engine) -> StorageError:
        message = (
            f"cannot tell whether exchanges were saved to {engine.where}: the connection was lost meanwhile; "
            "look whether they are there before you retry"
        )
        return StorageError(message, path=engine.where)

    def _no_id_left(self) -> InvalidValueError:
        return InvalidValueError(
            f"no message_id is left in {self._table}, since one close to {MAX_MESSAGE_ID} was stored: "
            "copy the exchanges to another table_name"
        )

    # -- many, and those on conditions -----------------------------------------------------------------------

    async def _save_many(self, engine: Engine, rows: Sequence[Row], if_version: int | None) -> Saved:
        sql = statements(engine.schema, self._table)
        given_ids = [row.message_id for row in rows if row.message_id is not None]
        self._check_distinct(given_ids)

        async def store(connection: Any) -> Saved:
            if given_ids:
                await self._take_ids(connection, sql, rows, given_ids)
            await connection.execute(sql["share_ids"])
            if if_version is not None and if_version != await _lock_changes(connection, sql):
                raise StaleVersion
            await check_parents(connection, sql["parents"], rows)
            ids = await self._insert(connection, sql["insert"], rows)
            version = await count_changes(connection, sql, [row.conversation_key for row in rows])
            stored[:] = ids
            return Saved(ids, version)

        async def is_stored(connection: Any) -> bool:
            await connection.execute(sql["lock_ids"])
            same = await connection.fetch(sql["same"], *_content(rows[0]), stored[0] - 1)
            return bool(same) and same[0][0] == stored[0]

        stored: list[int] = []
        return await engine.transact(_ATTEMPTED, store, check=is_stored)

    async def _insert(self, connection: Any, statement: str, rows: Sequence[Row]) -> list[int]:
        try:
            return await insert_rows(connection, statement, rows)
        except asyncpg.SequenceGeneratorLimitExceededError as error:
            raise self._no_id_left() from error
        except asyncpg.UniqueViolationError as error:
            known = {str(row.message_id): row.message_id for row in rows if row.message_id is not None}
            words = (error.detail or "").replace("(", " ").replace(")", " ").replace(",", " ").split()
            message_id = next((known[word] for word in words if word in known), 0)
            raise self._duplicate(message_id) from error

    async def _take_ids(
        self, connection: Any, sql: Mapping[str, str], rows: Sequence[Row], given_ids: Sequence[int]
    ) -> None:
        """See that ids of the caller's are free, and move the sequence behind them.

        The sequence is locked for that, and for no longer; it stays where it was moved to, whatever becomes
        of the transaction.
        """
        await connection.execute("SAVEPOINT ids")
        await connection.execute(sql["lock_ids"])
        taken = await connection.fetch(sql["taken"], given_ids)
        if taken:
            raise self._duplicate(next(each for each in given_ids if each in {row[0] for row in taken}))
        await check_parents(connection, sql["parents"], rows)
        last_id = await connection.fetchval(sql["last_id"])
        greatest = max(given_ids)
        if max(last_id, greatest) + len(rows) - len(given_ids) > MAX_MESSAGE_ID:
            raise self._no_id_left()
        if greatest > last_id:
            await connection.execute(sql["set_last_id"], greatest)
        await connection.execute("ROLLBACK TO SAVEPOINT ids")

    def _check_distinct(self, given_ids: Sequence[int]) -> None:
        seen: set[int] = set()
        for message_id in given_ids:
            if message_id in seen:
                raise self._duplicate(message_id)
            seen.add(message_id)

    def _duplicate(self, message_id: int) -> DuplicateMessageError:
        message = (
            f"an exchange with the message_id {message_id} is stored already in {self._table}, or "
            "comes twice: update_message changes it; leave message_id out to store another"
        )
        return DuplicateMessageError(message, message_id=message_id)


async def check_parents(connection: Any, statement: str, rows: Sequence[Row]) -> None:
    """See that each parent is stored, or comes earlier, in the same conversation; keep them there.

    Raises:
        InvalidValueError: one is not.

    """
    wanted = {row.parent_id for row in rows if row.parent_id is not None}
    if not wanted:
        return
    stored = {row[0]: row[1] for row in await connection.fetch(statement, sorted(wanted))}
    for row in rows:
        if row.parent_id is not None and stored.get(row.parent_id) != row.conversation_id:
            raise wrong_parent(row.parent_id, stored.get(row.parent_id), row.conversation_id)
        if row.message_id is not None:
            stored.setdefault(row.message_id, row.conversation_id)


def wrong_parent(parent_id: int, found: str | None, wanted: str) -> InvalidValueError:
    """Build the error for a parent that is not there, or of another conversation."""
    where = "no exchange has this id" if found is None else "that exchange is of another conversation"
    return InvalidValueError(
        f"parent_id {parent_id} cannot be used in the conversation {unescape(wanted)!r}: {where}; save the "
        "parent first"
    )


async def _lock_changes(connection: Any, sql: Mapping[str, str]) -> int:
    """Keep others from changing the table until the transaction ends; return how many changes it has seen."""
    return sum([row[0] for row in await connection.fetch(sql["lock_changes"])])


def _bindings(entries: Sequence[Entry], rows: Sequence[Row]) -> list[Any]:
    """Return what the parameters of the statement `save` are bound to."""
    _, *columns = (list(column) for column in zip(*rows, strict=True))
    searches = [each for entry in entries for each in entry.order.searches]
    slots = slots_of([row.conversation_key for row in rows])
    children = [row for row in rows if row.parent_id is not None]
    parents = [row.parent_id for row in children], [row.conversation_id for row in children]
    return [*columns, searches, *slots, now_us(), *parents]


def _answer(entries: Sequence[Entry], ids: list[int], version: int) -> None:
    """Tell each its ids, and how many changes there were when it had been stored, each in turn."""
    start = 0
    for entry in entries:
        end = start + len(entry.order.rows)
        entry.give(Saved(ids[start:end], version - len(ids) + end))
        start = end


async def _find(connection: Any, sql: Mapping[str, str], rows: Sequence[Row], last_id: int) -> list[int]:
    """Find out under which ids rows were stored, together, behind an id; empty: they were not.

    Raises:
        StorageError: some were, and others have been deleted since.

    """
    await connection.execute(sql["lock_ids"])  # whoever may still be storing them shares it
    ids: list[int] = []
    found: dict[tuple[Any, ...], deque[int]] = {}
    for number, row in enumerate(rows):
        content = _content(row)
        if content not in found:
            same = await connection.fetch(sql["same"], *content, last_id)
            found[content] = deque([each[0] for each in same])
        if not found[content]:
            if number:
                raise StorageError("some of the exchanges that were saved are gone again")
            return []
        ids.append(found[content].popleft())
    return ids


def _content(row: Row) -> tuple[Any, ...]:
    """Return what tells a row from others but its id, in the order of the statement `same`."""
    return (
        row.conversation_key,
        row.timestamp,
        row.conversation_id,
        row.user_input,
        row.agent_response,
        row.response_time_ms,
        row.metadata,
        row.parent_id,
    )
