"""Reading what a `ConversationQuery` asks for, page by page, each behind the last exchange of the one before.

No transaction stays open between pages, so that no reader keeps the server from tidying up. All that comes
from users is bound, never written into SQL. What SQL cannot tell exactly, values within metadata and some
texts, is looked at here: the database gives those that may fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.utc_time import from_microseconds
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.keys import conversation_key, session_key
from library.infrastructure.interfaces.database.postgresql.json_conditions import json_holds
from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.rows import COLUMNS, to_messages
from library.infrastructure.interfaces.database.postgresql.text_condition import TextCondition
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.conversation_filters import Filters
    from library.infrastructure.data.conversation_message import ConversationMessage
    from library.infrastructure.interfaces.database.postgresql.engine import Engine

_SQL: Final = read_named("queries.sql")
_FIRST_ROWS: Final = 100
_MOST_ROWS: Final = 1_000
_PAGE_CHARACTERS: Final = 1_000_000
"""What the rows of a page should hold; how long rows are is known from the page before."""

Position = tuple[Any, int]


class Pages:
    """The pages of one query on one table."""

    def __init__(self, schema: str, table: str, filters: Filters) -> None:
        """Prepare; `schema` and `table` were checked."""
        self._schema = schema
        self._table = table
        self._filters = filters
        self._position: Position | None = filters.position
        self._left = filters.limit
        self._rows = _FIRST_ROWS
        ids = filters.conversation_ids
        only = ids[0] if ids is not None and len(ids) == 1 else None
        self._texts = TextCondition(filters.texts, only) if filters.texts else None
        self._text_condition: str | None = None
        pairs = [[list(path), canonical(value)] for path, value in filters.metadata]
        self._metadata = encode(pairs, "metadata").decode() if pairs else None
        is_nothing = self._texts is not None and self._texts.query is None
        self.ended = ids == () or is_nothing or self._left == 0

    @property
    def looks_at_rows(self) -> bool:
        """Whether what the database gives may not fit."""
        return self._texts is not None or self._metadata is not None

    async def read(self, engine: Engine) -> list[ConversationMessage]:
        """Read the next page, which may be empty before the end is reached."""
        found, fitting = await engine.read("read from", self._read)
        self._go_on_behind(found)
        if self._left is not None:
            fitting = fitting[: self._left]
            self._left -= len(fitting)
            self.ended = self.ended or self._left == 0
        return to_messages(fitting)

    async def _read(self, connection: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        statement, bindings = await self.statement(connection, limit=self._next_rows())
        rows = await connection.fetch(statement, *bindings)
        return rows, await self.fitting(rows)

    def _next_rows(self) -> int:
        """Choose how many rows are read next: where not all may fit, more than are wanted."""
        if self._left is None or self.looks_at_rows:
            return self._rows
        return min(self._left, self._rows)

    def _go_on_behind(self, rows: Sequence[Any]) -> None:
        """Take note of where a page ended, and how large the next should be."""
        self.ended = self.ended or len(rows) < self._next_rows()
        if not rows:
            return
        last = rows[-1]
        value = {"timestamp": last[2], "response_time_ms": last[5], "message_id": last[0]}
        self._position = value[self._filters.order_field], last[0]
        characters = sum([len(row[3]) + len(row[4]) + len(row[7]) for row in rows])
        fitting = _PAGE_CHARACTERS * len(rows) // max(1, characters)
        self._rows = max(1, min(_MOST_ROWS, fitting, 4 * self._rows))

    async def fitting(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Leave out the rows that do not fit after all."""
        return await run_in_worker(self._choose, rows) if rows and self.looks_at_rows else rows

    def _choose(self, rows: Sequence[Any]) -> list[Any]:
        texts, wanted = self._texts, self._metadata
        return [
            row
            for row in rows
            if (wanted is None or json_holds(row[7], wanted))
            and (texts is None or texts.fits(unescape(row[3]), unescape(row[4])))
        ]

    async def statement(
        self, connection: Any, *, limit: int | None, order: str | None = None
    ) -> tuple[str, list[Any]]:
        """Write the statement of the next page, and what its parameters are bound to.

        Args:
            connection: the one that is about to read.
            limit: how many rows, at most; `None`: all.
            order: another one than the query's, in SQL.

        """
        bindings: list[Any] = []
        conditions = self._conditions(bindings)
        if self._texts is not None:
            bindings.append(self._texts.query)
            place = len(bindings)
            conditions.append(await self._texts.sql(connection, self._schema, self._table, place))
        bindings.append(limit)
        statement = (
            _SQL["select"]
            .replace("{columns}", COLUMNS)
            .replace("{order}", order or self._order())
            .replace("{limit}", f"(SELECT ${len(bindings)}::bigint)")
            .replace("{conditions}", " AND ".join(conditions) or "TRUE")
        )
        return for_table(statement, self._schema, self._table), bindings

    def _order(self) -> str:
        direction = " DESC" if self._filters.descending else ""
        column = self._filters.order_field
        names = ["message_id"] if column == "message_id" else [f'"{column}"', "message_id"]
        return ", ".join(f"{name}{direction}" for name in names)

    def _conditions(self, bindings: list[Any]) -> list[str]:
        """Write all conditions but that on texts, and bind what they compare with."""
        filters = self._filters
        conditions: list[str] = []
        ids = filters.conversation_ids
        if ids is not None and len(ids) == 1:
            values = conversation_key(ids[0]), escape(ids[0])
            conditions.append(_bind(_SQL["one_conversation"], bindings, *values))
        elif ids is not None:
            keys = [conversation_key(each) for each in ids], [escape(each) for each in ids]
            conditions.append(_bind(_SQL["some_conversations"], bindings, *keys))
        for name in ("since", "until", "min_response_time_ms", "max_response_time_ms"):
            value = getattr(filters, name)
            if value is not None:
                conditions.append(_bind(_SQL[name], bindings, value))
        for path, value in filters.metadata:
            if path == ("session_id",) and isinstance(value, str):
                conditions.append(_bind(_SQL["session"], bindings, session_key(value)))
            else:
                key = encode(path[0], "metadata").decode()
                conditions.append(_bind(_SQL["metadata"], bindings, key))
        if self._position is not None:
            conditions.append(self._behind(self._position, bindings))
        return conditions

    def _behind(self, position: Position, bindings: list[Any]) -> str:
        """Write the condition of lying behind a position."""
        value, message_id = position
        column = self._filters.order_field
        name, values = ("behind_id", ()) if column == "message_id" else ("behind", (value,))
        if column == "timestamp" and isinstance(value, int):  # as a query tells it
            values = (from_microseconds(value),)
        template = _SQL[name].replace("{compare}", "<" if self._filters.descending else ">")
        return _bind(template.replace("{column}", f'"{column}"'), bindings, *values, message_id)


def _bind(template: str, bindings: list[Any], *values: Any) -> str:
    """Put parameters in the places of `{1}`, `{2}`, ..., and bind them to values."""
    for number, value in enumerate(values, 1):
        bindings.append(value)
        template = template.replace(f"{{{number}}}", f"${len(bindings)}")
    return template
