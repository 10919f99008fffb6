"""A file that is replaced as a whole, keeps its earlier versions beside it, and recovers from damage.

A write makes a temporary file, brings it to the disk, renames it to `name`, gives it its version's name as a
second link, and brings the folder to the disk. A backup is thus a file that was once whole on the disk, and
costs no second write; see `kept_versions.py`.

All of this blocks: it runs in worker threads. What changes the file is called with `lock` held.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from library.infrastructure.data.durable_io import (
    check_place,
    explain_os_errors,
    remove_file,
    replace_file,
    sync_folder,
)
from library.infrastructure.data.errors import CorruptDataError, StorageError
from library.infrastructure.data.file_lock import ProcessLock, remove_temporary_files
from library.infrastructure.data.kept_versions import KeptVersions, Signature, duplicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)


class Snapshot(NamedTuple):
    """A file's content with the version it belongs to."""

    raw: bytes | None
    """The bytes; `None`: there is no file, or they were not asked for."""
    version: int
    at: float
    """When the version was written, in seconds since the epoch."""
    signature: Signature | None
    """`None`: there is no file."""


class FileVersion(NamedTuple):
    """One version of a file that is kept."""

    version: int
    updated_at: datetime
    """When it was written (UTC)."""
    size: int
    """Bytes."""


class VersionedFile:
    """One file with its earlier versions; see the module's text."""

    def __init__(self, path: str, *, backups: int, durable: bool, lock_timeout_s: float) -> None:
        """Prepare; nothing is touched yet.

        Args:
            path: absolute, links followed.
            backups: how many earlier versions are kept.
            durable: whether writes wait for the disk (fsync).
            lock_timeout_s: how long to wait for other processes.

        """
        self.path = path
        self.lock = ProcessLock(path, lock_timeout_s)
        self._folder = os.path.dirname(path)
        self._kept = KeptVersions(path, backups)
        self._durable = durable

    def open(self, parses: Callable[[bytes], object]) -> Snapshot:
        """Tidy up after a crash, and read the file; see `load`."""
        check_place(self.path)
        remove_temporary_files(self.path, self.lock)
        return self.load(parses)

    def signature(self) -> Signature | None:
        """Return what identifies the present content; `None`: there is no file. Takes microseconds."""
        with explain_os_errors("read", self.path):
            present = self._stat()
            return None if present is None else Signature.of(present)

    def load(self, parses: Callable[[bytes], object]) -> Snapshot:
        """Read the file; a damaged one is set aside, and the newest good version takes its place.

        Args:
            parses: raises a `ValueError` for what is damaged.

        Raises:
            CorruptDataError: the file is damaged, and no version is good. It stays where it is.
            StorageError: it cannot be read.

        """
        with explain_os_errors("read", self.path):
            snapshot = self._snapshot()
        if snapshot.raw is None or _is_good(snapshot.raw, parses):
            return self._recorded(snapshot)
        with explain_os_errors("recover", self.path), self.lock:
            return self._recover(parses)

    def version(self) -> int:
        """Return the version of the present content."""
        with explain_os_errors("read", self.path):
            return self._kept.version_of(self._stat())

    def store(self, pieces: Iterable[bytes | memoryview], step: int = 1) -> Snapshot:
        """Replace the content, as one step and durably.

        Args:
            pieces: the new content; if they raise, nothing is changed.
            step: how many versions further that is: a batch of writes counts each of them.

        Returns:
            The new version, without its bytes.

        Raises:
            StorageError: nothing was changed, unless the error says so.

        """
        with explain_os_errors("write", self.path):
            former = self._stat()
            version = self._kept.adopt(former) + step
        return self._replace(pieces, version, former)

    def _replace(
        self, pieces: Iterable[bytes | memoryview], version: int, former: os.stat_result | None
    ) -> Snapshot:
        with explain_os_errors("write", self.path):
            replace_file(self.path, pieces, former, durable=self._durable)
        with explain_os_errors("bring to the disk the new content, which is in place, of", self.path):
            present = self._kept.add(version, former)
            if self._durable:
                sync_folder(self._folder)
        return Snapshot(None, version, present.st_mtime_ns / 1e9, Signature.of(present))

    def remove(self, step: int = 1) -> Snapshot:
        """Remove the content; that is `step` versions further."""
        with explain_os_errors("clear", self.path):
            version = self._kept.adopt(self._stat()) + step
            remove_file(self.path)
            marker = self._kept.mark_removed(version)
            if self._durable:
                sync_folder(self._folder)
        return Snapshot(None, version, marker.st_mtime_ns / 1e9, None)

    def prune(self) -> None:
        """Remove the versions beyond those to be kept; this takes its time."""
        with explain_os_errors("remove old versions of", self.path):
            self._kept.prune()

    def versions(self) -> list[FileVersion]:
        """List the versions that are kept, newest first; without a removed file's, which has no content."""
        with explain_os_errors("list the versions of", self.path):
            present = self._stat()
            found = {} if present is None else {self._kept.version_of(present): present}
            for version, backup in self._kept.backups(everything=False):
                with suppress(FileNotFoundError):  # just removed, since a newer version came
                    found.setdefault(version, os.stat(backup))
        return [
            FileVersion(version, datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC), status.st_size)
            for version, status in sorted(found.items(), reverse=True)
        ]

    def read_version(self, version: int) -> bytes | None:
        """Return the bytes of a version; `None` if it is not kept."""
        with explain_os_errors("read a version of", self.path):
            present = self._stat()
            if present is not None and version == self._kept.version_of(present):
                return _read(self.path)
            backup = dict(self._kept.backups(everything=False)).get(version)
            with suppress(FileNotFoundError):
                return None if backup is None else _read(backup)
            return None

    # -- reading ---------------------------------------------------------------------------------------------

    def _stat(self) -> os.stat_result | None:
        try:
            return os.stat(self.path)
        except FileNotFoundError:
            return None

    def _snapshot(self) -> Snapshot:
        """Read content and version as of one moment."""
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                absent = self._absent()
                if self._stat() is None:
                    self._kept.confirm(absent.version, None)
                    return absent
                continue
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                raw = file.readall()
                status = os.fstat(file.fileno())
            version = self._kept.version_of(status)
            if self.signature() == Signature.of(status):
                self._kept.confirm(version, status)
                return Snapshot(raw, version, status.st_mtime_ns / 1e9, Signature.of(status))

    def _recorded(self, snapshot: Snapshot) -> Snapshot:
        """Record as a version what another program did to the file, if nobody writes and that is allowed."""
        with explain_os_errors("read", self.path):
            present = self._stat()
            if self._kept.is_recorded(present):
                return snapshot
        try:
            if not self.lock.try_fresh():
                return snapshot
        except StorageError:
            return snapshot
        try:
            with explain_os_errors("record a version of", self.path):
                self._kept.adopt(self._stat())
                return self._snapshot()
        except StorageError as error:
            logger.debug("%s", error)
            return snapshot
        finally:
            self.lock.release()

    def _absent(self) -> Snapshot:
        version = self._kept.version_of(None)
        removed_at = self._kept.removed_at(version)
        at = os.stat(self._folder).st_mtime if removed_at is None else removed_at
        return Snapshot(None, version, at, None)

    # -- recovery --------------------------------------------------------------------------------------------

    def _recover(self, parses: Callable[[bytes], object]) -> Snapshot:
        """Set the damaged file aside, and put the newest good version in its place."""
        damaged = self._snapshot()
        if damaged.raw is None or _is_good(damaged.raw, parses):
            return damaged
        for version, backup in self._kept.backups(everything=True):
            raw = _read(backup)
            if _is_good(raw, parses):
                aside = self._set_aside(damaged.version)
                restored = self._replace([raw], damaged.version + 1, self._stat())
                logger.warning(
                    "%s was damaged: version %d took its place, and what was found is now %s",
                    self.path,
                    version,
                    aside,
                )
                return restored._replace(raw=raw)
        message = (
            f"{self.path} is damaged ({len(damaged.raw)} bytes that are not JSON), and no earlier version "
            "is good: put a good copy in its place, or move it away to start anew"
        )
        raise CorruptDataError(message, path=self.path)

    def _set_aside(self, version: int) -> str:
        """Give the damaged file a name of its own, under which it stays, instead of its version's."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = f"{self.path}.corrupt-{stamp}"
        duplicate(self.path, aside)
        self._kept.forget(version)
        return aside


def _is_good(raw: bytes, parses: Callable[[bytes], object]) -> bool:
    try:
        parses(raw)
    except ValueError:
        return False
    return True


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
