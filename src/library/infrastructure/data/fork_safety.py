"""What must be made new after `fork`: in the child, no other thread exists to release its locks."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkReset(Protocol):
    """Something that holds locks or waiters."""

    def reset_after_fork(self) -> None:
        """Replace every lock, and forget whoever waited in the parent."""


_watched: weakref.WeakSet[ForkReset] = weakref.WeakSet()


def reset_after_fork(target: ForkReset) -> None:
    """Call `target.reset_after_fork()` in every child process that is forked while `target` lives."""
    _watched.add(target)


def _reset_all() -> None:
    for target in list(_watched):
        target.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
