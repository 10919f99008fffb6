"""Add one to a file unit's number, many times at once, as soon as a line comes in.

Usage: increment.py <file> <times>
"""

from __future__ import annotations

import asyncio
import sys

from library.infrastructure.data import DataUnitFile


async def main(path: str, times: int) -> None:
    """Count."""
    async with DataUnitFile(path) as unit:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(unit.update(lambda number: (number or 0) + 1) for _ in range(times)))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
