"""Keeping records aside in a temporary file, for files in which what belongs together stands apart."""

from __future__ import annotations

import tempfile
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

_IN_MEMORY: Final = 1 << 20


class Spool:
    """Records by their numbers; only where each begins is held in memory, which takes eight bytes."""

    def __init__(self) -> None:
        """Open the temporary file, which `close` removes."""
        self._file: BinaryIO = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115 - `close` closes it
        self._ends = array("Q", [0])

    def add(self, record: bytes) -> int:
        """Put a record aside; return its number."""
        self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))
        return len(self._ends) - 2

    def get(self, number: int) -> bytes:
        """Return a record; none can be added any more."""
        begin, end = self._ends[number], self._ends[number + 1]
        self._file.seek(begin)
        return self._file.read(end - begin)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
