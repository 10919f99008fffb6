"""Use sessions as a user who may only read; print what became of it as JSON.

Usage: session_as_nobody.py <file> <id of a session> <id of one that has expired> <id of one that was ended>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import DataUnitError, SessionManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOBODY = 65534


async def main(path: str, session_id: str, expired_id: str, ended_id: str) -> None:
    """Open, read, and attempt to change."""
    report: dict[str, Any] = {}

    async def attempt(name: str, action: Callable[[], Awaitable[Any]]) -> None:
        try:
            await action()
            report[name] = ["", ""]
        except DataUnitError as error:
            report[name] = [type(error).__name__, str(error)]

    adapter = SQLiteAdapter(path)
    try:
        async with SessionManager(database_adapter=adapter) as manager:
            for number in range(2):
                report[f"metadata{number}"] = (await manager.get_session(session_id)).metadata
                await attempt(f"expired{number}", lambda: manager.get_session(expired_id))
                await attempt(f"ended{number}", lambda: manager.get_session(ended_id))
                await attempt(f"unknown{number}", lambda: manager.get_session("unknown"))
            listed = await manager.list_sessions(active=True)
            report["listed"] = [each.session_id for each in listed]
            report["default"] = await manager.get_session(expired_id, "default")
            report["check"] = await adapter.check()
            await attempt("create", lambda: manager.create_session("ann"))
            await attempt("update", lambda: manager.update_session(session_id, {"key": 2}))
            await attempt("touch", lambda: manager.touch(session_id))
            await attempt("end", lambda: manager.end_session(session_id))
            await attempt("delete", lambda: manager.delete_session(session_id))
            await attempt("clean up", manager.cleanup_expired_sessions)
            await attempt("flush", manager.flush)
    except DataUnitError as error:
        report["open"] = [type(error).__name__, str(error)]
    print(json.dumps(report))


if os.geteuid() == 0:
    os.seteuid(NOBODY)
asyncio.run(main(*sys.argv[1:]))
