"""Leave sessions open, in various ways, and end; print the id of each session that was acknowledged.

Usage: session_exit.py <file> <ending>
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

from library.infrastructure.data import SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

kept_to_the_end: list[object] = []


async def create(manager: SessionManager) -> str:
    """Create one session, and use it."""
    session_id = await manager.create_session("ann", {"key": "value"})
    os.write(1, session_id.encode() + b"\n")
    await manager.touch(session_id)
    return session_id


async def main(path: str, ending: str) -> None:
    """Open, create, and end."""
    manager = SessionManager(database_adapter=SQLiteAdapter(path))
    await manager.initialize()
    for _ in range(3):
        await create(manager)
    if ending == "collected":
        del manager
        gc.collect()
        return
    if ending == "global":
        kept_to_the_end.append(manager)
    elif ending in {"creating", "exit"}:
        kept_to_the_end.extend(asyncio.create_task(create(manager)) for _ in range(200))
        await asyncio.sleep(0)
    if ending == "exit":
        sys.exit(0)


def close_loop(path: str) -> None:
    """Close an event loop in which calls wait, and use the manager in another one."""
    loop = asyncio.new_event_loop()
    manager = SessionManager(database_adapter=SQLiteAdapter(path))
    loop.run_until_complete(manager.initialize())
    session_id = loop.run_until_complete(create(manager))
    loop.run_until_complete(manager.touch(session_id))
    tasks: list[asyncio.Task[object]] = [loop.create_task(create(manager)) for _ in range(100)]
    tasks += [loop.create_task(manager.update_session(session_id, {f"key{key}": key})) for key in range(100)]
    tasks += [loop.create_task(manager.touch(session_id)) for _ in range(100)]
    loop.run_until_complete(asyncio.sleep(0))
    print("closing", flush=True)
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    kept_to_the_end.extend(tasks)

    async def go_on() -> None:
        await create(manager)
        await create(manager)
        await manager.get_session(session_id)
        await manager.update_session(session_id, {"later": 1})
        await manager.touch(session_id)
        assert manager.database_adapter is not None
        assert await manager.database_adapter.check() == []
        await manager.shutdown()

    asyncio.run(go_on())


if sys.argv[2] == "loop":
    close_loop(sys.argv[1])
else:
    asyncio.run(main(sys.argv[1], sys.argv[2]))
