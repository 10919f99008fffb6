"""The value of a file unit, and of a persistent memory unit: a JSON document, cached, changed in batches."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.data_unit_base import State
from library.infrastructure.data.entry import EMPTY
from library.infrastructure.data.errors import (
    CorruptDataError,
    DataUnitError,
    InvalidOptionError,
    StorageError,
    VersionConflictError,
)
from library.infrastructure.data.fork_safety import reset_after_fork
from library.infrastructure.data.group_commit import GroupCommit
from library.infrastructure.data.handoff_mutex import HandoffMutex
from library.infrastructure.data.json_document import Document
from library.infrastructure.data.json_reading import decode
from library.infrastructure.data.versioned_file import VersionedFile
from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from library.infrastructure.data.config import DataUnitConfig
    from library.infrastructure.data.entry import Entry
    from library.infrastructure.data.kept_versions import Signature
    from library.infrastructure.data.versioned_file import FileVersion, Snapshot

logger = logging.getLogger(__name__)

WATCH_INTERVAL_S: Final = 0.25
"""How often watchers look at the file for changes that other processes made."""
_INLINE_BYTES: Final = 1 << 16
"""Up to this size a document is parsed where it is asked for: that takes a tenth of a millisecond."""
_CACHED_BYTES: Final = 1 << 24
"""Larger documents are read anew from the file each time, which the system has in its cache."""


class _Mutexes:
    """The one mutex of all units of this process on a file, by path."""

    def __init__(self) -> None:
        self._by_path: weakref.WeakValueDictionary[str, HandoffMutex] = weakref.WeakValueDictionary()
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Replace the lock; the mutexes see to themselves."""
        self._guard = threading.Lock()

    def of(self, path: str) -> HandoffMutex:
        """Return the mutex of a file."""
        with self._guard:
            return self._by_path.setdefault(path, HandoffMutex())


_mutexes = _Mutexes()


class _Write(NamedTuple):
    """A job for the group commit."""

    value: Any
    if_version: int | None


class _Cached(NamedTuple):
    """What was last read or written."""

    signature: Signature | None
    raw: bytes | None
    """The bytes; `None` for a file that is absent, or too large to be cached."""
    version: int
    at: float
    value: Any = EMPTY
    """The parsed value, with `isolation="share"` only: who gets it must not change it."""


class FileCell:
    """A value in a file; the hooks of `DataUnitBase` for units that keep it there."""

    def __init__(
        self, path: str, config: DataUnitConfig, changed: Callable[[], None], check_open: Callable[[], None]
    ) -> None:
        """Prepare; nothing is touched yet.

        Args:
            path: the file, from `resolve_path`.
            config: the options of the unit.
            changed: called, in a worker thread, when a new version was read or written.
            check_open: raises unless the unit is open.

        """
        self.mutex = _mutexes.of(path)
        self.hits = self.misses = self.writes = 0
        self._config = config
        self._changed = changed
        self._check_open = check_open
        self._file = VersionedFile(
            path,
            backups=config.backups,
            durable=config.durability == "full",
            lock_timeout_s=config.lock_timeout_s,
        )
        self._commits: GroupCommit[_Write] = GroupCommit(self.mutex, self._apply, self._tidy)
        self._cached = _Cached(None, None, 0, 0.0)
        self._is_closed = True
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Replace the lock."""
        self._tidying = threading.Lock()

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    @property
    def size(self) -> int:
        """Bytes of the document, as far as is known."""
        return self._cached.signature.size if self._cached.signature else 0

    @property
    def version(self) -> int:
        """The newest version known."""
        return self._cached.version

    @property
    def updated_at(self) -> float:
        """When that version was written, in seconds since the epoch."""
        return self._cached.at

    async def open(self) -> None:
        """Recover what a crash left behind, and write the initial value of a file that never was."""
        await run_in_worker(self._open)

    async def close(self) -> None:
        """Wait for what goes on in worker threads after writes were answered."""
        await run_in_worker(self._tidy, last=True)

    async def read(self) -> State:
        """Return the value, in an object of the caller's own unless values are shared."""
        cached = self._cached
        is_here = cached.raw is not None or cached.value is not EMPTY
        if is_here and self._file.signature() == cached.signature:
            self.hits += 1
            return State(await self._value_of(cached), cached.version, cached.at)
        self.misses += 1
        cached, value = await run_in_worker(self._load)
        return State(value, cached.version, cached.at)

    async def refresh(self) -> None:
        """Learn of a new version that another process made."""
        if self._file.signature() != self._cached.signature:
            await run_in_worker(self._load)

    async def write(self, value: Any, if_version: int | None) -> int:
        """Have the value written together with those of others who write now."""
        version: int = await self._commits.submit(_Write(value, if_version))
        return version

    async def write_held(self, value: Any) -> None:
        """Write the value; within `locked`."""
        await run_in_worker(self._store, value)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Keep other processes out for the length of the block."""
        lock = self._file.lock
        acquired = False

        def acquire() -> None:
            nonlocal acquired
            lock.acquire()
            acquired = True

        try:
            await run_in_worker(acquire)
            yield
        finally:
            if acquired:  # also if the caller was cancelled meanwhile
                lock.release()

    async def versions(self) -> list[FileVersion]:
        """List the versions kept, newest first."""
        return await run_in_worker(self._file.versions)

    async def restore(self, version: int) -> int:
        """Make a version that is kept the present one; return its new number; within `locked`.

        Raises:
            InvalidOptionError: it is not kept.

        """
        return await run_in_worker(self._restore, version)

    async def _value_of(self, cached: _Cached) -> Any:
        """Parse what is cached, off the event loop if it is large."""
        if cached.raw is None or cached.value is not EMPTY:
            return cached.value
        if len(cached.raw) <= _INLINE_BYTES:
            value = self._decode(cached.raw)
        else:
            value = await run_in_worker(self._decode, cached.raw)
        if self._config.isolation == "share" and self._cached is cached:
            self._cached = cached._replace(value=value)
        return value

    # -- in a worker thread ----------------------------------------------------------------------------------

    def _open(self) -> None:
        self._is_closed = False
        self._remember(self._file.open(self._decode))
        if self._cached.version == 0 and self._config.initial_value is not None:
            with self._file.lock:
                if self._file.version() == 0:
                    self._store(self._config.initial_value)
        self.hits = self.misses = self.writes = 0

    def _load(self) -> tuple[_Cached, Any]:
        """Read the file; return what is to be cached of it, and the value for the caller alone."""
        value: Any = EMPTY

        def parse(raw: bytes) -> None:
            nonlocal value
            value = self._decode(raw)

        snapshot = self._file.load(parse)
        return self._remember(snapshot, value if self._config.isolation == "share" else EMPTY), value

    def _apply(self, jobs: Sequence[_Write]) -> Sequence[int | DataUnitError]:
        """Apply a batch of writes: each gets its version, and the last one's value reaches the disk."""
        try:
            self._check_open()
        except DataUnitError as error:
            return [error] * len(jobs)
        with self._file.lock:
            before = self._file.version()
            batch = _Batch(self, before, alone=len(jobs) == 1)
            answers = [batch.add(job) for job in jobs]
            if batch.version > before:
                self._put(batch.document, batch.version - before)
        return answers

    def _tidy(self, *, last: bool = False) -> None:
        """Remove old versions, after those who wait were answered; nothing happens after `last`."""
        with self._tidying:
            if self._is_closed:
                return
            self._is_closed = last
            try:
                self._file.prune()
            except StorageError as error:
                logger.warning("%s", error)

    def _store(self, value: Any) -> None:
        self._put(self._encode(value), 1)
        self._tidy()

    def _put(self, document: Document | None, step: int) -> None:
        """Bring the document to the disk, or remove the file where there is none."""
        if document is None:
            self._remember(self._file.remove(step))
        else:
            snapshot = self._file.store(document.pieces(), step)
            self._remember(snapshot._replace(raw=document.raw))
        self.writes += step

    def _encode(self, value: Any) -> Document:
        return Document(value, self._config.encoding, self.path)

    def _restore(self, version: int) -> int:
        raw = self._file.read_version(version)
        if raw is None:
            kept = ", ".join(str(each.version) for each in self._file.versions()) or "none"
            message = f"version {version} of {self.path} is not kept (kept: {kept})"
            raise InvalidOptionError(message, option="version")
        try:
            self._decode(raw)
        except ValueError as error:
            message = f"version {version} of {self.path} is damaged: choose another"
            raise CorruptDataError(message, path=self.path) from error
        self._remember(self._file.store([raw])._replace(raw=raw))
        self.writes += 1
        return self._cached.version

    def _remember(self, snapshot: Snapshot, value: Any = EMPTY) -> _Cached:
        raw = snapshot.raw if snapshot.raw is not None and len(snapshot.raw) <= _CACHED_BYTES else None
        self._cached = cached = _Cached(snapshot.signature, raw, snapshot.version, snapshot.at, value)
        self._changed()
        return cached

    def _decode(self, raw: bytes) -> Any:
        return decode(raw, self._config.encoding)


class _Batch:
    """Writes that reach the disk together."""

    def __init__(self, cell: FileCell, version: int, *, alone: bool) -> None:
        self.version = version
        self.document: Document | None = None
        self._alone = alone
        self._cell = cell
        self._changed_at: float | None = None

    def add(self, job: _Write) -> int | DataUnitError:
        """Take one write in; return its version, or what is wrong with it."""
        try:
            if job.if_version is not None and job.if_version != self.version:
                raise VersionConflictError.between(self._cell.path, job.if_version, self._current())
            document = None if job.value is EMPTY else self._cell._encode(job.value)
            if document is not None and not self._alone:  # else it is checked while it is written
                document.check()
        except DataUnitError as error:
            return error
        self.document = document
        self.version += 1
        self._changed_at = time.time()
        return self.version

    def _current(self) -> Entry:
        """Return what is there after the writes taken in so far."""
        if self._changed_at is None:
            cached, value = self._cell._load()
            return State(value, cached.version, cached.at).entry(value)
        value = EMPTY if self.document is None else self._cell._decode(b"".join(self.document.pieces()))
        return State(value, self.version, self._changed_at).entry(value)
