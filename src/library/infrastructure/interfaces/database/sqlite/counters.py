"""What is counted of a table, in one row of `nanobrain_tables`."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    for_table,
    read_named,
)
from library.infrastructure.interfaces.database.sqlite.rows import COLUMNS

if TYPE_CHECKING:
    import apsw

    from library.infrastructure.interfaces.database.sqlite.indexing import SearchIndex


@cache
def statements(table: str) -> dict[str, str]:
    """Return the statements on a table of exchanges by name; `table` was checked."""
    named = read_named("conversations.sql").items()
    return {name: for_table(statement.replace("{columns}", COLUMNS), table) for name, statement in named}


class Counters:
    """Reads and writes the row, within transactions of the writer."""

    def __init__(self, table: str, index: SearchIndex) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self._index = index
        self._sql = statements(table)

    def read(self, connection: apsw.Connection) -> tuple[int, int, int]:
        """Return the greatest id ever given, how far the index reaches, and the number of changes."""
        last_id, indexed_id, changes = fetch_known_row(connection, self._sql["counters"], self._table)
        return last_id, indexed_id, changes

    def write(self, connection: apsw.Connection, last_id: int, indexed_id: int, changes: int) -> None:
        """Put down the greatest id and the number of changes, and the time."""
        now = time.time_ns() // 1000
        connection.execute(self._sql["set_counters"], (last_id, changes, now, self._table))
        self._index.note(last_id, indexed_id)
