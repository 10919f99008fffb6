"""The jobs that move the rows of an import into a table of sessions; see `loader.py` for their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import DuplicateSessionError, InvalidValueError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.utc_time import from_microseconds
from library.infrastructure.interfaces.database.sqlite.load_journal import Load, LoadJournal
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_row
from library.infrastructure.interfaces.database.sqlite.rows import insert_rows
from library.infrastructure.interfaces.database.sqlite.session_rows import session_statements, user_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from library.infrastructure.data.record_transfer import Loaded
    from library.infrastructure.interfaces.database.sqlite.load_journal import LoadOrder, LoadPart
    from library.infrastructure.interfaces.database.sqlite.session_exits import SessionExits

_FIRST_VERSION: Final = 1


class SessionLoading:
    """The jobs on one table; each public method is one, see `writer.Job`."""

    def __init__(self, table: str, exits: SessionExits) -> None:
        """Prepare; `table` was checked."""
        self._exits = exits
        self._sql = session_statements(table)
        self.journal = LoadJournal(table)

    def check(self, connection: apsw.Connection, rows: Sequence[Any], merge: str) -> None:
        """Refuse sessions that are stored already, unless they are to be replaced or left out.

        Raises:
            DuplicateSessionError: one is stored already.
            InvalidValueError: one cannot stand beside another, whose id has the same digest.

        """
        for row in rows:
            found = fetch_row(connection, self._sql["find_state"], session_key(row[0]))
            if found is None:
                continue
            if found[0] != row[0]:
                message = f"the session of {row[1]!r} has the digest of another session: it cannot be stored"
                raise InvalidValueError(message)
            if merge == "append":
                message = (
                    f"a session of {row[1]!r} that was created at {from_microseconds(row[2])} is stored "
                    'already: import with merge_strategy="replace" or "skip_duplicates"'
                )
                raise DuplicateSessionError(message, session_id=row[0])

    def at_once(
        self, connection: apsw.Connection, orders: Sequence[tuple[LoadOrder, Sequence[Any]]]
    ) -> list[Loaded]:
        """Do all of an import in one transaction."""
        done = []
        for order, rows in orders:
            self.check(connection, rows, order.merge)
            load = self.journal.begin(connection, order, 0)
            self._insert(connection, load, rows)
            self.journal.write(connection, load)
            done.append(self.journal.end(connection, load.id))
        return done

    def begin(self, connection: apsw.Connection, orders: Sequence[LoadOrder]) -> list[int]:
        """Put imports down; from here on they complete."""
        return [self.journal.begin(connection, order, 0).id for order in orders]

    def replace(self, connection: apsw.Connection, parts: Sequence[LoadPart]) -> list[None]:  # noqa: ARG002
        """Do nothing: a session is replaced when its row comes."""
        return [None for _ in parts]

    def are_taken(self, connection: apsw.Connection, load_id: int, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """Tell that they are not: sessions keep their ids, whatever is there."""
        return False

    def place(self, connection: apsw.Connection, orders: Sequence[tuple[int, bool]]) -> list[None]:
        """Note that the rows come next."""
        for load_id, _ in orders:
            load = self.journal.read(connection, load_id)
            load.phase, load.position = "inserting", 0
            self.journal.write(connection, load)
        return [None for _ in orders]

    def insert(self, connection: apsw.Connection, parts: Sequence[LoadPart]) -> list[int]:
        """Store rows; tell how many were stored so far."""
        done = []
        for part in parts:
            load = self.journal.read(connection, part.load_id)
            self._insert(connection, load, part.rows)
            load.position = part.position
            self.journal.write(connection, load)
            done.append(load.written)
        return done

    def link(self, connection: apsw.Connection, load_ids: Sequence[int]) -> list[bool]:  # noqa: ARG002
        """Do nothing: sessions do not name each other."""
        return [False for _ in load_ids]

    def end(self, connection: apsw.Connection, load_ids: Sequence[int]) -> list[Loaded]:
        """Forget imports that are complete."""
        return [self.journal.end(connection, load_id) for load_id in load_ids]

    def _insert(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> None:
        """Store sessions; of those that come twice, the last replaces, or the first stays."""
        wanted: dict[int, Any] = {}
        for row in rows:
            key = session_key(row[0])
            if key in wanted and load.merge != "replace":
                load.skipped += 1
            else:
                load.replaced += key in wanted
                wanted[key] = row
        new = [_complete(key, row) for key, row in wanted.items() if self._make_way(connection, load, key)]
        insert_rows(connection, self._sql["insert"], sorted(new))
        self._exits.add_active(connection, sum(row[8] for row in new))
        load.written += len(new)

    def _make_way(self, connection: apsw.Connection, load: Load, key: int) -> bool:
        """Tell whether a session may be stored; what it replaces goes."""
        found = fetch_row(connection, self._sql["find_state"], key)
        if found is None:
            return True
        if load.merge != "replace":
            load.skipped += 1
            return False
        connection.execute(self._sql["delete"], (key,))
        self._exits.add_active(connection, -int(found[1] == 1))
        load.replaced += 1
        return True


def _complete(key: int, row: Any) -> tuple[Any, ...]:
    """Write a session as a row of the table."""
    session_id, user_id, created_at, last_activity, is_active, ended_at, end_reason, metadata = row
    return (
        key,
        session_id,
        user_id,
        user_key(user_id),
        created_at,
        last_activity,
        last_activity,
        last_activity,
        int(is_active),
        ended_at,
        end_reason,
        _FIRST_VERSION,
        metadata,
    )
