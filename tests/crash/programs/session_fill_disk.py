"""Create more sessions than there is room for; print what became of it as JSON.

Usage: session_fill_disk.py <file> <largest size of a file in bytes>
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

from library.infrastructure.data import SessionManager, StorageError
from library.infrastructure.interfaces.database import SQLiteAdapter

SIZES = (100, 20_000, 60_000)


async def main(path: str, limit: int) -> None:
    """Create and change from many tasks until that fails, and again when there is room."""
    expected: dict[str, int] = {}
    errors: list[str] = []
    adapter = SQLiteAdapter(path)
    manager = SessionManager(database_adapter=adapter)

    async def use(number: int) -> None:
        try:
            text = "." * SIZES[number % 3]
            session_id = await manager.create_session(f"user{number % 7}", {"number": -1, "text": text})
            expected[session_id] = -1
            await manager.update_session(session_id, {"number": number})
            expected[session_id] = number
        except StorageError as error:
            errors.append(f"{type(error).__name__} {type(error.__cause__).__name__}: {error}")

    async def look(name: str) -> dict[str, Any]:
        there = {each.session_id: each.metadata["number"] for each in await manager.list_sessions(limit=None)}
        return {name: there == expected, f"{name} problems": await adapter.check()}

    async with manager:
        await use(0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for part in range(4):
            await asyncio.gather(*(use(1000 * part + number) for number in range(100)))
        report: dict[str, Any] = {"errors": sorted(set(errors)), **await look("whole")}
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        errors.clear()
        await asyncio.gather(*(use(10_000 + number) for number in range(100)))
        report |= {"errors with room": errors, **await look("whole with room")}
    print(json.dumps(report))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
