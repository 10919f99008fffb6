"""What an export and an import have in common while they run: a thread to stop, and someone who is told."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from library.infrastructure.data.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from library.infrastructure.data.transfer_report import TransferProgress

T = TypeVar("T")

_TELL_EVERY_S: Final = 0.05


class StopTransfer(Exception):  # noqa: N818 - never seen by users: the caller was cancelled, or gets another error
    """Raised in the thread that works, to end it."""


class TransferRun:
    """Joins the thread that works with the event loop of who waits for it.

    `progress` is called on the event loop, some twenty times a second at the most, and once in the end of
    each phase. What it raises ends the transfer, and is raised there.
    """

    def __init__(self, progress: Callable[[TransferProgress], None] | None) -> None:
        """Begin; called on the event loop."""
        if progress is not None and not callable(progress):
            raise InvalidOptionError("progress must be a function of one argument", option="progress")
        if any(map(inspect.iscoroutinefunction, (progress, getattr(progress, "__call__", None)))):  # noqa: B004
            message = "progress must be a plain function, not `async def`: it is called, and not waited for"
            raise InvalidOptionError(message, option="progress")
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._told_at = 0.0
        self._error: BaseException | None = None
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.perf_counter() - self.started

    def check(self) -> None:
        """Raise `StopTransfer` if nobody wants the rest; called in the thread that works."""
        if self._stop.is_set():
            raise StopTransfer

    def tell(self, progress: Callable[[], TransferProgress], *, is_last: bool = False) -> None:
        """Say how far it has come, if it is time to; called in the thread that works, or on the loop."""
        if self._progress is None:
            return
        now = time.monotonic()
        if is_last or now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            self._loop.call_soon_threadsafe(self._call, progress())

    def _call(self, progress: TransferProgress) -> None:
        if self._progress is None or self._error is not None:
            return
        try:
            self._progress(progress)
        except BaseException as error:  # noqa: BLE001 - raised where the transfer is waited for
            self._error = error
            self._stop.set()

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work; cancelled, have its thread stop, and wait for its end."""
        running = asyncio.create_task(work)
        try:
            result = await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stop.set()
            running.cancel()
            while not running.done():  # also when cancelled again
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((running,))
            raise
        except StopTransfer:
            if self._error is not None:
                raise self._error from None
            raise
        await asyncio.sleep(0)  # so that the last progress was told before the end
        if self._error is not None:
            raise self._error
        return result
