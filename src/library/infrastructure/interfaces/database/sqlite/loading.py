"""What is particular to importing exchanges: their ids, their parents, and what is stored of them already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID
from library.infrastructure.data.errors import InvalidValueError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import decode
from library.infrastructure.interfaces.database.sqlite.counters import statements
from library.infrastructure.interfaces.database.sqlite.load_jobs import LoadJobs
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_row, fetch_rows
from library.infrastructure.interfaces.database.sqlite.rows import (
    Row,
    conversation_key,
    insert_rows,
    session_key_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

    from library.infrastructure.interfaces.database.sqlite.counters import Counters
    from library.infrastructure.interfaces.database.sqlite.erasing import Erasing
    from library.infrastructure.interfaces.database.sqlite.indexing import SearchIndex
    from library.infrastructure.interfaces.database.sqlite.load_journal import Load, LoadOrder

_LINKS_A_JOB: Final = 1000
_ERASED_A_JOB: Final = 300


class ExchangeLoading(LoadJobs):
    """The jobs on one table of exchanges."""

    def __init__(self, table: str, index: SearchIndex, counters: Counters, erasing: Erasing) -> None:
        """Prepare; `table` was checked."""
        super().__init__(table)
        self._table = table
        self._index = index
        self._counters = counters
        self._erasing = erasing
        self._sql = statements(table)

    # -- ids -------------------------------------------------------------------------------------------------

    def _begin(self, connection: apsw.Connection, order: LoadOrder) -> Load:
        last_id, indexed_id, changes = self._counters.read(connection)
        reserved = order.greatest_id + max(0, last_id + 1 - order.least_id if order.least_id else 0)
        if reserved > MAX_MESSAGE_ID:
            message = (
                f"no message_id is left in {self._table} for exchanges with ids up to {order.greatest_id}: "
                "leave message_id and parent_id out, or import into another table_name"
            )
            raise InvalidValueError(message)
        load = self.journal.begin(connection, order, last_id)
        self._counters.write(connection, max(last_id, reserved), indexed_id, changes)
        return load

    def _may_be_taken(self, connection: apsw.Connection, load: Load) -> bool:
        """Tell whether ids are worth keeping, and any is stored between the least and the greatest."""
        if not load.has_own_ids or load.least_id > load.former_last_id:
            return False
        occupied = self.journal.sql["any_between"]
        return bool(connection.execute(occupied, (load.least_id, load.greatest_id)).get)

    def _are_taken(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> bool:
        """Tell whether the ids of rows are worth keeping, and some are taken."""
        return self._may_be_taken(connection, load) and bool(
            self._taken(connection, [row[0] for row in rows if row[0] is not None])
        )

    def _taken(self, connection: apsw.Connection, ids: list[int]) -> set[int]:
        found = fetch_rows(connection, self.journal.sql["taken"], orjson.dumps(ids).decode())
        return {row[0] for row in found}

    def _place(self, load: Load, *, keeps_ids: bool) -> None:
        """Keep the ids, or move all of them behind all that were ever given."""
        is_kept = not load.least_id or (load.has_own_ids and keeps_ids)
        load.shift = 0 if is_kept else load.former_last_id + 1 - load.least_id
        self._erasing.go_on()
        super()._place(load, keeps_ids=keeps_ids)

    def _ids(
        self, connection: apsw.Connection, load: Load, rows: Sequence[Any], last_id: int
    ) -> Iterator[int]:
        """Give each row its id: its own, moved, unless somebody took that; else the next one."""
        taken = self._taken(connection, [row[0] + load.shift for row in rows if row[0] is not None])
        for row in rows:
            message_id = None if row[0] is None else row[0] + load.shift
            if message_id is None or message_id in taken:
                last_id += 1
                if message_id is not None:
                    connection.execute(self.journal.sql["note_id"], (load.id, row[0], last_id))
                message_id = last_id
            taken.add(message_id)
            yield message_id

    # -- rows ------------------------------------------------------------------------------------------------

    def _replace(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> bool:
        if load.merge != "replace":
            return True
        former: list[Any] = []
        for each in dict.fromkeys(row[1] for row in rows):
            left = _ERASED_A_JOB - len(former)
            conversation = (conversation_key(each), each, load.former_last_id, left)
            former += fetch_rows(connection, self.journal.sql["former_of_conversation"], *conversation)
            if len(former) == _ERASED_A_JOB:
                break
        is_all = len(former) < _ERASED_A_JOB
        # As many as come in may have to go out, in all.
        expected = max(load.row_count, len(former))
        self._erasing.erase_rows(connection, former, expected, more_follow=True)
        load.replaced += len(former)
        return is_all

    def _insert(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> None:
        if load.merge == "skip_duplicates":
            rows = self._without_duplicates(connection, load, rows)
        if not rows:
            return
        last_id, indexed_id, changes = self._counters.read(connection)
        ids = list(self._ids(connection, load, rows, last_id))
        stored = dict(zip(ids, rows, strict=True))
        parents = {each: self._parent(connection, load, each, stored) for each in stored if stored[each][6]}
        complete = sorted(
            Row._make(
                (
                    message_id,
                    *row[1:6],
                    parents.get(message_id),
                    row[7],
                    conversation_key(row[1]),
                    session_key_of(row[7]),
                )
            )
            for message_id, row in stored.items()
        )
        greatest = connection.execute(self.journal.sql["greatest_id"]).get or 0
        insert_rows(connection, self._sql["insert"], complete)
        self._index.add(
            connection,
            [(row.id or 0, row[1], row[3], row[4]) for row in complete if (row.id or 0) <= indexed_id],
        )
        if min(ids) < greatest:
            connection.execute(self._sql["set_split"], (self._table,))
        load.written += len(rows)
        self._counters.write(connection, max(last_id, *ids), indexed_id, changes + len(rows))

    def _without_duplicates(
        self, connection: apsw.Connection, load: Load, rows: Sequence[Any]
    ) -> Sequence[Any]:
        """Leave out what is stored, or came earlier; note which exchange stands for it."""
        kept: dict[tuple[Any, ...], Any] = {}
        for row in rows:
            same = row[1], row[2], row[3], row[4]
            found = fetch_row(connection, self.journal.sql["same"], conversation_key(row[1]), *same)
            if found is None and same not in kept:
                kept[same] = row
                continue
            load.skipped += 1
            stands_for = kept[same][0] if found is None else found[0] - load.shift
            if row[0] is not None and stands_for is not None:
                connection.execute(self.journal.sql["note_id"], (load.id, row[0], stands_for + load.shift))
        return list(kept.values())

    # -- parents ---------------------------------------------------------------------------------------------

    def _parent(
        self, connection: apsw.Connection, load: Load, message_id: int, stored: dict[int, Any]
    ) -> int | None:
        """Find the parent of a row among what is stored, or in the same part; else put the link off.

        Only a parent with a smaller id is taken at once: such links cannot lead in a circle.
        """
        row = stored[message_id]
        found: int | None = row[6] + load.shift
        earlier = stored.get(found) if found is not None else None
        if earlier is None or earlier[0] != row[6] or earlier[1] != row[1]:
            found = self._stored_parent(connection, load, row[6], row[1])
        if found is not None and found < message_id:
            return found
        connection.execute(self.journal.sql["note_link"], (load.id, message_id, row[6]))
        return None

    def _stored_parent(
        self, connection: apsw.Connection, load: Load, row_id: int, conversation_id: str
    ) -> int | None:
        """Find which exchange a row names as its parent, if it is stored in the same conversation."""
        noted = fetch_row(connection, self.journal.sql["id_of_row"], load.id, row_id)
        candidates = [] if noted is None else [noted[0]]
        candidates.append(row_id + load.shift)
        if load.has_own_ids:
            candidates.append(row_id)
        for each in candidates:
            found = fetch_row(connection, self._sql["conversation_of"], each)
            if found is not None and found[0] == conversation_id:
                return int(each)
        return None

    def _link(self, connection: apsw.Connection, load: Load) -> bool:
        links = fetch_rows(connection, self.journal.sql["links"], load.id, _LINKS_A_JOB)
        for message_id, parent_row_id in links:
            message = fetch_row(connection, self._sql["get"], message_id)
            if message is not None:  # else somebody has deleted it meanwhile
                self._link_one(connection, load, message, parent_row_id)
            connection.execute(self.journal.sql["end_link"], (load.id, message_id))
        return len(links) == _LINKS_A_JOB

    def _link_one(
        self, connection: apsw.Connection, load: Load, message: tuple[Any, ...], parent_row_id: int
    ) -> None:
        """Give an exchange its parent, or note in its metadata the one that it cannot have."""
        message_id, conversation_id = message[:2]
        parent = self._stored_parent(connection, load, parent_row_id, conversation_id)
        is_ancestor = self.journal.sql["is_ancestor"]
        if parent is not None and not connection.execute(is_ancestor, (parent, message_id)).get:
            connection.execute(self._sql["set_parent"], (parent, message_id))
        else:
            load.detached += 1
            noted = _with_parent(message[7], parent_row_id)
            connection.execute(self.journal.sql["set_metadata"], (message_id, noted))
        connection.execute(self._sql["set_split"], (self._table,))


def _with_parent(document: str, parent_id: int) -> str:
    """Note a parent in metadata, beside what is known of where the exchange comes from."""
    metadata = decode(document.encode())
    source = metadata.get("source")
    if not isinstance(source, dict):
        source = {} if source is None else {"value": source}
    metadata["source"] = {**source, "parent_id": parent_id}
    return encode(metadata, "metadata").decode()
