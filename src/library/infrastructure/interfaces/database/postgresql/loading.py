"""Importing many rows in one transaction: all of them are there at once, or none.

First all are gathered in a temporary table, while the source gives them: nothing of that is seen by others,
or stands in their way. Then each is given its id and its parent there, and at last they are copied into their
table. What was changed is counted at the very end, so that others save meanwhile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID
from library.infrastructure.data.errors import InvalidValueError, StorageError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import decode
from library.infrastructure.data.record_transfer import Loaded
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.postgresql.counters import now_us
from library.infrastructure.interfaces.database.postgresql.guarded import call_guarded, raised_as_it_was
from library.infrastructure.interfaces.database.postgresql.named_sql import for_table, read_named
from library.infrastructure.interfaces.database.postgresql.rows import from_exchange, statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data.record_transfer import MergeStrategy, RowSource
    from library.infrastructure.interfaces.database.postgresql.engine import Engine

_PART_ROWS: Final = 10_000
_PATIENCE_S: Final = 86_400.0
"""How long one statement of an import may take."""
_PLACINGS: Final = 5
"""So often rows are placed anew when others save exchanges with the very ids that were chosen."""
_ATTEMPTED: Final = "import into"
_STAGED: Final = (
    "number",
    "row_id",
    "conversation_id",
    "timestamp",
    "user_input",
    "agent_response",
    "response_time_ms",
    "parent_row_id",
    "metadata",
    "conversation_key",
    "session_key",
    "search",
)


@cache
def _load_statements(schema: str, table: str) -> dict[str, str]:
    """Return all statements that an import takes, by name."""
    named = {name: for_table(text, schema, table) for name, text in read_named("loads.sql").items()}
    return {**statements(schema, table), **named}


@dataclass(slots=True)
class _Load:
    """One import, within its transaction."""

    connection: Any
    sql: Mapping[str, str]
    source: RowSource
    merge: MergeStrategy
    count: int = 0
    least_id: int = 0
    """The least id among the rows; 0 if none has one."""
    greatest_id: int = 0
    written: int = 0
    replaced: int = 0
    detached: int = 0
    slots: Counter[int] = field(default_factory=Counter)

    async def run(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement, for as long as it takes."""
        rows: list[Any] = await self.connection.fetch(self.sql[name], *bindings, timeout=_PATIENCE_S)
        return rows

    async def value(self, name: str, *bindings: Any) -> Any:
        """Return the one value of a statement."""
        return (await self.run(name, *bindings))[0][0]


class Loading:
    """Imports into one table."""

    def __init__(self, table: str) -> None:
        """Prepare; `table` was checked."""
        self._table = table

    async def load(self, engine: Engine, source: RowSource, merge: MergeStrategy) -> Loaded:
        """Import all that a source gives, or nothing; see `ConversationStore.load`."""
        sql = _load_statements(engine.schema, self._table)
        begun: list[_Load] = []
        first: list[Any] = []

        async def load(connection: Any) -> Loaded:
            if begun:
                raise StorageError(
                    f"cannot import into {engine.where}: the connection was lost; nothing was stored: import "
                    "again",
                    path=engine.where,
                )
            begun.append(_Load(connection, sql, source, merge))
            loaded = await self._load(begun[0])
            if loaded.written:
                first[:] = (await begun[0].run("first_new"))[0]
            return loaded

        async def is_loaded(connection: Any) -> bool:
            await connection.execute(sql["lock_loads"])
            return not first or bool(await connection.fetchval(sql["is_there"], *first))

        with raised_as_it_was():
            return await engine.transact(_ATTEMPTED, load, check=is_loaded)

    async def _load(self, load: _Load) -> Loaded:
        await self._gather(load)
        if not load.count:
            return Loaded(0, 0, 0, 0)
        await load.run("index_staging")
        await load.run("analyze_staging")
        await load.run("lock_loads")
        if load.merge == "replace":
            await load.run("lock_replaced")
            gone = {row[0]: row[1] for row in await load.run("replace")}
            load.slots.update(gone)
            load.replaced = sum(gone.values())
        await load.run("place_new" if load.merge == "skip_duplicates" else "place_all")
        await load.connection.execute(load.sql["index_places"], timeout=_PATIENCE_S)
        await load.run("lock_stored_parents", load.source.has_own_ids)
        await self._store(load)
        if load.slots:
            slots = sorted(load.slots)
            await load.run("count_changes", slots, [load.slots[slot] for slot in slots], now_us())
        return Loaded(load.written, load.count - load.written, load.replaced, load.detached)

    # -- gathering -------------------------------------------------------------------------------------------

    async def _gather(self, load: _Load) -> None:
        """Read everything, in a worker's thread, into the temporary tables."""
        await load.run("make_staging")
        await load.run("make_places")
        while page := await call_guarded(load.source.read):
            staged, ids = await run_in_worker(_stage, page, load.count)
            load.count += len(staged)
            if ids:
                load.least_id = min([load.least_id or ids[0], *ids])
                load.greatest_id = max(load.greatest_id, *ids)
            await load.connection.copy_records_to_table(
                "nanobrain_staging",
                records=staged,
                columns=_STAGED,
                schema_name="pg_temp",
                timeout=_PATIENCE_S,
            )

    # -- placing and storing ---------------------------------------------------------------------------------

    async def _store(self, load: _Load) -> None:
        """Give the rows their ids and their parents, and store them; anew, if ids were taken meanwhile."""
        await load.connection.execute("SAVEPOINT places")
        slots = load.slots.copy()
        for left in reversed(range(_PLACINGS)):
            await self._give_ids(load)
            await self._give_parents(load)
            try:
                await self._insert(load)
            except asyncpg.UniqueViolationError:
                if not left:
                    raise
                await load.connection.execute("ROLLBACK TO SAVEPOINT places")
                load.slots, load.written, load.detached = slots.copy(), 0, 0
            else:
                return

    async def _give_ids(self, load: _Load) -> None:
        """Reserve ids, while nobody else takes any, and number the rows.

        What is reserved stays so, whatever becomes of the import.
        """
        await load.connection.execute("SAVEPOINT ids")
        await load.run("lock_ids")
        last_id = await load.value("last_id")
        keeps_ids = load.source.has_own_ids and not await load.value("any_taken")
        shift = 0 if keeps_ids or not load.least_id else last_id + 1 - load.least_id
        behind = max(last_id, load.greatest_id + shift)
        last_id_then = behind + await load.value("count_without_id")
        if last_id_then > MAX_MESSAGE_ID:
            message = (
                f"no message_id is left in {self._table} for exchanges with ids up to {load.greatest_id}: "
                "leave message_id and parent_id out, or import into another table_name"
            )
            raise InvalidValueError(message)
        if last_id_then > last_id:
            await load.run("set_last_id", last_id_then)
        await load.connection.execute("ROLLBACK TO SAVEPOINT ids")
        await load.run("number_new", shift, behind)
        await load.run("number_known")

    async def _give_parents(self, load: _Load) -> None:
        await load.run("find_parents", load.source.has_own_ids)
        await self._break_circles(load)
        last = 0
        while rows := await load.run("detached", last, _PART_ROWS):
            load.detached += len(rows)
            last = rows[-1][0]
            noted = await run_in_worker(_with_parents, rows)
            await load.run("set_metadata", [row[0] for row in rows], noted)

    async def _break_circles(self, load: _Load) -> None:
        """Leave out each link to a greater id that would lead back to where it comes from, in their order."""
        await load.run("doubt")
        last = 0
        while links := await load.run("doubtful", last, _PART_ROWS):
            for message_id, parent_id in links:
                if not await load.value("is_ancestor", parent_id, message_id):
                    await load.run("trust", message_id)
            last = links[-1][0]

    async def _insert(self, load: _Load) -> None:
        for start in range(0, load.count, _PART_ROWS):
            stored = {row[0]: row[1] for row in await load.run("insert_part", start, start + _PART_ROWS)}
            load.slots.update(stored)
            load.written += sum(stored.values())
            await call_guarded(load.source.note, load.written)


def _stage(page: Sequence[Any], count: int) -> tuple[list[tuple[Any, ...]], list[int]]:
    """Write rows as they are gathered, numbered from `count` + 1 on; return their ids too."""
    rows = [from_exchange(each) for each in page]
    staged = [(number, *row, row.search()) for number, row in enumerate(rows, count + 1)]
    return staged, [row.message_id for row in rows if row.message_id is not None]


def _with_parents(rows: Sequence[Any]) -> list[str]:
    return [_with_parent(document, parent_id) for _, parent_id, document in rows]


def _with_parent(document: str, parent_id: int) -> str:
    """Note a parent in metadata, beside what is known of where the exchange comes from."""
    metadata = decode(document.encode())
    source = metadata.get("source")
    if not isinstance(source, dict):
        source = {} if source is None else {"value": source}
    metadata["source"] = {**source, "parent_id": parent_id}
    return encode(metadata, "metadata").decode()
