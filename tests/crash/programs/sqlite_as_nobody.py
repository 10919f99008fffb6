"""Use a conversation history as a user who may only read; print what became of it as JSON.

Usage: sqlite_as_nobody.py <file>
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, DataUnitError
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOBODY = 65534


async def main(path: str) -> None:
    """Open, read, and attempt to change."""
    report: dict[str, Any] = {}

    async def attempt(name: str, action: Callable[[], Awaitable[Any]]) -> None:
        try:
            report[name] = await action()
        except DataUnitError as error:
            report[name] = [type(error).__name__, str(error)]

    message = ConversationMessage("a", "text", "", datetime.now(UTC), 1.0)
    try:
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
            history = await unit.get_conversation_history("a")
            report["history"] = [each.user_input for each in history]
            report["found"] = [each.user_input for each in await unit.search_conversations("indexed")]
            report["streamed"] = [each.user_input async for each in unit.stream_conversations()]
            await attempt("check", adapter.check)
            await attempt("save", lambda: unit.save_message(message))
            await attempt("update", lambda: unit.update_message(1, user_input="new"))
            await attempt("delete", lambda: unit.delete_conversation("a"))
            await attempt("vacuum", adapter.vacuum)
    except DataUnitError as error:
        report["open"] = [type(error).__name__, str(error)]
    print(json.dumps(report))


if os.geteuid() == 0:
    os.seteuid(NOBODY)
asyncio.run(main(sys.argv[1]))
