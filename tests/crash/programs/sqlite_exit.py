"""Leave a conversation history open, in various ways, and end; print the id of each acknowledged exchange.

Usage: sqlite_exit.py <file> <ending>
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from datetime import UTC, datetime

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, DataUnitError
from library.infrastructure.interfaces.database import SQLiteAdapter

kept_to_the_end: list[object] = []


async def save(unit: ConversationHistoryUnit) -> None:
    """Save one exchange."""
    message = ConversationMessage("a", "kept", "yes " * 100, datetime.now(UTC), 1.0)
    os.write(1, b"%d\n" % await unit.save_message(message))


async def save_on(unit: ConversationHistoryUnit, saves: int) -> None:
    """Save until that is refused."""
    with contextlib.suppress(DataUnitError):
        for _ in range(saves):
            await save(unit)


async def main(path: str, ending: str) -> None:
    """Open, save, and end."""
    adapter = SQLiteAdapter(path)
    await adapter.initialize()
    unit = ConversationHistoryUnit(adapter)
    await unit.initialize()
    for _ in range(3):
        await save(unit)
    await unit.get_conversation_history("a")
    if ending == "collected":
        del unit, adapter
        gc.collect()
        return
    if ending == "global":
        kept_to_the_end.extend((unit, adapter))
    elif ending in {"saving", "exit"}:
        kept_to_the_end.extend(asyncio.create_task(save(unit)) for _ in range(200))
        await asyncio.sleep(0)
    elif ending in {"thread", "daemon"}:
        saves = 100 if ending == "thread" else 1 << 40
        run = threading.Thread(target=lambda: asyncio.run(save_on(unit, saves)), daemon=ending == "daemon")
        run.start()
        await asyncio.sleep(0.05)
    elif ending == "watching":
        kept_to_the_end.append(asyncio.ensure_future(anext(unit.watch())))
        await asyncio.sleep(0)
    if ending == "exit":
        sys.exit(0)


def close_loop(path: str) -> None:
    """Close an event loop in which saves wait, and use the history from another one."""
    loop = asyncio.new_event_loop()
    adapter = SQLiteAdapter(path)
    unit = ConversationHistoryUnit(adapter)
    loop.run_until_complete(adapter.initialize())
    loop.run_until_complete(unit.initialize())
    loop.run_until_complete(save(unit))
    tasks = [loop.create_task(save(unit)) for _ in range(200)]
    loop.run_until_complete(asyncio.sleep(0))
    print("closing", flush=True)
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    kept_to_the_end.extend(tasks)

    async def go_on() -> None:
        await save(unit)
        assert await adapter.check() == []
        await unit.shutdown()
        await adapter.shutdown()

    asyncio.run(go_on())


if sys.argv[2] == "loop":
    close_loop(sys.argv[1])
else:
    asyncio.run(main(sys.argv[1], sys.argv[2]))
