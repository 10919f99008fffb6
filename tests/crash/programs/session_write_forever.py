"""Create, change and end sessions from 32 tasks; print a line for each call that was acknowledged.

Usage: session_write_forever.py <file> <options as JSON>: each line has what was done, the id, and a number.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from library.infrastructure.data import SessionConfig, SessionManager, SessionNotFoundError
from library.infrastructure.interfaces.database import SQLiteAdapter

TASKS = 32


def say(done: str, session_id: str, number: int) -> None:
    """Print a line in one piece."""
    os.write(1, f"{done} {session_id} {number}\n".encode())


async def use(manager: SessionManager, user: int) -> None:
    """Create a session, change it a few times, and end every second one."""
    session_id = await manager.create_session(f"user{user % 8}", {"number": 0})
    say("created", session_id, 0)
    for number in range(1, 4):
        if number == 2:
            await manager.update_session(session_id, lambda _: {"number": 2})
        else:
            await manager.update_session(session_id, {"number": number})
        say("updated", session_id, number)
    await manager.touch(session_id)
    if user % 2:
        await manager.end_session(session_id)
        say("ended", session_id, 4)


async def main(path: str, options: str) -> None:
    """Open the sessions, and work until killed."""
    config: dict[str, Any] = json.loads(options)

    async def task(number: int) -> None:
        while True:
            try:
                await use(manager, number)
            except SessionNotFoundError:  # it had to make room
                continue

    async with SessionManager(SessionConfig(**config), SQLiteAdapter(path)) as manager:
        await asyncio.gather(*(task(number) for number in range(TASKS)))


asyncio.run(main(*sys.argv[1:]))
