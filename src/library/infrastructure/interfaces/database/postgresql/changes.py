"""Changing exchanges that are stored, and copying them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from library.infrastructure.data.errors import InvalidOptionError, InvalidValueError, MessageNotFoundError
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.keys import conversation_key, session_key_of
from library.infrastructure.interfaces.database.postgresql.counters import count_changes
from library.infrastructure.interfaces.database.postgresql.inserting import insert_rows
from library.infrastructure.interfaces.database.postgresql.rows import Row, statements, to_message, to_row
from library.infrastructure.interfaces.database.postgresql.saving import check_parents
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data.conversation_message import ConversationMessage
    from library.infrastructure.interfaces.database.postgresql.engine import Engine


class Changes:
    """Changes one table."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._table = table

    async def update(
        self, engine: Engine, message_id: int, changes: Mapping[str, Any]
    ) -> ConversationMessage:
        """Change fields of an exchange; see `ConversationStore.update`."""
        sql = statements(engine.schema, self._table)

        async def change(connection: Any) -> ConversationMessage:
            if changes.get("parent_id") is not None:
                await connection.execute(sql["lock_parents"])
            found = await connection.fetchrow(sql["get_locked"], message_id)
            if found is None:
                raise self.not_found(message_id)
            message = to_message(found)
            for field, value in changes.items():
                setattr(message, field, value)
            row = to_row(message)
            if row.parent_id is not None and (row.parent_id, row.conversation_id) != (found[6], found[1]):
                await self._check_new_parent(connection, sql, row)
            if row.conversation_id != found[1]:
                await self._check_movable(connection, sql, row)
            await connection.execute(sql["replace"], *row, await run_in_worker(row.search))
            await count_changes(connection, sql, [row.conversation_key])
            return to_message(row[:8])

        async def is_changed(connection: Any) -> bool:
            row = await connection.fetchrow(sql["get_locked"], message_id)
            return row is not None and all(
                getattr(to_message(row), field) == value for field, value in changes.items()
            )

        return await engine.transact("update an exchange in", change, check=is_changed)

    async def _check_new_parent(self, connection: Any, sql: Mapping[str, str], row: Row) -> None:
        """Refuse a parent of another conversation, and one that descends from the exchange itself."""
        await check_parents(connection, sql["parents"], [row._replace(message_id=None)])
        path = await connection.fetch(sql["thread"], row.parent_id)
        if any(ancestor[0] == row.message_id for ancestor in path):
            message = (
                f"parent_id {row.parent_id} cannot be used for {row.message_id}: it is that exchange, or "
                "follows it"
            )
            raise InvalidValueError(message)

    async def _check_movable(self, connection: Any, sql: Mapping[str, str], row: Row) -> None:
        """Refuse to tear an exchange out of its thread."""
        if await connection.fetch(sql["children"], [row.message_id]):
            message = (
                f"the exchange {row.message_id} cannot be moved to the conversation "
                f"{unescape(row.conversation_id)!r}: others name it as their parent"
            )
            raise InvalidValueError(message)

    async def fork(self, engine: Engine, conversation_id: str, at: int, new_id: str) -> int:
        """Copy what leads to an exchange into a new conversation; see `ConversationStore.fork`."""
        sql = statements(engine.schema, self._table)
        new = conversation_key(new_id), escape(new_id)

        async def copy(connection: Any) -> int:
            await connection.execute(sql["lock_conversation"], new[0])
            rows = await self._leading_to(connection, sql, conversation_id, at)
            if await connection.fetchval(sql["any_of_conversation"], *new):
                message = f"there is a conversation {new_id!r} already: choose another id for the fork"
                raise InvalidOptionError(message, option="new_id")
            await connection.execute(sql["share_ids"])
            ids = [row[0] for row in await connection.fetch(sql["next_ids"], len(rows))]
            new_ids = dict(zip([row[0] for row in rows], ids, strict=True))
            copies = [
                Row._make(
                    (
                        new_ids[row[0]],
                        new[1],
                        *row[2:6],
                        new_ids.get(row[6]),
                        row[7],
                        new[0],
                        session_key_of(row[7]),
                    )
                )
                for row in rows
            ]
            await insert_rows(connection, sql["insert"], copies)
            await count_changes(connection, sql, [new[0]] * len(copies))
            return len(copies)

        async def is_copied(connection: Any) -> bool:
            await connection.execute(sql["lock_conversation"], new[0])
            return bool(await connection.fetchval(sql["any_of_conversation"], *new))

        return await engine.transact("fork a conversation in", copy, check=is_copied)

    async def _leading_to(
        self, connection: Any, sql: Mapping[str, str], conversation_id: str, at: int
    ) -> Sequence[Any]:
        conversation = conversation_key(conversation_id), escape(conversation_id)
        place = await connection.fetchrow(sql["place"], at, conversation[1])
        if place is None:
            raise self.not_found(at, f" in the conversation {conversation_id!r}")
        rows: Sequence[Any]
        if await connection.fetchval(sql["has_parents"], *conversation):
            rows = await connection.fetch(sql["thread"], at)
        else:
            rows = await connection.fetch(sql["leading_to"], *conversation, *place)
        return rows

    def not_found(self, message_id: int, where: str = "") -> MessageNotFoundError:
        """Build the error for an exchange that is not there."""
        message = f"no exchange has the message_id {message_id}{where or f' in {self._table}'}"
        return MessageNotFoundError(message, message_id=message_id)
