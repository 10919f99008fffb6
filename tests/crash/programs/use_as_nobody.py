"""Use a unit as a user who may only read; print what became of it as JSON.

Usage: use_as_nobody.py <type> <file>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from library.infrastructure.data import DataUnitConfig, DataUnitError, create_data_unit

NOBODY = 65534


async def main(data_type: str, path: str) -> None:
    """Open, read, and attempt to change."""
    report: dict[str, object] = {}
    unit = create_data_unit(DataUnitConfig(data_type=data_type, persistent=True, file_path=path))
    try:
        async with unit:
            report["value"] = await unit.get()
            for name, change in {
                "set": lambda: unit.set("new"),
                "update": lambda: unit.update(lambda _: "new"),
                "clear": unit.clear,
            }.items():
                try:
                    await change()
                except DataUnitError as error:
                    report[name] = [type(error).__name__, str(error)]
            report["value after"] = await unit.get()
    except DataUnitError as error:
        report["open"] = [type(error).__name__, str(error)]
    print(json.dumps(report))


if os.geteuid() == 0:
    os.seteuid(NOBODY)
asyncio.run(main(sys.argv[1], sys.argv[2]))
