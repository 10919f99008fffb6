"""What a library that keeps conversations is asked to do, so that all of them are measured alike."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from benchmarks.history_texts import Exchange


class Peer(ABC):
    """One library with one file; `session` gives what it needs to know of a conversation."""

    name: ClassVar[str]
    note: ClassVar[str]
    fills = True
    """Whether 10,000 exchanges are saved in seconds, so that reads can be measured among them."""
    concurrent = True
    """Whether it can be asked by 64 tasks at once."""
    saves: ClassVar[tuple[int, int]] = (100, 8)
    """How many saves are timed: of one task, and of each of 64."""
    journal: ClassVar[str] = "WAL"

    def __init__(self, path: str) -> None:
        self.path = path

    async def open(self) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute(f"PRAGMA journal_mode={self.journal}")
        connection.close()

    @abstractmethod
    async def session(self, conversation_id: str) -> Any: ...

    @abstractmethod
    async def save(self, session: Any, exchange: Exchange) -> None: ...

    @abstractmethod
    async def save_many(self, session: Any, exchanges: list[Exchange]) -> None: ...

    @abstractmethod
    async def latest(self, session: Any, number: int) -> int:
        """Read the latest exchanges, and return how many."""

    async def close(self) -> None:
        """Close what was opened, where there is anything."""
        return
