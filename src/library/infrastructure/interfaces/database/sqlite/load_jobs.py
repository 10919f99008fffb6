"""The jobs that move the rows of an import into their table; see `loader.py` for their order.

Each is one transaction of some tenths of a second, and puts down in the same transaction how far it came, so
that a crash between two of them leaves an import that can be gone on with. None may fail but for the disk:
what could be wrong with the rows was found before the first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from library.infrastructure.interfaces.database.sqlite.load_journal import Load, LoadJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from library.infrastructure.data.record_transfer import Loaded
    from library.infrastructure.interfaces.database.sqlite.load_journal import LoadOrder, LoadPart


class LoadJobs(ABC):
    """The jobs on one table; each public method but the first three is one, see `writer.Job`."""

    has_checks: ClassVar[bool] = False
    """Whether `check` refuses anything, so that all rows have to be read for it."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self.journal = LoadJournal(table)

    # -- before anything is stored, in any thread ------------------------------------------------------------

    def check(  # noqa: B027 - many kinds of rows can always be stored
        self, connection: apsw.Connection, rows: Sequence[Any], merge: str, seen: set[int]
    ) -> None:
        """Refuse rows that cannot be stored beside what is stored already, or beside each other.

        Args:
            connection: any.
            rows: some of the rows of an import.
            merge: what is done about what is there.
            seen: what has to be remembered of the rows before; empty at first.

        """

    def may_be_taken(self, connection: apsw.Connection, load_id: int) -> bool:
        """Tell whether rows have to be looked at to know whether they can keep their ids."""
        return self._may_be_taken(connection, self.journal.read(connection, load_id))

    def are_taken(self, connection: apsw.Connection, load_id: int, rows: Sequence[Any]) -> bool:
        """Tell whether rows cannot keep their ids, since some are taken."""
        return self._are_taken(connection, self.journal.read(connection, load_id), rows)

    # -- jobs ------------------------------------------------------------------------------------------------

    def at_once(
        self, connection: apsw.Connection, orders: Sequence[tuple[LoadOrder, Sequence[Any]]]
    ) -> list[Loaded | None]:
        """Do all of an import in one transaction; `None`: it has to wait for another one."""
        done: list[Loaded | None] = []
        for order, rows in orders:
            if order.merge != "append" and self.journal.is_busy(connection):
                done.append(None)
                continue
            self.check(connection, rows, order.merge, set())
            load = self._begin(connection, order)
            while not self._replace(connection, load, rows):
                pass
            self._place(load, keeps_ids=not self._are_taken(connection, load, rows))
            self._insert(connection, load, rows)
            while self._link(connection, load):
                pass
            self.journal.write(connection, load)
            done.append(self.journal.end(connection, load.id))
        return done

    def begin(self, connection: apsw.Connection, orders: Sequence[LoadOrder]) -> list[int | None]:
        """Put imports down; from here on they complete. `None`: it has to wait for another one."""
        return [
            None if self.journal.is_busy(connection) else self._begin(connection, order).id
            for order in orders
        ]

    def replace(self, connection: apsw.Connection, parts: Sequence[LoadPart]) -> list[bool]:
        """Erase some of what rows replace; tell whether that was all."""
        done = []
        for part in parts:
            load = self.journal.read(connection, part.load_id)
            done.append(self._replace(connection, load, part.rows))
            if done[-1]:
                load.position = part.position
            self.journal.write(connection, load)
        return done

    def place(self, connection: apsw.Connection, orders: Sequence[tuple[int, bool]]) -> list[None]:
        """Decide where rows go; an order is the id of an import, and whether its rows may keep their ids."""
        for load_id, keeps_ids in orders:
            load = self.journal.read(connection, load_id)
            self._place(load, keeps_ids=keeps_ids)
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

    def link(self, connection: apsw.Connection, load_ids: Sequence[int]) -> list[bool]:
        """Do a part of what can be done once all rows are stored; tell whether there is more."""
        done = []
        for load_id in load_ids:
            load = self.journal.read(connection, load_id)
            load.phase = "linking"
            done.append(self._link(connection, load))
            self.journal.write(connection, load)
        return done

    def end(self, connection: apsw.Connection, load_ids: Sequence[int]) -> list[Loaded]:
        """Forget imports that are complete."""
        return [self.journal.end(connection, load_id) for load_id in load_ids]

    # -- what differs ----------------------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, connection: apsw.Connection, order: LoadOrder) -> Load:
        """Put an import down, and reserve what it needs."""

    @abstractmethod
    def _insert(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> None:
        """Store rows, and count them in `load`."""

    def _replace(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """Erase some of what rows replace, count it in `load`, and tell whether that was all."""
        return True

    def _may_be_taken(self, connection: apsw.Connection, load: Load) -> bool:  # noqa: ARG002
        """Tell whether ids are worth keeping, and any is stored between the least and the greatest."""
        return False

    def _are_taken(self, connection: apsw.Connection, load: Load, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """Tell whether the ids of rows are worth keeping, and some are taken."""
        return False

    def _place(self, load: Load, *, keeps_ids: bool) -> None:  # noqa: ARG002
        """Put down that the rows come next, and where they go."""
        load.phase, load.position = "inserting", 0

    def _link(self, connection: apsw.Connection, load: Load) -> bool:  # noqa: ARG002
        """Do a part of what can be done once all rows are stored; tell whether there is more."""
        return False
