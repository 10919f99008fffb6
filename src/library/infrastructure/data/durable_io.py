"""The few system calls on which durability rests; all of this blocks, and runs in worker threads."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from library.infrastructure.data.config import check_path_text
from library.infrastructure.data.errors import InvalidOptionError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_PIECES_A_CALL: Final = 1024
"""How many buffers `writev` takes on Linux and macOS (IOV_MAX)."""
_BYTES_A_CALL: Final = 1 << 20
_NO_DIRECTORY_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What some network file systems answer to fsync of a folder, which they do not need."""


def resolve_path(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of the file itself, links followed, as of now.

    Raises:
        InvalidOptionError: no file can have that path.

    """
    try:
        text = os.fspath(path)
        check_path_text(text)
        return os.path.realpath(text)
    except (TypeError, ValueError) as error:
        message = f"{path!r} cannot be the path of a file: {error}"
        raise InvalidOptionError(message, option="file_path") from error


def check_place(path: str) -> None:
    """Refuse a path where no regular file can stand.

    Raises:
        StorageError: it is a folder or a device, or its folder does not exist.

    """
    with explain_os_errors("open", path):
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            message = f"cannot open {path}: the folder {folder} does not exist; create it first"
            raise StorageError(message, path=path)
        if os.path.lexists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if os.path.isdir(path) else "not a regular file"
            message = f"cannot open {path}: it is {kind}; give the path of a file"
            raise StorageError(message, path=path)


@contextmanager
def explain_os_errors(action: str, path: str) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that says what was attempted on what.

    Raises:
        StorageError: the block raised an `OSError`.

    """
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space on the disk",
            errno.EDQUOT: "free some of your quota",
            errno.EFBIG: "the file may not grow beyond that size",
            errno.EACCES: "check the permissions of the file and its folder",
            errno.EPERM: "check the permissions of the file and its folder",
            errno.EROFS: "the file system is read-only",
        }.get(error.errno or 0, "see the cause")
        message = f"cannot {action} {path}: {error.strerror or error} ({advice})"
        raise StorageError(message, path=path) from error


def write_all(descriptor: int, pieces: Iterable[bytes | memoryview]) -> None:
    """Write every byte of the pieces, in order, about a megabyte at a time."""
    group: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += len(piece)
        if size >= _BYTES_A_CALL or len(group) == _PIECES_A_CALL:
            _write_group(descriptor, group)
            group, size = [], 0
    _write_group(descriptor, group)


def _write_group(descriptor: int, group: Sequence[bytes | memoryview]) -> None:
    buffers = [memoryview(piece) for piece in group if len(piece)]
    while buffers:
        written = os.writev(descriptor, buffers)
        while buffers and written >= len(buffers[0]):
            written -= len(buffers.pop(0))
        if written:
            buffers[0] = buffers[0][written:]


def sync_file(descriptor: int) -> None:
    """Bring a file's bytes to the disk itself; macOS has F_FULLFSYNC for that (fcntl(2))."""
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.ENOTTY, errno.EINVAL}:
                raise
        else:
            return
    os.fsync(descriptor)


def sync_folder(folder: str) -> None:
    """Bring the names in a folder to the disk: new, replaced and deleted files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)


def replace_file(
    path: str,
    pieces: Iterable[bytes | memoryview],
    former: os.stat_result | None,
    *,
    durable: bool,
) -> None:
    """Put a new file in the place of `path` as one step: a crash leaves the old one or the new one, whole.

    The caller brings the new name to the disk, with `sync_folder`.

    Args:
        path: where it shall stand.
        pieces: its content.
        former: the file that stands there, whose rights and owner are kept; `None`: there is none.
        durable: whether to wait until the content is on the disk.

    """
    with replacing(path, former, durable=durable) as descriptor:
        write_all(descriptor, pieces)


@contextmanager
def replacing(path: str, former: os.stat_result | None, *, durable: bool) -> Iterator[int]:
    """Give a descriptor of a new file that takes the place of `path` when the block ends; see `replace_file`.

    When the block raises, the new file is removed, and the old one stays.
    """
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o666 if former is None else former.st_mode & 0o777)
        try:
            if former is not None:
                _keep_rights(descriptor, former)
            yield descriptor
            if durable:
                sync_file(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def temporary_files(path: str) -> list[str]:
    """List the files that `replace_file` left in the folder of `path` when its process was killed."""
    folder, name = os.path.split(path)
    pattern = re.compile(rf"\.{re.escape(name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    return [os.path.join(folder, found) for found in os.listdir(folder) if pattern.fullmatch(found)]


def remove_file(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _keep_rights(descriptor: int, former: os.stat_result) -> None:
    """Give a new file the mode of the former one, and its owner where that is allowed."""
    os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
    if (former.st_uid, former.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, former.st_uid, former.st_gid)
        except PermissionError:
            logger.debug("the new file belongs to another user than the former one")
