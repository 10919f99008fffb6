"""Reading all records of a table, or many, as of one moment, for exports.

The one place where a reader holds a transaction open for long: an export is of one moment, whatever others
save meanwhile. It has a connection of its own for that, and a thread of its own, so that nobody waits for a
reader. The write-ahead log cannot be shortened until it ends.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import apsw

from library.infrastructure.data.conversation_filters import Filters
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.worker import run_in_thread
from library.infrastructure.interfaces.database.sqlite.counters import statements
from library.infrastructure.interfaces.database.sqlite.engine import MEMORY
from library.infrastructure.interfaces.database.sqlite.failures import damaged, translate
from library.infrastructure.interfaces.database.sqlite.functions import register_functions
from library.infrastructure.interfaces.database.sqlite.pages import Pages
from library.infrastructure.interfaces.database.sqlite.rows import conversation_key
from library.infrastructure.interfaces.database.sqlite.session_rows import session_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import RowTarget
    from library.infrastructure.interfaces.database.sqlite.engine import Engine

_PAGE_ROWS: Final = 300
"""So few that what is made of them stays in the processor's cache until it is written."""
_PAGE_CHARACTERS: Final = 1_000_000
_PART_ROWS: Final = 50
"""After so many rows their length is looked at."""
_BY_CONVERSATION: Final = "conversation_key, timestamp, id"


async def export(engine: Engine, read: Callable[[apsw.Connection], None]) -> None:
    """Call `read` with a connection that sees one moment, in a thread of its own.

    Raises:
        StorageError: the database cannot be read.

    """
    if engine.path == MEMORY:
        image: bytes = await engine.read(lambda connection: connection.serialize("main"))
        await run_in_thread(_read_image, image, read)
    else:
        await run_in_thread(_read_file, engine, read)


def _read_file(engine: Engine, read: Callable[[apsw.Connection], None]) -> None:
    try:
        connection = engine.connect_reader()
    except apsw.Error as error:
        raise translate(error, "read", engine.path) from error
    _read(connection, read, engine.path)


def _read_image(image: bytes, read: Callable[[apsw.Connection], None]) -> None:
    """Read a copy of a database in memory, which has one connection, that others write with."""
    connection = apsw.Connection(MEMORY)
    connection.deserialize("main", image)
    register_functions(connection)
    _read(connection, read, MEMORY)


def _read(connection: apsw.Connection, read: Callable[[apsw.Connection], None], path: str) -> None:
    try:
        connection.execute("BEGIN")
        read(connection)
    except apsw.Error as error:
        raise translate(error, "export from", path) from error
    except UnicodeDecodeError as error:
        raise damaged(error, "export from", path) from error
    finally:
        connection.close()


def read_exchanges(
    connection: apsw.Connection, table: str, filters: Filters, target: RowTarget, *, together: bool
) -> None:
    """Give the exchanges that a query asks for to a target.

    Args:
        connection: within a transaction.
        table: its name, which was checked.
        filters: the query.
        target: who takes them.
        together: whether the exchanges of a conversation have to follow each other.

    """
    ids = filters.conversation_ids
    is_plain = filters.position is None and filters.limit is None and not filters.descending
    order = None
    if together or (is_plain and filters.order_field == "timestamp" and ids is not None and len(ids) > 1):
        order = _BY_CONVERSATION
    elif filters == Filters():
        order = "id"
    target.begin(_count(connection, table, filters), _missing(connection, table, ids or ()))
    cursor = Pages(table, filters).open(connection, order)
    if cursor is not None:
        _give(cursor, target, _exchanges)


def _missing(connection: apsw.Connection, table: str, conversation_ids: Sequence[str]) -> list[str]:
    exists = statements(table)["any_of_conversation"]
    return [
        each
        for each in conversation_ids
        if connection.execute(exists, (conversation_key(each), each)).get is None
    ]


def _count(connection: apsw.Connection, table: str, filters: Filters) -> int | None:
    """Count what an export of everything gives; the indexes are quick for that alone."""
    if filters != Filters():
        return filters.limit
    count: int = connection.execute(statements(table)["count"]).get
    return count


def read_sessions(
    connection: apsw.Connection, table: str, session_ids: Sequence[str] | None, target: RowTarget
) -> None:
    """Give sessions to a target, the oldest first; see `read_exchanges`."""
    sql = session_statements(table)
    if session_ids is None:
        target.begin(connection.execute(sql["count"]).get, [])
        _give(connection.execute(sql["export"]), target, _sessions)
        return
    found: list[Any] = []
    missing: list[str] = []
    for each in dict.fromkeys(session_ids):
        row: Any = connection.execute(sql["export_one"], (session_key(each), each)).fetchone()
        if row is None:
            missing.append(each)
        else:
            found.append(row)
    target.begin(len(found), missing)
    found.sort(key=lambda row: (row[2], session_key(row[0])))
    _give(iter(found), target, _sessions)


def _give(cursor: Any, target: RowTarget, prepare: Callable[[list[Any]], tuple[list[Row], int]]) -> None:
    """Give what a cursor finds to a target, in pages of bounded size.

    Args:
        cursor: an iterator of rows as they stand in the database.
        target: who takes them.
        prepare: makes of a few rows what the target takes, and counts their characters.

    """
    page: list[Row] = []
    characters = 0
    while part := list(islice(cursor, _PART_ROWS)):
        rows, length = prepare(part)
        page += rows
        characters += length
        if len(page) >= _PAGE_ROWS or characters >= _PAGE_CHARACTERS:
            target.take(page)
            page, characters = [], 0
    if page:
        target.take(page)


def _exchanges(part: list[Any]) -> tuple[list[Row], int]:
    """Put metadata that were stored in slices on one line; a line break in JSON is never part of a text."""
    rows = [row if "\n" not in row[7] else (*row[:7], row[7].replace("\n", "")) for row in part]
    return rows, sum([len(row[3]) + len(row[4]) + len(row[7]) for row in part])


def _sessions(part: list[Any]) -> tuple[list[Row], int]:
    rows = [(*row[:4], bool(row[4]), *row[5:7], row[7].replace("\n", "")) for row in part]
    return rows, sum([len(row[7]) for row in part])
