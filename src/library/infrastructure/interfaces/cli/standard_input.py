"""Standard input for an import: waiting for it can be ended, as by Ctrl-C while nothing comes."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class _Input(io.RawIOBase):
    """Reads standard input until it is told to stop."""

    name = "<stdin>"

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._stopped, self._stop = os.pipe()
        self._is_at_end = False

    def read(self, size: int = -1) -> bytes:
        """Wait for bytes, and return some; none at the end."""
        if self._is_at_end:
            return b""  # a terminal would wait for more
        ready, _, _ = select.select([self._descriptor, self._stopped], [], [])
        if self._stopped in ready:
            raise InterruptedError(errno.EINTR, "reading was interrupted")
        data = os.read(self._descriptor, size if size > 0 else 1 << 16)
        self._is_at_end = not data
        return data

    def stop(self) -> None:
        """Have whoever waits for bytes get an error."""
        os.write(self._stop, b"\0")

    def close(self) -> None:
        if not self.closed:
            os.close(self._stopped)
            os.close(self._stop)
        super().close()


async def with_standard_input(use: Callable[[BinaryIO], Coroutine[Any, Any, T]]) -> T:
    """Run what reads standard input; cancelled, stop it wherever it waits, and let it end.

    Args:
        use: makes a coroutine that reads the file that it is given.

    """
    with _Input(sys.stdin.fileno()) as file:
        reading = asyncio.ensure_future(use(cast(BinaryIO, file)))
        try:
            await asyncio.wait((reading,))
        except asyncio.CancelledError:
            file.stop()
            reading.cancel()
            await asyncio.wait((reading,))
            raise
        return reading.result()
