"""The versions of a file that are kept beside it, and what they tell of the file's own version.

A version of `name` is `.name.<version>.bak`; `.name.<version>.cleared` marks that the file was removed. The
newest backup is the present file under a second (hard) link, so that the inode tells the version of `name`.
A file without such a link counts as one version more than the newest: another program put it there, or a
kill came between rename and link.
"""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shutil
from typing import Final, NamedTuple

from library.infrastructure.data.durable_io import remove_file

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES})

_Kept = dict[tuple[int, str], int]
"""Versions, with `bak` or `cleared`, to inodes."""


class Signature(NamedTuple):
    """What changes whenever a file does."""

    inode: int
    mtime_ns: int
    size: int
    links: int
    """One more as soon as the file has its version's name."""

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from a file's status."""
        return cls(status.st_ino, status.st_mtime_ns, status.st_size, status.st_nlink)


class KeptVersions:
    """The versions kept of one file; what changes them is called with the file's lock held."""

    def __init__(self, path: str, backups: int) -> None:
        """Prepare; `backups` is how many versions are kept beside the present one."""
        self._path = path
        self._folder, self._name = os.path.split(path)
        self._backups = backups
        self._pattern = re.compile(rf"\.{re.escape(self._name)}\.(\d+)\.(bak|cleared)")
        self._listed: tuple[Signature | None, _Kept] = (None, {})
        self._seen = (0, 0)
        """The highest version that was confirmed, and the inode of its file."""

    def version_of(self, present: os.stat_result | None) -> int:
        """Tell the version of the file as it is now; `None`: there is no file."""
        return self._version_of(present, self._list(present))

    def confirm(self, version: int, present: os.stat_result | None) -> None:
        """Take note that this was the version of the file; only what was looked at twice is sure to be.

        Between a look at the file and one at what is kept beside it, another process may have written.
        """
        if version > self._seen[0]:
            self._seen = (version, _inode(present))

    def is_recorded(self, present: os.stat_result | None) -> bool:
        """Tell whether the file as it is now, or that there is none, was recorded as a version."""
        kept = self._list(present)
        version = self._version_of(present, kept)
        return (version, "cleared" if present is None else "bak") in kept or not (kept or present)

    def removed_at(self, version: int) -> float | None:
        """Tell when the file was removed, if that was its last change."""
        try:
            return os.stat(self._name_of(version, "cleared")).st_mtime
        except FileNotFoundError:
            return None

    def backups(self, *, everything: bool) -> list[tuple[int, str]]:
        """List the versions kept, with their files, newest first; perhaps those to be removed, too."""
        kept = self._scan()
        for key in () if everything else self._surplus(kept):
            del kept[key]
        return [
            (version, self._name_of(version, kind))
            for version, kind in sorted(kept, reverse=True)
            if kind == "bak"
        ]

    def adopt(self, present: os.stat_result | None) -> int:
        """Return the version of the file; if another program made or removed it, record that as a version."""
        kept = self._list(present)
        version = self._version_of(present, kept)
        if present is None and kept and (version, "cleared") not in kept:
            self.mark_removed(version)
        if present is not None and (version, "bak") not in kept:
            duplicate(self._path, self._name_of(version, "bak"))
            kept[version, "bak"] = present.st_ino
            self._listed = (None, kept)
        return version

    def add(self, version: int, former: os.stat_result | None) -> os.stat_result:
        """Keep the file that has just taken the place of `former` as `version`; return its status then."""
        kept = self._list(former)
        duplicate(self._path, self._name_of(version, "bak"))
        present = os.stat(self._path)
        kept[version, "bak"] = present.st_ino
        self._listed = (Signature.of(present), kept)
        self.confirm(version, present)
        return present

    def mark_removed(self, version: int) -> os.stat_result:
        """Note that the file was removed, as `version`."""
        marker = self._name_of(version, "cleared")
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        self._listed = (None, self._scan())
        self.confirm(version, None)
        return os.stat(marker)

    def forget(self, version: int) -> None:
        """Keep a version no more."""
        remove_file(self._name_of(version, "bak"))
        self._listed = (None, {})

    def prune(self) -> None:
        """Remove the versions beyond those to be kept; the lock is not needed: what is old stays old."""
        signature, kept = self._listed
        for key in self._surplus(kept):
            remove_file(self._name_of(*key))
            kept = {each: inode for each, inode in kept.items() if each != key}
        if self._listed[0] == signature:
            self._listed = (signature, kept)

    def _surplus(self, kept: _Kept) -> list[tuple[int, str]]:
        """Choose what is not to be kept; the newest is the present file, and does not count as a backup."""
        newest = max(kept, default=None)
        backups = sorted((key for key in kept if key[1] == "bak" and key != newest), reverse=True)
        marks = [key for key in kept if key[1] == "cleared" and key != newest]
        return [*backups[self._backups :], *marks]

    def _name_of(self, version: int, kind: str) -> str:
        return f"{self._folder}/.{self._name}.{version}.{kind}"

    def _list(self, present: os.stat_result | None) -> _Kept:
        """Look what is kept, unless that was done for the very same file; the answer is the caller's own."""
        signature, kept = self._listed
        if present is None or Signature.of(present) != signature:
            kept = self._scan()
            self._listed = (None if present is None else Signature.of(present), kept)
        return dict(kept)

    def _scan(self) -> _Kept:
        kept = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                match = self._pattern.fullmatch(entry.name)
                if match:
                    kept[int(match[1]), match[2]] = entry.inode()
        return kept

    def _version_of(self, present: os.stat_result | None, kept: _Kept) -> int:
        """Tell the version from what is kept; it does not go back when somebody deletes that."""
        version = self._recorded_version(present, kept)
        seen, seen_inode = self._seen
        if version >= seen:
            return version
        return seen if seen_inode == _inode(present) else seen + 1

    def _recorded_version(self, present: os.stat_result | None, kept: _Kept) -> int:
        if not kept:
            return 0 if present is None else 1
        newest, kind = max(kept)
        if present is None:
            return newest if kind == "cleared" else newest + 1
        same = kind == "bak" and (
            kept[newest, kind] == present.st_ino or self._is_copy(self._name_of(newest, kind), present)
        )
        return newest if same else newest + 1

    def _is_copy(self, backup: str, present: os.stat_result) -> bool:
        """Tell a backup that was copied, for want of hard links, from that of another version."""
        try:
            copy = os.stat(backup)
            same = (copy.st_mtime_ns, copy.st_size) == (present.st_mtime_ns, present.st_size)
            return same and filecmp.cmp(backup, self._path, shallow=False)
        except FileNotFoundError:
            return False


def _inode(present: os.stat_result | None) -> int:
    return 0 if present is None else present.st_ino


def duplicate(source: str, target: str) -> None:
    """Give a file a second name; copy it where the file system has no hard links."""
    remove_file(target)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copy2(source, target)
