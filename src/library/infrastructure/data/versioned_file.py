"""A file that is replaced as a whole, keeps its earlier versions beside it, and recovers from damage.

Beside `name` stand, hidden, `.name.lock`, the versions `.name.<version>.bak`, and `.name.<version>.cleared`
after a `clear`. A write makes a temporary file, brings it to the disk, renames it to `name`, gives it its
version's name as a second (hard) link, and brings the folder to the disk. A backup is thus a file that was
once whole on the disk, costs no second write, and tells the version of `name`: it is the one with the same
inode. Where that link is missing, because another program replaced the file or the power went between the two
steps, the file counts as one version more than the newest.

All of this blocks: it runs in worker threads. What changes the file is called with `lock` held.
"""

from __future__ import annotations

import errno
import filecmp
import logging
import os
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.data.durable_io import (
    check_place,
    explain_os_errors,
    remove_file,
    replace_file,
    sync_folder,
)
from library.infrastructure.data.errors import CorruptDataError
from library.infrastructure.data.file_lock import ProcessLock, remove_temporary_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES})


class Signature(NamedTuple):
    """What changes whenever a file does."""

    inode: int
    mtime_ns: int
    size: int


class Snapshot(NamedTuple):
    """A file's content with the version it belongs to."""

    raw: bytes | None
    """The bytes; `None`: there is no file."""
    version: int
    at: float
    """When the version was written, in seconds since the epoch."""
    signature: Signature | None


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
        self._folder, self._name = os.path.split(path)
        self._backups = backups
        self._durable = durable
        name = re.escape(self._name)
        self._kept = re.compile(rf"\.{name}\.(\d+)\.(bak|cleared)")

    def open(self, parses: Callable[[bytes], object]) -> None:
        """Tidy up after a crash, and see that the content can be read; see `load`."""
        check_place(self.path)
        remove_temporary_files(self.path, self.lock)
        self.load(parses)

    def signature(self) -> Signature | None:
        """Return what identifies the present content; `None`: there is no file. Takes microseconds."""
        with explain_os_errors("read", self.path):
            try:
                return _signature(os.stat(self.path))
            except FileNotFoundError:
                return None

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
            return snapshot
        with explain_os_errors("recover", self.path):
            if self.lock.is_held:
                return self._recover(parses)
            with self.lock:
                return self._recover(parses)

    def version(self) -> int:
        """Return the version of the present content."""
        with explain_os_errors("read", self.path):
            return self._version_of(self.signature(), self._list())

    def store(self, pieces: Sequence[bytes | memoryview], step: int = 1) -> Snapshot:
        """Replace the content, as one step and durably.

        Args:
            pieces: the new content.
            step: how many versions further that is: a batch of writes counts each of them.

        Returns:
            The new version, without its bytes.

        Raises:
            StorageError: nothing was changed, unless the error says so.

        """
        with explain_os_errors("write", self.path):
            kept, former = self._list(), self._stat()
            version = self._adopt(former, kept) + step
        return self._replace(pieces, version, former)

    def _replace(
        self, pieces: Sequence[bytes | memoryview], version: int, former: os.stat_result | None
    ) -> Snapshot:
        with explain_os_errors("write", self.path):
            written = replace_file(self.path, pieces, former, durable=self._durable)
        with explain_os_errors(
            "make sure that the disk has the new content, which is in place, of", self.path
        ):
            _duplicate(self.path, self._kept_path(version, "bak"))
            if self._durable:
                sync_folder(self._folder)
            self._prune(self._list())
        return Snapshot(None, version, written.st_mtime_ns / 1e9, _signature(written))

    def remove(self, step: int = 1) -> Snapshot:
        """Remove the content; that is `step` versions further."""
        with explain_os_errors("clear", self.path):
            kept = self._list()
            version = self._adopt(self._stat(), kept) + step
            remove_file(self.path)
            marker = self._kept_path(version, "cleared")
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
            if self._durable:
                sync_folder(self._folder)
            made = os.stat(marker)
            self._prune(self._list())
            return Snapshot(None, version, made.st_mtime_ns / 1e9, None)

    def versions(self) -> list[FileVersion]:
        """List the versions that are kept, newest first; without a removed file's, which has no content."""
        with explain_os_errors("list the versions of", self.path):
            found = {}
            for version, kind in sorted(self._list(), reverse=True):
                if kind == "bak":
                    found[version] = _file_version(version, os.stat(self._kept_path(version, kind)))
            present = self._stat()
            if present is not None:
                version = self._version_of(_signature(present), self._list())
                found[version] = _file_version(version, present)
            return [found[version] for version in sorted(found, reverse=True)]

    def read_version(self, version: int) -> bytes | None:
        """Return the bytes of a version; `None` if it is not kept."""
        with explain_os_errors("read a version of", self.path):
            if version == self.version():
                return self._snapshot().raw
            try:
                return _read(self._kept_path(version, "bak"))
            except FileNotFoundError:
                return None

    # -- which version is it ---------------------------------------------------------------------------------

    def _list(self) -> dict[tuple[int, str], int]:
        """Map the versions that are kept, and the marks of removal, to their inodes."""
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                match = self._kept.fullmatch(entry.name)
                if match:
                    found[int(match[1]), match[2]] = entry.inode()
        return found

    def _version_of(self, signature: Signature | None, kept: dict[tuple[int, str], int]) -> int:
        """Tell the version of a file from the links that are kept."""
        if not kept:
            return 0 if signature is None else 1
        newest, kind = max(kept)
        if signature is None:
            return newest if kind == "cleared" else newest + 1
        linked = kind == "bak" and (
            kept[newest, kind] == signature.inode or self._is_copy(self._kept_path(newest, kind), signature)
        )
        return newest if linked else newest + 1

    def _is_copy(self, backup: str, signature: Signature) -> bool:
        """Tell a backup that was copied, for want of hard links, from that of another version."""
        status = os.stat(backup)
        same = (status.st_mtime_ns, status.st_size) == (signature.mtime_ns, signature.size)
        return same and filecmp.cmp(backup, self.path, shallow=False)

    def _adopt(self, present: os.stat_result | None, kept: dict[tuple[int, str], int]) -> int:
        """Return the present version; if another program made it, keep it as a version like any other."""
        version = self._version_of(None if present is None else _signature(present), kept)
        if present is not None and (version, "bak") not in kept:
            _duplicate(self.path, self._kept_path(version, "bak"))
        return version

    def _kept_path(self, version: int, kind: str) -> str:
        return f"{self._folder}/.{self._name}.{version}.{kind}"

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
                return self._absent()
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                raw = file.readall()
                status = os.fstat(file.fileno())
            signature = _signature(status)
            kept = self._list()
            if self.signature() == signature:
                return Snapshot(raw, self._version_of(signature, kept), status.st_mtime_ns / 1e9, signature)

    def _absent(self) -> Snapshot:
        kept = self._list()
        version = self._version_of(None, kept)
        marker = self._kept_path(version, "cleared")
        at = os.stat(marker).st_mtime if (version, "cleared") in kept else os.stat(self._folder).st_mtime
        return Snapshot(None, version, at, None)

    # -- writing ---------------------------------------------------------------------------------------------

    def _prune(self, kept: dict[tuple[int, str], int]) -> None:
        """Remove the versions beyond those to be kept; the newest is the present one, and does not count."""
        newest = max(kept)
        backups = sorted((key for key in kept if key[1] == "bak" and key != newest), reverse=True)
        marks = [key for key in kept if key[1] == "cleared" and key != newest]
        for version, kind in (*backups[self._backups :], *marks):
            remove_file(self._kept_path(version, kind))

    # -- recovery --------------------------------------------------------------------------------------------

    def _recover(self, parses: Callable[[bytes], object]) -> Snapshot:
        """Set the damaged file aside, and put the newest good version in its place."""
        damaged = self._snapshot()
        if damaged.raw is None or _is_good(damaged.raw, parses):
            return damaged
        inode = damaged.signature.inode if damaged.signature else 0
        for (version, kind), kept_inode in sorted(self._list().items(), reverse=True):
            raw = _read(self._kept_path(version, kind)) if kind == "bak" and kept_inode != inode else b""
            if raw and _is_good(raw, parses):
                aside = self._set_aside(damaged.version)
                restored = self._replace([raw], damaged.version + 1, self._stat())
                logger.warning(
                    "%s was damaged: version %d took its place; what was found stands in %s",
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
        _duplicate(self.path, aside)
        remove_file(self._kept_path(version, "bak"))
        return aside


def _is_good(raw: bytes, parses: Callable[[bytes], object]) -> bool:
    try:
        parses(raw)
    except ValueError:
        return False
    return True


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_ino, status.st_mtime_ns, status.st_size)


def _file_version(version: int, status: os.stat_result) -> FileVersion:
    return FileVersion(version, datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC), status.st_size)


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def _duplicate(source: str, target: str) -> None:
    """Give a file a second name; copy it where the file system has no hard links."""
    remove_file(target)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copy2(source, target)
