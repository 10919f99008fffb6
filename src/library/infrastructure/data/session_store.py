"""`SessionStore`: the contract of what keeps sessions, in a database or in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from library.infrastructure.data.errors import SessionLimitError
from library.infrastructure.data.session_data import new_session_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from library.infrastructure.data.record_transfer import Loaded, MergeStrategy, RowSource, RowTarget
    from library.infrastructure.data.session_changes import SessionChanges
    from library.infrastructure.data.session_record import Moment, SessionRecord

Position = tuple["datetime", int]
"""Where a session stands in the list: `created_at`, and the `session_key` of its id."""


class Delay(Enum):
    """The answer to a question that would have to wait."""

    NOT_NOW = "not now"


class Limits(NamedTuple):
    """How many sessions may be active, and what happens beyond that."""

    most: int | None
    """In the store; `None`: any number."""
    most_of_user: int | None
    """Of one user."""
    evicts: bool
    """Whether the session that was idle for longest has to make room; else the new one is refused."""
    keeps: bool
    """Whether what expired or was evicted is kept as inactive; else it is deleted."""


Changed = tuple["SessionRecord", list["SessionRecord"]]
"""A session that was created or changed, and those that had to make room for it, as they are, or would be,
kept: their `end` tells whether they had expired, or were evicted."""


CleanedUp = tuple[list["SessionRecord"], bool]
"""Sessions that have expired and were cleaned up, and whether there may be more."""


class Listing(NamedTuple):
    """Which sessions are listed, newest first."""

    user_id: str | None
    """Only those of this user."""
    is_active: bool | None
    """Only those that can be used, or only those that cannot."""
    cutoff: datetime
    """Active ones that were last alive then or before have expired."""
    shows_expired: bool
    """Whether those that have expired, but were not cleaned up yet, are listed as inactive."""
    after: Position | None
    """Only those that stand behind this one."""


Page = tuple[list["SessionRecord"], Position | None]
"""Sessions of a list, and where to go on."""


class SessionStore(ABC):
    """Keeps sessions in one table of one database, or in memory.

    Time: stores have no clock. Each call is told the moment, as its manager's clock has it.

    Concurrency: any number of managers, tasks, threads, event loops, and, for databases, processes use one
    store. Each call is atomic: it happens whole or not at all, and limits hold whatever others do.

    Durability: in a database, what a call returned for is on the disk; of `touch` see there.

    Raises, besides what each method names: `NotInitializedError` and `UnitClosedError` when the adapter is
    not open; `StorageError` and its kinds when the database fails.

    """

    @abstractmethod
    async def open(self) -> None:
        """Make the table, or bring it to this version's schema; called once the adapter is open.

        Raises:
            InvalidOptionError: there is a table of this name that is not for sessions.
            NewerSchemaError: a newer version of this library wrote it.

        """

    def new_id(self, now: datetime) -> str:  # noqa: ARG002
        """Make an id for a session that is created now, with 256 random bits in it."""
        return new_session_id()

    def look_up(self, session_id: str) -> SessionRecord | Delay | None:  # noqa: ARG002
        """Do what `find` does, at once, where that takes microseconds; else tell to wait for `find`."""
        return Delay.NOT_NOW

    @abstractmethod
    async def find(self, session_id: str) -> SessionRecord | None:
        """Return a session, whatever its state, as it is now; never what it was before a call that returned.

        The record belongs to the store, and must not be changed. `alive_at` is exact where activity is held
        in memory of this process.
        """

    @abstractmethod
    async def create(self, record: SessionRecord, limits: Limits, moment: Moment) -> Changed | None:
        """Keep a new session; `None` if there is one of this id.

        Where a limit is reached, what has expired makes room first, and then, if `limits.evicts`, what was
        idle for longest.

        Raises:
            SessionLimitError: a limit is reached, and `limits.evicts` is not set.

        """

    @abstractmethod
    async def update(
        self,
        session_id: str,
        changes: SessionChanges,
        limits: Limits,
        moment: Moment,
        if_version: int | None = None,
    ) -> Changed:
        """Change a session that can be used, and count its version on.

        A session that is found to have expired is marked so: see `mark_expired`.

        Args:
            session_id: which one.
            changes: what to change.
            limits: hold where the session is given to another user, who has no more than allowed then.
            moment: the time.
            if_version: change it only if it is of this version.

        Raises:
            SessionNotFoundError, SessionExpiredError, SessionEndedError: it cannot be used.
            SessionLimitError: as `create`.
            StaleVersion: it is of another version.

        """

    @abstractmethod
    async def touch(self, session_id: str, moment: Moment, hold_for: timedelta) -> bool:
        """Take note of activity.

        At most once in `hold_for` that is written: then the store notes that the session may be active for so
        long, and holds further activity in memory until `flush`. What a crash takes with it makes a session
        live longer, by at most `hold_for`, never shorter.

        Returns:
            Whether `flush` should be called when `hold_for` is over.

        Raises:
            SessionNotFoundError, SessionExpiredError, SessionEndedError: it cannot be used.

        """

    @abstractmethod
    async def flush(self, now: datetime | None = None) -> bool:
        """Write the activity that is held in memory.

        Args:
            now: only that of sessions which were not touched again when their time was over; `None`: all.

        Returns:
            Whether any is still held.

        """

    @abstractmethod
    async def end(self, session_id: str, moment: Moment) -> bool:
        """Make a session inactive; returns whether it could be used before.

        One that is found to have expired is marked so, and stays what it is: see `mark_expired`.
        """

    @abstractmethod
    async def mark_expired(self, session_id: str, moment: Moment) -> None:
        """See to it that a session that has expired has expired for good, whatever clocks tell later.

        Nothing happens to one that can be used, at this moment, after all.
        """

    @abstractmethod
    async def delete(self, session_id: str) -> bool:
        """Delete a session; returns whether there was one."""

    @abstractmethod
    async def page(self, listing: Listing, limit: int) -> Page:
        """List sessions by `created_at` and key, newest first; at most `limit`.

        Returns:
            Sessions, and the position behind which there may be more; `None` if there are none.

        """

    @abstractmethod
    async def clean_up(self, moment: Moment, limit: int, *, keeps: bool) -> CleanedUp:
        """Delete sessions that have expired, or make them inactive if `keeps`.

        Those that were alive longest ago come first.

        Args:
            moment: the time.
            limit: at most so many are looked at.
            keeps: see above.

        Returns:
            What they were, each session to one caller only; and whether there may be more.

        """

    @abstractmethod
    async def remove_ended(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` sessions that were ended, or made inactive, then or before; tell how many."""

    @abstractmethod
    async def export(self, session_ids: Sequence[str] | None, target: RowTarget) -> None:
        """Give sessions, as rows of `SESSIONS`, as of one moment, to a target, the oldest first.

        Args:
            session_ids: which ones; `None`: all.
            target: who takes them. It is told which `session_ids` do not exist.

        """

    @abstractmethod
    async def load(self, source: RowSource, merge: MergeStrategy) -> Loaded:
        """Store the rows of `SESSIONS` that a source gives: all, or none; see `ConversationStore.load`.

        Limits do not count for them: what is more is evicted when the next session is created.

        Args:
            source: who gives them.
            merge: what happens to a session that is there already, or comes twice. `"append"`: nothing is
                stored. `"replace"`: it is replaced. `"skip_duplicates"`: it stays as it is.

        Raises:
            DuplicateSessionError: a session is there already, or comes twice, and `merge` is `"append"`.

        """


def refuse_to_evict(
    superfluous: list[SessionRecord], limits: Limits, moment: Moment, user_id: str | None = None
) -> None:
    """Refuse to end sessions that can be used, where the policy is to refuse new ones.

    Args:
        superfluous: what would have to make room.
        limits: the limits.
        moment: the time.
        user_id: set where it is the limit of one user that is reached.

    Raises:
        SessionLimitError: one of them can be used, and `limits.evicts` is not set.

    """
    if limits.evicts or not any(each.alive_at > moment.cutoff for each in superfluous):
        return
    limit = limits.most if user_id is None else limits.most_of_user
    whose = "" if user_id is None else f" of {user_id!r}"
    message = (
        f"{limit:,} sessions{whose} are active, as many as are allowed: end one, raise the limit, or take "
        "limit_policy='evict_oldest'"
    )
    raise SessionLimitError(message, limit=limit)
