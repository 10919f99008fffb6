"""Keeping the full-text index of a table up to date, at little cost to those who save.

FTS5 works through its index once a transaction, so that a transaction for each exchange costs ten times what
a thousand exchanges in one do. Saving therefore only notes that there is more to be indexed: `indexed_id` in
`nanobrain_tables` says how far the index reaches, and is changed in the same transaction as the index. What
is beyond is indexed when it is some thousand exchanges, when the writer is idle, and before a search that
would have to look at more than a few hundred of them one by one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import apsw

from library.infrastructure.data import worker
from library.infrastructure.data.json_reading import decode
from library.infrastructure.interfaces.database.full_text.index_terms import (
    INDEX_VERSION,
    index_texts,
    index_tokens,
    scope_mark,
)
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    for_table,
    read_named,
)
from library.infrastructure.interfaces.database.sqlite.rows import insert_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

_SQL: Final = read_named("indexing.sql")
_PART_ROWS: Final = 2000
_DUE_ROWS: Final = 4000
_PART_CHARACTERS: Final = 2_000_000
_OVERDUE_ROWS: Final = 20_000

_PREPARED_ROWS: Final = 128
_ROWS_MERGED_MEANWHILE: Final = 300
"""Taking one exchange out securely takes as long as merging so many (some 2 ms)."""
_MERGED_PAGES: Final = 500
_SHORTEST_LEFTOVER: Final = 4
"""Characters of a word's beginning that tell something of the word."""

TextRow = tuple[int, str, str, str]
"""Id, conversation, user input, agent response."""
IndexRow = tuple[int, str, str, str]
"""Id, and what is indexed of it."""
_PASSING_ROW: Final[IndexRow] = (0, "x", "", "")
"""No exchange has this id."""


class SearchIndex:
    """The full-text index of one table, and the upkeep that it needs; used in the writer's thread."""

    in_transaction = True

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._sql = {name: for_table(statement, table) for name, statement in _SQL.items()}
        self._table = table
        self._last_id = 0
        self._indexed_id = 0
        self._merges = 0

    def note(self, last_id: int, indexed_id: int) -> None:
        """Take note of how far the table and the index reach."""
        self._last_id = last_id
        self._indexed_id = indexed_id

    def is_current(self, connection: apsw.Connection) -> bool:
        """Tell whether this code made the index, and learn how far it reaches; in any thread."""
        self.look(connection)
        return fetch_known_row(connection, self._sql["version"], self._table) == (INDEX_VERSION,)

    def must_merge(self, connection: apsw.Connection) -> bool:
        """Tell whether something was erased that still stands in the index; in any thread."""
        return bool(connection.execute(self._sql["must_merge"], (self._table,)).get)

    def open(self, connection: apsw.Connection) -> None:
        """Learn what is left to be indexed, within a transaction; an index of another version begins anew."""
        if fetch_known_row(connection, self._sql["version"], self._table) != (INDEX_VERSION,):
            connection.execute(self._sql["empty"])
            connection.execute(self._sql["begin_version"], (INDEX_VERSION, self._table))
        self.look(connection)

    def look(self, connection: apsw.Connection) -> None:
        """Learn how far the table and the index reach."""
        self.note(*fetch_known_row(connection, self._sql["reach"], self._table))

    # -- upkeep: see `writer.Upkeep` -------------------------------------------------------------------------

    def is_pending(self) -> bool:
        """Tell whether there is something to be indexed, as far as this process knows."""
        return self._indexed_id < self._last_id

    def is_due(self) -> bool:
        """Tell whether it is worth a transaction."""
        return self._last_id - self._indexed_id >= _DUE_ROWS

    def is_overdue(self) -> bool:
        """Tell whether saving has run far ahead."""
        return self._last_id - self._indexed_id >= _OVERDUE_ROWS

    def run(self, connection: apsw.Connection) -> bool:
        """Index the next exchanges, within a transaction."""
        last_id, indexed_id = fetch_known_row(connection, self._sql["reach"], self._table)
        rows: list[TextRow] = []
        characters = 0
        cursor: Any = connection.execute(self._sql["next_rows"], (indexed_id, _PART_ROWS))
        while characters <= _PART_CHARACTERS and (row := cursor.fetchone()):
            rows.append(row)
            characters += len(row[2]) + len(row[3])
        cursor.close(force=True)
        if characters <= _PART_CHARACTERS and len(rows) < _PART_ROWS:
            indexed_id = last_id
        if rows:
            self.add(connection, rows)
            indexed_id = max(indexed_id, rows[-1][0])
        connection.execute(self._sql["set_reach"], (indexed_id, self._table))
        self.note(last_id, indexed_id)
        return True

    # -- within the transactions of others -------------------------------------------------------------------

    def add(self, connection: apsw.Connection, rows: Sequence[TextRow]) -> None:
        """Put exchanges into the index; while some are on their way into it, the next are prepared."""
        parts = [rows[start : start + _PREPARED_ROWS] for start in range(0, len(rows), _PREPARED_ROWS)]
        ahead: Future[list[IndexRow]] | None = None
        for number, part in enumerate(parts):
            prepared = _prepare(part) if ahead is None else ahead.result()
            ahead = worker.submit(_prepare, parts[number + 1]) if number + 1 < len(parts) else None
            insert_rows(connection, self._sql["add"], prepared)

    def remove(self, connection: apsw.Connection, rows: Iterable[TextRow]) -> None:
        """Take exchanges out of the index, by the texts with which they went in."""
        connection.executemany(self._sql["remove"], _prepare(rows))

    def erase(self, connection: apsw.Connection, rows: Sequence[TextRow], expected: int) -> None:
        """Take exchanges out of the index so that nothing of them is left in it, now or when it is merged.

        Args:
            connection: the one that writes, within a transaction.
            rows: the exchanges.
            expected: how many are going to be erased in all, with other calls.

        """
        if not rows:
            return
        total, _ = fetch_known_row(connection, self._sql["reach"], self._table)
        is_quick = expected * _ROWS_MERGED_MEANWHILE > total
        if is_quick:
            connection.execute(self._sql["secure_delete"], (0,))
        prepared = _prepare(rows)
        connection.executemany(self._sql["remove"], prepared)
        if is_quick:
            connection.execute(self._sql["secure_delete"], (1,))
        if is_quick or self._has_stale_separator(connection, prepared):
            self._want_merge(connection)

    def _want_merge(self, connection: apsw.Connection) -> None:
        """Have the index merged, from the beginning.

        A row that comes and goes makes a second segment: one alone is not merged.
        """
        connection.execute(self._sql["secure_delete"], (0,))
        insert_rows(connection, self._sql["add"], [_PASSING_ROW])
        connection.execute(self._sql["remove"], _PASSING_ROW)
        connection.execute(self._sql["secure_delete"], (1,))
        connection.execute(self._sql["want_merge"], (self._table,))
        self._merges = 0

    def _has_stale_separator(self, connection: apsw.Connection, rows: Iterable[IndexRow]) -> bool:
        """Tell whether a word that is gone still separates pages of the index, or the beginning of one does.

        FTS5 keeps separators when it deletes securely; they only go when it merges.
        """
        words = {word for row in rows for text in row[1:] for word in index_tokens(text.lower())}
        gone: defaultdict[bytes, list[str]] = defaultdict(list)
        for word in words:
            for length in range(_SHORTEST_LEFTOVER, len(word) + 1):
                gone[b"0" + word[:length].encode()].append(word)
        separators: list[Any] = connection.execute(self._sql["separators"]).fetchall()
        for (separator,) in separators:
            for word in gone.get(separator, ()):
                if not self._is_found(connection, f'"{word}"') and not self._is_found(
                    connection, f'"{separator[1:].decode()}"*'
                ):
                    return True
        return False

    def _is_found(self, connection: apsw.Connection, match: str) -> bool:
        return bool(connection.execute(self._sql["any_match"], (match,)).get)

    def merge_step(self, connection: apsw.Connection) -> bool:
        """Merge a part of the index, if something was erased that needs it; tell whether there is more."""
        if not self.must_merge(connection):
            return False
        before = connection.total_changes()
        # The first step of a merge says by its sign that everything shall become one segment.
        connection.execute(self._sql["merge"], (_MERGED_PAGES if self._merges else -_MERGED_PAGES,))
        self._merges += 1
        if connection.total_changes() - before < 2:
            connection.execute(self._sql["end_merge"], (self._table,))
            self._merges = 0
        return True

    # -- looking for damage ----------------------------------------------------------------------------------

    def compare(self, connection: apsw.Connection) -> list[str]:
        """Say where the index and the table differ; may be called in any thread."""
        connection.execute("BEGIN")
        _, indexed_id = fetch_known_row(connection, self._sql["reach"], self._table)
        missing = connection.execute(self._sql["rows_not_indexed"], (indexed_id,)).get
        stray = connection.execute(self._sql["indexed_not_rows"]).get
        unreadable = [
            row[0] for row in connection.execute(self._sql["rows_as_bytes"]) if not _is_readable(row)
        ]
        connection.execute("COMMIT")
        problems = []
        if unreadable:
            shown = ", ".join(map(str, unreadable[:5]))
            problems.append(f"{len(unreadable)} exchanges cannot be read (message_id {shown}, ...)")
        if missing:
            problems.append(f"{missing} exchanges are missing from the full-text index")
        if stray:
            problems.append(f"the full-text index holds {stray} exchanges that are not in the table")
        return problems

    def verify(self, connection: apsw.Connection, payloads: Sequence[None]) -> list[list[str]]:
        """Have FTS5 look through its index; a job of the writer, for FTS5 takes commands as inserts."""
        try:
            connection.execute(self._sql["check"])
        except apsw.CorruptError as error:
            return [[f"the full-text index is damaged: {error}"] for _ in payloads]
        return [[] for _ in payloads]


def _is_readable(row: Any) -> bool:
    """Tell whether the texts of a row are UTF-8, and its metadata JSON."""
    _, *texts, metadata = row
    try:
        for text in texts:
            text.decode()
        decode(metadata)
    except ValueError:
        return False
    return True


def _prepare(rows: Iterable[TextRow]) -> list[IndexRow]:
    return [
        (message_id, *index_texts(user_input, agent_response, scope_mark(conversation_id)))
        for message_id, conversation_id, user_input, agent_response in rows
    ]
