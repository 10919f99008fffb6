"""Following the foreign keys of a database that somebody else made."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import apsw

Values = dict[str, Any]
"""A row by the names of its columns, as JSON can hold it."""


class _Key(NamedTuple):
    """A foreign key of one column."""

    table: str
    column: str
    to_table: str
    to_column: str


class RelatedRows:
    """Finds what other tables say of a row."""

    def __init__(self, connection: apsw.Connection, own: Collection[str]) -> None:
        """Look at the schema.

        Args:
            connection: the database.
            own: tables that are read in other ways, and therefore not followed into.

        """
        self._connection = connection
        self._own = own
        self.columns: dict[str, list[str]] = {}
        """The tables, and the names of their columns; virtual tables are left out."""
        self._keys: list[_Key] = []
        self._indexed: set[tuple[str, str]] = set()
        """Tables and columns by which rows are found without looking at all of them."""
        self._copied: set[tuple[str, str]] = set()
        """Those of which a temporary index was made."""
        primary = self._read_tables()
        for table in self.columns:
            self._read_keys(table, primary)

    def select(self, table: str, column: str, value: Any, *, order: str = "rowid") -> Iterator[Values]:
        """Give the rows in which a column has a value; none, if there is no such table or column."""
        columns = self.columns.get(table)
        if columns is None or value is None or not {column, order} <= {*columns, "rowid"}:
            return
        condition = f"{_quoted(column)} = ?"
        if (table, column) not in self._indexed and column != "rowid":
            condition = f"rowid IN (SELECT place FROM {self._index(table, column)} WHERE key = ?)"  # noqa: S608
        names = ", ".join(map(_quoted, columns))
        query = f"SELECT {names} FROM main.{_quoted(table)} WHERE {condition} ORDER BY {_quoted(order)}"  # noqa: S608
        for row in list(self._connection.execute(query, (value,))):
            yield dict(zip(columns, map(_plain, row), strict=True))

    def of(self, table: str, row: Values, *, levels: int = 2, but: _Key | None = None) -> Values:
        """Return what a row refers to, and lists of what refers to it under the names of their tables.

        Args:
            table: where the row is.
            row: the row.
            levels: how far what refers to it is followed.
            but: the key by which the row was found.

        """
        found: Values = {}
        for key in self._keys:
            if key.table == table and key.to_table not in self._own and key != but:
                for target in self.select(key.to_table, key.to_column, row.get(key.column)):
                    found[key.column.removesuffix("_id")] = target
            if levels and key.to_table == table and key.table not in self._own:
                for each in self.select(key.table, key.column, row.get(key.to_column)):
                    below = self.of(key.table, each, levels=levels - 1, but=key)
                    found.setdefault(key.table, []).append(each | below)
        return found

    def _read_tables(self) -> dict[str, str]:
        """Read the names of tables and columns; return the primary keys."""
        primary: dict[str, str] = {}
        query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT wr"
        for (table,) in list(self._connection.execute(query)):
            if table.startswith("sqlite_"):
                continue
            columns = list(self._connection.execute(f"PRAGMA main.table_info({_quoted(table)})"))
            self.columns[table] = [column[1] for column in columns]
            primary[table] = next((column[1] for column in columns if column[5] == 1), "")
            leading = self._connection.execute(
                "SELECT c.name FROM pragma_index_list(?) AS i, pragma_index_info(i.name) AS c "
                "WHERE c.seqno = 0 AND NOT i.partial",
                (table,),
            )
            self._indexed |= {(table, column) for (column,) in leading}
            self._indexed |= {
                (table, column[1]) for column in columns if column[5] == 1 and column[2] == "INTEGER"
            }
        return primary

    def _read_keys(self, table: str, primary: dict[str, str]) -> None:
        keys = list(self._connection.execute(f"PRAGMA main.foreign_key_list({_quoted(table)})"))
        composed = {key[0] for key in keys if key[1]}
        for number, _, to_table, column, to_column, *_ in keys:
            target = to_column or primary.get(to_table, "")
            if number not in composed and target in self.columns.get(to_table, ()):
                self._keys.append(_Key(table, column, to_table, target))

    def _index(self, table: str, column: str) -> str:
        """Return the name of a temporary index of a column that has none, which is made once."""
        name = f"temp.{_quoted(f'{table} by {column}')}"
        if (table, column) not in self._copied:
            self._copied.add((table, column))
            self._connection.execute(
                f"CREATE TABLE {name} (key, place, PRIMARY KEY (key, place)) WITHOUT ROWID"
            )
            rows = f"SELECT {_quoted(column)}, rowid FROM main.{_quoted(table)}"  # noqa: S608 - quoted
            self._connection.execute(f"INSERT INTO {name} {rows} WHERE {_quoted(column)} IS NOT NULL")
        return name


def _quoted(name: str) -> str:
    return name if name == "rowid" else '"' + name.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
