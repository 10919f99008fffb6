"""Import a file into a database again and again, saving beside it; print what is acknowledged.

Usage: import_file.py <database> <file> <merge strategy>
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, ImportManager
from library.infrastructure.interfaces.database import SQLiteAdapter


async def save(unit: ConversationHistoryUnit) -> None:
    """Save without end."""
    while True:
        message = ConversationMessage("live", "hello", "good day", datetime.now(UTC), 1.0)
        print("saved", await unit.save_message(message), flush=True)
        await asyncio.sleep(0.005)


async def main(path: str, file: str, strategy: Any) -> None:
    """Import until killed."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        saving = asyncio.create_task(save(unit))
        while not saving.done():
            print("began", flush=True)
            await ImportManager(adapter).import_conversations(
                file, merge_strategy=strategy, progress=lambda each: print(each.phase, flush=True)
            )
            print("imported", flush=True)


asyncio.run(main(*sys.argv[1:]))
