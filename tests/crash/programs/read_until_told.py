"""Read a file unit again and again until a line comes in; print how many different values there were.

Usage: read_until_told.py <file>: the value is a list of two texts that are the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from library.infrastructure.data import DataUnitFile


async def main(path: str) -> None:
    """Fail on the first value that is not whole, or is older than the one before."""
    seen = set()
    last = 0
    async with DataUnitFile(path) as unit:
        print("ready", flush=True)
        told = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while not told.done():
            entry = await unit.entry()
            assert entry.value[0] == entry.value[1]
            assert entry.version >= last
            last = entry.version
            seen.add(entry.value[0])
            plain = json.loads(await asyncio.to_thread(Path(path).read_bytes))
            assert plain[0] == plain[1]
    print(len(seen), flush=True)


asyncio.run(main(sys.argv[1]))
