"""What is opened and closed by hand: the part of it that units, adapters and managers share."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from library.infrastructure.data.errors import NotInitializedError, UnitClosedError
from library.infrastructure.data.handoff_mutex import HandoffMutex
from library.infrastructure.data.phase import Phase

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Lifecycle(ABC):
    """Something that is opened by `initialize()` and closed by `shutdown()`, or by `async with`.

    Both are idempotent and may be called from any event loop; what was closed can be opened again. What is
    collected while open warns with a `ResourceWarning`.

    """

    def __init__(self) -> None:
        """Prepare; nothing is opened yet."""
        self._phase = Phase.NEW
        self._mutex = HandoffMutex()

    @property
    @abstractmethod
    def _title(self) -> str:
        """What errors call it."""

    @abstractmethod
    async def _open(self) -> None:
        """Open; called with the mutex held. Raises with nothing left open."""

    @abstractmethod
    async def _close(self) -> None:
        """Finish what was begun and close; called with the mutex held."""

    @abstractmethod
    def _abandon(self) -> None:
        """Close without waiting; for what was forgotten."""

    @property
    def is_open(self) -> bool:
        """Whether it is initialized, and not shut down."""
        return self._phase is Phase.OPEN

    async def initialize(self) -> None:
        """Open; does nothing if that was done."""
        async with self._mutex.hold():
            await self._open_once()

    async def shutdown(self) -> None:
        """Finish what was begun, and close; does nothing if it is not open."""
        async with self._mutex.hold():
            await self._close_once()

    async def _open_once(self) -> None:
        if self._phase is not Phase.OPEN:
            await self._open()
            self._phase = Phase.OPEN

    async def _close_once(self) -> None:
        if self._phase is Phase.OPEN:
            self._phase = Phase.CLOSED
            await self._close()

    def check_open(self) -> None:
        """Refuse calls while it is not open.

        Raises:
            NotInitializedError, UnitClosedError: it is not.

        """
        if self._phase is Phase.OPEN:
            return
        error = NotInitializedError if self._phase is Phase.NEW else UnitClosedError
        state = "is not open yet" if self._phase is Phase.NEW else "was shut down"
        raise error(f"{self._title} {state}: use `async with` or call `await initialize()`")

    async def __aenter__(self) -> Self:
        """Open."""
        await self.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.shutdown()

    def __del__(self) -> None:
        """Warn of what was never shut down."""
        if getattr(self, "_phase", None) is Phase.OPEN:
            self._abandon()
            message = f"{self._title} was never shut down: use `async with`, or call `await shutdown()`"
            warnings.warn(message, ResourceWarning, source=self, stacklevel=2)
