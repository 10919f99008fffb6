"""Fork while sessions are open; print what became of them in the child and in the parent as JSON.

Usage: session_fork.py <file> <what the child does: use, open, both, shutdown or nothing> <idle or touching>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import DataUnitError, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ATTEMPT_S = 10


async def attempt(action: Callable[[], Awaitable[Any]]) -> str:
    """Name the error that an action raises, if it does."""
    try:
        async with asyncio.timeout(ATTEMPT_S):
            await action()
    except (DataUnitError, TimeoutError) as error:
        return type(error).__name__
    return ""


async def be_child(manager: SessionManager, path: str, session_id: str, how: str) -> list[str]:
    """Do what nobody should do."""
    errors = []
    if how in {"use", "both"}:
        actions: list[Callable[[], Awaitable[Any]]] = [
            lambda: manager.create_session("child"),
            lambda: manager.get_session(session_id),
            lambda: manager.get_session("unknown", None),
            lambda: manager.touch(session_id),
            lambda: manager.update_session(session_id, {"child": 1}),
            lambda: manager.update_session(session_id, lambda _: {"child": 1}),
            lambda: manager.end_session(session_id),
            manager.list_sessions,
            manager.cleanup_expired_sessions,
        ]
        errors += [await attempt(action) for action in actions]
    if how in {"open", "both"}:
        errors.append(await attempt(SQLiteAdapter(path).initialize))
        errors.append(await attempt(SessionManager(database_adapter=SQLiteAdapter(path)).initialize))
    if how == "shutdown" and (error := await attempt(manager.shutdown)):
        errors.append(error)
    return errors


async def finish(manager: SessionManager, path: str, session_id: str) -> dict[str, Any]:
    """See, in the parent, that all is as it was, and goes on."""
    adapter = manager.database_adapter
    assert adapter is not None
    log_bytes = Path(f"{path}-wal").stat().st_size
    before = await manager.get_session(session_id)
    await manager.update_session(session_id, {"parent": 2})
    await manager.touch(session_id)
    after = await manager.get_session(session_id)
    report = {
        "log": log_bytes > 0 and Path(f"{path}-wal").stat().st_size >= log_bytes,
        "problems": await adapter.check(),
        "there": after.metadata == {"parent": 2},
        "is active": after.last_activity > before.last_activity,
    }
    await manager.shutdown()
    return report


def main(path: str, how: str, state: str) -> None:
    """Open, fork, and look at both sides."""
    manager = SessionManager(database_adapter=SQLiteAdapter(path))
    ended = threading.Event()
    under_way = threading.Event()
    created: list[str] = []

    async def open_and_create() -> str:
        await manager.initialize()
        session_id = await manager.create_session("ann", {"parent": 1})
        await manager.touch(session_id)
        await manager.get_session(session_id)
        return session_id

    async def touch_on() -> None:
        created.append(await open_and_create())

        async def task() -> None:
            for number in range(1 << 40):
                await manager.touch(created[0])
                await manager.create_session("bob")
                if number == 10:
                    under_way.set()
                if ended.is_set():
                    return

        await asyncio.gather(*(task() for _ in range(8)))

    touching = threading.Thread(target=lambda: asyncio.run(touch_on()))
    if state == "touching":
        touching.start()
        under_way.wait()
    else:
        created.append(asyncio.run(open_and_create()))
    reader, writer = os.pipe()
    # From 3.12 on Python warns of threads at a fork: what becomes of ours is what is tried here.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(asyncio.run(be_child(manager, path, created[0], how))).encode())
        return  # and end as a program ends, with all its destructors
    os.close(writer)
    errors = b""
    while part := os.read(reader, 1 << 16):
        errors += part
    _, status = os.waitpid(child, 0)
    ended.set()
    if state == "touching":
        touching.join()
    report = asyncio.run(finish(manager, path, created[0]))
    report |= {"child": json.loads(errors), "status": os.waitstatus_to_exitcode(status)}
    print(json.dumps(report))


main(*sys.argv[1:])
