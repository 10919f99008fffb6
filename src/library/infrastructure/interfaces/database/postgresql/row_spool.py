"""Holds the rows of an import until all are known to be good: in memory, or in a file when they are many."""

from __future__ import annotations

import errno
import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from library.infrastructure.data.errors import StorageError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import RowSource

_MOST_ROWS: Final = 10_000
_MOST_CHARACTERS: Final = 8_000_000
"""So much is held in memory."""
_PART: Final = 300


class RowSpool:
    """Rows that can be read again and again; blocks, and so is used in a worker's thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rows: list[Row] = []
        self._characters = 0
        self._file: Any = None
        self.count = 0

    def take_all(self, source: RowSource) -> None:
        """Take all rows that a source gives.

        Raises:
            StorageFullError: the disk is full.
            StorageError: the file cannot be made or written.

        """
        while rows := source.read():
            self.count += len(rows)
            if self._file is not None:
                self._write(rows)
                continue
            self._rows += rows
            self._characters += sum([len(each) for row in rows for each in row if type(each) is str])
            if len(self._rows) > _MOST_ROWS or self._characters > _MOST_CHARACTERS:
                self._move_to_file()

    def parts(self) -> Iterator[Sequence[Row]]:
        """Give all rows, some hundred at a time."""
        if self._file is None:
            for start in range(0, len(self._rows), _PART):
                yield self._rows[start : start + _PART]
            return
        try:
            self._file.seek(0)
            for line in self._file:
                yield orjson.loads(line)
        except OSError as error:
            raise StorageError(f"cannot import: the temporary file cannot be read ({error})") from error

    def _move_to_file(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="nanobrain-import-")  # noqa: SIM115 - see __exit__
        except OSError as error:
            raise StorageError(f"cannot import: no temporary file can be made ({error})") from error
        rows, self._rows = self._rows, []
        for start in range(0, len(rows), _PART):
            self._write(rows[start : start + _PART])

    def _write(self, rows: Sequence[Row]) -> None:
        try:
            self._file.write(orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = f"cannot import: no space is left in {tempfile.gettempdir()}; free some, and retry"
                raise StorageFullError(message) from error
            raise StorageError(f"cannot import: the temporary file cannot be written ({error})") from error

    def __enter__(self) -> Self:
        """Be used."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
