"""Publish to a persistent stream; print the version of each message that was acknowledged.

Usage: publish_forever.py <file>: the message of version n holds n.
"""

from __future__ import annotations

import asyncio
import os
import sys

from library.infrastructure.data import DataUnitConfig, DataUnitStream


async def main(path: str) -> None:
    """Go on where the log ends; several messages are on their way at a time."""
    config = DataUnitConfig(data_type="stream", persistent=True, file_path=path, cache_size=16)
    async with DataUnitStream(config) as stream:
        version = (await stream.entry()).version

        async def publish(number: int) -> None:
            assert number == await stream.publish({"number": number, "fill": "€" * (number % 50)})
            os.write(1, b"%d\n" % number)

        while True:
            await asyncio.gather(*(publish(each) for each in range(version + 1, version + 6)))
            version += 5


asyncio.run(main(sys.argv[1]))
