"""Removing what was deleted from the write-ahead log too, where the pages of former transactions still stand.

In the database itself `secure_delete` has overwritten it. The log is emptied by a checkpoint that truncates
it, which has to wait for readers, also those of other processes, that still look at an earlier state.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import apsw

from library.infrastructure.interfaces.database.sqlite.connection import set_patience

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 0.5
_RETRY_S: Final = 1.0


class Erasure:
    """The upkeep of a log that has to be emptied; used in the writer's thread."""

    in_transaction = False

    def __init__(self, busy_timeout_s: float) -> None:
        """Begin with nothing to erase.

        Args:
            busy_timeout_s: how patient the connection is otherwise.

        """
        self._busy_timeout_s = busy_timeout_s
        self._wanted = False
        self._tried_at = 0.0

    def begin(self, connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
        """Empty the log now; when a reader stands in the way, say so, and go on trying."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._empty(connection):
            if time.monotonic() > deadline:
                self._wanted = True
                logger.warning(
                    "what was erased is still in the write-ahead log, since a reader in some process looks "
                    "at an earlier state; it goes when that reader ends"
                )
                return payloads
            time.sleep(0.01)
        self._wanted = False
        return payloads

    def is_pending(self) -> bool:
        """Tell whether there is something left to erase."""
        return self._wanted

    def is_due(self) -> bool:
        """Tell whether it is time to try again, though others wait."""
        return self._wanted and time.monotonic() - self._tried_at > _RETRY_S

    def is_overdue(self) -> bool:
        """Never keep anybody from saving."""
        return False

    def run(self, connection: apsw.Connection) -> None:
        """Try again."""
        self._wanted = not self._empty(connection)

    def _empty(self, connection: apsw.Connection) -> bool:
        self._tried_at = time.monotonic()
        set_patience(connection, 0.0)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.BusyError, apsw.LockedError):
            return False
        finally:
            set_patience(connection, self._busy_timeout_s)
        return True
