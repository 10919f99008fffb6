"""The file that holds the rows of a large import until all of them are known to be good.

It stands beside the database, and is locked for as long as its import lives: the system releases the lock
when the process dies. Whoever opens the database next so can tell what an import that was killed left
behind. One whose rows are being moved into their table, which `nanobrain_loads` knows, is completed; any
other is removed.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import secrets
import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from library.infrastructure.data.durable_io import (
    explain_os_errors,
    remove_file,
    sync_file,
    sync_folder,
    write_all,
)
from library.infrastructure.data.errors import StorageFullError
from library.infrastructure.interfaces.database.sqlite.engine import MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

_INFIX: Final = "-import-"
_NAME: Final = re.compile(rf"[^/\0]+{_INFIX}[0-9a-f]{{16}}")
_ROWS_A_LINE: Final = 64
_BUFFER_BYTES: Final = 1 << 17


class Spool:
    """An open spool; whoever has one has its lock."""

    def __init__(self, path: str, descriptor: int) -> None:
        """Take over an open, locked file."""
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, database: str) -> Self:
        """Make an empty one for a database.

        Raises:
            StorageError: the file cannot be made.

        """
        base = os.path.join(tempfile.gettempdir(), "nanobrain") if database == MEMORY else database
        path = f"{base}{_INFIX}{secrets.token_hex(8)}"
        with explain_os_errors("make", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if database == MEMORY:
            remove_file(path)  # nobody is going to look for it
        return cls(path, descriptor)

    @classmethod
    def take_over(cls, path: str) -> Self | None:
        """Open one that an import left behind; `None` if that lives, or the file is gone.

        Raises:
            StorageError: the file cannot be opened.

        """
        with explain_os_errors("open", path):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                    return None
                raise
        return cls(path, descriptor)

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows.

        Raises:
            StorageFullError: the disk is full.
            StorageError: the file cannot be written.

        """
        lines = [
            orjson.dumps(rows[start : start + _ROWS_A_LINE], option=orjson.OPT_APPEND_NEWLINE)
            for start in range(0, len(rows), _ROWS_A_LINE)
        ]
        try:
            write_all(self._descriptor, lines)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = f"cannot import: no space is left for {self.path}; free some, and retry"
                raise StorageFullError(message, path=self.path) from error
            with explain_os_errors("write", self.path):
                raise

    def sync(self) -> None:
        """Bring what was written to the disk."""
        with explain_os_errors("write", self.path):
            sync_file(self._descriptor)
            sync_folder(os.path.dirname(self.path))

    def part(self, position: int, most_rows: int, most_bytes: int) -> tuple[list[Any], int] | None:
        """Read rows from a position on, and return them with the position behind; `None` at the end."""
        rows: list[Any] = []
        end = position + most_bytes
        with (
            explain_os_errors("read", self.path),
            open(self._descriptor, "rb", buffering=_BUFFER_BYTES, closefd=False) as file,
        ):
            file.seek(position)
            while len(rows) < most_rows and position < end and (line := file.readline()).endswith(b"\n"):
                rows += orjson.loads(line)
                position += len(line)
        return (rows, position) if rows else None

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return os.fstat(self._descriptor).st_size

    def remove(self) -> None:
        """Remove the file."""
        remove_file(self.path)
        self.close()

    def close(self) -> None:
        """Give the file up, as it is."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_spool_name(name: str) -> bool:
    """Tell whether a file may be one of ours: its name stands in a database that anybody may have made."""
    return _NAME.fullmatch(name) is not None


def is_in_use(path: str) -> bool:
    """Tell whether an import that lives has a spool; its file is only looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def left_behind(database: str) -> list[str]:
    """List the spools beside a database; those of imports that live are among them."""
    return (
        [] if database == MEMORY else sorted(glob.glob(f"{glob.escape(database)}{_INFIX}{'[0-9a-f]' * 16}"))
    )
