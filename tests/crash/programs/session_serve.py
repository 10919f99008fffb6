"""Do to sessions what is asked for, line by line.

Usage: session_serve.py <file or URL> <options as JSON>: each line of input is a JSON list of calls, each a
list of a method and its arguments. They are made at the same time, and answered by a JSON list in one line:
what they returned, or the name of the error that they raised. The time stands still, but for the call `at`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from library.infrastructure.data import DataUnitError, SessionConfig, SessionData, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter, open_adapter

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
DURATIONS = {"session_timeout", "retention", "touch_interval"}


class Server:
    """A manager, its clock, and what it announced."""

    def __init__(self, place: str, options: dict[str, Any]) -> None:
        self.now = NOON
        self.announced: list[str] = []
        self.adapter: Any = open_adapter(place) if "://" in place else SQLiteAdapter(place)
        read: dict[str, Any] = {
            name: timedelta(seconds=value) if name in DURATIONS else value for name, value in options.items()
        }
        self.manager = SessionManager(
            SessionConfig(cleanup_interval=None, **read),
            self.adapter,
            clock=lambda: self.now,
            on_expired=lambda session: self.announced.append(session.session_id),
        )

    async def answer(self, method: str, *arguments: Any) -> Any:
        """Make one call."""
        own = getattr(self, f"do_{method}", None)
        try:
            if own is not None:
                return await own(*arguments)
            result = await getattr(self.manager, method)(*arguments)
        except DataUnitError as error:
            return type(error).__name__
        if isinstance(result, SessionData):
            return {
                "metadata": result.metadata,
                "last_activity": (result.last_activity - NOON).total_seconds(),
                "user_id": result.user_id,
            }
        return result

    async def do_at(self, seconds: float) -> None:
        """Set the clock."""
        self.now = NOON + timedelta(seconds=seconds)

    async def do_count(self, session_id: str) -> None:
        """Count one further in the metadata."""
        await self.manager.update_session(
            session_id, lambda session: {"count": session.metadata.get("count", 0) + 1}
        )

    async def do_announced(self) -> list[str]:
        """Tell which sessions were announced to have expired."""
        return self.announced

    async def do_vacuum(self) -> None:
        """Rewrite the file."""
        await self.adapter.vacuum()


async def main(place: str, options: str) -> None:
    """Answer until the input ends."""
    server = Server(place, json.loads(options))
    async with server.manager:
        print("ready", flush=True)
        # Nothing else happens in this process while it waits for the next line.
        while line := sys.stdin.readline():
            calls = json.loads(line)
            answers = await asyncio.gather(*(server.answer(*call) for call in calls))
            print(json.dumps(answers), flush=True)


asyncio.run(main(*sys.argv[1:]))
