"""Save more than there is room for; print what became of it as JSON.

Usage: sqlite_fill_disk.py <file> <largest size of a file in bytes>
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from datetime import UTC, datetime

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, StorageError
from library.infrastructure.interfaces.database import SQLiteAdapter

SIZES = (100, 20_000, 60_000)


async def main(path: str, limit: int) -> None:
    """Save from many tasks until it fails, and again when there is room."""
    saved: dict[int, str] = {}
    errors: list[str] = []

    async def save(unit: ConversationHistoryUnit, number: int) -> None:
        text = f"mark{number}" + "." * SIZES[number % 3]
        try:
            message_id = await unit.save_message(ConversationMessage("a", text, "", datetime.now(UTC), 1.0))
        except StorageError as error:
            errors.append(f"{type(error).__name__} {type(error.__cause__).__name__}: {error}")
        else:
            saved[message_id] = text

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await save(unit, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for part in range(4):
            await asyncio.gather(*(save(unit, 1000 * part + number) for number in range(100)))
        there = {each.message_id: each.user_input for each in await unit.get_conversation_history("a", None)}
        report = {
            "saved": len(saved),
            "refused": len(errors),
            "errors": sorted(set(errors)),
            "whole": there == saved,
            "problems": await adapter.check(),
        }
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        errors.clear()
        await asyncio.gather(*(save(unit, 10_000 + number) for number in range(100)))
        there = {each.message_id: each.user_input for each in await unit.get_conversation_history("a", None)}
        report |= {"errors with room": errors, "whole with room": there == saved}
        report["problems with room"] = await adapter.check()
    print(json.dumps(report))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
