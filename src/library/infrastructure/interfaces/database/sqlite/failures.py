"""From the driver's exceptions to the project's errors."""

from __future__ import annotations

from typing import Final

import apsw

from library.infrastructure.data.errors import (
    CorruptDataError,
    DataUnitError,
    LockTimeoutError,
    ReadOnlyStorageError,
    StorageError,
    StorageFullError,
)

_KINDS: Final[dict[type[apsw.Error], tuple[type[StorageError], str]]] = {
    apsw.BusyError: (LockTimeoutError, "another process kept it locked for too long: retry"),
    apsw.LockedError: (LockTimeoutError, "it is locked from within this process: retry"),
    apsw.FullError: (StorageFullError, "no space is left on the device: free some, and retry"),
    apsw.ReadOnlyError: (
        ReadOnlyStorageError,
        "it may be read only: check the permissions of the file and its folder",
    ),
    apsw.NotADBError: (CorruptDataError, "the file is no SQLite database: is it the right one?"),
    apsw.CorruptError: (
        CorruptDataError,
        "the file is damaged: put back a backup, or save what can be read with `sqlite3 FILE .recover`",
    ),
    apsw.CantOpenError: (
        StorageError,
        "it cannot be opened: check that the folder exists and may be written",
    ),
    apsw.IOError: (StorageError, "the device failed: check it, and retry"),
}

HOPELESS: Final = (
    apsw.BusyError,
    apsw.NotADBError,
    apsw.CorruptError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
)
"""What hits each job of a batch alike, so that there is no use in trying them one by one."""


def damaged(error: ValueError, attempted: str, path: str) -> DataUnitError:
    """Build the error for text that is not UTF-8, or metadata that is not JSON: nobody could save that."""
    message = (
        f"cannot {attempted} {path}: it holds what was never saved ({error}); put back a backup, or mend the "
        "row with the sqlite3 command"
    )
    translated = CorruptDataError(message, path=path)
    translated.__cause__ = error
    return translated


def translate(error: apsw.Error, attempted: str, path: str) -> DataUnitError:
    """Build the error for one of the driver's, which becomes its cause.

    Args:
        error: what the driver raised.
        attempted: what was being done, as in "cannot ...".
        path: the database.

    """
    for kind, (ours, advice) in _KINDS.items():
        if isinstance(error, kind):
            translated: DataUnitError = ours(f"cannot {attempted} {path}: {advice} ({error})", path=path)
            break
    else:
        translated = StorageError(f"cannot {attempted} {path}: {error}", path=path)
    translated.__cause__ = error
    return translated
