"""Erasing exchanges, so that their texts are nowhere in the files of the database afterwards.

Three places hold a text. Its row is blanked in place before it is deleted, because a row that SQLite moves
within a page may leave a copy. The index forgets it, exactly but slowly (FTS5's `secure-delete` works through
a page for each word), or, where there is much to erase, quickly, and is then merged as a whole. And the
write-ahead log, which holds the pages of former transactions, is emptied; that has to wait for readers, also
those of other processes, that still look at an earlier state.

The rows go in one transaction, the rest follows in steps between which others may save. What a crash or a
cancelled caller leaves undone stands in `nanobrain_tables`, or is seen when the database is opened, and is
done as upkeep.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import apsw

from library.infrastructure.interfaces.database.sqlite.connection import set_patience
from library.infrastructure.interfaces.database.sqlite.counters import Counters, statements
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_rows
from library.infrastructure.interfaces.database.sqlite.rows import conversation_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.interfaces.database.sqlite.indexing import SearchIndex

logger = logging.getLogger(__name__)

_PART_ROWS: Final = 500
"""How many exchanges are erased in one transaction at most, where there may be many."""
_PATIENCE_S: Final = 0.25
_RETRY_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0
_HELD_S: Final = 5.0
"""So long the rest waits for the next part of an erasure that comes in parts."""
_SMALL_PAGES: Final = 16_384
"""Up to so many pages (64 MB), a database whose pages were split is rewritten when something is erased."""


class Erasing:
    """The jobs that erase from one table, and the upkeep that they leave; see `writer.py`."""

    in_transaction = False

    def __init__(self, table: str, index: SearchIndex, counters: Counters, busy_timeout_s: float) -> None:
        """Prepare.

        Args:
            table: its name, which was checked.
            index: its index.
            counters: its counters.
            busy_timeout_s: how patient the connection is otherwise.

        """
        self._table = table
        self._index = index
        self._counters = counters
        self._busy_timeout_s = busy_timeout_s
        self._sql = statements(table)
        self._is_wanted = False
        self._held_until = 0.0
        self._must_tell = False
        self._told_at = -_TELL_EVERY_S
        self._told_of_split_at = -_TELL_EVERY_S
        self._tried_at = 0.0

    # -- jobs ------------------------------------------------------------------------------------------------

    def delete(self, connection: apsw.Connection, message_ids: Sequence[int]) -> list[int]:
        """Erase single exchanges, all at once: a page that shrinks moves no row that is yet to be blanked."""
        rows = [
            row
            for each in dict.fromkeys(message_ids)
            for row in fetch_rows(connection, self._sql["texts_of_one"], each)
        ]
        self.erase_rows(connection, rows, len(rows))
        left = {row[0] for row in rows}
        erased = []
        for each in message_ids:
            erased.append(int(each in left))
            left.discard(each)
        return erased

    def delete_conversation(self, connection: apsw.Connection, conversation_ids: Sequence[str]) -> list[int]:
        """Erase whole conversations."""
        erased = []
        for each in conversation_ids:
            conversation = (conversation_key(each), each)
            count = connection.execute(self._sql["count_of_conversation"], conversation).get
            erased.append(self._erase(connection, "texts_of_conversation", (*conversation, -1), count))
        return erased

    def delete_before(self, connection: apsw.Connection, orders: Sequence[tuple[int, int]]) -> list[int]:
        """Erase the oldest of what is older than a time, up to an id, and up to 500 exchanges a job."""
        erased = []
        for each in orders:
            count = connection.execute(self._sql["count_before"], each).get
            erased.append(self._erase(connection, "texts_before", (*each, _PART_ROWS), count))
        return erased

    def delete_up_to(self, connection: apsw.Connection, last_ids: Sequence[int]) -> list[int]:
        """Erase the first of all exchanges up to an id, up to 500 a job."""
        return [self._erase(connection, "texts_of_all", (each, _PART_ROWS), each) for each in last_ids]

    def count_change(self, connection: apsw.Connection, orders: Sequence[None]) -> list[int]:
        """Count one change more, and tell the greatest id."""
        last_id, indexed_id, changes = self._counters.read(connection)
        self._counters.write(connection, last_id, indexed_id, changes + len(orders))
        return [last_id] * len(orders)

    def want(self) -> None:
        """Have the log emptied when there is time."""
        self._is_wanted = True

    def finish(self, connection: apsw.Connection, payloads: Sequence[None]) -> list[bool]:
        """Do one step of what is left to do; tell whether there is more, which cannot wait."""
        self._must_tell = time.monotonic() - self._told_at > _TELL_EVERY_S
        return [self._step(connection, _PATIENCE_S)] * len(payloads)

    def _erase(
        self, connection: apsw.Connection, select: str, bindings: tuple[Any, ...], expected: int
    ) -> int:
        """Erase what a statement selects."""
        rows = fetch_rows(connection, self._sql[select], *bindings)
        self.erase_rows(connection, rows, expected)
        return len(rows)

    def erase_rows(
        self,
        connection: apsw.Connection,
        rows: Sequence[tuple[Any, ...]],
        expected: int,
        *,
        more_follow: bool = False,
    ) -> None:
        """Erase exchanges, and give the children that remain the nearest parent that does.

        Args:
            connection: the writer's.
            rows: id, conversation, both texts and parent of each.
            expected: how many are erased in all, with those of other calls.
            more_follow: whether another call, or `go_on`, comes soon: the rest of the work waits for it.

        """
        self._held_until = time.monotonic() + _HELD_S if more_follow else 0.0
        if not rows:
            return
        last_id, indexed_id, changes = self._counters.read(connection)
        texts = [(row[0], row[1], row[2], row[3]) for row in rows if row[0] <= indexed_id]
        self._index.erase(connection, texts, expected)
        parents = {row[0]: row[4] for row in rows}
        for message_id in parents:
            for child, gets_longer in fetch_rows(connection, self._sql["children"], message_id):
                if child not in parents:
                    connection.execute(self._sql["set_parent"], (_survivor(parents, message_id), child))
                    if gets_longer:
                        connection.execute(self._sql["set_split"], (self._table,))
        connection.executemany(self._sql["blank"], [(message_id,) for message_id in parents])
        connection.executemany(self._sql["delete"], [(message_id,) for message_id in parents])
        self._counters.write(connection, last_id, indexed_id, changes + len(rows))
        self._is_wanted = True

    def go_on(self) -> None:
        """Have the rest of the work done: no call follows."""
        self._held_until = 0.0

    # -- upkeep ----------------------------------------------------------------------------------------------

    def is_pending(self) -> bool:
        """Tell whether there is something left to do."""
        return self._is_wanted and time.monotonic() > self._held_until

    def is_due(self) -> bool:
        """Tell whether it is time to try, though others wait."""
        return self.is_pending() and time.monotonic() - self._tried_at > _RETRY_S

    def is_overdue(self) -> bool:
        """Never keep anybody from saving."""
        return False

    def run(self, connection: apsw.Connection) -> bool:
        """Do one step; a reader may stand in the way."""
        return self._step(connection, 0.0) or not self._is_wanted

    def _step(self, connection: apsw.Connection, patience_s: float) -> bool:
        """Merge a part of the index; when it is merged, empty the log, and see to pages that were split."""
        if self._index.merge_step(connection):
            return True
        is_known_to_be_blocked = time.monotonic() - self._tried_at < _RETRY_S and self._is_wanted
        if not self._empty_log(connection, 0.0 if is_known_to_be_blocked else patience_s):
            if self._must_tell:
                self._must_tell = False
                self._told_at = time.monotonic()
                logger.warning(
                    "what was erased is still in the write-ahead log of %s, since a reader in some process "
                    "looks at an earlier state, or the disk is full; it goes when that has ended",
                    connection.filename,
                )
            self._tried_at = time.monotonic()
            return False
        self._is_wanted = False
        self._see_to_split_pages(connection)
        return False

    def _empty_log(self, connection: apsw.Connection, patience_s: float) -> bool:
        set_patience(connection, patience_s)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error:
            return False
        finally:
            set_patience(connection, self._busy_timeout_s)
        return True

    def _see_to_split_pages(self, connection: apsw.Connection) -> None:
        """Rewrite a small database in whose pages copies of rows may have been left; of a large one, tell."""
        if not connection.execute(self._sql["has_split_pages"], (self._table,)).get:
            return
        if connection.pragma("page_count") <= _SMALL_PAGES:
            rewrite(connection)
        elif time.monotonic() - self._told_of_split_at > _TELL_EVERY_S:
            self._told_of_split_at = time.monotonic()
            logger.warning(
                "copies of what was erased from %s may be left where SQLite has split pages, since exchanges "
                "were saved under ids of the caller's, were edited, or come from an earlier version: "
                "`await adapter.vacuum()` removes them",
                connection.filename,
            )


def rewrite(connection: apsw.Connection) -> None:
    """Rewrite the database without gaps and leftovers."""
    connection.execute("VACUUM")
    connection.execute("UPDATE nanobrain_tables SET has_split_pages = 0")
    with suppress(apsw.BusyError, apsw.LockedError):  # else the file is shortened at the next checkpoint
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _survivor(parents: Mapping[int, int | None], message_id: int) -> int | None:
    """Return the nearest ancestor of an exchange that is not among those that are erased."""
    ancestor: int | None = message_id
    while ancestor is not None and ancestor in parents:
        ancestor = parents[ancestor]
    return ancestor
