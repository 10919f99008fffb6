"""How far an import has come that is being moved into its table, as `nanobrain_loads` keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.data.record_transfer import Loaded
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    fetch_rows,
    for_table,
    read_named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import MergeStrategy

_SQL: Final = read_named("loads.sql")


class LoadOrder(NamedTuple):
    """What is known of an import once all its rows were seen."""

    spool: str
    """The name of the file that holds the rows."""
    spool_size: int
    """How many bytes it has."""
    row_count: int
    merge: MergeStrategy
    has_own_ids: bool
    """Whether ids are worth keeping; see `RowSource`."""
    least_id: int
    """The least id among the rows; 0 if none has one."""
    greatest_id: int


class LoadPart(NamedTuple):
    """The next rows of an import."""

    load_id: int
    rows: Sequence[Row]
    position: int
    """How many bytes of the spool are done with them."""


@dataclass(slots=True)
class Load:
    """An import on its way into its table; read, changed and written within one transaction."""

    id: int
    spool_size: int
    row_count: int
    merge: MergeStrategy
    has_own_ids: int
    least_id: int
    greatest_id: int
    former_last_id: int
    shift: int
    phase: str
    position: int
    written: int
    skipped: int
    replaced: int
    detached: int

    @property
    def loaded(self) -> Loaded:
        """What became of the rows so far."""
        return Loaded(self.written, self.skipped, self.replaced, self.detached)


class LoadJournal:
    """The journal of one table; called within the writer's transactions."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._table = table
        self.sql = {name: for_table(statement, table) for name, statement in _SQL.items()}

    def begin(self, connection: apsw.Connection, order: LoadOrder, former_last_id: int) -> Load:
        """Put an import down."""
        values = (self._table, *order, former_last_id)
        (load_id,) = fetch_known_row(connection, self.sql["insert_load"], *values)
        return self.read(connection, load_id)

    def read(self, connection: apsw.Connection, load_id: int) -> Load:
        """Read how far an import has come."""
        return Load(load_id, *fetch_known_row(connection, self.sql["load"], load_id))

    def write(self, connection: apsw.Connection, load: Load) -> None:
        """Put down how far an import has come."""
        counts = (load.written, load.skipped, load.replaced, load.detached)
        connection.execute(self.sql["set_load"], (load.id, load.shift, load.phase, load.position, *counts))

    def end(self, connection: apsw.Connection, load_id: int) -> Loaded:
        """Forget an import that is complete; return what became of its rows."""
        loaded = self.read(connection, load_id).loaded
        for name in ("end_ids", "end_links", "end_load"):
            connection.execute(self.sql[name], (load_id,))
        return loaded

    def is_busy(self, connection: apsw.Connection) -> bool:
        """Tell whether an import into the table is under way."""
        return bool(self.unfinished(connection))

    def unfinished(self, connection: apsw.Connection) -> list[tuple[int, str]]:
        """List the imports into the table that are not complete, each with the name of its spool."""
        return [
            (int(row[0]), str(row[1]))
            for row in fetch_rows(connection, self.sql["loads_of_table"], self._table)
        ]

    def spools(self, connection: apsw.Connection) -> set[str]:
        """List the spools that hold what is not complete, of all tables."""
        return {str(row[0]) for row in fetch_rows(connection, self.sql["all_spools"])}
