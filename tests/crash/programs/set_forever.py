"""Set a unit's value again and again; print the number of each value that was acknowledged.

Usage: set_forever.py <type> <file> <size>...: value number n is filled with n, `size[n % len(sizes)]` times.
"""

from __future__ import annotations

import asyncio
import os
import sys

from library.infrastructure.data import DataUnitConfig, create_data_unit


async def main(data_type: str, path: str, sizes: list[int]) -> None:
    """Count on from what the file holds."""
    config = DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
    async with create_data_unit(config) as unit:
        number = (await unit.get({"number": 0}))["number"]
        while True:
            number += 1
            await unit.set({"number": number, "fill": f"{number}," * sizes[number % len(sizes)]})
            os.write(1, b"%d\n" % number)


asyncio.run(main(sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]))
