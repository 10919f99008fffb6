"""`PostgreSQLConversationStore`: exchanges in one table of a PostgreSQL database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.conversation_message import ConversationMessage, ConversationSummary
from library.infrastructure.data.performance_metrics import DailyResponseTimes, PerformanceMetrics
from library.infrastructure.data.storage import ConversationStore, Saved
from library.infrastructure.data.utc_time import from_microseconds
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.keys import conversation_key, session_key
from library.infrastructure.interfaces.database.postgresql.changes import Changes
from library.infrastructure.interfaces.database.postgresql.checking import check_exchanges
from library.infrastructure.interfaces.database.postgresql.erasing import Erasing
from library.infrastructure.interfaces.database.postgresql.exporting import export_exchanges
from library.infrastructure.interfaces.database.postgresql.loading import Loading
from library.infrastructure.interfaces.database.postgresql.moments import as_saved
from library.infrastructure.interfaces.database.postgresql.pages import Pages
from library.infrastructure.interfaces.database.postgresql.rows import (
    statements,
    to_message,
    to_messages,
    to_row,
)
from library.infrastructure.interfaces.database.postgresql.saving import Saving
from library.infrastructure.interfaces.database.postgresql.search import search
from library.infrastructure.interfaces.database.postgresql.text_escape import escape, unescape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from library.infrastructure.data.conversation_message import SearchResult
    from library.infrastructure.data.conversation_query import ConversationQuery
    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter
    from library.infrastructure.interfaces.database.postgresql.engine import Engine
    from library.infrastructure.interfaces.database.postgresql.rows import Row

KIND: Final = "conversations"
_ATTEMPTED: Final = "read from"
_INLINE_MESSAGES: Final = 100
_MANY_ROWS: Final = 5_000
"""After so many were imported, the server counts what is in its table."""
"""Up to so many exchanges are prepared on the event loop: that takes less than handing them to a thread."""
_FEW_CONVERSATIONS: Final = 500
_FIRST_MOMENT: Final = datetime.min.replace(tzinfo=UTC)
_BEHIND_ALL: Final = datetime.max.replace(tzinfo=UTC), 1 << 62


class PostgreSQLConversationStore(ConversationStore):
    """Exchanges in one table; see `ConversationStore` for what it promises."""

    def __init__(self, adapter: PostgreSQLAdapter, table: str) -> None:
        """Prepare; `table` was checked."""
        super().__init__()
        self._adapter = adapter
        self._table = table
        self._opened: Engine | None = None
        self._saving = Saving(table)
        self._changes = Changes(table)
        self._erasing = Erasing(table)
        self._loading = Loading(table)

    async def open(self) -> None:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        if self._opened is not engine:
            await engine.migrate(KIND, self._table)
            self._opened = engine

    # -- writing ---------------------------------------------------------------------------------------------

    async def save(self, messages: Sequence[ConversationMessage], if_version: int | None = None) -> Saved:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        if len(messages) <= _INLINE_MESSAGES:
            rows = [to_row(message) for message in messages]
        else:
            rows = await run_in_worker(_to_rows, messages)
        return await self._saving.save(engine, rows, if_version)

    async def update(self, message_id: int, changes: Mapping[str, Any]) -> ConversationMessage:
        """See `ConversationStore`."""
        return await self._changes.update(self._adapter.engine, message_id, changes)

    async def delete(self, message_id: int) -> bool:
        """See `ConversationStore`."""
        return await self._erasing.delete(self._adapter.engine, message_id)

    async def delete_conversation(self, conversation_id: str) -> int:
        """See `ConversationStore`."""
        return await self._erasing.delete_conversation(self._adapter.engine, conversation_id)

    async def purge(self, older_than: datetime) -> int:
        """See `ConversationStore`."""
        return await self._erasing.purge(self._adapter.engine, older_than)

    async def clear(self) -> int:
        """See `ConversationStore`."""
        return await self._erasing.clear(self._adapter.engine)

    async def fork(self, conversation_id: str, at: int, new_id: str) -> int:
        """See `ConversationStore`."""
        return await self._changes.fork(self._adapter.engine, conversation_id, at, new_id)

    # -- reading ---------------------------------------------------------------------------------------------

    async def get(self, message_id: int) -> ConversationMessage:
        """See `ConversationStore`."""
        return to_message((await self._read_known("get", message_id))[0])

    async def thread(self, message_id: int) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        return to_messages(await self._read_known("thread", message_id))

    async def _read_known(self, name: str, message_id: int) -> list[Any]:
        """Read what a statement finds of an exchange that has to be there."""
        found = await self._fetch(name, message_id)
        if not found:
            raise self._changes.not_found(message_id)
        return found

    async def _fetch(self, name: str, *bindings: Any) -> list[Any]:
        engine = self._adapter.engine
        return await engine.fetch(_ATTEMPTED, statements(engine.schema, self._table)[name], *bindings)

    async def latest(self) -> tuple[ConversationMessage | None, int, int]:
        """See `ConversationStore`."""
        ((changes, changed_at, *row),) = await self._fetch("latest")
        return None if row[0] is None else to_message(row), changes, changed_at

    async def state(self) -> tuple[int, int]:
        """See `ConversationStore`."""
        ((changes, changed_at),) = await self._fetch("state")
        return changes, changed_at

    async def history(
        self, conversation_id: str, limit: int | None, before: int | None
    ) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        conversation = conversation_key(conversation_id), escape(conversation_id)
        if before is None:
            found = await self._fetch("history", *conversation, limit)
        else:
            places = await self._fetch("place", before, conversation[1])
            if not places:
                raise self._changes.not_found(before, f" in the conversation {conversation_id!r}")
            found = await self._fetch("history_before", *conversation, *places[0], limit)
        found.reverse()
        return to_messages(found)

    async def query(self, query: ConversationQuery) -> list[ConversationMessage]:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        pages = Pages(engine.schema, self._table, query.filters)
        found: list[ConversationMessage] = []
        while not pages.ended:
            found += await pages.read(engine)
        return found

    async def stream(self, query: ConversationQuery) -> AsyncIterator[ConversationMessage]:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        pages = Pages(engine.schema, self._table, query.filters)
        ahead: asyncio.Task[list[ConversationMessage]] | None = None
        try:
            while ahead is not None or not pages.ended:
                page = await (ahead or pages.read(engine))
                ahead = None if pages.ended else asyncio.create_task(pages.read(engine))
                for message in page:
                    yield message
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait((ahead,))

    async def summaries(
        self, limit: int | None, after: tuple[int, int] | None, session_id: str | None = None
    ) -> list[ConversationSummary]:
        """See `ConversationStore`."""
        behind = _BEHIND_ALL if after is None else (from_microseconds(after[0]), after[1])
        if session_id is not None:
            rows = await self._fetch("summaries_of_session", *behind, limit, session_key(session_id))
        else:
            ((count,),) = await self._fetch("count_conversations", _FEW_CONVERSATIONS + 1)
            name = "summaries_of_few" if count <= _FEW_CONVERSATIONS else "summaries"
            rows = await self._fetch(name, *behind, limit)
        return [
            ConversationSummary(
                conversation_id=unescape(row[0]),
                message_count=row[3],
                started_at=as_saved(row[4]),
                last_message_at=as_saved(row[1]),
                first_user_input=unescape(row[5]),
                last_message_id=row[2],
            )
            for row in rows
        ]

    async def search(
        self,
        query: str,
        limit: int,
        conversation_id: str | None,
        highlight: tuple[str, str],
        snippet_characters: int,
    ) -> list[SearchResult]:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        return await search(
            engine, engine.schema, self._table, query, limit, conversation_id, highlight, snippet_characters
        )

    async def metrics(self, conversation_id: str | None, since: datetime | None) -> PerformanceMetrics:
        """See `ConversationStore`."""
        first = since or _FIRST_MOMENT
        if conversation_id is None:
            total, *days = await self._fetch("metrics", first)
        else:
            conversation = conversation_key(conversation_id), escape(conversation_id)
            total, *days = await self._fetch("metrics_of_conversation", first, *conversation)
        per_day = tuple(DailyResponseTimes(day=row[0], **_distribution(*row[1:])) for row in days)
        return PerformanceMetrics(**_distribution(*total[1:]), per_day=per_day)

    # -- many at once ----------------------------------------------------------------------------------------

    async def export(
        self, query: ConversationQuery, target: RowTarget, *, whole_conversations: bool = False
    ) -> None:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        await export_exchanges(engine, self._table, query.filters, target, together=whole_conversations)

    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """See `ConversationStore`."""
        engine = self._adapter.engine
        loaded = await self._loading.load(engine, source, merge)
        if loaded.written >= _MANY_ROWS:
            await engine.fetch("analyze", statements(engine.schema, self._table)["analyze"])
        return loaded

    # -- looking for damage ----------------------------------------------------------------------------------

    async def check_index(self) -> list[str]:
        """Look for damage, in the full-text index too; returns a sentence for each kind."""
        await self.open()
        return await check_exchanges(self._adapter.engine, self._table)


def _to_rows(messages: Sequence[ConversationMessage]) -> list[Row]:
    return [to_row(message) for message in messages]


def _distribution(
    count: int, mean: float, least: float, most: float, percentiles: Sequence[float] | None
) -> dict[str, Any]:
    values = {"mean_ms": mean, "min_ms": least, "max_ms": most}
    p50, p95, p99 = percentiles or (None, None, None)
    return {"count": count, **values, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}
