"""Every error that a data unit raises, in one tree, so that `except DataUnitError` catches them all.

    DataUnitError
    ├── LifecycleError
    │   ├── NotInitializedError      used before `initialize()`
    │   └── UnitClosedError          used after `shutdown()`
    ├── InvalidOptionError           an argument that no call accepts
    ├── InvalidValueError            a value that this unit cannot hold
    ├── ReentrantUpdateError         the unit was called from within its own `update(fn)`
    ├── VersionConflictError         `if_version` did not match
    ├── StorageError                 a file or a database could not be read or written
    │   ├── CorruptDataError         a file holds nothing that can be read, nor do its backups
    │   ├── LockTimeoutError         another process kept the file locked
    │   ├── StorageFullError         there is no space left
    │   ├── ReadOnlyStorageError     the place may be read, but not written
    │   ├── NewerSchemaError         a newer version of this library wrote the database
    │   └── ForkedDatabaseError      the database was opened before this process was forked
    ├── RecordError
    │   ├── MessageNotFoundError     no exchange has this `message_id`
    │   └── DuplicateMessageError    an exchange with this `message_id` is stored already
    ├── SessionError
    │   ├── SessionNotFoundError     no session has this id
    │   ├── SessionExpiredError      the session was idle for too long
    │   ├── SessionEndedError        the session was ended, or had to make room
    │   ├── SessionLimitError        as many sessions as are allowed are active
    │   └── DuplicateSessionError    a session with this id is stored already
    ├── TransferError                an export or an import could not be done
    │   ├── FormatError              a file is not of its format, is damaged, or of a format that is not known
    │   ├── InvalidRecordError       a record of a file cannot be imported
    │   ├── TransferLimitError       a file holds more than `ImportLimits` allow
    │   ├── MissingRecordsError      what was to be exported is not there
    │   └── MissingExtraError        a library that comes with an extra is not installed
    └── StreamError
        ├── NoMessageError           `get_nowait()` found nothing to read
        ├── StreamClosedError        the stream or the subscription has ended
        ├── SubscriberLaggedError    a reader fell behind and missed messages
        ├── SlowSubscriberError      a reader held up its publisher for too long, or was cut off
        ├── SubscriberLimitError     `max_subscribers` are subscribed already
        └── HistoryGapError          the history no longer reaches back to `since`

A class's docstring is its default message. What went wrong below (an `OSError`, a `TypeError`) is the
`__cause__`.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from library.infrastructure.data.entry import Entry


class DataUnitError(Exception):
    """A data unit could not do what it was asked to do."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        """Keep `message` (default: the class's docstring) and every detail as an attribute of that name."""
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))
        self.__dict__.update(details)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the details, so that errors cross process borders whole."""
        return type(self), self.args, self.__dict__


class LifecycleError(DataUnitError):
    """The data unit is not open."""


class NotInitializedError(LifecycleError):
    """The data unit is not open yet: use `async with unit:` or call `await unit.initialize()` first."""


class UnitClosedError(LifecycleError):
    """The data unit was shut down: call `await unit.initialize()` to open it again."""


class InvalidOptionError(DataUnitError):
    """An option has a value that it cannot take."""

    option: str
    """The name of the option."""


class InvalidValueError(DataUnitError):
    """The value cannot be held by this data unit; the former value stays."""


class ReentrantUpdateError(DataUnitError):
    """The unit was called from within its own `update(fn)`: use the value given, and return the new one."""


class VersionConflictError(DataUnitError):
    """The unit was changed in between: read `current`, decide again, and retry with its version."""

    expected: int
    """The version that the caller gave as `if_version`."""
    current: Entry
    """What the unit holds now."""

    @classmethod
    def between(cls, name: str, expected: int, current: Entry) -> VersionConflictError:
        """Build the error of the unit `name`."""
        message = f"{name} is at version {current.version}, not {expected}: look at `current`, and retry"
        return cls(message, expected=expected, current=current)


class StorageError(DataUnitError):
    """A file or a database could not be read or written."""

    path: str
    """The file."""


class CorruptDataError(StorageError):
    """The file is damaged and has no good backup: put a good copy in its place, or move it away."""


class LockTimeoutError(StorageError):
    """Another process kept the file locked for too long: retry, or raise `lock_timeout_s`."""


class StorageFullError(StorageError):
    """There is no space left: free some, and retry. What was acknowledged before is safe."""


class ReadOnlyStorageError(StorageError):
    """The file may be read but not written: check its permissions, and those of its folder."""


class NewerSchemaError(StorageError):
    """The database was written by a newer version of this library: upgrade. Nothing in it was touched."""


class ForkedDatabaseError(StorageError):
    """The database was opened before this process was forked, and SQLite does not survive that.

    Open it after the fork only, or start processes with "spawn" instead of "fork".
    """


class RecordError(DataUnitError):
    """A record is not there, or is there already."""

    message_id: int
    """The id of the exchange."""


class MessageNotFoundError(RecordError):
    """No exchange has this message_id."""


class DuplicateMessageError(RecordError):
    """An exchange with this message_id is stored already: `update_message` changes it."""


class SessionError(DataUnitError):
    """A session cannot be used, or not be created.

    No message tells a session's id, since errors are logged, and whoever knows an id has the session.
    """


class SessionNotFoundError(SessionError):
    """No session has this id: it never was, or was deleted."""

    session_id: str
    """The id that was asked for."""


class SessionExpiredError(SessionError):
    """The session was idle for too long: create a new one."""

    session_id: str
    """The id that was asked for."""
    expired_at: datetime
    """When it expired."""


class SessionEndedError(SessionError):
    """The session was ended: create a new one."""

    session_id: str
    """The id that was asked for."""
    ended_at: datetime
    """When it was ended."""


class SessionLimitError(SessionError):
    """As many sessions as are allowed are active: end some, or raise the limit."""

    limit: int
    """The limit."""


class DuplicateSessionError(SessionError):
    """A session with this id is stored already: import with merge_strategy="replace" or "skip_duplicates"."""

    session_id: str
    """The id."""


class TransferError(DataUnitError):
    """An export or an import could not be done."""


class FormatError(TransferError):
    """The file is not of the format, or is damaged."""

    path: str
    """The file."""


class InvalidRecordError(TransferError):
    """A record of the file cannot be imported; nothing was. `on_error="skip"` leaves such records out."""

    path: str
    """The file."""
    place: str
    """Where the record stands in it: "line 3"."""
    reason: str
    """What is wrong with it."""


class TransferLimitError(TransferError):
    """The file holds more than `ImportLimits` allow; nothing was imported."""

    path: str
    """The file."""
    limit: str
    """The name of the limit in `ImportLimits`."""


class MissingRecordsError(TransferError):
    """Some of what was to be exported is not there; nothing was written. `missing="skip"` leaves it out."""

    ids: list[str]
    """The ids that were asked for and are not there."""


class MissingExtraError(TransferError):
    """A library is not installed that comes with an extra of this one."""

    extra: str
    """The extra, as in `pip install 'nanobrain-data[extra]'`."""


class StreamError(DataUnitError):
    """A stream could not publish, or a subscriber could not read."""


class NoMessageError(StreamError, asyncio.QueueEmpty):
    """There is no message to read now."""


class StreamClosedError(StreamError):
    """The stream has ended, and all that it held has been read."""


class SubscriberLaggedError(StreamError):
    """The subscriber fell behind and missed messages; the next read goes on from the oldest that is kept."""

    missed: int
    """How many messages are lost to this subscriber."""


class SlowSubscriberError(StreamError):
    """A subscriber read too slowly."""


class SubscriberLimitError(StreamError):
    """As many subscribers as `max_subscribers` allows are subscribed already."""

    limit: int
    """The value of `max_subscribers`."""


class HistoryGapError(StreamError):
    """The history no longer reaches back that far: subscribe with `since=oldest`, or without `since`."""

    since: int
    """The version or offset that was asked for."""
    oldest: int
    """The smallest `since` that still misses nothing."""
