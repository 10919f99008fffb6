"""Open a persistent unit, put a first text into it, and keep it open until a line comes in.

Usage: hold_log.py <type> <file>
"""

from __future__ import annotations

import asyncio
import sys

from library.infrastructure.data import DataUnitConfig, create_data_unit


async def main(data_type: str, path: str) -> None:
    """Hold the lock."""
    config = DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
    async with create_data_unit(config) as unit:
        await unit.set("from the first process")
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


asyncio.run(main(sys.argv[1], sys.argv[2]))
