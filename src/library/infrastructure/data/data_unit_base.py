"""`DataUnitBase`: the contract of every data unit, and what all units do alike."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.entry import EMPTY, Entry, UnitStats
from library.infrastructure.data.errors import (
    InvalidOptionError,
    InvalidValueError,
    NotInitializedError,
    UnitClosedError,
    VersionConflictError,
)
from library.infrastructure.data.isolation import isolate
from library.infrastructure.data.lifecycle import Lifecycle
from library.infrastructure.data.option_checks import check_version
from library.infrastructure.data.phase import Phase
from library.infrastructure.data.wakeup import Wakeup, wake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

logger = logging.getLogger(__name__)


class State(NamedTuple):
    """What a unit keeps at one moment, in its own form; `Entry` is what callers see of it."""

    kept: Any
    version: int
    at: float
    """Seconds since the epoch."""

    def entry(self, value: Any) -> Entry:
        """Return what callers see of it: `value` is what is kept, in their form."""
        return Entry(value, self.version, datetime.fromtimestamp(self.at, UTC))


class DataUnitBase(Lifecycle):
    """A named, versioned cell of state with a lifecycle: what every data unit promises.

    Lifecycle: `async with unit:`, or `initialize()` and `shutdown()`; both may be called twice, from any
    event loop, and a unit can be opened again. Before and after, every operation raises `NotInitializedError`
    or `UnitClosedError`. A unit that is collected while open warns with a `ResourceWarning`; nothing that was
    acknowledged is lost by that.

    Concurrency: a unit may be used from many tasks, threads and event loops at once. A reader sees one
    version whole. Each change is one event: the value, `version + 1` and the time change together. A write
    that was cancelled before its commit point leaves no trace; after it, the write completes.

    Values: `None` is a value; an empty unit gives `default`, and `exists()` tells. What a unit cannot hold is
    refused with `InvalidValueError`, and the former value stays. With `isolation="auto"` nothing that a
    caller does to a dict, list or set that it gave or got changes the unit.

    A new kind of unit implements `_open`, `_close`, `_read`, `_write` and `_write_held`, and is then under
    the contract tests of all units.

    """

    data_type: ClassVar[DataUnitType]
    """The type that a config of this unit must have."""
    _poll_interval_s: float | None = None
    """How often watchers look for changes that other processes made; `None`: there are none."""

    def __init__(self, config: DataUnitConfig | None = None) -> None:
        """Prepare the unit; nothing is opened yet.

        Args:
            config: how the unit behaves; default: `DataUnitConfig(data_type=<this unit's type>)`.

        Raises:
            InvalidOptionError: `config` is not a `DataUnitConfig`, or is one of another type of unit.

        """
        super().__init__()
        if config is None:
            config = DataUnitConfig(data_type=self.data_type)
        if not isinstance(config, DataUnitConfig):
            message = f"config of {type(self).__name__} must be a DataUnitConfig, not {type(config).__name__}"
            raise InvalidOptionError(message, option="config")
        if config.data_type != self.data_type:
            message = f"{type(self).__name__} needs data_type={self.data_type!s}, not {config.data_type!s}"
            raise InvalidOptionError(message, option="data_type")
        self.config = config
        self._changed = Wakeup()
        self._created_at = datetime.now(UTC)
        self._user_metadata: dict[str, Any] = {}
        self._reads = 0
        self._watchers = 0
        self._opening = 0

    # -- what a kind of unit brings --------------------------------------------------------------------------

    @abstractmethod
    async def _read(self) -> State:
        """Return what is kept now."""

    @abstractmethod
    async def _write(self, kept: Any, if_version: int | None) -> int:
        """Make `kept` (what `_admit` returned, or `EMPTY`) the unit's value, in turn with the other writers.

        Returns:
            The new version.

        Raises:
            VersionConflictError: `if_version` is neither `None` nor the version at the moment of the change.

        """

    @abstractmethod
    async def _write_held(self, kept: Any) -> None:
        """Do the same for `update`, which holds the mutex."""

    @abstractmethod
    def _version(self) -> int:
        """Return the newest version that this process knows of; called with the guard held."""

    @abstractmethod
    def _updated_at(self) -> float:
        """Return when that version was made, in seconds since the epoch."""

    @abstractmethod
    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened."""

    def _admit(self, value: Any) -> Any:
        """Return `value` in the form in which it is kept, or refuse it.

        Raises:
            InvalidValueError: the unit cannot hold it.

        """
        if value is EMPTY:
            message = f"{self.name} cannot hold EMPTY as a value: call clear()"
            raise InvalidValueError(message)
        return isolate(value) if self.config.isolation == "auto" else value

    def _hand_out(self, kept: Any) -> Any:
        """Return what is kept in the form in which callers get it."""
        return isolate(kept) if self.config.isolation == "auto" else kept

    def _abandon(self) -> None:
        """Close at once what is open, without waiting; for units that were forgotten."""

    # -- lifecycle -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the unit is called in errors and logs."""
        return self.config.name or self.file_path or f"{self.data_type} unit"

    @property
    def file_path(self) -> str | None:
        """The file: an absolute path, links followed; `None` if the unit keeps its data in memory only."""
        return None

    @property
    def _title(self) -> str:
        return self.name

    async def initialize(self) -> None:
        """Open the unit; does nothing if it is open.

        Raises:
            StorageError: its file cannot be opened, or is locked by another process.
            CorruptDataError: its file cannot be read, and no backup can.

        """
        async with self._mutex.hold():
            if self._phase is Phase.OPEN:
                return
            try:
                await self._open()
            except BaseException:
                self._abandon()
                raise
            self._reads = 0
            self._opening += 1
            self._phase = Phase.OPEN
        logger.debug("opened %s", self.name)

    async def shutdown(self) -> None:
        """Finish what was begun, close the files, end watchers and subscriptions.

        Does nothing if the unit is not open.
        """
        async with self._mutex.hold():
            if self._phase is not Phase.OPEN:
                return
            with self._mutex.guard:
                self._phase = Phase.CLOSED
                waiters = self._changed.take()
            wake(waiters)
            await self._close()
        logger.debug("closed %s", self.name)

    def __repr__(self) -> str:
        """Show the type, the name and the phase."""
        return f"<{type(self).__name__} {self.name!r}, {self._phase.value}>"

    def _check_usable(self) -> None:
        """Refuse calls while the unit is not open, and calls from within its own `update(fn)`."""
        self._check_open()
        self._mutex.check_not_held()

    def _check_open(self) -> None:
        if self._phase is Phase.OPEN:
            return
        error = NotInitializedError if self._phase is Phase.NEW else UnitClosedError
        message = f"{self.name}: {str(error())[0].lower()}{str(error())[1:]}"
        raise error(message)

    def _check_version(self, if_version: int | None, state: State) -> None:
        """Refuse a conditional write that comes too late."""
        if if_version is not None and if_version != state.version:
            raise VersionConflictError.between(self.name, if_version, self._entry_of(state))

    # -- reading and writing ---------------------------------------------------------------------------------

    async def get(self, default: Any = None) -> Any:
        """Return the value, or `default` if the unit is empty."""
        self._check_usable()
        self._reads += 1
        kept = (await self._read()).kept
        return default if kept is EMPTY else self._hand_out(kept)

    async def exists(self) -> bool:
        """Tell whether the unit holds a value; `None` is one."""
        self._check_usable()
        return (await self._read()).kept is not EMPTY

    async def entry(self) -> Entry:
        """Return value, version and time of the last change together; an empty unit's value is `EMPTY`."""
        self._check_usable()
        self._reads += 1
        return self._entry_of(await self._read())

    async def set(self, data: Any, if_version: int | None = None) -> int:
        """Replace the value.

        Args:
            data: the new value.
            if_version: change only if the unit still has this version; 0 is that of a unit that never had a
                value.

        Returns:
            The new version.

        Raises:
            InvalidValueError: the unit cannot hold `data`.
            VersionConflictError: the unit has another version; the error carries the current entry.
            StorageError: the file cannot be written; the former value stays.

        """
        self._check_usable()
        return await self._write(self._admit(data), check_version("if_version", if_version))

    async def update(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        """Read, change and write as one step.

        No other write comes between, of whatever task, thread or process.

        Args:
            fn: takes the value (`None` if the unit is empty) and returns the new one, or an awaitable of it.
                It runs once. It must not call the unit itself.

        Returns:
            The new value.

        Raises:
            ReentrantUpdateError: `fn` called the unit.
            InvalidValueError: the unit cannot hold what `fn` returned.
            StorageError: the file cannot be read or written; the former value stays.

        Whatever `fn` raises is raised, and nothing changes.

        """
        self._check_usable()
        async with self._mutex.hold():
            self._check_open()
            return await self._update_held(fn)

    async def _update_held(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        """Do the work of `update` with the mutex held."""
        kept = (await self._read()).kept
        result = fn(None if kept is EMPTY else self._hand_out(kept))
        if hasattr(result, "__await__"):
            result = await result
        admitted = self._admit(result)
        await self._write_held(admitted)
        return self._hand_out(admitted)

    async def clear(self) -> None:
        """Make the unit empty; that is a change like any other, with a new version that watchers see."""
        self._check_usable()
        await self._write(EMPTY, None)

    def watch(self, since: int | None = None) -> AsyncIterator[Entry]:
        """Iterate over the changes of the unit, until it is shut down.

        A watcher that is slower than the changes skips to the newest: it never has a backlog, and never sees
        an old value after a new one.

        Args:
            since: the last version that the caller knows; `None`, or one that the unit never had: the present
                value, if there is one, comes first.

        """
        self._check_usable()
        return self._watch(check_version("since", since), self._opening)

    async def _watch(self, since: int | None, opening: int) -> AsyncIterator[Entry]:
        self._watchers += 1
        try:
            await self._refresh()
            if since is not None and since > self._version():
                since = None  # of another life of the unit: it knows nothing of this one
            while True:
                await self._refresh()
                with self._mutex.guard:
                    if self._phase is not Phase.OPEN or self._opening != opening:
                        return
                    known = since is not None and self._version() <= since
                    waiter = self._changed.join() if known else None
                if waiter is not None:
                    await self._wait(waiter)
                    continue
                entry = self._entry_of(await self._read())
                if entry.exists or since is not None:
                    yield entry
                since = entry.version
        finally:
            self._watchers -= 1

    def _on_change(self) -> None:
        """Wake the watchers."""
        with self._mutex.guard:
            waiters = self._changed.take()
        wake(waiters)

    async def _refresh(self) -> None:
        """Learn of changes that other processes made."""

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        """Wait for a change, or until it is time to look for one."""
        try:
            await asyncio.wait((waiter,), timeout=self._poll_interval_s)
        finally:
            with self._mutex.guard:
                self._changed.leave(waiter)

    def _entry_of(self, state: State) -> Entry:
        return state.entry(EMPTY if state.kept is EMPTY else self._hand_out(state.kept))

    # -- metadata --------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> Mapping[str, Any]:
        """A copy of what is known of the unit: name, type, times, version, and what users put there."""
        own = {"name": self.name, "data_type": str(self.data_type), "created_at": self._created_at}
        return {**own, **self._known(), **isolate(self._user_metadata)}

    def _known(self) -> dict[str, Any]:
        """Return the part of the metadata that changes with the value."""
        with self._mutex.guard:
            return {"version": self._version(), "updated_at": datetime.fromtimestamp(self._updated_at(), UTC)}

    async def set_metadata(self, key: str, value: Any) -> None:
        """Put a note of the caller's own into `metadata`; it is not written to disk.

        Raises:
            InvalidOptionError: `key` is not text, or names something that the unit itself keeps there.

        """
        if not isinstance(key, str) or key in {"name", "data_type", "created_at", *self._known()}:
            message = f"metadata key {key!r} cannot be set: choose a text that the unit does not use itself"
            raise InvalidOptionError(message, option="key")
        self._user_metadata = {**self._user_metadata, key: isolate(value)}
