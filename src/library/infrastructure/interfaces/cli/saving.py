"""Ctrl-C while an import runs: it is given up while it reads, and completed once it is being saved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from library.infrastructure.data import TransferProgress
    from library.infrastructure.interfaces.cli.job import Job

T = TypeVar("T")


class Saving:
    """Waits for an import, and says at once what an interrupt does to it."""

    def __init__(self, job: Job) -> None:
        """Begin."""
        self._job = job
        self._has_begun = False
        self._is_told = False
        self.is_interrupted = False
        """Whether Ctrl-C came."""

    def note(self, progress: TransferProgress) -> None:
        """Take note of how far the import is."""
        if progress.phase == "saving":
            self._has_begun = True
            if self.is_interrupted:
                self._tell()

    async def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an import; interrupted while it is being saved, it is run to its end.

        Returns:
            What it returns; then `is_interrupted` tells whether the command shall end here.

        Raises:
            asyncio.CancelledError: it was interrupted before.

        """
        running = asyncio.ensure_future(work)
        while not running.done():
            try:
                await asyncio.wait((running,))
            except asyncio.CancelledError:
                self.is_interrupted = True
                if self._has_begun:
                    self._tell()
                else:
                    running.cancel()
        if running.cancelled() and self._has_begun:
            # It was interrupted between reading and saving, or twice, and its report is lost.
            self._job.say("all of it is stored, at the latest when the database is used next")
        elif self.is_interrupted and not running.cancelled() and running.exception() is None:
            self._job.say("all of it is stored")
        return running.result()

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._job.say(
                "interrupted while it is being saved: this is completed, so that it is not half done …"
            )
