"""Use one database in a process and in those that it spawns, while it is open; print all texts as JSON.

Usage: sqlite_spawn.py <file>
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from datetime import UTC, datetime

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.interfaces.database import SQLiteAdapter


async def save(path: str, text: str) -> None:
    """Save one exchange."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(ConversationMessage("a", text, "", datetime.now(UTC), 1.0))


def work(path: str, text: str) -> None:
    """Save in a process of its own."""
    asyncio.run(save(path, text))


async def main(path: str) -> None:
    """Save here and there, and read all."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(ConversationMessage("a", "parent", "", datetime.now(UTC), 1.0))
        spawn = multiprocessing.get_context("spawn")
        children = [spawn.Process(target=work, args=(path, f"child{number}")) for number in range(2)]
        for child in children:
            child.start()
        for child in children:
            await asyncio.to_thread(child.join)
        report = {
            "codes": [child.exitcode for child in children],
            "texts": sorted(each.user_input for each in await unit.get_conversation_history("a")),
            "problems": await adapter.check(),
        }
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
