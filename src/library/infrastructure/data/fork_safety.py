"""What must be made new after `fork`: in the child, no other thread exists to release its locks."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkReset(Protocol):
    """Something that holds locks or waiters."""

    def reset_after_fork(self) -> None:
        """Replace every lock, and forget whoever waited in the parent."""


_watched: weakref.WeakSet[ForkReset] = weakref.WeakSet()

no_fork = threading.RLock()
"""Held for the few lines in which a descriptor exists that its object does not know yet, or knows no more: no
other thread forks meanwhile, and the child can close all that it has inherited."""


def reset_after_fork(target: ForkReset) -> None:
    """Call `target.reset_after_fork()` in every child process that is forked while `target` lives."""
    _watched.add(target)


def _reset_all() -> None:
    global no_fork  # noqa: PLW0603 - the parent's other threads, who might release it, do not exist here
    no_fork = threading.RLock()
    for target in list(_watched):
        target.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: no_fork.acquire(),  # noqa: PLW0108 - the lock of the time of the fork
        after_in_parent=lambda: no_fork.release(),  # noqa: PLW0108 - as above
        after_in_child=_reset_all,
    )
