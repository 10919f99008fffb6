"""Noticing that an idle server, or the way to it, is gone, before a statement waits for it in vain."""

from __future__ import annotations

import socket
from typing import Any, Final

_OPTIONS: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""Notices within two minutes; where the system has no such option, after its own time."""


def keep_alive(connection: Any) -> None:
    """Have the system ask, now and then, whether the server is there."""
    transport = getattr(connection, "_transport", None)
    found = None if transport is None else transport.get_extra_info("socket")
    if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _OPTIONS:
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
