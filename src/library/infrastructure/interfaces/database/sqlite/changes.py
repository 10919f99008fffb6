"""What is done to a table of exchanges within the writer's transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID, ConversationMessage
from library.infrastructure.data.errors import (
    DuplicateMessageError,
    InvalidOptionError,
    InvalidValueError,
    MessageNotFoundError,
)
from library.infrastructure.data.storage import Saved, StaleVersion
from library.infrastructure.interfaces.database.sqlite.counters import Counters, statements
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    fetch_row,
    fetch_rows,
)
from library.infrastructure.interfaces.database.sqlite.rows import (
    Row,
    conversation_key,
    insert_rows,
    session_key_of,
    to_message,
    to_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import apsw

    from library.infrastructure.interfaces.database.sqlite.indexing import SearchIndex


class SaveOrder(NamedTuple):
    """Exchanges to be stored together."""

    rows: Sequence[Row]
    if_version: int | None


class Changes:
    """The jobs that change one table; each method but the first is one, see `writer.Job`."""

    def __init__(self, table: str, index: SearchIndex, counters: Counters) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._index = index
        self._counters = counters
        self._sql = statements(table)

    # -- saving ----------------------------------------------------------------------------------------------

    def save(self, connection: apsw.Connection, orders: Sequence[SaveOrder]) -> list[Saved]:
        """Store new exchanges."""
        former_last_id, indexed_id, changes = self._counters.read(connection)
        given_ids = [row.id for order in orders for row in order.rows if row.id is not None]
        self._check_new(connection, given_ids)
        last_id = max([former_last_id, *given_ids])
        rows: list[Row] = []
        saved: list[Saved] = []
        for order in orders:
            if order.if_version not in (None, changes):
                raise StaleVersion
            ids: list[int] = []
            for row in order.rows:
                message_id = row.id
                if message_id is None:
                    last_id = message_id = last_id + 1
                rows.append(Row(message_id, *row[1:]))
                ids.append(message_id)
            changes += len(ids)
            saved.append(Saved(ids, changes))
        if last_id > MAX_MESSAGE_ID:
            message = (
                f"no message_id is left in {self._table}, since one close to {MAX_MESSAGE_ID} was stored: "
                "copy the exchanges to another table_name"
            )
            raise InvalidValueError(message)
        if any(row.parent_id is not None for row in rows):
            self._check_parents(connection, rows)
        if not given_ids:
            insert_rows(connection, self._sql["insert"], rows)
        else:
            self._insert_out_of_order(connection, rows, former_last_id, indexed_id)
        self._counters.write(connection, last_id, indexed_id, changes)
        return saved

    def _insert_out_of_order(
        self, connection: apsw.Connection, rows: Sequence[Row], former_last_id: int, indexed_id: int
    ) -> None:
        """Insert rows with ids of the caller's, in their order; those among others may split pages."""
        in_order = sorted(rows)
        insert_rows(connection, self._sql["insert"], in_order)
        passed = [row for row in in_order if (row.id or 0) <= indexed_id]
        self._index.add(
            connection,
            [(row.id or 0, row.conversation_id, row.user_input, row.agent_response) for row in passed],
        )
        if (in_order[0].id or 0) <= former_last_id:
            connection.execute(self._sql["set_split"], (self._table,))

    def _check_parents(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        """See that each parent is stored, or comes earlier, in the same conversation."""
        earlier: dict[int | None, str] = {}
        for row in rows:
            if row.parent_id is not None:
                conversation_id = earlier.get(row.parent_id) or self._conversation_of(
                    connection, row.parent_id
                )
                self._check_parent(row.parent_id, conversation_id, row.conversation_id)
            earlier[row.id] = row.conversation_id

    def _check_parent(self, parent_id: int, found: str | None, wanted: str) -> None:
        if found != wanted:
            where = "no exchange has this id" if found is None else "that exchange is of another conversation"
            message = (
                f"parent_id {parent_id} cannot be used in the conversation {wanted!r}: {where}; save the "
                "parent first"
            )
            raise InvalidValueError(message)

    def _conversation_of(self, connection: apsw.Connection, message_id: int) -> str | None:
        found = fetch_row(connection, self._sql["conversation_of"], message_id)
        return found[0] if found else None

    def _check_new(self, connection: apsw.Connection, message_ids: Sequence[int]) -> None:
        """Refuse ids that are stored already, or come twice."""
        seen: set[int] = set()
        for message_id in message_ids:
            if message_id in seen or connection.execute(self._sql["exists"], (message_id,)).get:
                message = (
                    f"an exchange with the message_id {message_id} is stored already in {self._table}, or "
                    "comes twice: update_message changes it; leave message_id out to store another"
                )
                raise DuplicateMessageError(message, message_id=message_id)
            seen.add(message_id)

    # -- changing --------------------------------------------------------------------------------------------

    def update(
        self, connection: apsw.Connection, orders: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> list[ConversationMessage]:
        """Change fields of exchanges."""
        return [self._update_one(connection, *order) for order in orders]

    def _update_one(
        self, connection: apsw.Connection, message_id: int, changes: Mapping[str, Any]
    ) -> ConversationMessage:
        found = fetch_row(connection, self._sql["get"], message_id)
        if found is None:
            raise self.not_found(message_id)
        message = to_message(found)
        for field, value in changes.items():
            setattr(message, field, value)
        row = to_row(message)
        if row.parent_id is not None and (row.parent_id, row.conversation_id) != (found[6], found[1]):
            self._check_new_parent(connection, row)
        if row.conversation_id != found[1]:
            self._check_movable(connection, row)
        last_id, indexed_id, count = self._counters.read(connection)
        if message_id <= indexed_id:
            self._index.remove(connection, [(found[0], found[1], found[3], found[4])])
            self._index.add(
                connection, [(message_id, row.conversation_id, row.user_input, row.agent_response)]
            )
        (former_length,) = fetch_known_row(connection, self._sql["lengths"], message_id)
        connection.execute(self._sql["blank"], (message_id,))
        connection.execute(self._sql["replace"], row)
        if fetch_known_row(connection, self._sql["lengths"], message_id)[0] > former_length:
            connection.execute(self._sql["set_split"], (self._table,))
        self._counters.write(connection, last_id, indexed_id, count + 1)
        return to_message(row)

    def _check_new_parent(self, connection: apsw.Connection, row: Row) -> None:
        """Refuse a parent of another conversation, and one that descends from the exchange itself."""
        parent_id: Any = row.parent_id
        self._check_parent(parent_id, self._conversation_of(connection, parent_id), row.conversation_id)
        path = fetch_rows(connection, self._sql["thread"], parent_id)
        if any(ancestor[0] == row.id for ancestor in path):
            message = f"parent_id {parent_id} cannot be used for {row.id}: it is that exchange, or follows it"
            raise InvalidValueError(message)

    def _check_movable(self, connection: apsw.Connection, row: Row) -> None:
        """Refuse to tear an exchange out of its thread."""
        if connection.execute(self._sql["children"], (row.id,)).get:
            message = (
                f"the exchange {row.id} cannot be moved to the conversation {row.conversation_id!r}: "
                "others name it as their parent"
            )
            raise InvalidValueError(message)

    # -- forking ---------------------------------------------------------------------------------------------

    def fork(self, connection: apsw.Connection, orders: Sequence[tuple[str, int, str]]) -> list[int]:
        """Copy what leads to an exchange into a new conversation."""
        return [self._fork_one(connection, *order) for order in orders]

    def _fork_one(self, connection: apsw.Connection, conversation_id: str, at: int, new_id: str) -> int:
        place = fetch_row(connection, self._sql["place"], at, conversation_id)
        if place is None:
            raise self.not_found(at, f" in the conversation {conversation_id!r}")
        if connection.execute(self._sql["any_of_conversation"], (conversation_key(new_id), new_id)).get:
            message = f"there is a conversation {new_id!r} already: choose another id for the fork"
            raise InvalidOptionError(message, option="new_id")
        conversation = (conversation_key(conversation_id), conversation_id)
        has_parents = connection.execute(self._sql["has_parents"], conversation).get
        select, bindings = ("thread", (at,)) if has_parents else ("leading_to", (*conversation, *place))
        rows = [
            Row._make((*row, conversation_key(row[1]), session_key_of(row[7])))
            for row in fetch_rows(connection, self._sql[select], *bindings)
        ]
        last_id = self._counters.read(connection)[0]
        new_ids = {row.id: last_id + number for number, row in enumerate(rows, 1)}
        copies = [
            row._replace(
                id=new_ids[row.id],
                conversation_id=new_id,
                parent_id=new_ids.get(row.parent_id),
                conversation_key=conversation_key(new_id),
            )
            for row in rows
        ]
        self.save(connection, [SaveOrder(copies, None)])
        return len(copies)

    def not_found(self, message_id: int, where: str = "") -> MessageNotFoundError:
        """Build the error for an exchange that is not there."""
        message = f"no exchange has the message_id {message_id}{where or f' in {self._table}'}"
        return MessageNotFoundError(message, message_id=message_id)
