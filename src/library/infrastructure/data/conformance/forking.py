"""The program behind the contract's tests of `fork`: opens a unit, forks, and tells how both processes fared.

    python -m library.infrastructure.data.conformance.forking <test file> <test class> <kind> <place> <when>

<when> is `at_rest`, or `at_work`: within an update, while another one waits for its turn.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.data import DataUnitBase
    from library.infrastructure.data.conformance.kinds import UnitKind

UPDATES = 12
"""How often parent and child increment the value, together; what children refuse is left out."""


def main(test_file: str, test_class: str, kind_name: str, place: str, when: str) -> None:
    """Find the kind among those of the test class, and run."""
    spec = importlib.util.spec_from_file_location("contract_under_test", test_file)
    if spec is None or spec.loader is None:
        message = f"{test_file} cannot be imported"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds = {kind.name: kind for kind in getattr(module, test_class).kinds}
    unit = kinds[kind_name].make(Path(place))
    asyncio.run(unit.initialize())
    fork = {"at_rest": fork_at_rest, "at_work": fork_at_work}[when]
    print(json.dumps(fork(kinds[kind_name], unit)))  # noqa: T201 - this is a program
    asyncio.run(unit.shutdown())


def fork_at_rest(kind: UnitKind, unit: DataUnitBase) -> dict[str, str]:
    """Fork while nobody uses the unit."""
    asyncio.run(unit.update(kind.increment))
    asyncio.run(unit.update(kind.increment))
    return fork_and_fare(kind, unit, lambda: None)


def fork_at_work(kind: UnitKind, unit: DataUnitBase) -> dict[str, str]:
    """Fork while a thread is within an update, and another task waits for its turn."""
    entered, may_leave = threading.Event(), threading.Event()

    async def wait(value: Any) -> Any:
        entered.set()
        await asyncio.to_thread(may_leave.wait)
        return kind.increment(value)

    async def hold() -> None:
        waiter = asyncio.create_task(unit.update(wait))
        await asyncio.to_thread(entered.wait)
        await asyncio.gather(waiter, unit.update(kind.increment))

    holder = threading.Thread(target=asyncio.run, args=(hold(),))
    holder.start()
    entered.wait()

    def leave() -> None:
        may_leave.set()
        holder.join()

    return fork_and_fare(kind, unit, leave)


def fork_and_fare(kind: UnitKind, unit: DataUnitBase, leave: Callable[[], None]) -> dict[str, str]:
    """Fork, and use the unit in both processes; the parent calls `leave` once the child is at it."""
    answer_end, child_end = os.pipe()
    started_end, child_started_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(child_started_end, b"1")
        os.write(child_end, fare(kind, unit).encode())
        os._exit(0)
    os.close(child_end)
    os.read(started_end, 1)
    leave()
    parent_answer = fare(kind, unit)
    with os.fdopen(answer_end) as pipe:
        child_answer = pipe.read()
    os.waitpid(child, 0)
    return {"parent": parent_answer, "child": child_answer}


def fare(kind: UnitKind, unit: DataUnitBase) -> str:
    """Use the unit in a new loop; return "done", or the name of the error."""

    async def use() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(unit.update(kind.increment) for _ in range((UPDATES - 2) // 2)))
            await unit.get()

    try:
        asyncio.run(use())
    except Exception as error:  # noqa: BLE001 - the parent asserts which it is
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    main(*sys.argv[1:])
