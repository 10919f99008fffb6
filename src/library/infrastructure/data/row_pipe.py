"""`RowPipe`: an export and an import that run at the same time, the one feeding the other."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.transfer_run import StopTransfer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import Loaded
    from library.infrastructure.data.transfer_run import TransferRun

_PAGES: Final = 8
_LOOK_EVERY_S: Final = 0.1
"""How often a side that waits looks whether the other one has failed."""


class RowPipe:
    """Takes rows as a `RowTarget`, and gives them as a `RowSource`, in bounded memory."""

    has_own_ids = True

    def __init__(self, run: TransferRun) -> None:
        """Prepare."""
        self._run = run
        self._pages: queue.Queue[Sequence[Row]] = queue.Queue(_PAGES)
        self._is_ended = threading.Event()
        self._has_failed = threading.Event()
        self.count = 0
        """How many rows went through."""
        self.last: Row | None = None
        """The last of them."""

    def begin(self, total: int | None, missing: Sequence[str]) -> None:
        """See `RowTarget`."""

    def take(self, rows: Sequence[Row]) -> None:
        """See `RowTarget`."""
        while True:
            self._check()
            try:
                self._pages.put(rows, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            self.count += len(rows)
            self.last = rows[-1]
            return

    def read(self) -> Sequence[Row]:
        """See `RowSource`."""
        while True:
            self._check()
            try:
                return self._pages.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                if self._is_ended.is_set() and self._pages.empty():
                    return []

    def note(self, stored: int) -> None:
        """See `RowSource`."""

    def _check(self) -> None:
        self._run.check()
        if self._has_failed.is_set():
            raise StopTransfer

    async def run(self, export: Coroutine[Any, Any, None], load: Coroutine[Any, Any, Loaded]) -> Loaded:
        """Let both run to their end; what one of them raises ends the other, and is raised."""
        exporting = asyncio.create_task(self._export(export))
        try:
            loaded = await load
        except BaseException as error:
            self._has_failed.set()
            failed = (await asyncio.gather(exporting, return_exceptions=True))[0]
            if isinstance(error, StopTransfer) and isinstance(failed, Exception):
                raise failed from None
            raise
        await exporting
        return loaded

    async def _export(self, export: Coroutine[Any, Any, None]) -> None:
        try:
            await export
        except BaseException:
            self._has_failed.set()
            raise
        finally:
            self._is_ended.set()
