"""Importing many rows: first all are gathered, in a file beside the database, then moved into their table.

Gathering reads and checks everything, and changes nothing in the database: what is wrong with the input is
found here, and a crash leaves a file that nobody misses. The move begins with one transaction that puts the
import down in `nanobrain_loads`; from then on it is bound to complete, in steps between which others save. A
crash in its middle is made good by whoever opens the table next.

A small import skips all that: it is one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.record_transfer import Loaded
from library.infrastructure.data.worker import run_in_thread, run_in_worker
from library.infrastructure.interfaces.database.sqlite.engine import MEMORY
from library.infrastructure.interfaces.database.sqlite.load_journal import LoadOrder, LoadPart
from library.infrastructure.interfaces.database.sqlite.spool import Spool, is_spool_name, left_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from library.infrastructure.data.record_transfer import MergeStrategy, RowSource
    from library.infrastructure.interfaces.database.sqlite.engine import Engine
    from library.infrastructure.interfaces.database.sqlite.load_jobs import LoadJobs

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE_ROWS: Final = 10_000
_AT_ONCE_CHARACTERS: Final = 8_000_000
"""Up to so much, an import is one transaction, of a tenth of a second or two."""
_REPLACED_AT_ONCE_ROWS: Final = 64
"""Nobody knows how much such a row replaces: a whole conversation."""
_STEP_ROWS: Final = 1_000
_TURN_S: Final = 0.05
"""How often an import looks whether the one before it has ended."""
_STEP_BYTES: Final = 2_000_000


class _Gathered(NamedTuple):
    """All rows of an import: in memory, or in a spool."""

    rows: list[Any]
    spool: Spool | None
    row_count: int
    least_id: int
    greatest_id: int


class Loader:
    """Imports into one table."""

    def __init__(self, jobs: LoadJobs, table: str) -> None:
        """Prepare; `table` was checked."""
        self._jobs = jobs
        self._table = table
        self._attempted = f"import into the table {table} of"

    async def load(self, engine: Engine, source: RowSource, merge: MergeStrategy) -> Loaded:
        """Import all that a source gives, or nothing; see `ConversationStore.load`."""
        await self.recover(engine)
        unwanted: list[Spool] = []
        try:
            at_once = _REPLACED_AT_ONCE_ROWS if merge == "replace" else _AT_ONCE_ROWS
            gathered = await run_in_thread(self._gather, engine.path, source, at_once, unwanted)
            return await _to_the_end(self._store(engine, gathered, source, merge, unwanted))
        finally:
            for spool in unwanted:
                await run_in_worker(spool.remove)

    async def recover_if_possible(self, engine: Engine) -> None:
        """Do what `recover` does; what cannot be done now, as on a full disk, keeps nobody from reading."""
        try:
            await self.recover(engine)
        except StorageError as error:
            logger.warning("an import that was interrupted stays incomplete for now: %s", error)

    async def recover(self, engine: Engine) -> None:
        """Complete the imports that were killed in the middle of their move, and remove what others left.

        Raises:
            StorageError: one cannot be completed now.

        """
        if engine.path == MEMORY:
            return  # where nothing outlives its process
        for load_id, name in await engine.read(self._jobs.journal.unfinished):
            path = os.path.join(os.path.dirname(engine.path), name)
            if not is_spool_name(name):
                await self._give_up(engine, load_id, name)
                continue
            spool = await run_in_worker(Spool.take_over, path)
            if spool is not None:
                await self._complete(engine, load_id, spool)
            elif not await run_in_worker(os.path.exists, path):
                await self._give_up(engine, load_id, name)
        await self._remove_orphans(engine)

    async def _complete(self, engine: Engine, load_id: int, spool: Spool) -> None:
        """Complete an import whose process is gone, if all that it had gathered is there."""
        try:
            load = await engine.read(self._jobs.journal.read, load_id)
            if spool.size < load.spool_size:
                await self._give_up(engine, load_id, os.path.basename(spool.path))
            else:
                logger.warning("completing an import into %s that was interrupted", engine.path)
                await _to_the_end(self._move(engine, load_id, spool, None))
            await run_in_worker(spool.remove)
        finally:
            spool.close()

    async def _give_up(self, engine: Engine, load_id: int, name: str) -> None:
        logger.warning(
            "an import into %s that was interrupted stays incomplete: its file %s is gone, or was cut; "
            'import it again with merge_strategy="skip_duplicates"',
            engine.path,
            name,
        )
        await self._write(engine, self._jobs.end, load_id)

    async def _remove_orphans(self, engine: Engine) -> None:
        for path in await run_in_worker(left_behind, engine.path):
            spool = await run_in_worker(Spool.take_over, path)
            if spool is None:
                continue
            if os.path.basename(path) in await engine.read(self._jobs.journal.spools):
                spool.close()  # of another table, which completes it when it is opened
            else:
                await run_in_worker(spool.remove)

    # -- gathering -------------------------------------------------------------------------------------------

    def _gather(self, path: str, source: RowSource, at_once: int, unwanted: list[Spool]) -> _Gathered:
        """Read everything; a spool is made when there is much, and is unwanted until its rows are stored."""
        rows: list[Any] = []
        characters = count = 0
        least, greatest = 0, 0
        spool: Spool | None = None
        while page := source.read():
            count += len(page)
            if self._has_numbers(page):
                ids = [row[0] for row in page if row[0] is not None]
                least = min(ids) if not least else min(least, *ids)
                greatest = max(greatest, *ids)
            if spool is None:
                rows += page
                characters += sum([_length(row) for row in page])
                if len(rows) > at_once or characters > _AT_ONCE_CHARACTERS:
                    spool = Spool.create(path)
                    unwanted.append(spool)
                    spool.write(rows)
                    rows = []
            else:
                spool.write(page)
        if spool is not None and path != MEMORY:
            spool.sync()
        return _Gathered(rows, spool, count, least, greatest)

    @staticmethod
    def _has_numbers(page: Sequence[Any]) -> bool:
        """Tell whether rows begin with an id that is a number, which those of sessions do not."""
        return any(type(row[0]) is int for row in page)

    # -- moving ----------------------------------------------------------------------------------------------

    async def _store(
        self,
        engine: Engine,
        gathered: _Gathered,
        source: RowSource,
        merge: MergeStrategy,
        unwanted: list[Spool],
    ) -> Loaded:
        spool = gathered.spool
        order = LoadOrder(
            "" if spool is None else os.path.basename(spool.path),
            0 if spool is None else spool.size,
            gathered.row_count,
            merge,
            source.has_own_ids,
            gathered.least_id,
            gathered.greatest_id,
        )
        if not gathered.row_count:
            return Loaded(0, 0, 0, 0)
        if spool is None:
            await engine.read(self._jobs.check, gathered.rows, merge, set())
            loaded: Loaded = await self._in_turn(engine, self._jobs.at_once, (order, gathered.rows))
            source.note(loaded.written)
            return loaded
        if self._jobs.has_checks:
            seen: set[int] = set()
            async for rows, _ in _parts(spool, 0):
                await engine.read(self._jobs.check, rows, merge, seen)
        load_id = await self._in_turn(engine, self._jobs.begin, order)
        unwanted.clear()
        try:
            loaded = await self._move(engine, load_id, spool, source)
            unwanted.append(spool)
        except StorageError as error:
            if engine.path == MEMORY:
                await self._write(engine, self._jobs.end, load_id)
                raise
            message = f"{error}; what is left of the import is stored when the database is used again"
            raise type(error)(message, path=engine.path) from error
        finally:
            if not unwanted:
                spool.close()
        return loaded

    async def _move(self, engine: Engine, load_id: int, spool: Spool, source: RowSource | None) -> Loaded:
        """Move the rows from where an earlier attempt, if there was one, ended."""
        load = await engine.read(self._jobs.journal.read, load_id)
        if load.phase == "replacing":
            if load.merge == "replace":
                await self._replace(engine, load_id, spool, load.position)
            keeps_ids = not await self._are_taken(engine, load_id, spool)
            await self._write(engine, self._jobs.place, (load_id, keeps_ids))
            load = await engine.read(self._jobs.journal.read, load_id)
        if load.phase == "inserting":
            async for rows, behind in _parts(spool, load.position):
                stored = await self._write(engine, self._jobs.insert, LoadPart(load_id, rows, behind))
                if source is not None:
                    source.note(stored)
        while await self._write(engine, self._jobs.link, load_id):
            pass
        loaded: Loaded = await self._write(engine, self._jobs.end, load_id)
        return loaded

    async def _are_taken(self, engine: Engine, load_id: int, spool: Spool) -> bool:
        if not await engine.read(self._jobs.may_be_taken, load_id):
            return False
        async for rows, _ in _parts(spool, 0):
            if await engine.read(self._jobs.are_taken, load_id, rows):
                return True
        return False

    async def _replace(self, engine: Engine, load_id: int, spool: Spool, position: int) -> None:
        async for rows, behind in _parts(spool, position, _REPLACED_AT_ONCE_ROWS):
            while not await self._write(engine, self._jobs.replace, LoadPart(load_id, rows, behind)):
                pass

    async def _in_turn(self, engine: Engine, job: Any, payload: Any) -> Any:
        """Have a job done that may have to wait for another import, which may need to be completed."""
        while (done := await self._write(engine, job, payload)) is None:
            await asyncio.sleep(_TURN_S)
            await self.recover(engine)
        return done

    async def _write(self, engine: Engine, job: Any, payload: Any) -> Any:
        return await engine.write(job, payload, self._attempted)


async def _parts(spool: Spool, position: int, rows: int = _STEP_ROWS) -> AsyncIterator[tuple[list[Any], int]]:
    """Read the rows from a position on, in a worker, in parts of one transaction each."""
    while part := await run_in_worker(spool.part, position, rows, _STEP_BYTES):
        position = part[1]
        yield part


def _length(row: Any) -> int:
    return sum([len(value) for value in row if type(value) is str])


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Complete some work, also when cancelled; then the cancellation goes on."""
    running = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not running.cancelled():
            running.exception()
        raise cancelled
    return running.result()
