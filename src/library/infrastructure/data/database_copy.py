"""Copying conversations and sessions from one database to another, whatever both are.

Exchanges are copied in the order of their ids, in parts that are stored whole or not at all. Where a copy was
interrupted, the target tells how far it came, and it goes on from there. In the end both are read once more,
side by side, and must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.errors import TransferError
from library.infrastructure.data.page_cursor import write_cursor
from library.infrastructure.data.row_pipe import RowPipe
from library.infrastructure.data.transfer_report import TransferProgress
from library.infrastructure.data.transfer_run import TransferRun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.storage import ConversationStore, DatabaseAdapter

_PART_ROWS: Final = 20_000
_COMPARED_ROWS: Final = 500
_PARENT: Final = 6
"""Where in a row the parent stands."""
_IN_ORDER: Final = ConversationQuery().order_by("message_id")


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy has done."""

    exchanges: int
    """How many exchanges source and target have."""
    copied_exchanges: int
    """How many of them were copied by this call; the others were there already."""
    sessions: int
    """How many sessions the source has."""
    copied_sessions: int
    """How many of them were copied by this call."""
    checksum: str
    """A BLAKE2b digest of all fields of all exchanges, in the order of their ids, the same in both."""
    seconds: float
    """How long it took."""


async def copy_database(
    source: DatabaseAdapter,
    target: DatabaseAdapter,
    *,
    table_name: str = "conversations",
    sessions_table: str = "sessions",
    progress: Callable[[TransferProgress], None] | None = None,
) -> CopyReport:
    """Copy a table of conversations and one of sessions, ids and all, and compare them in the end.

    The target's table of conversations is empty, or holds what an earlier copy had copied before it was
    interrupted; then this one goes on from there. What is saved in the source after this began is copied, or
    not: call it again when nobody saves any more. Sessions that the target has already stay as they are.
    Adapters that are not open are opened for the call.

    Args:
        source: where to copy from; it is only read.
        target: where to copy to.
        table_name: the table of conversations, in both.
        sessions_table: the table of sessions, in both.
        progress: called on the event loop from time to time.

    Raises:
        TransferError: the target holds something else; the error says what.
        StorageError: a database failed; call again to go on.

    """
    run = TransferRun(progress)
    await source.acquire()
    try:
        await target.acquire()
        try:
            return await _copy(run, source, target, table_name, sessions_table)
        finally:
            await target.release()
    finally:
        await source.release()


async def _copy(
    run: TransferRun, source: DatabaseAdapter, target: DatabaseAdapter, table_name: str, sessions_table: str
) -> CopyReport:
    stores = [each.conversations(table_name) for each in (source, target)]
    for store in stores:
        async with store.mutex.hold():
            await store.open()
    exchanges = _Exchanges(run, *stores)
    await exchanges.copy()
    await exchanges.compare()
    from_sessions, to_sessions = source.sessions(sessions_table), target.sessions(sessions_table)
    await from_sessions.open()
    await to_sessions.open()
    pipe = RowPipe(run)
    loading = pipe.run(from_sessions.export(None, pipe), to_sessions.load(pipe, "skip_duplicates"))
    sessions = await run.wait(loading)
    return CopyReport(
        exchanges=exchanges.compared,
        copied_exchanges=exchanges.copied,
        sessions=pipe.count,
        copied_sessions=sessions.written,
        checksum=exchanges.digest.hexdigest(),
        seconds=run.seconds,
    )


class _Exchanges:
    """The exchanges of one table, on their way."""

    def __init__(self, run: TransferRun, source: ConversationStore, target: ConversationStore) -> None:
        self._run = run
        self._source = source
        self._target = target
        self.copied = 0
        self.compared = 0
        self.digest = blake2b(digest_size=16)

    async def copy(self) -> None:
        """Copy what lies behind the last exchange of the target, part by part."""
        latest, _, _ = await self._target.latest()
        query = _IN_ORDER if latest is None else _IN_ORDER.after(latest)
        while True:
            pipe = RowPipe(self._run)
            export = self._source.export(query.limit(_PART_ROWS), pipe)
            loaded = await self._run.wait(pipe.run(export, self._target.load(pipe, "append")))
            if pipe.last is None:
                return
            self.copied += loaded.written
            self._run.tell(lambda: TransferProgress(self.copied, self.copied, None, "saving"))
            query = _behind(pipe.last)

    async def compare(self) -> None:
        """Read both side by side, as far as was copied.

        A parent that comes behind its child could not be copied with it, and is put in its place here.

        Raises:
            TransferError: they differ.

        """
        latest, _, _ = await self._target.latest()
        last_id = 0 if latest is None or latest.message_id is None else latest.message_id
        query = _IN_ORDER
        while True:
            ours, theirs = [
                [row for row in await self._page(store, query) if row[0] <= last_id]
                for store in (self._source, self._target)
            ]
            if not ours and not theirs:
                return
            if [row[0] for row in ours] != [row[0] for row in theirs]:
                raise self._difference(_first_apart(ours, theirs), "in one of them only")
            for expected, found in zip(ours, theirs, strict=True):
                if expected != found:
                    await self._mend(expected, found)
                self.digest.update(repr(expected).encode())
            self.compared += len(ours)
            query = _behind(ours[-1])

    async def _page(self, store: ConversationStore, query: ConversationQuery) -> list[Row]:
        page = _Page(self._run)
        await self._run.wait(store.export(query.limit(_COMPARED_ROWS), page))
        return page.rows

    async def _mend(self, expected: Row, found: Row) -> None:
        """Give an exchange the parent that was copied after it."""
        parent_id = expected[_PARENT]
        if parent_id is None or found[_PARENT] is not None or expected[1:_PARENT] != found[1:_PARENT]:
            raise self._difference(expected[0], "not the same in both")
        source = await self._source.get(expected[0])
        await self._target.update(expected[0], {"parent_id": parent_id, "metadata": source.metadata})
        if await self._source.get(expected[0]) != await self._target.get(expected[0]):
            raise self._difference(expected[0], "not the same in both")

    @staticmethod
    def _difference(message_id: int, what: str) -> TransferError:
        return TransferError(
            f"source and target differ: the exchange {message_id} is {what}; copy into a table that is "
            "empty, or holds the beginning of the same copy, while nobody writes to either"
        )


class _Page:
    """Takes a few rows; see `RowTarget`."""

    def __init__(self, run: TransferRun) -> None:
        self._run = run
        self.rows: list[Row] = []

    def begin(self, total: int | None, missing: Sequence[str]) -> None:
        """See `RowTarget`."""

    def take(self, rows: Sequence[Row]) -> None:
        """See `RowTarget`."""
        self._run.check()
        self.rows += rows


def _behind(row: Row) -> ConversationQuery:
    """Ask for what comes behind an exchange."""
    return _IN_ORDER.after(write_cursor((row[0], row[0]), _IN_ORDER.filters))


def _first_apart(ours: Sequence[Row], theirs: Sequence[Row]) -> int:
    """Return the id of the first exchange that only one side has."""
    apart = {row[0] for row in ours} ^ {row[0] for row in theirs}
    return int(min(apart))
