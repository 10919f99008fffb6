"""Set a file unit's value as soon as a line comes in; print the version of each set.

Usage: set_many.py <file> <times> <at once>
"""

from __future__ import annotations

import asyncio
import os
import sys

from library.infrastructure.data import DataUnitFile


async def main(path: str, times: int, at_once: int) -> None:
    """Set values of which both halves are the same."""
    async with DataUnitFile(path) as unit:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(0, times, at_once):
            values = [f"{os.getpid()} {number + each} " * 500 for each in range(at_once)]
            versions = await asyncio.gather(*(unit.set([value, value]) for value in values))
            print(*versions, sep="\n", flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
