r"""Append lines to a persistent string unit; print the number of each one that was acknowledged.

Usage: append_forever.py <file>: line number n is `<n>:` and n % 7 times "é€😀", and ends in a line feed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from library.infrastructure.data import DataUnitConfig, DataUnitString


def line(number: int) -> str:
    """Return the text of a line."""
    return f"{number}:{'é€😀' * (number % 7)}\n"


async def main(path: str) -> None:
    """Go on where the file ends, be it within a line; several appends are on their way at a time."""
    config = DataUnitConfig(data_type="string", persistent=True, file_path=path)
    async with DataUnitString(config=config) as unit:
        text = await unit.get("")
        number = text.count("\n") + 1
        rest = line(number)[len(text) - text.rfind("\n") - 1 :]

        async def append(number: int, text: str) -> None:
            await unit.append(text)
            os.write(1, b"%d\n" % number)

        await append(number, rest)
        while True:
            await asyncio.gather(*(append(each, line(each)) for each in range(number + 1, number + 6)))
            number += 5


asyncio.run(main(sys.argv[1]))
