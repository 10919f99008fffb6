"""Where something that is opened and closed stands in its life."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """A phase of the life of a unit or an adapter."""

    NEW = "not initialized"
    OPEN = "open"
    CLOSED = "shut down"
