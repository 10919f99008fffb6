"""Progress on a terminal, for what takes longer than a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.interfaces.cli.loading import load

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from library.infrastructure.data import TransferProgress

PATIENCE_S: Final = 1.0


class Waiting:
    """A bar on standard error that appears once something has taken a second; used within an event loop."""

    def __init__(self, what: str, *, is_seen: bool) -> None:
        """Prepare.

        Args:
            what: what is being done.
            is_seen: whether anybody looks on.

        """
        self._what = what
        self._is_seen = is_seen
        self._timer: asyncio.TimerHandle | None = None
        self._bar: Any = None
        self._latest: TransferProgress | None = None

    def __enter__(self) -> Self:
        if self._is_seen:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._appear)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._bar is not None:
            self._bar.close()

    def note(self, progress: TransferProgress) -> None:
        """Take note of how far it is; in whatever thread."""
        self._latest = progress
        if self._bar is not None:
            self._bar.show(progress)

    def _appear(self) -> None:
        self._bar = load("output.bar:Bar")(self._what)
        if self._latest is not None:
            self._bar.show(self._latest)
