"""Importing late: what a command needs is imported when it runs, and not to print its help."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(place: str) -> Any:
    """Import what stands at a place within this package, such as `actions.reading:show`."""
    module, _, name = place.partition(":")
    return getattr(import_module(f"{__package__}.{module}"), name)
