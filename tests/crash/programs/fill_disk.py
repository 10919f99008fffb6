"""Write more to a persistent unit than there is room for; print what became of it as JSON.

Usage: fill_disk.py <type> <file> <largest size of a file in bytes, or 0>
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

from library.infrastructure.data import (
    DataUnitBase,
    DataUnitConfig,
    DataUnitStream,
    DataUnitString,
    StorageError,
    create_data_unit,
)


async def attempt(unit: DataUnitBase, value: Any) -> str:
    """Write a value in the way of the unit; return the error, if there was one."""
    try:
        if isinstance(unit, DataUnitString):
            await unit.append(value)
        elif isinstance(unit, DataUnitStream):
            await unit.publish(value)
        else:
            await unit.set(value)
    except StorageError as error:
        return f"{error} | {error.path} | {type(error.__cause__).__name__}"
    return ""


async def main(data_type: str, path: str, limit: int) -> None:
    """Write little, three times too much, and little again."""
    config = DataUnitConfig(data_type=data_type, persistent=True, file_path=path)
    async with create_data_unit(config) as unit:
        report: dict[str, Any] = {"small": [await attempt(unit, "first "), await attempt(unit, "second ")]}
        before = (await unit.get(), (await unit.entry()).version, Path(path).read_bytes())
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        report["large"] = [await attempt(unit, "x" * 3_000_000) for _ in range(3)]
        both = await asyncio.gather(*(attempt(unit, "y" * size) for size in (10, 3_000_000)))
        report["large beside small"] = both[1]
        after = (await unit.get(), (await unit.entry()).version, Path(path).read_bytes())
        report["nothing changed"] = before == after or not both[0]
        report["strays"] = [found.name for found in Path(path).parent.iterdir() if found.suffix == ".tmp"]
        report["small again"] = await attempt(unit, "third ")
        report["value"] = await unit.get()
    print(json.dumps(report))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
