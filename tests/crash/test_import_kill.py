"""A process that imports is killed with SIGKILL, at random moments: an import is whole, or not there.

Six times in an ordinary run; CRASH_KILLS=200 makes it two hundred.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationQuery, ImportManager
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

KILLS = int(os.environ.get("CRASH_KILLS", "6"))
ROWS = 12_000
"""More than are stored in one transaction."""

pytestmark = pytest.mark.slow


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file of two long conversations; each exchange follows the one before."""
    path = tmp_path / "export.jsonl"
    lines = [
        json.dumps(
            {
                "message_id": number,
                "conversation_id": f"c{number % 2}",
                "timestamp": number,
                "user_input": f"text {number}",
                "agent_response": "x",
                "parent_id": number - 2 if number > 2 else None,
            }
        )
        for number in range(1, ROWS + 1)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def killed(start: Callable[..., Any], chance: random.Random) -> Callable[..., list[str]]:
    """Let a process import, kill it at a random moment of the first or second import; return its lines."""

    def killed(*arguments: object) -> list[str]:
        child = start("import_file", *arguments)
        lines = [child.line()]
        while lines.count("began") < 1:
            lines.append(child.line())
        if chance.random() < 0.7:
            while "saving" not in lines:
                lines.append(child.line())
        time.sleep(chance.uniform(0, 0.8))  # not to wait for something: the moment is the test's input
        return lines + list(child.kill())

    return killed


async def counts(path: Path) -> dict[str, int]:
    """Count the exchanges of each conversation, in a database that is whole, with nothing left beside it."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        found = {each.conversation_id: each.message_count for each in await unit.list_conversations(None)}
        leaf = ConversationQuery().conversation_id("c0").order_by("message_id", descending=True).limit(1)
        for message in await unit.query_conversations(leaf):
            assert ROWS // 2 == len(await unit.get_thread(message.message_id or 0))
    assert {path.name, "export.jsonl"} == {each.name for each in path.parent.iterdir()}
    return found


async def test_an_append_is_whole_or_not_there(
    tmp_path: Path, file: Path, killed: Callable[..., list[str]]
) -> None:
    """What was acknowledged is there, with all that was saved meanwhile; of the rest, all or nothing."""
    path = tmp_path / "conversations.db"
    imported, saved = 0, 0
    for _ in range(KILLS):
        lines = killed(path, file, "append")
        imported += lines.count("imported")
        saved += sum(line.startswith("saved") for line in lines)

        found = await counts(path)

        rounds, rest = divmod(found.get("c0", 0) + found.get("c1", 0), ROWS)
        assert 0 == rest
        assert imported <= rounds <= imported + 1
        assert saved <= found.get("live", 0)
        imported, saved = rounds, found.get("live", 0)


async def test_a_replacement_is_whole_or_not_there(
    tmp_path: Path, file: Path, killed: Callable[..., list[str]]
) -> None:
    """What is replaced is there once, before and after."""
    path = tmp_path / "conversations.db"
    await ImportManager(SQLiteAdapter(path)).import_conversations(file)
    for _ in range(max(2, KILLS // 3)):
        killed(path, file, "replace")

        found = await counts(path)

        assert (ROWS // 2, ROWS // 2) == (found["c0"], found["c1"])


async def test_skipping_duplicates_goes_on(
    tmp_path: Path, file: Path, killed: Callable[..., list[str]]
) -> None:
    """However often it is interrupted, the file is in once."""
    path = tmp_path / "conversations.db"
    for _ in range(max(2, KILLS // 3)):
        killed(path, file, "skip_duplicates")

        found = await counts(path)

        assert found.get("c0", 0) + found.get("c1", 0) in (0, ROWS)
