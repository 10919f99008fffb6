"""The contracts of storage: what a database adapter and its stores promise, whatever database is behind them.

They live here, with the units that need them, so that this room knows no driver and an adapter can be
imported first. The default adapter is found when it is asked for.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.handoff_mutex import HandoffMutex
from library.infrastructure.data.lifecycle import Lifecycle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from library.infrastructure.data.conversation_message import (
        ConversationMessage,
        ConversationSummary,
        SearchResult,
    )
    from library.infrastructure.data.conversation_query import ConversationQuery
    from library.infrastructure.data.performance_metrics import PerformanceMetrics
    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.data.session_store import SessionStore

URL_VARIABLE: Final = "NANOBRAIN_DATABASE_URL"
"""The environment variable that names the default database."""
DEFAULT_URL: Final = "sqlite:///conversations.db"


class TableInfo(NamedTuple):
    """One table that this library made."""

    name: str
    """As it was given as `table_name`."""
    kind: str
    """What it keeps: `"conversations"` or `"sessions"`."""
    schema_version: int
    """How many migrations it has seen."""
    newest_version: int
    """How many this version of the library knows."""

    @property
    def is_current(self) -> bool:
        """Whether nothing is to be migrated."""
        return self.schema_version == self.newest_version


class DatabaseAdapter(Lifecycle):
    """Owns the connections to one database, and gives the stores in it.

    Lifecycle: `async with adapter:`, or `initialize()` and `shutdown()`, both idempotent, from any event
    loop; an adapter can be opened again. Who initialises, shuts down: what is not open yet when a unit needs
    it is opened by that unit, and closes with the last unit that uses it; an adapter that was opened by hand
    stays open. One that is collected while open warns with a `ResourceWarning`, and has lost nothing that was
    acknowledged.

    Concurrency: an adapter and its stores may be used from many tasks, threads and event loops at once. No
    call blocks the event loop.

    Errors: the driver's exceptions never leak; they are the `__cause__` of a `DataUnitError`.

    """

    def __init__(self) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__()
        self._users = 0
        self._opened_by_hand = False

    @property
    def _title(self) -> str:
        return f"the database {self.url}"

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the database is, without passwords, fit for logs."""

    @abstractmethod
    def conversations(self, table_name: str = "conversations") -> ConversationStore:
        """Return the store that keeps conversations in the table `table_name`; nothing is opened by that.

        Args:
            table_name: an identifier: a letter, then letters, digits and underscores, at most 48 in all.

        Raises:
            InvalidOptionError: that is no name for a table.

        """

    @abstractmethod
    def sessions(self, table_name: str = "sessions") -> SessionStore:
        """Return the store that keeps sessions in the table `table_name`; nothing is opened by that.

        Args:
            table_name: as for `conversations`; no table keeps both.

        Raises:
            InvalidOptionError: that is no name for a table.

        """

    @abstractmethod
    async def check(self) -> list[str]:
        """Look for damage, in the full-text index too.

        Returns:
            What is wrong, a sentence each; empty when all is well.

        """

    @abstractmethod
    async def backup(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Copy the database while it is in use: what was acknowledged before the call is in the copy.

        The copy appears under its name when it is whole and on the disk.

        Args:
            path: where the copy goes.
            overwrite: whether a file of that name is replaced.

        Raises:
            InvalidOptionError: there is such a file, or it is the database itself.
            StorageError: the copy cannot be written.

        """

    @abstractmethod
    async def tables(self) -> list[TableInfo]:
        """List the tables that this library made, by name; none is made or changed by that."""

    @abstractmethod
    async def stats(self) -> Mapping[str, Any]:
        """Return what the adapter counted since it was opened."""

    async def initialize(self) -> None:
        """Open the database; does nothing if that was done.

        Raises:
            StorageError: it cannot be opened.
            CorruptDataError: the file is no database.
            NewerSchemaError: a newer version of this library wrote it.

        """
        async with self._mutex.hold():
            await self._open_once()
            self._opened_by_hand = True

    async def acquire(self) -> None:
        """Open the database for one more user, who calls `release` in the end; raises as `initialize`."""
        async with self._mutex.hold():
            await self._open_once()
            self._users += 1

    async def release(self) -> None:
        """Count one user less; close with the last, unless the adapter was opened by hand."""
        async with self._mutex.hold():
            self._users = max(0, self._users - 1)
            if not self._users and not self._opened_by_hand:
                await self._close_once()

    async def _close_once(self) -> None:
        if self.is_open:
            self._opened_by_hand = False
        await super()._close_once()

    def __repr__(self) -> str:
        """Show the type, the place and the phase."""
        return f"<{type(self).__name__} {self.url!r}, {self._phase.value}>"


class Saved(NamedTuple):
    """What became of exchanges that were stored."""

    ids: list[int]
    """Their ids, in order."""
    version: int
    """How many changes the table has seen then."""


class StaleVersion(Exception):  # noqa: N818 - never seen by users, who get a VersionConflictError
    """A conditional write came too late."""


class ConversationStore(ABC):
    """Keeps exchanges in one table of one database.

    Order: exchanges of a conversation are ordered by `(timestamp, message_id)`. Ids are whole numbers that
    grow, and are never given twice, not even after a deletion.

    Durability: what a write returned for is on the disk and survives `kill -9` and power loss, with the
    default settings. A write that raised, or was cancelled before it was taken up, changed nothing; one that
    is cancelled later is completed. A call changes everything that it was asked to change, or nothing.

    Reads see all that was acknowledged before they began, of any process. `search` and `contains_text` too:
    the full-text index is brought up to date before it is asked.

    Texts come back bit for bit; metadata as JSON has it: tuples as lists, integers of any size.

    Raises, besides what each method names: `NotInitializedError` and `UnitClosedError` when the adapter is
    not open; `StorageError` and its kinds when the database fails.

    """

    def __init__(self) -> None:
        """Prepare."""
        self.mutex = HandoffMutex()
        """Held by the units on this table while they open, close and update."""

    @abstractmethod
    async def open(self) -> None:
        """Make the table, or bring it to this version's schema; called once the adapter is open.

        Raises:
            InvalidOptionError: there is a table of this name that this library did not make.
            NewerSchemaError: a newer version of this library wrote it.

        """

    @abstractmethod
    async def save(self, messages: Sequence[ConversationMessage], if_version: int | None = None) -> Saved:
        """Store new exchanges in one transaction.

        Args:
            messages: those without a `message_id` are given the next ones, in order. A `parent_id` names an
                exchange of the same conversation that is stored already, or comes earlier in `messages`.
            if_version: store them only if the table has seen so many changes.

        Returns:
            Their ids, and the number of changes then.

        Raises:
            StaleVersion: the table has seen another number of changes.
            InvalidValueError: one of them cannot be held; nothing was stored.
            DuplicateMessageError: the `message_id` of one is stored already; nothing was stored.

        """

    @abstractmethod
    async def get(self, message_id: int) -> ConversationMessage:
        """Return one exchange.

        Raises:
            MessageNotFoundError: there is none with this id.

        """

    @abstractmethod
    async def update(self, message_id: int, changes: Mapping[str, Any]) -> ConversationMessage:
        """Change fields of one exchange, and return it as it is now.

        Args:
            message_id: which one.
            changes: new values by field; every field of `ConversationMessage` but `message_id`.

        Raises:
            MessageNotFoundError: there is none with this id.
            InvalidValueError: a value cannot be held, or `parent_id` would make a thread that crosses
                conversations or leads back to itself.

        """

    @abstractmethod
    async def delete(self, message_id: int) -> bool:
        """Erase one exchange; those that name it as parent are given its parent.

        Returns:
            Whether there was one.

        """

    @abstractmethod
    async def delete_conversation(self, conversation_id: str) -> int:
        """Erase a conversation, from the index and from the bytes of the database too.

        Returns:
            How many exchanges it had.

        """

    @abstractmethod
    async def purge(self, older_than: datetime) -> int:
        """Erase what is older, as `delete_conversation` does, in several transactions.

        Returns:
            How many exchanges were erased.

        """

    @abstractmethod
    async def clear(self) -> int:
        """Erase everything, as `delete_conversation` does; returns how many exchanges there were."""

    @abstractmethod
    async def history(
        self, conversation_id: str, limit: int | None, before: int | None
    ) -> list[ConversationMessage]:
        """Return the latest exchanges of a conversation, oldest first.

        Args:
            conversation_id: one that does not exist has no exchanges.
            limit: at most so many; `None`: all.
            before: only those that come before this exchange.

        Raises:
            MessageNotFoundError: `before` is not in this conversation.

        """

    @abstractmethod
    async def query(self, query: ConversationQuery) -> list[ConversationMessage]:
        """Return the exchanges that a query asks for, in its order."""

    @abstractmethod
    def stream(self, query: ConversationQuery) -> AsyncIterator[ConversationMessage]:
        """Iterate over the exchanges that a query asks for, in its order, in bounded memory.

        No transaction stays open meanwhile: an exchange that is there all the time comes once, one that is
        stored or deleted meanwhile may come or not, and one that an update moves in the order may come twice.
        """

    @abstractmethod
    async def search(
        self,
        query: str,
        limit: int,
        conversation_id: str | None,
        highlight: tuple[str, str],
        snippet_characters: int,
    ) -> list[SearchResult]:
        """Return the exchanges that answer a search best, best first; see `docs/conversations.md`."""

    @abstractmethod
    async def summaries(
        self, limit: int | None, after: tuple[int, int] | None, session_id: str | None = None
    ) -> list[ConversationSummary]:
        """Return conversations, those with the newest exchange first.

        Args:
            limit: at most so many; `None`: all.
            after: only those whose last exchange comes before this one in time: microseconds since 1970, and
                `message_id`.
            session_id: only those of which at least one exchange has this text, and nothing but text, as
                `metadata["session_id"]`; each is described whole. They are found by an index. `None`: all.

        """

    @abstractmethod
    async def thread(self, message_id: int) -> list[ConversationMessage]:
        """Return the path from a root to this exchange along `parent_id`, the root first.

        Raises:
            MessageNotFoundError: there is none with this id.

        """

    @abstractmethod
    async def fork(self, conversation_id: str, at: int, new_id: str) -> int:
        """Copy what leads to an exchange, it included, into a new conversation.

        That is its thread where the conversation has parents, and else all that comes before it.

        Returns:
            How many exchanges were copied.

        Raises:
            MessageNotFoundError: `at` is not in this conversation.
            InvalidOptionError: there is a conversation `new_id` already.

        """

    @abstractmethod
    async def metrics(self, conversation_id: str | None, since: datetime | None) -> PerformanceMetrics:
        """Return the distribution of response times, computed in the database."""

    @abstractmethod
    async def state(self) -> tuple[int, int]:
        """Return how many changes the table has seen, and when the last was, in microseconds since 1970."""

    @abstractmethod
    async def latest(self) -> tuple[ConversationMessage | None, int, int]:
        """Return the exchange with the greatest id, with the `state` of the same moment."""

    # -- many at once ----------------------------------------------------------------------------------------

    @abstractmethod
    async def export(
        self, query: ConversationQuery, target: RowTarget, *, whole_conversations: bool = False
    ) -> None:
        """Give the exchanges that a query asks for, as rows of `EXCHANGES`, as of one moment, to a target.

        Others save meanwhile; nothing of that is given. In bounded memory.

        Args:
            query: which ones, and in which order; a query that asks for no order but the usual, and no limit,
                gets them in the order of `message_id`.
            target: who takes them. It is told which `conversation_ids` of the query do not exist.
            whole_conversations: give the exchanges of a conversation one after the other, in their order.

        """

    @abstractmethod
    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """Store the rows of `EXCHANGES` that a source gives: all of them, or none.

        Nothing is stored before the source has come to its end, so that what it raises leaves everything as
        it was; so does a crash or a cancellation until then. From then on the import completes, if need be
        when the database is opened again. Others save meanwhile, and wait for less than a second. In bounded
        memory.

        Ids: if the rows bring ids of a store, and none of them is taken, they keep them. Else all are moved
        up by the same number, behind all that were ever given. Rows without get the next ones. A `parent_id`
        follows its exchange. One that is not among the rows is looked for in the conversation; one that is
        not there either, or that would lead in a circle, is left out, and kept as
        `metadata["source"]["parent_id"]`.

        Args:
            source: who gives them.
            merge: `"append"`: store them beside what is there. `"replace"`: erase first what is stored of the
                conversations that occur. `"skip_duplicates"`: leave out what is stored already, or came
                earlier, with the same conversation, time and texts.

        Returns:
            What became of them.

        Raises:
            InvalidValueError: ids would grow beyond what an id can be.

        """


_adapters: weakref.WeakValueDictionary[str, DatabaseAdapter] = weakref.WeakValueDictionary()
_adapters_guard = threading.Lock()


def default_adapter() -> DatabaseAdapter:
    """Return the adapter of the default database, the same for all who ask within a process.

    That is the one that the environment variable `NANOBRAIN_DATABASE_URL` names, else
    `sqlite:///conversations.db` in the working directory of the moment. It is opened by the first unit that
    uses it, and closes with the last.

    Raises:
        InvalidOptionError: the variable holds no URL of a database that is known.

    """
    interfaces = import_module("library.infrastructure.interfaces.database")
    adapter: DatabaseAdapter = interfaces.open_adapter(os.environ.get(URL_VARIABLE) or DEFAULT_URL)
    with _adapters_guard:
        return _adapters.setdefault(adapter.url, adapter)
