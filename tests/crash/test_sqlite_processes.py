"""Several processes use one SQLite file, fork while it is open, or end without closing it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ConversationHistoryUnit, ConversationQuery
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


async def saved_ids(path: Path) -> list[int | None]:
    """Read which exchanges there are, and see that the file is whole."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        return [each.message_id async for each in unit.stream_conversations()]


@pytest.mark.parametrize(("tasks", "saves"), [(8, 10), (1, 1)], ids=["saving", "only opening"])
async def test_processes_that_save_into_a_new_file(
    tasks: int, saves: int, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Eight processes make the file all at once and save: each exchange is there, with an id of its own."""
    path = tmp_path / "conversations.db"
    children = [start("sqlite_save_many", path, number, tasks, saves) for number in range(8)]
    assert ["ready"] * 8 == [child.line() for child in children]

    for child in children:
        child.tell("go")
    ids = [int(line) for child in children for line in child.lines()]

    assert [0] * 8 == [child.wait() for child in children]
    assert list(range(1, 8 * tasks * saves + 1)) == sorted(ids)
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [] == await adapter.check()
        texts = [each.user_input async for each in unit.stream_conversations(ConversationQuery())]
        assert sorted(texts) == sorted(
            f"mark{name}x{task}x{index}"
            for name in range(8)
            for task in range(tasks)
            for index in range(saves)
        )
        found = await unit.search_conversations(f"mark7x{tasks - 1}x{saves - 1}")
        assert [f"mark7x{tasks - 1}x{saves - 1}"] == [each.user_input for each in found]


async def test_several_stores_are_made_at_once(tmp_path: Path, start: Callable[..., Any]) -> None:
    """A unit that opens while seven other processes make the same table sees what they save."""
    path = tmp_path / "conversations.db"
    children = [start("sqlite_save_many", path, number, 2, 2) for number in range(7)]
    assert ["ready"] * 7 == [child.line() for child in children]
    for child in children:
        child.tell("go")

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert [0] * 7 == [child.wait() for child in children]

        assert len([each async for each in unit.stream_conversations()]) == 28
        assert len(await unit.list_conversations()) == 14


async def test_a_reader_sees_whole_transactions(tmp_path: Path, start: Callable[..., Any]) -> None:
    """While another process saves batches, a reader sees each one whole, and every acknowledged one."""
    path = tmp_path / "conversations.db"
    writer = start("sqlite_write_forever", path, "batch", 0)
    acknowledged = {f"batch{writer.line()}"}
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        for _ in range(15):
            there = {each.conversation_id: each.message_count for each in await unit.list_conversations(None)}
            assert {200} == set(there.values())
            assert set() == acknowledged - set(there)
            acknowledged.add(f"batch{writer.line()}")
            newest = max(acknowledged)
            found = await unit.search_conversations(
                f"mark{newest.removeprefix('batch')}x7", conversation_id=newest
            )
            assert [newest] == [each.conversation_id for each in found]
        writer.kill()
    assert len(await saved_ids(path)) % 200 == 0


FORKED = "ForkedDatabaseError"


@pytest.mark.parametrize("state", ["idle", "saving"])
@pytest.mark.parametrize(
    ("how", "errors"),
    [("use", [FORKED] * 5), ("open", [FORKED] * 2), ("both", [FORKED] * 7), ("nothing", [])],
)
async def test_a_fork_of_an_open_database(
    how: str, errors: list[str], state: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    """The child is refused, and ends; the parent's database goes on, its log is not taken away."""
    path = tmp_path / "conversations.db"

    finished = run("sqlite_fork", path, how, state)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    assert errors == report["child"]
    assert report["status"] == 0
    assert report["log"]
    assert report["problems"] == []
    assert report["found"]
    assert report["saved"] == report["exchanges"]


async def test_spawned_processes(tmp_path: Path, run: Callable[..., Any]) -> None:
    """Processes that are spawned may use the file while their parent has it open."""
    path = tmp_path / "conversations.db"

    finished = run("sqlite_spawn", path)

    assert (0, "") == (finished.returncode, finished.stderr)
    expected = {"codes": [0, 0], "texts": ["child0", "child1", "parent"], "problems": []}
    assert expected == json.loads(finished.stdout)


@pytest.mark.parametrize("options", [("-X", "dev"), ("-W", "default")], ids=" ".join)
@pytest.mark.parametrize(
    "ending", ["forgotten", "collected", "global", "saving", "thread", "watching", "exit"]
)
async def test_a_database_that_was_never_closed(
    ending: str, options: tuple[str, ...], tmp_path: Path, run: Callable[..., Any]
) -> None:
    """The process ends at once and with success, it warns, and what was acknowledged is there."""
    path = tmp_path / "conversations.db"
    began = time.monotonic()

    finished = run("sqlite_exit", path, ending, options=options)

    assert time.monotonic() - began < 15
    assert finished.returncode == 0, finished.stderr
    assert f"ResourceWarning: the database sqlite:///{path} was never shut down" in finished.stderr
    assert "Traceback" not in finished.stderr
    acknowledged = {int(line) for line in finished.stdout.splitlines()}
    assert len(acknowledged) >= 3
    assert set() == acknowledged - set(await saved_ids(path))


async def test_a_thread_that_saves_to_the_end(tmp_path: Path, run: Callable[..., Any]) -> None:
    """A daemon thread that never stops to save does not keep the process; what was acknowledged is there."""
    path = tmp_path / "conversations.db"

    finished = run("sqlite_exit", path, "daemon", options=("-X", "dev"))

    assert finished.returncode == 0, finished.stderr
    # The last line may be cut, by the end of the thread.
    acknowledged = {int(line) for line in finished.stdout.split("\n")[:-1]}
    assert set() == acknowledged - set(await saved_ids(path))


async def test_no_warning_without_being_asked(tmp_path: Path, run: Callable[..., Any]) -> None:
    """As Python is started ordinarily, nothing is printed."""
    finished = run("sqlite_exit", tmp_path / "conversations.db", "saving")

    assert (0, "") == (finished.returncode, finished.stderr)


async def test_an_event_loop_that_closes_with_saves_on_their_way(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    """The saves are completed or dropped, whole; the history goes on in another loop."""
    path = tmp_path / "conversations.db"

    finished = run("sqlite_exit", path, "loop", options=("-X", "dev"))

    assert finished.returncode == 0, finished.stderr
    assert "Exception in thread" not in finished.stderr
    before, after = finished.stdout.split("closing\n")
    assert len(after.splitlines()) == 1
    acknowledged = {int(line) for line in (before + after).splitlines()}
    assert set() == acknowledged - set(await saved_ids(path))
