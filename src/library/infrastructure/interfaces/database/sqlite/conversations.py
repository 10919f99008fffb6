"""`SQLiteConversationStore`: exchanges in one table of an SQLite database."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import apsw

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.conversation_message import ConversationMessage, ConversationSummary
from library.infrastructure.data.errors import ReadOnlyStorageError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.performance_metrics import DailyResponseTimes, PerformanceMetrics
from library.infrastructure.data.storage import ConversationStore, Saved
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.sqlite.changes import Changes, SaveOrder
from library.infrastructure.interfaces.database.sqlite.connection import set_patience
from library.infrastructure.interfaces.database.sqlite.counters import Counters, statements
from library.infrastructure.interfaces.database.sqlite.erasing import Erasing
from library.infrastructure.interfaces.database.sqlite.exporting import export, read_exchanges
from library.infrastructure.interfaces.database.sqlite.indexing import SearchIndex
from library.infrastructure.interfaces.database.sqlite.loader import Loader
from library.infrastructure.interfaces.database.sqlite.loading import ExchangeLoading
from library.infrastructure.interfaces.database.sqlite.migrations import is_current, migrate
from library.infrastructure.interfaces.database.sqlite.named_sql import (
    fetch_known_row,
    fetch_row,
    fetch_rows,
)
from library.infrastructure.interfaces.database.sqlite.pages import Pages
from library.infrastructure.interfaces.database.sqlite.rows import (
    conversation_key,
    session_key,
    to_message,
    to_messages,
    to_row,
)
from library.infrastructure.interfaces.database.sqlite.search import search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from library.infrastructure.data.conversation_message import SearchResult
    from library.infrastructure.data.conversation_query import ConversationQuery
    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.interfaces.database.sqlite.adapter import SQLiteAdapter
    from library.infrastructure.interfaces.database.sqlite.rows import Row

logger = logging.getLogger(__name__)

KIND: Final = "conversations"
_INLINE_MESSAGES: Final = 100
"""Up to so many exchanges are prepared on the event loop: that takes less than handing them to a thread."""
_BACKLOG_ROWS: Final = 500
"""A search looks at up to so many exchanges that are not indexed yet, at some 10 us each."""
_CATCH_UP_PATIENCE_S: Final = 0.05
_FEW_CONVERSATIONS: Final = 500
_PAGE_ROWS: Final = 250
"""So few that a page is made before the interpreter lets another thread run: nobody waits for its lock."""
_DAY_US: Final = 86_400_000_000
_FIRST_MOMENT: Final = -(1 << 62)
_BEHIND_ALL: Final = (1 << 62, 0)


class SQLiteConversationStore(ConversationStore):
    """Exchanges in one table; see `ConversationStore` for what it promises."""

    def __init__(self, adapter: SQLiteAdapter, table: str) -> None:
        """Prepare; `table` was checked."""
        super().__init__()
        self._adapter = adapter
        self._table = table
        self._sql = statements(table)
        self._opened: object = None
        self._index = SearchIndex(table)
        counters = Counters(table, self._index)
        self._changes = Changes(table, self._index, counters)
        self._erasing = Erasing(table, self._index, counters, adapter.busy_timeout_s)
        self._loader = Loader(ExchangeLoading(table, self._index, counters, self._erasing), table)

    async def open(self) -> None:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        if self._opened is engine:
            return
        if not await engine.read(is_current, KIND, self._table):
            await engine.write(self._migrate, None, f"make the table {self._table} in")
        if engine.writer is not None:
            engine.writer.add_upkeep(self._index)
            engine.writer.add_upkeep(self._erasing)
            if not await engine.read(self._index.is_current):
                await engine.write(self._open_index, None, "open")
            if engine.has_found_log or await engine.read(self._index.must_merge):
                self._erasing.want()
            await self._loader.recover_if_possible(engine)
            await engine.write(_wake, None, "open", in_transaction=False)
        self._opened = engine

    def _migrate(self, connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
        migrate(connection, self._adapter.path, KIND, self._table)
        return payloads

    def _open_index(self, connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
        self._index.open(connection)
        return payloads

    # -- writing ---------------------------------------------------------------------------------------------

    async def save(self, messages: Sequence[ConversationMessage], if_version: int | None = None) -> Saved:
        """See `ConversationStore`."""
        if len(messages) <= _INLINE_MESSAGES:
            rows = [to_row(message) for message in messages]
        else:
            rows = await run_in_worker(_to_rows, messages)
        saved: Saved = await self._write(self._changes.save, SaveOrder(rows, if_version), "save exchanges in")
        return saved

    async def update(self, message_id: int, changes: Mapping[str, Any]) -> ConversationMessage:
        """See `ConversationStore`."""
        updated: ConversationMessage = await self._write(
            self._update, (message_id, changes), "update an exchange in"
        )
        return updated

    def _update(self, connection: apsw.Connection, orders: Sequence[Any]) -> Sequence[ConversationMessage]:
        """Change exchanges, and have the former texts removed from the log once this is committed."""
        self._erasing.want()
        return self._changes.update(connection, orders)

    async def delete(self, message_id: int) -> bool:
        """See `ConversationStore`."""
        return bool(await self._erase(self._erasing.delete, message_id))

    async def delete_conversation(self, conversation_id: str) -> int:
        """See `ConversationStore`."""
        return await self._erase(self._erasing.delete_conversation, conversation_id)

    async def purge(self, older_than: datetime) -> int:
        """See `ConversationStore`."""
        order = (to_microseconds(older_than), await self._last_id())
        return await self._erase(self._erasing.delete_before, order, repeatedly=True)

    async def clear(self) -> int:
        """See `ConversationStore`."""
        last_id = await self._write(self._erasing.count_change, None, "clear")
        return await self._erase(self._erasing.delete_up_to, last_id, repeatedly=True)

    async def _last_id(self) -> int:
        last_id, _, _ = (await self._select("counters", self._table))[0]
        return int(last_id)

    async def _erase(self, run: Any, payload: Any, *, repeatedly: bool = False) -> int:
        """Erase in one job, or in as many as it takes, and then what is left in the index and the log."""
        erased = part = int(await self._write(run, payload, "erase exchanges in"))
        while repeatedly and part:
            part = int(await self._write(run, payload, "erase exchanges in"))
            erased += part
        if erased:
            await self._finish_erasing()
        return erased

    async def _finish_erasing(self) -> None:
        while await self._write(self._erasing.finish, None, "erase exchanges in", in_transaction=False):
            pass

    async def fork(self, conversation_id: str, at: int, new_id: str) -> int:
        """See `ConversationStore`."""
        order = (conversation_id, at, new_id)
        copied: int = await self._write(self._changes.fork, order, "fork a conversation in")
        return copied

    async def _write(self, run: Any, payload: Any, attempted: str, *, in_transaction: bool = True) -> Any:
        return await self._adapter.engine.write(run, payload, attempted, in_transaction=in_transaction)

    # -- reading ---------------------------------------------------------------------------------------------

    async def get(self, message_id: int) -> ConversationMessage:
        """See `ConversationStore`."""
        return (await self._adapter.engine.read(self._read_known, "get", message_id))[0]

    def _read_known(
        self, connection: apsw.Connection, name: str, message_id: int
    ) -> list[ConversationMessage]:
        """Read what a statement finds of an exchange that has to be there."""
        found = fetch_rows(connection, self._sql[name], message_id)
        if not found:
            raise self._changes.not_found(message_id)
        return to_messages(found)

    async def latest(self) -> tuple[ConversationMessage | None, int, int]:
        """See `ConversationStore`."""
        return await self._adapter.engine.read(self._read_latest)

    def _read_latest(self, connection: apsw.Connection) -> tuple[ConversationMessage | None, int, int]:
        connection.execute("BEGIN")
        found = fetch_row(connection, self._sql["latest"])
        changes, changed_at = fetch_known_row(connection, self._sql["state"], self._table)
        connection.execute("COMMIT")
        return None if found is None else to_message(found), changes, changed_at

    async def state(self) -> tuple[int, int]:
        """See `ConversationStore`."""
        changes, changed_at = (await self._select("state", self._table))[0]
        return changes, changed_at

    async def history(
        self, conversation_id: str, limit: int | None, before: int | None
    ) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        return await self._adapter.engine.read(self._read_history, conversation_id, limit, before)

    def _read_history(
        self, connection: apsw.Connection, conversation_id: str, limit: int | None, before: int | None
    ) -> list[ConversationMessage]:
        rows = -1 if limit is None else limit
        conversation = (conversation_key(conversation_id), conversation_id)
        if before is None:
            found = fetch_rows(connection, self._sql["history"], *conversation, rows)
        else:
            place = fetch_row(connection, self._sql["place"], before, conversation_id)
            if place is None:
                raise self._changes.not_found(before, f" in the conversation {conversation_id!r}")
            found = fetch_rows(connection, self._sql["history_before"], *conversation, *place, rows)
        return to_messages(reversed(found))

    async def thread(self, message_id: int) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        return await self._adapter.engine.read(self._read_known, "thread", message_id)

    async def query(self, query: ConversationQuery) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        found: list[ConversationMessage] = []
        pages = await self._pages(query)
        while not pages.ended:
            found += await self._read_page(pages)
        return found

    async def stream(self, query: ConversationQuery) -> AsyncIterator[ConversationMessage]:
        """See `ConversationStore`."""
        pages = await self._pages(query)
        ahead: asyncio.Task[list[ConversationMessage]] | None = None
        try:
            while ahead is not None or not pages.ended:
                page = await (ahead or self._read_page(pages))
                ahead = None if pages.ended else asyncio.create_task(self._read_page(pages))
                for message in page:
                    yield message
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait((ahead,))

    async def _read_page(self, pages: Pages) -> list[ConversationMessage]:
        return await self._adapter.engine.read(pages.read, _PAGE_ROWS)

    async def _pages(self, query: ConversationQuery) -> Pages:
        if query.filters.texts:
            await self._shorten_backlog()
        return Pages(self._table, query.filters)

    async def summaries(
        self, limit: int | None, after: tuple[int, int] | None, session_id: str | None = None
    ) -> list[ConversationSummary]:
        """See `ConversationStore`."""
        rows = await self._adapter.engine.read(
            self._read_summaries, after or _BEHIND_ALL, -1 if limit is None else limit, session_id
        )
        return [
            ConversationSummary(
                conversation_id=row[0],
                message_count=row[3],
                started_at=from_microseconds(row[4]),
                last_message_at=from_microseconds(row[1]),
                first_user_input=row[5],
                last_message_id=row[2],
            )
            for row in rows
        ]

    def _read_summaries(
        self, connection: apsw.Connection, after: tuple[int, int], limit: int, session_id: str | None
    ) -> list[tuple[Any, ...]]:
        """List conversations in the way that suits their number."""
        if session_id is not None:
            wanted = encode([[["session_id"], canonical(session_id)]], "session_id").decode()
            session = (session_key(session_id), wanted)
            return fetch_rows(connection, self._sql["summaries_of_session"], *session, *after, limit)
        (count,) = fetch_known_row(connection, self._sql["count_conversations"], _FEW_CONVERSATIONS + 1)
        name = "summaries_of_few" if count <= _FEW_CONVERSATIONS else "summaries"
        return fetch_rows(connection, self._sql[name], *after, limit)

    async def search(
        self,
        query: str,
        limit: int,
        conversation_id: str | None,
        highlight: tuple[str, str],
        snippet_characters: int,
    ) -> list[SearchResult]:
        """See `ConversationStore`."""
        await self._shorten_backlog()
        return await self._adapter.engine.read(
            search, self._table, query, limit, conversation_id, highlight, snippet_characters
        )

    async def metrics(self, conversation_id: str | None, since: datetime | None) -> PerformanceMetrics:
        """See `ConversationStore`."""
        first = _FIRST_MOMENT if since is None else to_microseconds(since)
        return await self._adapter.engine.read(self._measure, conversation_id, first)

    def _measure(
        self, connection: apsw.Connection, conversation_id: str | None, since: int
    ) -> PerformanceMetrics:
        """Ask for all and for each day, at one moment."""
        which = "metrics" if conversation_id is None else "metrics_of_conversation"
        bindings: dict[str, Any] = {"since": since, "day_us": _DAY_US}
        if conversation_id is not None:
            bindings["conversation_id"] = conversation_id
            bindings["conversation_key"] = conversation_key(conversation_id)
        connection.execute("BEGIN")
        total: Any = connection.execute(self._sql[which], bindings).fetchone()
        days: list[Any] = connection.execute(self._sql[f"{which}_per_day"], bindings).fetchall()
        connection.execute("COMMIT")
        epoch = date(1970, 1, 1)
        per_day = tuple(
            DailyResponseTimes(day=epoch + timedelta(days=day), **_distribution(*rest)) for day, *rest in days
        )
        return PerformanceMetrics(**_distribution(*total), per_day=per_day)

    async def _select(self, name: str, *bindings: Any) -> list[tuple[Any, ...]]:
        return await self._adapter.engine.read(fetch_rows, self._sql[name], *bindings)

    # -- many at once ----------------------------------------------------------------------------------------

    async def export(
        self, query: ConversationQuery, target: RowTarget, *, whole_conversations: bool = False
    ) -> None:
        """See `ConversationStore`."""
        if query.filters.texts:
            await self._shorten_backlog()
        read = partial(
            read_exchanges,
            table=self._table,
            filters=query.filters,
            target=target,
            together=whole_conversations,
        )
        await export(self._adapter.engine, read)

    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """See `ConversationStore`."""
        loaded = await self._loader.load(self._adapter.engine, source, merge)
        if loaded.replaced:
            await self._finish_erasing()
        return loaded

    # -- the full-text index ---------------------------------------------------------------------------------

    async def _shorten_backlog(self) -> None:
        """Index what was saved since, of whatever process, if it is too much to be looked at one by one."""
        engine = self._adapter.engine
        if engine.writer is not None and await engine.read(self._has_long_backlog):
            await engine.write(self._catch_up, None, "index exchanges in", in_transaction=False)

    def _has_long_backlog(self, connection: apsw.Connection) -> bool:
        return bool(connection.execute(self._sql["has_backlog"], (self._table, _BACKLOG_ROWS)).get)

    def _catch_up(self, connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
        writer = self._adapter.engine.writer
        if writer is None:
            raise ReadOnlyStorageError
        set_patience(connection, _CATCH_UP_PATIENCE_S)
        try:
            self._index.look(connection)
            while self._index.is_pending():
                writer.run_upkeep(connection, self._index)
        except (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError) as error:
            logger.info("cannot index now what was saved, and so look at it as it is: %s", error)
        finally:
            set_patience(connection, self._adapter.busy_timeout_s)
        return payloads

    async def check_index(self) -> list[str]:
        """Look for damage in the full-text index; returns a sentence for each."""
        engine = self._adapter.engine
        await self.open()
        problems = await engine.read(self._index.compare)
        if engine.writer is not None:
            problems += await engine.write(self._index.verify, None, "check", in_transaction=False)
        return [f"table {self._table}: {problem}" for problem in problems]


def _wake(_connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
    """Do nothing but have the writer look at its upkeep."""
    return payloads


def _to_rows(messages: Sequence[ConversationMessage]) -> list[Row]:
    return [to_row(message) for message in messages]


def _distribution(
    count: int, mean: float, least: float, most: float, p50: float, p95: float, p99: float
) -> dict[str, Any]:
    values = {"mean": mean, "min": least, "max": most, "p50": p50, "p95": p95, "p99": p99}
    return {"count": count, **{f"{name}_ms": value for name, value in values.items()}}
