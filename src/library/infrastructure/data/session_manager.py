"""`SessionManager`: sessions that are created, used, and end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from library.infrastructure.data.errors import (
    InvalidOptionError,
    SessionError,
    StorageError,
)
from library.infrastructure.data.lifecycle import Lifecycle
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.data.phase import Phase
from library.infrastructure.data.session_arguments import (
    check_options,
    plain_id,
    read_cursor,
    too_early,
)
from library.infrastructure.data.session_changes import read_changes, read_difference, to_json
from library.infrastructure.data.session_config import SessionConfig
from library.infrastructure.data.session_data import check_user_id
from library.infrastructure.data.session_keeper import SessionKeeper
from library.infrastructure.data.session_record import LONG_AGO, Moment, SessionRecord, refusal
from library.infrastructure.data.session_store import Delay, Limits, Listing, SessionStore
from library.infrastructure.data.storage import DatabaseAdapter, StaleVersion, default_adapter
from library.infrastructure.data.utc_time import to_utc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import timedelta

    from library.infrastructure.data.session_data import SessionData

logger = logging.getLogger(__name__)

Default = TypeVar("Default")

_BATCH: Final = 500
"""Sessions that are cleaned up in one transaction: so few that nobody waits for long meanwhile."""
_ANNOUNCED_BATCH: Final = 20
"""The same where each is announced: in a crash, `on_expired` is not told of what is deleted already."""
_OPEN: Final = Phase.OPEN
_utc_now: Final = partial(datetime.now, UTC)


class _Missing:
    """The type of a `default` that was not given."""


_MISSING: Final = _Missing()


class SessionManager(Lifecycle):
    """Creates sessions, finds them again by their id, and lets them expire.

    A session lives until it was idle for `session_timeout`, and not a moment longer, whether it was cleaned
    up or not. What a call returned for is durable, with the activity that `touch` notes as the one exception.

    Any number of managers, tasks, threads, event loops and processes may use one table. Limits hold across
    them all. Nothing that a caller does to a session that it was given changes what is kept.

    Lifecycle: `async with manager:`, or `initialize()` and `shutdown()`. Expired sessions are cleaned up in
    the background, on the event loop that opened the manager.

    """

    def __init__(
        self,
        config: SessionConfig | None = None,
        database_adapter: DatabaseAdapter | None = None,
        *,
        table_name: str = "sessions",
        store: SessionStore | None = None,
        clock: Callable[[], datetime] = _utc_now,
        on_expired: Callable[[SessionData], Awaitable[None] | None] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            config: how long sessions live, and how many there may be; default: `SessionConfig()`.
            database_adapter: the database; default: the one that the environment variable
                `NANOBRAIN_DATABASE_URL` names, else `conversations.db` in the working directory. It is opened
                with the manager, and closed with its last user, unless it was opened by hand.
            table_name: where in the database: a letter, then letters, digits and underscores, at most 48.
            store: keeps the sessions in place of a database: `MemorySessionStore()`.
            clock: tells the time; a naive `datetime` is taken as local time. For tests.
            on_expired: called with each session that expired, by the one manager that cleans it up; sync or
                async. What it raises is logged, and stops nothing.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        super().__init__()
        self.config = SessionConfig() if config is None else config
        check_options(self.config, database_adapter, store, clock, on_expired)
        self._adapter = None
        if store is None:
            self._adapter = default_adapter() if database_adapter is None else database_adapter
            store = self._adapter.sessions(table_name)
        self._store = store
        self._clock = clock
        self._on_expired = on_expired
        self._timeout = self.config.session_timeout
        self._held_for = self.config.held_for
        self._limits = Limits(
            self.config.max_sessions,
            self.config.max_sessions_per_user,
            evicts=self.config.limit_policy == "evict_oldest",
            keeps=self.config.cleanup_policy == "deactivate",
        )
        self._keeper: SessionKeeper | None = None

    @property
    def database_adapter(self) -> DatabaseAdapter | None:
        """The database in which the sessions are kept; `None` if a store was given."""
        return self._adapter

    # -- creating --------------------------------------------------------------------------------------------

    async def create_session(self, user_id: str, metadata: Mapping[str, Any] | None = None) -> str:
        """Create a session.

        Args:
            user_id: whose it is: 1 to 1,000 characters. Visitors whom you do not know may share one.
            metadata: any JSON object.

        Returns:
            Its id, with 256 random bits in it: letters, digits, `-` and `_`. Whoever knows it has the
            session. In a database, it begins with the time.

        Raises:
            InvalidValueError: one of these cannot be held.
            SessionLimitError: as many sessions as are allowed are active, and the policy is to refuse.

        """
        if self._phase is not _OPEN:
            self.check_open()
        user_id = check_user_id(user_id)
        kept, is_flat = ({}, True) if metadata is None else to_json(metadata)
        while True:
            moment = self._moment()
            now = moment.now
            session_id = self._store.new_id(now)
            record = SessionRecord(session_id, user_id, now, now, now, kept, is_flat)
            created = await self._store.create(record, self._limits, moment)
            if created is not None:
                if created[1]:
                    await self._announce(created[1])
                return session_id

    # -- finding ---------------------------------------------------------------------------------------------

    @overload
    async def get_session(self, session_id: str) -> SessionData: ...
    @overload
    async def get_session(self, session_id: str, default: Default) -> SessionData | Default: ...
    async def get_session(self, session_id: str, default: Any = _MISSING) -> Any:
        """Return a session that can be used; this is no activity.

        Args:
            session_id: any text.
            default: what is returned, if it is given, where there is no session that can be used.

        Returns:
            The session as it is now, whoever changed it last, in whatever process.

        Raises:
            SessionNotFoundError: there is none with this id.
            SessionExpiredError: it has expired.
            SessionEndedError: it was ended.

        """
        if self._phase is not _OPEN:
            self.check_open()
        if type(session_id) is not str:
            session_id = plain_id(session_id)
        record = self._store.look_up(session_id)
        if record is Delay.NOT_NOW:
            record = await self._store.find(session_id)
        now = self._now()
        try:
            if record is not None and record.end is None and record.alive_at > now - self._timeout:
                return record.to_data()
        except OverflowError as error:
            raise too_early(now) from error
        refused = await self._refusal(session_id, record, self._moment())
        if default is _MISSING:
            raise refused
        return default

    async def _refusal(self, session_id: str, record: SessionRecord | None, moment: Moment) -> SessionError:
        """Say why a session cannot be used; see to it that one that has expired stays expired."""
        if record is not None and record.end is None and record.alive_at > LONG_AGO:
            try:
                await self._store.mark_expired(session_id, moment)
            except StorageError as failure:
                logger.warning("cannot note that a session has expired: %s", failure)
        return refusal(session_id, record, moment)

    async def list_sessions(
        self,
        user_id: str | None = None,
        *,
        active: bool | None = None,
        limit: int | None = 100,
        after: str | None = None,
    ) -> list[SessionData]:
        """List sessions, those created last first.

        Args:
            user_id: only those of this user.
            active: `True`: only those that can be used. `False`: only those that were ended, evicted, or made
                inactive. With `cleanup_policy="delete"`, what has expired is in no list.
            limit: at most so many; `None`: all.
            after: only those behind the session with this `cursor`: the next page.

        Raises:
            InvalidOptionError: an option has a value that it cannot take.

        """
        self.check_open()
        if active is not None and not isinstance(active, bool):
            raise InvalidOptionError(f"active must be True, False or None, not {active!r}", option="active")
        if user_id is not None:
            user_id = check_user_id(user_id)
        if limit is not None:
            check_whole_number("limit", limit, 1, 1 << 62)
        cutoff = self._moment().cutoff
        place = None if after is None else read_cursor(after)
        found: list[SessionData] = []
        while limit is None or len(found) < limit:
            wanted = _BATCH if limit is None else min(_BATCH, limit - len(found))
            listing = Listing(user_id, active, cutoff, self._limits.keeps, place)
            page, place = await self._store.page(listing, wanted)
            found += [record.to_data(is_active=record.is_alive(cutoff)) for record in page]
            if place is None:
                break
            await asyncio.sleep(0)  # for a store that never waits would let nobody else run
        return found

    # -- using -----------------------------------------------------------------------------------------------

    async def update_session(
        self,
        session_id: str,
        changes: Mapping[str, Any] | Callable[[SessionData], Mapping[str, Any] | None],
    ) -> SessionData:
        """Change a session; this is activity, unless `last_activity` is among the changes.

        The change is atomic, whoever else changes the session at the same time, in whatever process.

        Args:
            session_id: which one.
            changes: new values by field. `user_id`, `last_activity`, `is_active` and `metadata` are fields of
                the session; everything else is a key of its metadata, and leaves the other keys as they are.
                Or a function that is given the session and returns such a dict, or changes what it was given
                and returns nothing. It is called again if the session was changed meanwhile, and so should do
                nothing else; it cannot be async.

        Returns:
            The session as it is now.

        Raises:
            SessionNotFoundError, SessionExpiredError, SessionEndedError: as `get_session`.
            SessionLimitError: it was to be given to a user who has as many as allowed.
            InvalidOptionError: `session_id` or `created_at` was to be changed.
            InvalidValueError: a value cannot be held.

        """
        if self._phase is not _OPEN:
            self.check_open()
        if type(session_id) is not str:
            session_id = plain_id(session_id)
        if callable(changes):
            return await self._update_by(session_id, changes)
        read = read_changes(changes)
        moment = self._moment()
        record, made_room = await self._store.update(session_id, read, self._limits, moment)
        if made_room:
            await self._announce(made_room)
        return record.to_data(is_active=record.is_alive(moment.cutoff))

    async def _update_by(
        self, session_id: str, fn: Callable[[SessionData], Mapping[str, Any] | None]
    ) -> SessionData:
        """Read, let the function decide, and write if nothing was changed meanwhile; else do it again."""
        while True:
            record = self._store.look_up(session_id)
            if record is Delay.NOT_NOW:
                record = await self._store.find(session_id)
            moment = self._moment()
            if record is None or not record.is_alive(moment.cutoff):
                raise await self._refusal(session_id, record, moment)
            session = record.to_data()
            wanted = fn(session)
            if inspect.isawaitable(wanted):
                getattr(wanted, "close", lambda: None)()
                raise InvalidOptionError("the function given to update_session is async", option="changes")
            read = read_difference(record, session) if wanted is None else read_changes(wanted)
            try:
                record, made_room = await self._store.update(
                    session_id, read, self._limits, moment, record.version
                )
            except StaleVersion:
                continue
            await self._announce(made_room)
            return record.to_data(is_active=record.is_alive(moment.cutoff))

    async def touch(self, session_id: str) -> None:
        """Take note of activity: the session lives for another `session_timeout`.

        However often that is called, it is written once in `touch_interval`, and once after the last. What
        happens in between is known at once to all managers of this process. A crash loses at most so much of
        `last_activity`; the session then lives longer by at most so much, never shorter.

        Raises:
            SessionNotFoundError, SessionExpiredError, SessionEndedError: as `get_session`.

        """
        self.check_open()
        if type(session_id) is not str:
            session_id = plain_id(session_id)
        if await self._store.touch(session_id, self._moment(), self._held_for) and self._keeper:
            self._keeper.wake()

    # -- ending ----------------------------------------------------------------------------------------------

    async def end_session(self, session_id: str) -> bool:
        """End a session, as when a user logs out; it cannot be used any more from now on, in any process.

        It is kept as inactive for some time: see `SessionConfig.retention`.

        Returns:
            Whether it could be used before.

        """
        self.check_open()
        if type(session_id) is not str:
            session_id = plain_id(session_id)
        return await self._store.end(session_id, self._moment())

    async def end_sessions(self, user_id: str) -> int:
        """End all sessions of a user, as `end_session` does: log out everywhere.

        Returns:
            How many could be used before.

        """
        self.check_open()
        ended = 0
        while sessions := await self.list_sessions(user_id, active=True, limit=_BATCH):
            moment = self._moment()
            ends = [self._store.end(session.session_id, moment) for session in sessions]
            ended += sum(await asyncio.gather(*ends))
        return ended

    async def delete_session(self, session_id: str) -> bool:
        """Delete a session with all that was kept of it, whether it can be used or not.

        Returns:
            Whether there was one.

        """
        self.check_open()
        if type(session_id) is not str:
            session_id = plain_id(session_id)
        return await self._store.delete(session_id)

    async def cleanup_expired_sessions(self) -> int:
        """Delete sessions that have expired, or make them inactive; remove those whose `retention` is over.

        It works in steps, so that nobody has to wait, and may be called by any number of managers at once:
        each session is cleaned up by one of them.

        Returns:
            How many expired sessions this call cleaned up.

        """
        self.check_open()
        cleaned = 0
        may_be_more = True
        step = _BATCH if self._on_expired is None else _ANNOUNCED_BATCH
        while may_be_more:
            expired, may_be_more = await self._store.clean_up(self._moment(), step, keeps=self._limits.keeps)
            cleaned += len(expired)
            await self._announce(expired)
            await asyncio.sleep(0)  # as above
        if self.config.kept_for is not None:
            before = _earlier(self._now(), self.config.kept_for)
            removed = _BATCH
            while removed == _BATCH:
                removed = await self._store.remove_ended(before, _BATCH)
                await asyncio.sleep(0)
        return cleaned

    async def _announce(self, records: Iterable[SessionRecord]) -> None:
        """Tell `on_expired` of sessions that have expired."""
        if self._on_expired is None:
            return
        for record in records:
            if record.end is None or record.end.reason != "expired":
                continue
            try:
                result = self._on_expired(record.to_data(is_active=False))
                if inspect.isawaitable(result):
                    await result
            except Exception:
                logger.exception("on_expired failed for a session of %r", record.user_id)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # It was not this task that was cancelled, but something that the callback waited for.
                logger.exception("on_expired was cancelled for a session of %r", record.user_id)

    async def flush(self) -> None:
        """Write the activity that is held in memory; that is done in the background, and by `shutdown`."""
        self.check_open()
        await self._store.flush()

    async def flush_quiet(self) -> bool:
        """Write the activity of sessions that were not touched for a `touch_interval`; for the keeper.

        Returns:
            Whether there are others.

        """
        return await self._store.flush(self._now())

    # -- lifecycle and time ----------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return type(self._store).__name__ if self._adapter is None else self._adapter.url

    @property
    def _title(self) -> str:
        return f"the session manager on {self._place}"

    async def _open(self) -> None:
        if self._adapter is not None:
            await self._adapter.acquire()
        try:
            await self._store.open()
        except BaseException:
            if self._adapter is not None:
                await self._adapter.release()
            raise
        self._keeper = SessionKeeper(self)

    async def _close(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.stop()
        try:
            await self._store.flush()
        finally:
            if self._adapter is not None:
                await self._adapter.release()

    def _abandon(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.abandon()

    def _now(self) -> datetime:
        now = self._clock()
        return now if type(now) is datetime and now.tzinfo is UTC else to_utc(now, "what clock returned")

    def _moment(self) -> Moment:
        now = self._now()
        return Moment(now, _earlier(now, self._timeout))

    def __repr__(self) -> str:
        """Show the type, the place and the phase."""
        return f"<{type(self).__name__} {self._place!r}, {self._phase.value}>"


def _earlier(now: datetime, by: timedelta) -> datetime:
    try:
        return now - by
    except OverflowError as error:
        raise too_early(now) from error
