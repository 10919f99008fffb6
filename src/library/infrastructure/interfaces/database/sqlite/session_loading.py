"""What is particular to importing sessions: what happens to one that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import DuplicateSessionError, InvalidValueError
from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.utc_time import from_microseconds
from library.infrastructure.interfaces.database.sqlite.load_jobs import LoadJobs
from library.infrastructure.interfaces.database.sqlite.named_sql import fetch_row
from library.infrastructure.interfaces.database.sqlite.rows import insert_rows
from library.infrastructure.interfaces.database.sqlite.session_rows import session_statements, user_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from library.infrastructure.interfaces.database.sqlite.load_journal import Load, LoadOrder
    from library.infrastructure.interfaces.database.sqlite.session_exits import SessionExits

_FIRST_VERSION: Final = 1


class SessionLoading(LoadJobs):
    """The jobs on one table of sessions."""

    has_checks = True

    def __init__(self, table: str, exits: SessionExits) -> None:
        """Prepare; `table` was checked."""
        super().__init__(table)
        self._exits = exits
        self._sql = session_statements(table)

    def check(self, connection: apsw.Connection, rows: Sequence[Any], merge: str, seen: set[int]) -> None:
        """Refuse sessions that are stored already, or come twice, unless they are to be replaced or left out.

        Raises:
            DuplicateSessionError: one is stored already, or comes twice.
            InvalidValueError: one cannot stand beside another, whose id has the same digest.

        """
        for row in rows:
            key = session_key(row[0])
            found = fetch_row(connection, self._sql["find_state"], key)
            if found is not None and found[0] != row[0]:
                message = f"the session of {row[1]!r} has the digest of another session: it cannot be stored"
                raise InvalidValueError(message)
            if merge == "append" and (found is not None or key in seen):
                message = (
                    f"a session of {row[1]!r} that was created at {from_microseconds(row[2])} is stored "
                    'already, or comes twice: import with merge_strategy="replace" or "skip_duplicates"'
                )
                raise DuplicateSessionError(message, session_id=row[0])
            seen.add(key)

    def _begin(self, connection: apsw.Connection, order: LoadOrder) -> Load:
        return self.journal.begin(connection, order, 0)

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
