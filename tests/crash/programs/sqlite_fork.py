"""Fork while a database is open; print what became of it in the child and in the parent as JSON.

Usage: sqlite_fork.py <file> <what the child does: use, open, both or nothing> <idle or saving>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, DataUnitError
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ATTEMPT_S = 20


def exchange(text: str) -> ConversationMessage:
    """Build an exchange."""
    return ConversationMessage("a", text, "yes " * 200, datetime.now(UTC), 1.0)


async def attempt(action: Callable[[], Awaitable[Any]]) -> str:
    """Name the error that an action raises, if it does."""
    try:
        async with asyncio.timeout(ATTEMPT_S):
            await action()
    except (DataUnitError, TimeoutError) as error:
        return type(error).__name__
    return ""


async def be_child(unit: ConversationHistoryUnit, adapter: SQLiteAdapter, how: str) -> list[str]:
    """Do what nobody should do."""
    errors = []
    if how in {"use", "both"}:
        errors += [
            await attempt(lambda: unit.save_message(exchange("child"))),
            await attempt(lambda: unit.get_conversation_history("a")),
            await attempt(lambda: unit.search_conversations("parent")),
            await attempt(lambda: adapter.backup(f"{adapter.path}.copy")),
            await attempt(adapter.check),
        ]
    if how in {"open", "both"}:
        errors.append(await attempt(SQLiteAdapter(adapter.path).initialize))
        errors.append(await attempt(ConversationHistoryUnit(SQLiteAdapter(adapter.path)).initialize))
    return errors


async def finish(unit: ConversationHistoryUnit, adapter: SQLiteAdapter, path: str) -> dict[str, Any]:
    """See, in the parent, that the database is as it was, and goes on."""
    log_bytes = Path(f"{path}-wal").stat().st_size
    last_id = await unit.save_message(exchange("after"))
    found = await unit.search_conversations("after")
    report = {
        "log": log_bytes > 0 and Path(f"{path}-wal").stat().st_size >= log_bytes,
        "problems": await adapter.check(),
        "found": [each.message_id for each in found] == [last_id],
        "exchanges": len(await unit.get_conversation_history("a", None)),
    }
    await unit.shutdown()
    await adapter.shutdown()
    return report


def main(path: str, how: str, state: str) -> None:
    """Open, fork, and look at both sides."""
    adapter = SQLiteAdapter(path)
    unit = ConversationHistoryUnit(adapter)
    # Each step in a loop of its own: one that lived at the fork would be shared with the child.
    asyncio.run(adapter.initialize())
    asyncio.run(unit.initialize())
    asyncio.run(unit.save_message(exchange("parent")))
    asyncio.run(unit.get_conversation_history("a"))
    ended = threading.Event()
    under_way = threading.Event()
    saved = [1]

    async def save_on() -> None:
        async def task() -> None:
            while not ended.is_set():
                await unit.save_message(exchange("meanwhile"))
                saved.append(1)
                if len(saved) == 100:
                    under_way.set()

        await asyncio.gather(*(task() for _ in range(8)))

    saving = threading.Thread(target=lambda: asyncio.run(save_on()))
    if state == "saving":
        saving.start()
        under_way.wait()
    reader, writer = os.pipe()
    # From 3.12 on Python warns of threads at a fork: what becomes of ours is what is tried here.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(asyncio.run(be_child(unit, adapter, how))).encode())
        return  # and end as a program ends, with all its destructors
    os.close(writer)
    errors = b""
    while part := os.read(reader, 1 << 16):
        errors += part
    _, status = os.waitpid(child, 0)
    ended.set()
    if state == "saving":
        saving.join()
    report = asyncio.run(finish(unit, adapter, path))
    report |= {
        "child": json.loads(errors),
        "status": os.waitstatus_to_exitcode(status),
        "saved": len(saved) + 1,
    }
    print(json.dumps(report))


main(*sys.argv[1:])
