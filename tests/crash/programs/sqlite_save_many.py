"""Save exchanges from several tasks, once told to; print the id of each one that was acknowledged.

Usage: sqlite_save_many.py <file> <name> <tasks> <saves a task>
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter


async def main(path: str, name: str, tasks: int, saves: int) -> None:
    """Open the history, which may make it, and save."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:

        async def task(number: int) -> None:
            for index in range(saves):
                text = f"mark{name}x{number}x{index}"
                message = ConversationMessage(f"{name} {number}", text, "yes " * 50, datetime.now(UTC), 1.0)
                os.write(1, b"%d\n" % await unit.save_message(message))

        await asyncio.gather(*(task(number) for number in range(tasks)))


print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
