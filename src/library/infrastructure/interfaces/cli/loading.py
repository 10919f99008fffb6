"""Importing late: what a command needs is imported when it runs, and not to print its help."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def load(place: str) -> Any:
    """Import what stands at a place within this package, such as `actions.reading:show`."""
    module, _, name = place.partition(":")
    with _interrupted_afterwards():
        return getattr(import_module(f"{__package__}.{module}"), name)


@contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Have Ctrl-C wait until something is imported: in the middle, libraries make other errors of it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # it is ignored, or somebody else deals with it
        return
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupts:
        raise KeyboardInterrupt
