"""Leave units open, in various ways, and end.

Usage: exit_open.py <folder> <ending>: print a line for each promise.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

from library.infrastructure.data import DataUnitBase, DataUnitConfig, DataUnitError, create_data_unit

kept_to_the_end: list[object] = []


async def open_all(folder: str) -> list[DataUnitBase]:
    """Open a unit of each type, and put something into it."""
    units = []
    for data_type in ("file", "memory", "string", "stream"):
        config = DataUnitConfig(
            data_type=data_type, persistent=True, file_path=f"{folder}/{data_type}", name=f"the {data_type}"
        )
        unit = create_data_unit(config)
        await unit.initialize()
        await unit.set("kept")
        print(data_type, flush=True)
        units.append(unit)
    return units


def set_late(unit: DataUnitBase) -> None:
    """Write while the interpreter shuts down, which may be too late."""
    with contextlib.suppress(DataUnitError):
        asyncio.run(unit.set("kept"))


async def main(folder: str, ending: str) -> None:
    """Open the units, and end."""
    units = await open_all(folder)
    if ending == "global":
        kept_to_the_end.extend(units)
    elif ending == "reading":
        subscription = await units[3].subscribe()
        waiting = [
            asyncio.create_task(subscription.get()),
            asyncio.create_task(anext(units[0].watch(since=1))),
        ]
        await asyncio.sleep(0)
        kept_to_the_end.extend(waiting)
    elif ending == "writing":
        text = "x" * 1_000_000
        kept_to_the_end.extend(asyncio.create_task(unit.set(text)) for unit in units for _ in range(20))
        await asyncio.sleep(0)
    elif ending == "thread":
        threading.Thread(target=set_late, args=(units[0],)).start()
    elif ending == "exit":
        sys.exit(0)


asyncio.run(main(sys.argv[1], sys.argv[2]))
