"""Reading what a `ConversationQuery` asks for, page by page, each behind the last exchange of the one before.

No transaction stays open between pages, so that no reader keeps the write-ahead log from being shortened. All
that comes from users is bound, never written into SQL.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.utc_time import to_microseconds
from library.infrastructure.interfaces.database.full_text.fts5_match import is_decided_by_index, match_all
from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    for_table,
    read_named,
)
from library.infrastructure.interfaces.database.sqlite.rows import COLUMNS, conversation_key, to_messages

if TYPE_CHECKING:
    import apsw

    from library.infrastructure.data.conversation_filters import Filters
    from library.infrastructure.data.conversation_message import ConversationMessage

_SQL: Final = read_named("queries.sql")
_ORDER_COLUMNS: Final = {"timestamp": "timestamp", "response_time_ms": "response_time_ms", "message_id": "id"}
_FEW_MATCHES: Final = 50_000
"""Up to so many matches of a text are looked up first; of more, each row is asked whether it is one."""
_PAGE_CHARACTERS: Final = 1_000_000
_PART_ROWS: Final = 32
"""After so many rows their length is looked at."""

Position = tuple[Any, int]


class Pages:
    """The pages of one query on one table; `read` is called in a reader's thread."""

    def __init__(self, table: str, filters: Filters) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._filters = filters
        self._position: Position | None = filters.position
        self._left = filters.limit
        self._bindings: dict[str, Any] = {}
        self._conditions: list[str] | None = None
        self.ended = filters.conversation_ids == () or not self._left_for(1)

    def read(self, connection: apsw.Connection, rows: int) -> list[ConversationMessage]:
        """Read the next page: up to `rows` exchanges, fewer where their texts are long; empty at the end."""
        if self.ended:
            return []
        if self._conditions is None:
            self._conditions = self._plan(connection)
        if self.ended:
            return []
        wanted = self._left_for(rows)
        page: list[Any] = []
        characters = 0
        bindings = {**self._bindings, **self._place(), "page_rows": wanted}
        if self._filters.texts:
            connection.execute("BEGIN")
            bindings["indexed_id"] = fetch_known_row(connection, _SQL["reach"], self._table)[0]
        cursor: Any = connection.execute(self.statement(), bindings)
        while characters <= _PAGE_CHARACTERS and (part := list(islice(cursor, _PART_ROWS))):
            page += part
            characters += sum([len(row[3]) + len(row[4]) + len(row[7]) for row in part])
        cursor.close(force=True)
        if self._filters.texts:
            connection.execute("COMMIT")
        if self._left is not None:
            self._left -= len(page)
        is_short = len(page) < wanted and characters <= _PAGE_CHARACTERS
        self.ended = is_short or self._left == 0
        if page:
            last = page[-1]
            value = {"timestamp": last[2], "response_time_ms": last[5], "message_id": last[0]}
            self._position = value[self._filters.order_field], last[0]
        return to_messages(page)

    def statement(self, order: str | None = None) -> str:
        """Write the statement of the next page; `order`: another one than the query's, in SQL."""
        filters = self._filters
        column = _ORDER_COLUMNS[filters.order_field]
        direction = " DESC" if filters.descending else ""
        order = order or f"{column}{direction}" + ("" if column == "id" else f", id{direction}")
        conditions = list(self._conditions or ())
        if self._position is not None:
            compare = "<" if filters.descending else ">"
            conditions.append(
                f"id {compare} :position_id"
                if column == "id"
                else f"({column}, id) {compare} (:position_value, :position_id)"
            )
        statement = _SQL["select"].replace("{columns}", COLUMNS).replace("{order}", order)
        return for_table(statement.replace("{conditions}", " AND ".join(conditions) or "TRUE"), self._table)

    def open(self, connection: apsw.Connection, order: str | None) -> Any:
        """Return a cursor over all that is left, within a transaction of the caller's; `None`: nothing is."""
        self._conditions = self._plan(connection)
        if self.ended:
            return None
        bindings = {**self._bindings, **self._place(), "page_rows": -1 if self._left is None else self._left}
        if self._filters.texts:
            bindings["indexed_id"] = fetch_known_row(connection, _SQL["reach"], self._table)[0]
        return connection.execute(self.statement(order), bindings)

    def _left_for(self, rows: int) -> int:
        return rows if self._left is None else min(rows, self._left)

    def _place(self) -> dict[str, Any]:
        if self._position is None:
            return {}
        value, message_id = self._position
        place = {"position_id": message_id}
        return place if self._filters.order_field == "message_id" else {**place, "position_value": value}

    def _plan(self, connection: apsw.Connection) -> list[str]:
        """Choose the conditions, and bind what they compare with."""
        conditions: list[str] = []
        for name, value in self._plain_filters():
            conditions.append(_SQL[name])
            self._bindings[name.replace("_response_time", "_response_time_ms").replace("one_", "")] = value
        ids = self._filters.conversation_ids
        if ids is not None and len(ids) == 1:
            conditions.append(_SQL["one_conversation"])
            self._bindings["conversation_id"] = ids[0]
            self._bindings["conversation_key"] = conversation_key(ids[0])
        elif ids is not None:
            conditions.append(_SQL["some_conversations"])
            self._bindings["conversation_ids"] = encode(list(ids), "conversation_ids").decode()
            keys = [conversation_key(each) for each in ids]
            self._bindings["conversation_keys"] = encode(keys, "conversation_keys").decode()
        if self._filters.metadata:
            conditions.append(_SQL["metadata"])
            wanted = [[list(path), canonical(value)] for path, value in self._filters.metadata]
            self._bindings["metadata_key"] = encode(wanted[0][0][0], "metadata").decode()
            self._bindings["metadata_wanted"] = encode(wanted, "metadata").decode()
        if self._filters.texts:
            conditions += self._plan_texts(connection)
        return conditions

    def _plain_filters(self) -> list[tuple[str, Any]]:
        filters = self._filters
        times = [(name, getattr(filters, name)) for name in ("since", "until")]
        found = [(name, to_microseconds(value)) for name, value in times if value is not None]
        bounds = [
            ("min_response_time", filters.min_response_time_ms),
            ("max_response_time", filters.max_response_time_ms),
        ]
        return found + [(name, value) for name, value in bounds if value is not None]

    def _plan_texts(self, connection: apsw.Connection) -> list[str]:
        """Look the texts up first where they are rare, and ask each row where they are common."""
        ids = self._filters.conversation_ids
        scope = scope_mark(ids[0]) if ids is not None and len(ids) == 1 else None
        queries = [parse_query(text) for text in self._filters.texts]
        expressions = [match_all(query, scope) for query in queries]
        if None in expressions:
            self.ended = True
            return []
        match = " AND ".join(f"({each})" for each in expressions)
        count = for_table(_SQL["count_matches"], self._table)
        few = connection.execute(count, (match, _FEW_MATCHES + 1)).get <= _FEW_MATCHES
        self._bindings["match"] = match
        fits = [_SQL["fits"].replace("{n}", str(number)) for number in range(len(queries))]
        self._bindings |= {f"text_{number}": text for number, text in enumerate(self._filters.texts)}
        matches = for_table(_SQL["few_matches" if few else "many_matches"], self._table)
        undecided = [fit for fit, query in zip(fits, queries, strict=True) if not is_decided_by_index(query)]
        return [matches.replace("{fits}", " AND ".join(fits)), *undecided]
