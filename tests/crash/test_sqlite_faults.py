"""Full disks, files that are no databases, locks that others hold: errors say so, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    CorruptDataError,
    DataUnitError,
    DuplicateMessageError,
    InvalidOptionError,
    LockTimeoutError,
    MessageNotFoundError,
    NewerSchemaError,
    StorageError,
    StorageFullError,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
MEGABYTE = 1 << 20


def exchange(text: str, conversation_id: str = "a", **others: Any) -> ConversationMessage:
    return ConversationMessage(conversation_id, text, "", NOON, 1.0, **others)


async def index_all(unit: ConversationHistoryUnit) -> None:
    """Bring the full-text index up to date now, instead of when there is time."""
    store: Any = unit._store
    await store._adapter.engine.write(store._catch_up, None, "index", in_transaction=False)


NOT_INDEXED = [
    """
    WITH RECURSIVE number (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM number WHERE n < 5000)
    INSERT INTO conversations SELECT n, 'b', 0, 0, 'later' || n, '', 1.0, NULL, '{}', NULL FROM number
    """,
    "UPDATE nanobrain_tables SET last_id = 5000",
]
"""What a process leaves that saves much, and is killed before it indexes that."""


async def fill(path: Path, *texts: str) -> None:
    """Make a database with some exchanges."""
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange(text) for text in texts or ("kept",)])
        await index_all(unit)


def change(path: Path, *statements: str) -> None:
    """Change a closed database by hand."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


# -- no space, and devices that fail -------------------------------------------------------------------------


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """Mount a small file system."""
    return disk_of(4 * MEGABYTE)


async def save_all(
    unit: ConversationHistoryUnit, texts: list[str]
) -> tuple[dict[int | None, str], list[Any]]:
    """Save texts at the same time; return those that were acknowledged by their ids, and the errors."""
    saves = [unit.save_message(exchange(text)) for text in texts]
    results = await asyncio.gather(*saves, return_exceptions=True)
    pairs = zip(results, texts, strict=True)
    saved: dict[int | None, str] = {result: text for result, text in pairs if isinstance(result, int)}
    return saved, [result for result in results if not isinstance(result, int)]


async def there(unit: ConversationHistoryUnit) -> dict[int | None, str]:
    """Read all exchanges."""
    return {each.message_id: each.user_input for each in await unit.get_conversation_history("a", None)}


@pytest.mark.slow
async def test_a_disk_that_fills_up_while_tasks_save(small_disk: Path) -> None:
    """Each save is acknowledged and there, or refused by name and not; with room again, all goes on."""
    path = small_disk / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        acknowledged: dict[int | None, str] = {}
        refused: list[Any] = []
        sizes = (100, 20_000, 60_000)
        (small_disk / "ballast").write_bytes(bytes(2 * MEGABYTE))
        for part in range(3):
            texts = [f"mark{part}x{number} " + "." * sizes[number % 3] for number in range(100)]
            saved, errors = await save_all(unit, texts)
            acknowledged |= saved
            refused += errors
        assert acknowledged
        assert {StorageFullError} == {type(error) for error in refused}
        assert str(path) in str(refused[0])
        assert acknowledged == await there(unit)

        (small_disk / "ballast").unlink()
        await unit.delete_message(1)
        acknowledged.pop(1, None)
        saved, errors = await save_all(unit, ["with room"] * 20)

        assert [] == errors
        assert acknowledged | saved == await there(unit)
        assert [] == await adapter.check()
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert acknowledged | saved == await there(unit)
        assert [] == await adapter.check()


async def test_reading_on_a_full_disk(small_disk: Path, use_up: Callable[[Path], None]) -> None:
    """With no byte left, what is there can be read and searched, what was not yet indexed left out."""
    path = small_disk / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("indexed"))
        await index_all(unit)
        await unit.save_messages_batch([exchange(f"later{number}") for number in range(1000)])
        use_up(small_disk / "ballast")
        with pytest.raises(StorageFullError):
            await unit.save_message(exchange("." * 2 * MEGABYTE))

        assert 1001 == len(await unit.get_conversation_history("a", None))
        assert ["indexed"] == [each.user_input for each in await unit.search_conversations("indexed")]
        (small_disk / "ballast").unlink()
        assert ["later499"] == [each.user_input for each in await unit.search_conversations("later499")]


async def test_opening_on_a_full_disk(small_disk: Path, use_up: Callable[[Path], None]) -> None:
    """A database on a full disk opens to be read or is refused by name; with room it opens as before."""
    path = small_disk / "conversations.db"
    await fill(path)
    use_up(small_disk / "ballast")
    refused: list[StorageError] = []
    try:
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
            assert ["kept"] == list((await there(unit)).values())
    except StorageError as error:
        refused.append(error)
    assert [] == [
        each for each in refused if isinstance(each, CorruptDataError) or str(path) not in str(each)
    ]
    with pytest.raises(StorageError):
        await SQLiteAdapter(small_disk / "new.db").initialize()
    (small_disk / "ballast").unlink()

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("with room"))
        assert ["kept", "with room"] == list((await there(unit)).values())


@pytest.mark.parametrize("room", [0, 200_000])
async def test_an_erasure_on_a_full_disk(
    room: int, small_disk: Path, start: Callable[..., Any], use_up: Callable[[Path], None]
) -> None:
    """A deletion that is refused changed nothing; one that is not is completed, once there is room."""
    path = small_disk / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_messages_batch([exchange("ZQXJ" * 3000, f"c{number}") for number in range(100)])
        use_up(small_disk / "ballast")
        os.truncate(small_disk / "ballast", (small_disk / "ballast").stat().st_size - room)
        refused = []
        for number in range(100):
            try:
                await unit.delete_conversation(f"c{number}")
            except StorageFullError:
                refused.append(f"c{number}")
        left = [each.conversation_id for each in await unit.list_conversations(None)]
        assert sorted(refused) == sorted(left)
        (small_disk / "ballast").unlink()
        for number in range(100):
            await unit.delete_conversation(f"c{number}")

        assert [] == await unit.list_conversations()
        async with asyncio.timeout(3):
            while json.loads(start("sqlite_find_secrets", path).line()):
                await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [200_000, MEGABYTE, 3 * MEGABYTE])
def test_a_file_that_may_not_grow(limit: int, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Writes fail as those to a broken device do: what was refused is not there, what was acknowledged is."""
    path = tmp_path / "conversations.db"

    finished = run("sqlite_fill_disk", path, limit)

    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert 401 == report["saved"] + report["refused"]
    assert report["refused"] > 0
    assert all(str(path) in error and error.startswith("Storage") for error in report["errors"])
    assert report["whole"]
    assert report["problems"] == []
    assert report["errors with room"] == []
    assert report["whole with room"]
    assert report["problems with room"] == []


# -- permissions ---------------------------------------------------------------------------------------------

ONLY_READ = ["save", "update", "delete", "vacuum"]


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open elsewhere"])
@pytest.mark.parametrize("folder_mode", [0o755, 0o777], ids=["folder read only", "folder writable"])
async def test_a_file_that_may_only_be_read(
    folder_mode: int, is_open: bool, open_folder: Path, run: Callable[..., Any]
) -> None:
    """Opening, reading and searching work; every change is refused by an error that names the file."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = open_folder / "conversations.db"
    await fill(path, "indexed", "kept")
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        if is_open:
            await unit.save_message(exchange("newer"))
        else:
            await adapter.shutdown()
        for each in open_folder.iterdir():
            each.chmod(0o644)
        open_folder.chmod(folder_mode)

        finished = run("sqlite_as_nobody", path)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    assert "open" not in report
    assert ["indexed", "kept"] + ["newer"] * is_open == report["history"] == report["streamed"]
    assert ["indexed"] == report["found"]
    assert [] == report["check"]
    assert ["ReadOnlyStorageError"] * 4 == [report[each][0] for each in ONLY_READ]
    assert all(str(path) in report[each][1] for each in ONLY_READ)


async def test_an_index_that_is_behind_and_may_only_be_read(
    open_folder: Path, run: Callable[..., Any]
) -> None:
    """A search in a file that may only be read does without what is not indexed, or looks at it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = open_folder / "conversations.db"
    await fill(path, "indexed", "kept")
    change(path, *NOT_INDEXED, "PRAGMA wal_checkpoint(TRUNCATE)")
    path.chmod(0o644)

    finished = run("sqlite_as_nobody", path)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    assert "open" not in report
    assert ["indexed"] == report["found"]


@pytest.mark.parametrize("mode", [0o000, 0o222])
async def test_a_file_that_may_not_be_read(mode: int, open_folder: Path, run: Callable[..., Any]) -> None:
    """Opening is refused by an error that names the file."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    path = open_folder / "conversations.db"
    await fill(path)
    path.chmod(mode)

    finished = run("sqlite_as_nobody", path)

    assert (0, "") == (finished.returncode, finished.stderr)
    error, message = json.loads(finished.stdout)["open"]
    assert error in {"StorageError", "ReadOnlyStorageError"}
    assert str(path) in message


# -- files that are no databases, or others' -----------------------------------------------------------------


def valid_header_of_another_page_size(content: bytes) -> bytes:
    return content[:16] + b"\x00\x03" + content[18:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda content: b"once upon a time\n" * 100,
    "short text": lambda content: b"short",
    "zeros": lambda content: bytes(len(content)),
    "cut in the header": lambda content: content[:50],
    "cut in the first page": lambda content: content[:1000],
    "impossible page size": valid_header_of_another_page_size,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_file_that_is_no_database(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Opening is refused as corrupt, nothing is left open, and the file is as it was."""
    path = tmp_path / "conversations.db"
    await fill(path)
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = damage(path.read_bytes())
    for each in tmp_path.iterdir():
        each.unlink()
    path.write_bytes(content)

    with pytest.raises(CorruptDataError) as caught:
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter):
            pass

    assert str(path) in str(caught.value)
    assert str(path) == caught.value.path
    assert isinstance(caught.value.__cause__, apsw.Error)
    assert content == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("pages", [2, 3, 10])
async def test_a_file_that_was_cut(pages: int, tmp_path: Path) -> None:
    """What cannot be read is reported as corrupt, by an operation or by `check`; nothing is made up."""
    path = tmp_path / "conversations.db"
    await fill(path, *(f"kept{number} " + "." * 1000 for number in range(200)))
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[: pages * 4096])

    with pytest.raises(CorruptDataError) as caught:
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
            assert [] != await adapter.check()
            await unit.get_conversation_history("a", None)

    assert str(path) in str(caught.value)


async def test_an_empty_file(tmp_path: Path) -> None:
    """It becomes a database."""
    path = tmp_path / "conversations.db"
    path.touch()

    await fill(path)

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert {1: "kept"} == await there(unit)


@pytest.mark.parametrize("place", ["folder", "missing/conversations.db", "file/conversations.db", "a\x00b"])
async def test_places_where_no_file_can_be(place: str, tmp_path: Path) -> None:
    """A folder, one that is not there, a file in its place: an error names the place, and nothing is made."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises((StorageError, InvalidOptionError)) as caught:
        async with SQLiteAdapter(tmp_path / place):
            pass

    assert not isinstance(caught.value, CorruptDataError)
    assert place.partition("/")[0].replace("\x00", "\\x00") in str(caught.value)
    assert ["file", "folder"] == sorted(each.name for each in tmp_path.iterdir())


@pytest.mark.parametrize(
    "statement",
    ["PRAGMA user_version = 1000", "UPDATE nanobrain_tables SET schema_version = 1000"],
    ids=["database", "table"],
)
async def test_a_database_of_a_newer_version(statement: str, tmp_path: Path) -> None:
    """It is refused, and not a byte of it is changed."""
    path = tmp_path / "conversations.db"
    await fill(path)
    change(path, statement, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()

    with pytest.raises(NewerSchemaError) as caught:
        async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter):
            pass

    assert str(path) in str(caught.value)
    assert "1000" in str(caught.value)
    assert content == path.read_bytes()


@pytest.mark.parametrize("name", ["conversations", "Conversations"])
async def test_a_table_that_somebody_else_made(name: str, tmp_path: Path) -> None:
    """It is left alone; under another name, a table is made beside it."""
    path = tmp_path / "conversations.db"
    change(path, f"CREATE TABLE {name} (what)", f"INSERT INTO {name} VALUES ('theirs')")
    async with SQLiteAdapter(path) as adapter:
        with pytest.raises(InvalidOptionError) as caught:
            await ConversationHistoryUnit(adapter).initialize()
        assert caught.value.option == "table_name"

        async with ConversationHistoryUnit(adapter, table_name="ours") as unit:
            await unit.save_message(exchange("kept"))
            assert [] == await adapter.check()
    connection = apsw.Connection(str(path))
    assert [("theirs",)] == connection.execute(f"SELECT what FROM {name}").fetchall()
    connection.close()


# -- others who hold locks -----------------------------------------------------------------------------------


async def test_a_lock_that_another_process_holds(tmp_path: Path, start: Callable[..., Any]) -> None:
    """Saves fail after the time allowed, all at once; reads go on, and with the lock free, saves too."""
    path = tmp_path / "conversations.db"
    await fill(path)
    async with SQLiteAdapter(path, busy_timeout_s=0.2) as adapter, ConversationHistoryUnit(adapter) as unit:
        holder = start("sqlite_hold", path, "write")
        assert holder.line() == "holding"
        async with asyncio.timeout(3):
            saved, errors = await save_all(unit, ["late"] * 10)
        assert ({}, [LockTimeoutError] * 10) == (saved, [type(error) for error in errors])
        assert str(path) in str(errors[0])
        assert {1: "kept"} == await there(unit)
        assert ["kept"] == [each.user_input for each in await unit.search_conversations("kept")]

        holder.tell("let go")
        assert holder.wait() == 0

        saved, errors = await save_all(unit, ["in time"] * 10)
        assert [] == errors
        assert {1: "kept"} | saved == await there(unit)


async def test_searching_while_another_process_writes(tmp_path: Path, start: Callable[..., Any]) -> None:
    """A search whose index is behind does not fail because it cannot be brought up to date."""
    path = tmp_path / "conversations.db"
    await fill(path)
    async with SQLiteAdapter(path, busy_timeout_s=0.2) as adapter, ConversationHistoryUnit(adapter) as unit:
        change(path, *NOT_INDEXED)
        holder = start("sqlite_hold", path, "write")
        assert holder.line() == "holding"

        found = await unit.search_conversations("kept")

        assert {"kept"} <= {each.user_input for each in found}
        holder.tell("let go")
        assert holder.wait() == 0


async def test_opening_while_another_process_writes(tmp_path: Path, start: Callable[..., Any]) -> None:
    """An existing database opens, and can be read: there is nothing to be written for that."""
    path = tmp_path / "conversations.db"
    await fill(path)
    holder = start("sqlite_hold", path, "write")
    assert holder.line() == "holding"

    async with SQLiteAdapter(path, busy_timeout_s=1) as adapter, ConversationHistoryUnit(adapter) as unit:
        assert {1: "kept"} == await there(unit)
        holder.tell("let go")
        assert holder.wait() == 0


@pytest.mark.slow
async def test_a_reader_that_stays(
    tmp_path: Path, start: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """While one keeps a transaction open, the log grows, and one warning says why; then it is used anew."""
    path = tmp_path / "conversations.db"
    log = path.with_name(f"{path.name}-wal")
    await fill(path)
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        reader = start("sqlite_hold", path, "read")
        assert reader.line() == "holding"
        for number in range(75):
            await unit.save_message(exchange("." * MEGABYTE, f"c{number}"))
        assert (await adapter.stats())["log_bytes"] > 70 * MEGABYTE
        warnings = [each for each in caplog.messages if "keeps a transaction open" in each]
        assert len(warnings) == 1

        reader.tell("end")
        assert reader.wait() == 0
        for _ in range(3):
            await unit.save_message(exchange("." * MEGABYTE))

        assert (await adapter.stats())["log_bytes"] < 10 * MEGABYTE
        assert log.stat().st_size <= 64 * MEGABYTE


# -- one among many ------------------------------------------------------------------------------------------


async def test_a_bad_job_among_many_fails_alone(tmp_path: Path) -> None:
    """Of 64 changes that share a transaction, the impossible ones fail, each by its own error."""
    path = tmp_path / "conversations.db"
    await fill(path, "first", "second")
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        jobs: list[Any] = [unit.save_message(exchange(f"good{number}")) for number in range(60)]
        jobs[10:10] = [
            unit.save_message(exchange("taken", message_id=1)),
            unit.update_message(12_345, user_input="nowhere"),
            unit.save_messages_batch([exchange("half"), exchange("taken", message_id=2)]),
            unit.fork_conversation("b", at=1),
        ]
        results = await asyncio.gather(*jobs, return_exceptions=True)

        failed = [type(result) for result in results if isinstance(result, DataUnitError)]
        assert [
            DuplicateMessageError,
            MessageNotFoundError,
            DuplicateMessageError,
            MessageNotFoundError,
        ] == failed
        texts = list((await there(unit)).values())
        assert ["first", "second", *(f"good{number}" for number in range(60))] == sorted(texts[:2]) + texts[
            2:
        ]


@pytest.mark.slow
async def test_storms_of_cancellations(tmp_path: Path) -> None:
    """Of saves that are cancelled at any moment, each is there whole or not; the others are acknowledged."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        acknowledged: set[int] = set()
        for storm in range(30):
            saves = [
                asyncio.create_task(unit.save_messages_batch([exchange(f"{storm} {number}")] * 2))
                for number in range(50)
            ]
            for _ in range(storm % 5):
                await asyncio.sleep(0)
            if storm % 2:
                await asyncio.sleep(storm / 20_000)
            for save in saves[::2]:
                save.cancel()
            for result in await asyncio.gather(*saves, return_exceptions=True):
                acknowledged |= set(result) if isinstance(result, list) else set()

        texts = await there(unit)
        assert set() == acknowledged - set(texts)
        assert len(acknowledged) >= 30 * 50
        counts = {text: list(texts.values()).count(text) for text in set(texts.values())}
        assert {2} == set(counts.values())
        assert [] == await adapter.check()


@pytest.mark.slow
async def test_storms_of_cancelled_reads(tmp_path: Path) -> None:
    """Readers whose tasks were cancelled serve the next ones."""
    path = tmp_path / "conversations.db"
    await fill(path, *(f"kept {number}" for number in range(2000)))
    async with SQLiteAdapter(path, readers=2) as adapter, ConversationHistoryUnit(adapter) as unit:
        for storm in range(20):
            reads = [asyncio.create_task(unit.get_conversation_history("a", 500)) for _ in range(20)]
            reads += [asyncio.create_task(unit.search_conversations("kept")) for _ in range(5)]  # type: ignore[arg-type]
            await asyncio.sleep(storm / 2_000)
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)

        assert 2000 == len(await there(unit))


# -- what other programs do ----------------------------------------------------------------------------------


async def test_a_file_that_is_deleted_while_it_is_open(tmp_path: Path) -> None:
    """Nothing is acknowledged that would be gone with the file."""
    path = tmp_path / "conversations.db"
    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        await unit.save_message(exchange("kept"))
        for each in tmp_path.iterdir():
            each.unlink()

        with pytest.raises(StorageError, match=r"conversations\.db was deleted, moved or replaced"):
            await unit.save_message(exchange("lost"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE conversations SET metadata = 'not json' WHERE id = 1",
        "UPDATE conversations SET user_input = CAST(x'6bff6570' AS TEXT) WHERE id = 1",
    ],
)
async def test_rows_that_nobody_saved(statement: str, tmp_path: Path) -> None:
    """Metadata that are no JSON, and text that is no UTF-8, are damage, which `check` finds."""
    path = tmp_path / "conversations.db"
    await fill(path, "indexed", "kept")
    change(path, statement)

    async with SQLiteAdapter(path) as adapter, ConversationHistoryUnit(adapter) as unit:
        with pytest.raises(CorruptDataError, match=r"conversations\.db"):
            await unit.get_message(1)
        assert [
            "table conversations: 1 exchanges cannot be read (message_id 1, ...)"
        ] == await adapter.check()


async def test_a_row_that_cannot_be_indexed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The index waits for what it cannot read, without a flood of warnings; saving goes on."""
    path = tmp_path / "conversations.db"
    await fill(path, "kept")
    change(
        path,
        "INSERT INTO conversations VALUES (9, 'b', 0, 0, CAST(x'6bff6570' AS TEXT), '', 1, NULL, '{}', NULL)",
        "UPDATE nanobrain_tables SET last_id = 9",
    )

    async with (
        SQLiteAdapter(path) as adapter,
        ConversationHistoryUnit(adapter) as unit,
        asyncio.timeout(10),
    ):
        while "upkeep" not in caplog.text:
            await asyncio.sleep(0.05)
        for _ in range(20):
            await unit.save_message(exchange("saved"))

        assert 21 == len(await unit.get_conversation_history("a"))
    assert caplog.text.count("upkeep") < 5
