"""Begin an update of a file unit, and never end it.

Usage: hold_update.py <file>
"""

from __future__ import annotations

import asyncio
import sys

from library.infrastructure.data import DataUnitFile


async def hold(value: int) -> int:
    """Say that the update has begun, and wait for ever."""
    print("holding", flush=True)
    await asyncio.Event().wait()
    return value


async def main(path: str) -> None:
    """Hold the lock."""
    async with DataUnitFile(path) as unit:
        await unit.update(hold)


asyncio.run(main(sys.argv[1]))
