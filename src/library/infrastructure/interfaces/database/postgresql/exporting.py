"""Reading all exchanges of a table, or many, as of one moment, for exports.

The one place where a transaction stays open for long: an export is of one moment, whatever others save
meanwhile. The target works in a worker's thread, and the server sends no more than it can take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.conversation_filters import Filters
from library.infrastructure.interfaces.database.keys import conversation_key
from library.infrastructure.interfaces.database.postgresql.guarded import call_guarded, raised_as_it_was
from library.infrastructure.interfaces.database.postgresql.pages import Pages
from library.infrastructure.interfaces.database.postgresql.rows import statements, to_exchange
from library.infrastructure.interfaces.database.postgresql.text_escape import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.record_transfer import RowTarget
    from library.infrastructure.interfaces.database.postgresql.engine import Engine

_FIRST_ROWS: Final = 50
_MOST_ROWS: Final = 500
_PAGE_CHARACTERS: Final = 1_000_000
_BY_CONVERSATION: Final = 'conversation_key, "timestamp", message_id'
_BY_ID: Final = "message_id"


async def export_exchanges(
    engine: Engine, table: str, filters: Filters, target: RowTarget, *, together: bool
) -> None:
    """Give the exchanges that a query asks for to a target.

    Args:
        engine: the connections.
        table: its name, which was checked.
        filters: the query.
        target: who takes them.
        together: whether the exchanges of a conversation have to follow each other.

    """
    pages = Pages(engine.schema, table, filters)
    with raised_as_it_was():
        async with engine.snapshot("export from") as connection:
            total = await _count(connection, engine.schema, table, filters)
            missing = await _missing(connection, engine.schema, table, filters.conversation_ids or ())
            await call_guarded(target.begin, total, missing)
            if not pages.ended:
                await _give(connection, pages, _order(filters, together=together), filters.limit, target)


def _order(filters: Filters, *, together: bool) -> str | None:
    """Choose another order than the query's, where it leaves the choice."""
    ids = filters.conversation_ids
    is_plain = filters.position is None and filters.limit is None and not filters.descending
    if together or (is_plain and filters.order_field == "timestamp" and ids is not None and len(ids) > 1):
        return _BY_CONVERSATION
    return _BY_ID if filters == Filters() else None


async def _missing(connection: Any, schema: str, table: str, conversation_ids: Sequence[str]) -> list[str]:
    stored = {escape(each): each for each in conversation_ids}
    keys = [conversation_key(each) for each in conversation_ids]
    sql = statements(schema, table)["existing_conversations"]
    existing = {row[0] for row in await connection.fetch(sql, keys, list(stored))}
    return [each for text, each in stored.items() if text not in existing]


async def _count(connection: Any, schema: str, table: str, filters: Filters) -> int | None:
    """Count what an export of everything gives; of a query, that could take as long as the export."""
    if filters != Filters():
        return filters.limit
    count: int = await connection.fetchval(statements(schema, table)["count"])
    return count


async def _give(
    connection: Any, pages: Pages, order: str | None, limit: int | None, target: RowTarget
) -> None:
    """Give what a query finds to a target, in pages of bounded size."""
    most = None if pages.looks_at_rows else limit
    statement, bindings = await pages.statement(connection, limit=most, order=order)
    cursor = await connection.cursor(statement, *bindings)
    rows = _FIRST_ROWS
    left = limit
    while left != 0 and (found := await cursor.fetch(rows)):
        characters = sum([len(row[3]) + len(row[4]) + len(row[7]) for row in found])
        rows = max(1, min(_MOST_ROWS, 4 * rows, _PAGE_CHARACTERS * len(found) // max(1, characters)))
        fitting = await pages.fitting(found)
        if left is not None:
            fitting = fitting[:left]
            left -= len(fitting)
        if fitting:
            await call_guarded(_take, target, fitting)


def _take(target: RowTarget, rows: Sequence[Any]) -> None:
    target.take([to_exchange(row) for row in rows])
