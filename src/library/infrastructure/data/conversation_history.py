"""`ConversationHistoryUnit`: the conversations of an application, durable and searchable."""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, overload

from library.infrastructure.data.chat_context import ContextBudget
from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.conversation_message import (
    ConversationMessage,
    ConversationSummary,
    check_conversation_id,
    check_message_id,
    check_text,
)
from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.data_unit_base import DataUnitBase, State
from library.infrastructure.data.entry import EMPTY, UnitStats
from library.infrastructure.data.errors import (
    InvalidOptionError,
    InvalidValueError,
    MessageNotFoundError,
    VersionConflictError,
)
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.data.storage import DatabaseAdapter, Saved, StaleVersion, default_adapter
from library.infrastructure.data.utc_time import to_utc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from library.infrastructure.data.conversation_message import SearchResult
    from library.infrastructure.data.performance_metrics import PerformanceMetrics
    from library.infrastructure.data.storage import ConversationStore

WATCH_INTERVAL_S = 0.1
"""How often watchers look for what others saved."""
_FIELDS = (
    "conversation_id",
    "user_input",
    "agent_response",
    "timestamp",
    "response_time_ms",
    "metadata",
    "parent_id",
)
_CONTEXT_PAGE = 50
_SUMMARY_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,16})", re.ASCII)


class ConversationHistoryUnit(DataUnitBase):
    """Keeps conversations in a database: saved for good when the call returns, and searchable.

    As a data unit, its value is the newest exchange, the one with the greatest `message_id`:
    `set` saves one more, or a list of them, `get` gives the newest, `watch` waits for the next, `clear`
    erases all.

    `update(fn)` takes turns with the updates of all units on the table in this process. When anything is
    saved between the reading and the writing, by whomever, it raises `VersionConflictError`, and nothing is
    saved: call it again.

    Any number of units, tasks, threads and processes may use one table. Saves that are asked for at the same
    time share one transaction. What a call returned for is on the disk, and survives power loss.

    """

    data_type: ClassVar[DataUnitType] = DataUnitType.CONVERSATIONS

    def __init__(
        self, database_adapter: DatabaseAdapter | None = None, table_name: str = "conversations"
    ) -> None:
        """Prepare the unit; nothing is opened yet.

        Args:
            database_adapter: the database; default: the one that the environment variable
                `NANOBRAIN_DATABASE_URL` names, else `conversations.db` in the working directory. It is opened
                with the unit, and closed with its last unit, unless it was opened by hand.
            table_name: where in the database: a letter, then letters, digits and underscores, at most 48.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        super().__init__(DataUnitConfig(data_type=self.data_type, name=f"conversation history {table_name}"))
        if database_adapter is not None and not isinstance(database_adapter, DatabaseAdapter):
            message = (
                f"database_adapter must be a DatabaseAdapter, such as SQLiteAdapter, not "
                f"{type(database_adapter).__name__}"
            )
            raise InvalidOptionError(message, option="database_adapter")
        self._adapter = default_adapter() if database_adapter is None else database_adapter
        self._store: ConversationStore = self._adapter.conversations(table_name)
        self._state = (0, 0)
        self._writes = 0
        self._poll_interval_s = WATCH_INTERVAL_S
        self._mutex = self._store.mutex

    @property
    def database_adapter(self) -> DatabaseAdapter:
        """The database in which the conversations are kept."""
        return self._adapter

    # -- saving ----------------------------------------------------------------------------------------------

    async def save_message(self, message: ConversationMessage) -> int:
        """Save an exchange.

        Args:
            message: one without a `message_id` is given the next. A `parent_id` names an exchange of the same
                conversation that is saved already.

        Returns:
            Its `message_id`.

        Raises:
            InvalidValueError: it cannot be held.
            DuplicateMessageError: its `message_id` is stored already; `update_message` changes exchanges.
            StorageError: the database failed; the exchange was not saved.

        """
        self._check_usable()
        return (await self._save([_checked(message)])).ids[0]

    async def save_messages_batch(self, messages: Iterable[ConversationMessage]) -> list[int]:
        """Save exchanges in one transaction: all of them, or none.

        Returns:
            Their `message_id`s, in order.

        Raises:
            InvalidValueError, DuplicateMessageError, StorageError: as `save_message`.

        """
        self._check_usable()
        if isinstance(messages, ConversationMessage) or not hasattr(messages, "__iter__"):
            kind = type(messages).__name__
            raise InvalidValueError(
                f"messages must be several ConversationMessages, such as a list, not {kind}"
            )
        return (await self._save([_checked(message) for message in messages])).ids

    async def _save(self, messages: list[ConversationMessage], if_version: int | None = None) -> Saved:
        self._check_open()
        if not messages:
            return Saved([], self._state[0])
        saved = await self._store.save(messages, if_version)
        self._writes += len(saved.ids)
        self._learn(saved.version)
        return saved

    @overload
    async def update_message(self, message: ConversationMessage) -> ConversationMessage: ...
    @overload
    async def update_message(self, message: int, **changes: Any) -> ConversationMessage: ...
    async def update_message(self, message: ConversationMessage | int, **changes: Any) -> ConversationMessage:
        """Change a saved exchange; the former texts leave the database's files soon after.

        Args:
            message: the exchange as it shall be, with its `message_id`; or the `message_id` alone.
            changes: with a `message_id` alone, the fields to change: `agent_response="..."`.

        Returns:
            The exchange as it is now.

        Raises:
            MessageNotFoundError: there is none with this id.
            InvalidOptionError: no `message_id` is given, or a field that an exchange does not have.
            InvalidValueError: a value cannot be held.

        """
        self._check_usable()
        if isinstance(message, ConversationMessage):
            if message.message_id is None or changes:
                text = "give update_message an exchange with its message_id, or a message_id and fields"
                raise InvalidOptionError(text, option="message")
            message.check()
            changes = {field: getattr(message, field) for field in _FIELDS}
            message = message.message_id
        unknown = sorted(set(changes) - set(_FIELDS))
        if unknown:
            text = f"{unknown[0]} cannot be changed: an exchange has {', '.join(_FIELDS)}"
            raise InvalidOptionError(text, option=unknown[0])
        updated = await self._store.update(check_message_id("message_id", message), changes)
        await self._note_change()
        return updated

    async def fork_conversation(self, conversation_id: str, *, at: int, new_id: str | None = None) -> str:
        """Copy what leads to an exchange, it included, into a new conversation, to go on from there.

        Args:
            conversation_id: the conversation to copy from, which stays as it is.
            at: the `message_id` of the last exchange to copy. Where the conversation has threads, its thread
                is copied, and else all that comes before it.
            new_id: the new conversation; default: one made up.

        Returns:
            The id of the new conversation.

        Raises:
            MessageNotFoundError: `at` is not in this conversation.
            InvalidOptionError: there is a conversation `new_id` already.

        """
        self._check_usable()
        conversation_id = check_conversation_id("conversation_id", conversation_id)
        new_id = (
            f"fork-{secrets.token_hex(16)}" if new_id is None else check_conversation_id("new_id", new_id)
        )
        await self._store.fork(conversation_id, check_message_id("at", at), new_id)
        await self._note_change()
        return new_id

    # -- erasing ---------------------------------------------------------------------------------------------

    async def delete_message(self, message_id: int) -> bool:
        """Erase an exchange; those that name it as their parent are given its parent.

        Returns:
            Whether there was one.

        """
        self._check_usable()
        was_there = await self._store.delete(check_message_id("message_id", message_id))
        await self._note_change()
        return was_there

    async def delete_conversation(self, conversation_id: str) -> int:
        """Erase a conversation: its texts are nowhere in the database's files afterwards.

        Returns:
            How many exchanges it had.

        """
        self._check_usable()
        erased = await self._store.delete_conversation(
            check_conversation_id("conversation_id", conversation_id)
        )
        await self._note_change()
        return erased

    async def purge(self, older_than: datetime | timedelta) -> int:
        """Erase all exchanges that are older, as `delete_conversation` does.

        Args:
            older_than: a moment, or how long ago that was.

        Returns:
            How many exchanges were erased.

        """
        self._check_usable()
        if isinstance(older_than, timedelta) and older_than < timedelta(0):
            message = f"older_than must not be negative, since that would erase everything: {older_than}"
            raise InvalidValueError(message)
        try:
            moment = datetime.now(UTC) - older_than if isinstance(older_than, timedelta) else older_than
        except OverflowError as error:
            message = f"older_than lies outside the years 1 to 9999: {older_than}"
            raise InvalidValueError(message) from error
        erased = await self._store.purge(to_utc(moment, "older_than"))
        await self._note_change()
        return erased

    # -- reading ---------------------------------------------------------------------------------------------

    async def get_message(self, message_id: int) -> ConversationMessage:
        """Return one exchange.

        Raises:
            MessageNotFoundError: there is none with this id.

        """
        self._check_usable()
        self._reads += 1
        return await self._store.get(check_message_id("message_id", message_id))

    async def get_conversation_history(
        self, conversation_id: str, limit: int | None = 100, *, before: int | None = None
    ) -> list[ConversationMessage]:
        """Return the latest exchanges of a conversation, oldest first.

        Args:
            conversation_id: one that does not exist has no exchanges.
            limit: at most so many, the latest; `None`: all.
            before: only those that come before the exchange with this `message_id`: the page before the one
                that begins with it.

        Raises:
            MessageNotFoundError: `before` is not in this conversation.

        """
        self._check_usable()
        conversation_id = check_conversation_id("conversation_id", conversation_id)
        if limit is not None:
            check_whole_number("limit", limit, 1, 1 << 62)
        if before is not None:
            check_message_id("before", before)
        self._reads += 1
        return await self._store.history(conversation_id, limit, before)

    async def search_conversations(
        self,
        query: str,
        limit: int = 10,
        conversation_id: str | None = None,
        *,
        highlight: tuple[str, str] = ("[", "]"),
        snippet_characters: int = 160,
    ) -> list[SearchResult]:
        """Find exchanges by their words, best first.

        Results that hold all words come first; when these are fewer than `limit`, those follow that hold the
        most telling of them, so that a whole question finds its answer. An exchange whose neighbours in the
        conversation match is lifted.

        Args:
            query: words; `"a phrase"`; `-word` excludes; `word*` is a prefix; `OR` in capitals. Any text is a
                query: what is not syntax is text. Case and accents do not matter.
            limit: at most so many results, 1 to 1,000.
            conversation_id: search this conversation only.
            highlight: what stands before and behind each match in a `snippet`.
            snippet_characters: how long a `snippet` is at most, without the marks: 20 to 10,000.

        Returns:
            Exchanges with `score` and `snippet`; none if `query` holds nothing to be searched for.

        """
        self._check_usable()
        if not isinstance(query, str):
            message = f"query must be text, not {type(query).__name__}"
            raise InvalidOptionError(message, option="query")
        check_whole_number("limit", limit, 1, 1000)
        check_whole_number("snippet_characters", snippet_characters, 20, 10_000)
        if conversation_id is not None:
            check_conversation_id("conversation_id", conversation_id)
        if not (isinstance(highlight, tuple | list) and [type(mark) for mark in highlight] == [str, str]):
            message = f"highlight must be two texts, such as ('<b>', '</b>'), not {highlight!r}"
            raise InvalidOptionError(message, option="highlight")
        self._reads += 1
        marks = (highlight[0], highlight[1])
        return await self._store.search(query, limit, conversation_id, marks, snippet_characters)

    async def query_conversations(self, query: ConversationQuery) -> list[ConversationMessage]:
        """Return the exchanges that a query asks for, in its order; all of them, if it has no limit."""
        self._check_usable()
        self._reads += 1
        return await self._store.query(_checked_query(query))

    def stream_conversations(
        self, query: ConversationQuery | None = None
    ) -> AsyncIterator[ConversationMessage]:
        """Iterate over the exchanges that a query asks for, in bounded memory, however many there are.

        Args:
            query: which ones, and in which order; default: all, oldest first.

        """
        self._check_usable()
        self._reads += 1
        return self._store.stream(ConversationQuery() if query is None else _checked_query(query))

    async def list_conversations(
        self,
        limit: int | None = 50,
        *,
        after: ConversationSummary | str | None = None,
        session_id: str | None = None,
    ) -> list[ConversationSummary]:
        """List conversations, those with the newest exchange first.

        Args:
            limit: at most so many; `None`: all.
            after: a summary, or its `cursor`: only those that come behind it.
            session_id: only conversations of which at least one exchange was saved with this text as
                `metadata["session_id"]`; the summaries describe all of their exchanges. `None`: all.

        Raises:
            InvalidOptionError: `after` is neither.
            InvalidValueError: `session_id` is no text.

        """
        self._check_usable()
        if limit is not None:
            check_whole_number("limit", limit, 1, 1 << 62)
        if session_id is not None:
            session_id = check_text("session_id", session_id)
        self._reads += 1
        return await self._store.summaries(limit, None if after is None else _position(after), session_id)

    async def get_thread(self, message_id: int) -> list[ConversationMessage]:
        """Return the path that leads to an exchange along `parent_id`, from its root on.

        Raises:
            MessageNotFoundError: there is no exchange with this id.

        """
        self._check_usable()
        self._reads += 1
        return await self._store.thread(check_message_id("message_id", message_id))

    async def get_context(
        self,
        conversation_id: str,
        *,
        max_messages: int | None = None,
        max_characters: int | None = None,
        at: int | None = None,
    ) -> list[dict[str, str]]:
        """Return the end of a conversation as chat messages for a prompt, oldest first.

        Exchanges are taken whole, newest first, as long as they fit. An empty text gives no message.

        Args:
            conversation_id: one that does not exist has no messages.
            max_messages: at most so many messages, of which an exchange has two; default: no limit but the
                next.
            max_characters: at most so many characters in all; default: no limit.
            at: take the thread that leads to this exchange, instead of all exchanges in their order.

        Returns:
            `{"role": "user" | "assistant", "content": ...}` each.

        Raises:
            MessageNotFoundError: `at` is not in this conversation.

        """
        self._check_usable()
        budget = ContextBudget(max_messages, max_characters)
        conversation_id = check_conversation_id("conversation_id", conversation_id)
        self._reads += 1
        if at is not None:
            thread = await self._store.thread(check_message_id("at", at))
            if thread[-1].conversation_id != conversation_id:
                message = f"no exchange has the message_id {at} in the conversation {conversation_id!r}"
                raise MessageNotFoundError(message, message_id=at)
            for exchange in reversed(thread):
                if not budget.take(exchange):
                    break
            return budget.messages()
        newest_first = ConversationQuery().conversation_id(conversation_id).order_by(descending=True)
        query = newest_first.limit(_CONTEXT_PAGE)
        while page := await self._store.query(query):
            if not all(map(budget.take, page)):
                break
            query = query.after(page[-1])
        return budget.messages()

    async def get_performance_metrics(
        self, conversation_id: str | None = None, since: datetime | None = None
    ) -> PerformanceMetrics:
        """Return how long the responses took: exact, computed in the database.

        Args:
            conversation_id: of this conversation only.
            since: of exchanges from then on only.

        """
        self._check_usable()
        if conversation_id is not None:
            check_conversation_id("conversation_id", conversation_id)
        self._reads += 1
        return await self._store.metrics(conversation_id, None if since is None else to_utc(since, "since"))

    # -- as a data unit --------------------------------------------------------------------------------------

    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened; `database_adapter.stats()` has the database's."""
        self._check_open()
        return UnitStats(reads=self._reads, writes=self._writes, watchers=self._watchers, bytes=None)

    async def _open(self) -> None:
        await self._adapter.acquire()
        try:
            await self._store.open()
            self._state = await self._store.state()
        except BaseException:
            await self._adapter.release()
            raise
        self._writes = 0

    async def _close(self) -> None:
        await self._adapter.release()

    async def _read(self) -> State:
        latest, changes, changed_at = await self._store.latest()
        self._state = (changes, changed_at)
        return State(EMPTY if latest is None else latest, changes, changed_at / 1e6)

    async def _write(self, kept: Any, if_version: int | None) -> int:
        if kept is EMPTY:
            await self._store.clear()
            await self._note_change()
        else:
            try:
                return (await self._save(kept if isinstance(kept, list) else [kept], if_version)).version
            except StaleVersion:
                current = self._entry_of(await self._read())
                raise VersionConflictError.between(self.name, if_version or 0, current) from None
        return self._state[0]

    async def _write_held(self, kept: Any) -> None:
        await self._write(kept, None)

    async def _update_held(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        """Save what `fn` makes of the newest exchange; it is not run again when a save comes between."""
        state = await self._read()
        result = fn(None if state.kept is EMPTY else state.kept)
        if hasattr(result, "__await__"):
            result = await result
        admitted = self._admit(result)
        await self._write(admitted, state.version)
        return admitted

    def _admit(self, value: Any) -> Any:
        if isinstance(value, list | tuple) and value:
            return [_checked(message) for message in value]
        return _checked(value)

    def _hand_out(self, kept: Any) -> Any:
        return kept

    def _version(self) -> int:
        return self._state[0]

    def _updated_at(self) -> float:
        return self._state[1] / 1e6

    async def _refresh(self) -> None:
        self._state = await self._store.state()

    async def _note_change(self) -> None:
        self._writes += 1
        await self._refresh()
        self._on_change()

    def _learn(self, version: int) -> None:
        """Take note of a version of this unit's own, and wake its watchers."""
        if version > self._state[0]:
            self._state = (version, time.time_ns() // 1000)
        if self._watchers:
            self._on_change()


def _checked(message: Any) -> ConversationMessage:
    if not isinstance(message, ConversationMessage):
        kind = type(message).__name__
        raise InvalidValueError(f"a conversation history holds ConversationMessages, not {kind} objects")
    return message


def _checked_query(query: Any) -> ConversationQuery:
    if not isinstance(query, ConversationQuery):
        message = f"query must be a ConversationQuery, not {type(query).__name__}"
        raise InvalidOptionError(message, option="query")
    return query


def _position(after: Any) -> tuple[int, int]:
    """Read the place of a conversation in the list."""
    cursor = after.cursor if isinstance(after, ConversationSummary) else after
    parts = _SUMMARY_CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if parts is None:
        message = f"after must be a ConversationSummary, or the cursor of one, not {after!r:.100}"
        raise InvalidOptionError(message, option="after")
    return int(parts[1]), int(parts[2])
