"""A bar that shows how far something is, on standard error, by rich."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from library.infrastructure.data import TransferProgress


class Bar:
    """Is shown from when it is made until it is closed, and leaves nothing behind."""

    def __init__(self, what: str) -> None:
        """Begin to show that something is being done.

        Args:
            what: what that is.

        """
        console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
        self._what = what
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), console=console, transient=True
        )
        self._task = self._progress.add_task(what, total=None)
        self._progress.start()

    def show(self, progress: TransferProgress) -> None:
        """Show how far it is; in whatever thread."""
        if progress.total and len(self._progress.columns) == 2:
            self._progress.columns += (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress.update(
            self._task,
            description=f"{self._what}: {progress.phase} {progress.records:,}",
            completed=progress.position,
            total=progress.total,
        )

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()
