"""Erasing exchanges; their children, where they stay, are given the nearest ancestor that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.database.keys import conversation_key
from library.infrastructure.interfaces.database.postgresql.counters import count_changes
from library.infrastructure.interfaces.database.postgresql.rows import statements
from library.infrastructure.interfaces.database.postgresql.text_escape import escape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from library.infrastructure.interfaces.database.postgresql.engine import Engine

_PART_ROWS: Final = 1000
"""How many exchanges are erased in one transaction at most, where there may be many."""
_ATTEMPTED: Final = "erase exchanges in"


class Erasing:
    """Erases from one table."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._table = table

    async def delete(self, engine: Engine, message_id: int) -> bool:
        """Erase one exchange; tell whether there was one."""
        return bool(await self._erase(engine, "one_locked", message_id))

    async def delete_conversation(self, engine: Engine, conversation_id: str) -> int:
        """Erase a conversation in one transaction; tell how many exchanges it had."""
        conversation = conversation_key(conversation_id), escape(conversation_id)
        return await self._erase(engine, "conversation_locked", *conversation)

    async def purge(self, engine: Engine, older_than: datetime) -> int:
        """Erase what is older than a time, and was there when this began."""
        last_id = await self._last_id(engine)
        return await self._erase_parts(engine, "before_locked", older_than, last_id, _PART_ROWS)

    async def clear(self, engine: Engine) -> int:
        """Erase all that was there when this began; it is a change, even if that was nothing."""
        sql = statements(engine.schema, self._table)

        async def count(connection: Any) -> int:
            return await count_changes(connection, sql, [0])

        async def is_counted(connection: Any) -> bool:
            await connection.execute(sql["lock_changes"])
            return False  # counted twice it is a change as well

        await engine.transact(_ATTEMPTED, count, check=is_counted)
        return await self._erase_parts(engine, "up_to_locked", await self._last_id(engine), _PART_ROWS)

    async def _last_id(self, engine: Engine) -> int:
        (row,) = await engine.fetch(
            _ATTEMPTED, statements(engine.schema, self._table)["last_id"], primary=True
        )
        return int(row[0])

    async def _erase_parts(self, engine: Engine, select: str, *bindings: Any) -> int:
        erased = part = await self._erase(engine, select, *bindings)
        while part:
            part = await self._erase(engine, select, *bindings)
            erased += part
        return erased

    async def _erase(self, engine: Engine, select: str, *bindings: Any) -> int:
        """Erase in one transaction what a statement selects, and locks."""
        sql = statements(engine.schema, self._table)
        ids: list[int] = []

        async def erase(connection: Any) -> int:
            rows = await connection.fetch(sql[select], *bindings)
            ids[:] = [row[0] for row in rows]
            if rows:
                await _give_other_parents(connection, sql, {row[0]: row[2] for row in rows})
                await connection.execute(sql["delete"], ids)
                await count_changes(connection, sql, [row[1] for row in rows])
            return len(rows)

        async def is_erased(connection: Any) -> bool:
            await connection.execute(sql["lock_changes"])
            return not await connection.fetchval(sql["any_left"], ids)

        return await engine.transact(_ATTEMPTED, erase, check=is_erased)


async def _give_other_parents(
    connection: Any, sql: Mapping[str, str], parents: Mapping[int, int | None]
) -> None:
    """Give the children of exchanges that go, and are locked, the nearest parent that stays.

    Args:
        connection: within a transaction.
        sql: the statements on the table.
        parents: those that go, and their parents.

    """
    children = [
        (row[0], _survivor(parents, row[1]))
        for row in await connection.fetch(sql["children"], list(parents))
        if row[0] not in parents
    ]
    if children:
        await connection.execute(sql["set_parents"], *map(list, zip(*children, strict=True)))


def _survivor(parents: Mapping[int, int | None], message_id: int) -> int | None:
    """Return the nearest ancestor of an exchange that is not among those that go."""
    ancestor: int | None = message_id
    while ancestor is not None and ancestor in parents:
        ancestor = parents[ancestor]
    return ancestor
