"""Exports: what is written, and that a file is whole, or what it was before."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ConversationQuery,
    ExportFormat,
    ExportManager,
    ImportManager,
    InvalidOptionError,
    MissingRecordsError,
    SessionManager,
    StorageError,
    TransferProgress,
)

if TYPE_CHECKING:
    from library.infrastructure.interfaces.database import SQLiteAdapter

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def message(text: str, conversation_id: str = "c", minute: int = 0) -> ConversationMessage:
    return ConversationMessage(conversation_id, text, "x", NOON + timedelta(minutes=minute), 1.5)


async def asynchronous(progress: TransferProgress) -> None:
    raise AssertionError(progress)


class Asynchronous:
    async def __call__(self, progress: TransferProgress) -> None:
        raise AssertionError(progress)


class TakesText:
    def write(self, text: str) -> int:
        return len("" + text)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts_of(path: Path) -> list[str]:
    return [each["user_input"] for each in lines_of(path)]


@pytest.fixture
def exporter(adapter: SQLiteAdapter, history: ConversationHistoryUnit) -> ExportManager:
    return ExportManager(adapter)


# -- what is written ---------------------------------------------------------------------------------------


async def test_an_array_has_a_record_a_line(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """It is JSON to everybody, and to those who read lines."""
    await history.save_messages_batch([message("a"), message("b")])
    path = tmp_path / "export.json"

    await exporter.export_conversations(output_file=path)

    text = path.read_text(encoding="utf-8")
    assert ["a", "b"] == [each["user_input"] for each in json.loads(text)]
    first, second = (line for line in text.splitlines() if "user_input" in line)
    assert json.loads(first.rstrip(",")) == {
        "message_id": 1,
        "conversation_id": "c",
        "timestamp": json.loads(first.rstrip(","))["timestamp"],
        "user_input": "a",
        "agent_response": "x",
        "response_time_ms": 1.5,
        "parent_id": None,
        "metadata": {},
    }
    assert datetime.fromisoformat(json.loads(second)["timestamp"]) == NOON


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "xml", "parquet"])
async def test_nothing_gives_a_file_with_nothing_in_it(
    name: str, tmp_path: Path, exporter: ExportManager
) -> None:
    """An empty table makes a file of the format that can be imported."""
    path = tmp_path / f"export.{name}"

    assert 0 == (await exporter.export_conversations(output_file=path)).written

    importer = ImportManager(exporter.database_adapter)
    assert 0 == (await importer.import_conversations(path, name)).read


async def test_conversations_are_chosen(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """By their ids, by a query, or by both; in the order of the query."""
    await history.save_messages_batch(
        [message(f"text {number}", f"c{number % 3}", number) for number in range(9)]
    )
    path = tmp_path / "export.jsonl"
    late = ConversationQuery().since(NOON + timedelta(minutes=4)).order_by(descending=True)

    await exporter.export_conversations(["c1"], output_file=path)
    assert ["text 1", "text 4", "text 7"] == texts_of(path)
    await exporter.export_conversations(query=late, output_file=path)
    assert [f"text {number}" for number in (8, 7, 6, 5, 4)] == texts_of(path)
    await exporter.export_conversations(["c0", "c2"], query=late.limit(2), output_file=path)
    assert ["text 8", "text 6"] == texts_of(path)
    await exporter.export_conversations([], output_file=path)
    assert [] == texts_of(path)


async def test_conversations_that_do_not_exist_are_named(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """Nothing is written then; where they are to be skipped, the report names them."""
    await history.save_message(message("a"))
    path = tmp_path / "export.jsonl"

    with pytest.raises(MissingRecordsError, match="nowhere") as caught:
        await exporter.export_conversations(["c", "nowhere"], output_file=path)
    assert ["nowhere"] == caught.value.ids
    assert not list(tmp_path.glob("*export*"))

    report = await exporter.export_conversations(["c", "nowhere"], output_file=path, missing="skip")
    assert (1, ["nowhere"]) == (report.written, report.missing)


async def test_sessions_that_do_not_exist_are_not_told(tmp_path: Path, exporter: ExportManager) -> None:
    """The error has their ids, its text does not, since errors are logged."""
    async with SessionManager(database_adapter=exporter.database_adapter) as sessions:
        there = await sessions.create_session("alice")
    path = tmp_path / "sessions.jsonl"

    with pytest.raises(MissingRecordsError) as caught:
        await exporter.export_sessions([there, "secret-id"], output_file=path)
    assert ["secret-id"] == caught.value.ids
    assert "secret-id" not in str(caught.value)

    assert (
        1 == (await exporter.export_sessions([there, "secret-id"], output_file=path, missing="skip")).written
    )
    assert [there] == [each["session_id"] for each in lines_of(path)]


async def test_fields_are_chosen(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """In the order in which they are asked for; metadata can be left out."""
    await history.save_message(message("a"))
    path = tmp_path / "export.csv"

    await exporter.export_conversations(output_file=path, fields=["user_input", "message_id"])
    assert [["user_input", "message_id"], ["a", "1"]] == list(csv.reader(io.StringIO(path.read_text())))
    await exporter.export_conversations(output_file=tmp_path / "export.jsonl", include_metadata=False)
    assert "metadata" not in lines_of(tmp_path / "export.jsonl")[0]
    await exporter.export_conversations(output_file=tmp_path / "one.jsonl", fields=["user_input"])
    assert [{"user_input": "a"}] == lines_of(tmp_path / "one.jsonl")


async def test_formulas_are_disarmed(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """No cell begins with what a spreadsheet takes for a formula, where that is asked for."""
    attacks = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "fine"]
    await history.save_messages_batch([message(text) for text in attacks])
    path = tmp_path / "export.csv"

    await exporter.export_conversations(output_file=path, safe_for_spreadsheets=True)

    with path.open(encoding="utf-8", newline="") as file:
        cells = [row["user_input"] for row in csv.DictReader(file)]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "fine" == cells[-1]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
async def test_files_are_compressed(
    suffix: str, tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """As the suffix says; two exports of the same are the same bytes."""
    await history.save_messages_batch([message("again and again") for _ in range(500)])
    plain, packed, again = (tmp_path / name for name in ("a.jsonl", f"b.jsonl{suffix}", f"c.jsonl{suffix}"))

    for path in (plain, packed, again):
        report = await exporter.export_conversations(output_file=path)
        assert path.stat().st_size == report.bytes

    assert packed.stat().st_size < plain.stat().st_size / 10
    assert packed.read_bytes() == again.read_bytes()
    if suffix == ".gz":
        assert plain.read_bytes() == gzip.decompress(packed.read_bytes())


async def test_a_stream_is_written_and_stays_open(
    exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """An open binary file takes the place of a path."""
    await history.save_message(message("a"))
    stream = io.BytesIO()

    report = await exporter.export_conversations(format="jsonl", output_file=stream)

    assert not stream.closed
    assert "a" == json.loads(stream.getvalue())["user_input"]
    assert len(stream.getvalue()) == report.bytes


@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
@pytest.mark.parametrize("is_linked", [False, True])
async def test_a_named_pipe_is_written_as_it_comes(
    name: str, is_linked: bool, tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """It stays a pipe, and nothing is put beside it; the event loop does not wait for who reads."""
    await history.save_message(message("a"))
    folder = tmp_path / "exports"
    folder.mkdir()
    pipe = folder / name
    os.mkfifo(pipe)
    path = pipe
    if is_linked:
        path = tmp_path / f"link-{name}"
        path.symlink_to(pipe)

    exporting = asyncio.create_task(exporter.export_conversations(format="jsonl", output_file=path))
    content = await asyncio.to_thread(pipe.read_bytes)
    report = await exporting

    assert len(content) == report.bytes
    assert "a" == json.loads(gzip.decompress(content) if name.endswith(".gz") else content)["user_input"]
    assert pipe.is_fifo()
    assert [pipe] == list(folder.iterdir())


async def test_an_open_descriptor_has_a_path(
    exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """It leads to a pipe without a name, as `/dev/stdout` does in `export /dev/stdout | less`."""
    await history.save_messages_batch([message("x" * 500) for _ in range(500)])
    reading, writing = os.pipe()

    def drained() -> bytes:
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read()

    with ThreadPoolExecutor(1) as pool:
        draining = pool.submit(drained)
        report = await exporter.export_conversations(format="jsonl", output_file=f"/dev/fd/{writing}")
        os.close(writing)

    assert 500 == len(draining.result().splitlines())
    assert len(draining.result()) == report.bytes


async def test_a_pipe_that_nobody_reads(exporter: ExportManager, history: ConversationHistoryUnit) -> None:
    """Is told by its path."""
    await history.save_messages_batch([message("x" * 5000) for _ in range(500)])
    reading, writing = os.pipe()

    def close_early() -> None:
        os.read(reading, 1000)
        os.close(reading)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(close_early)
        with pytest.raises(StorageError, match=f"/dev/fd/{writing}"):
            await exporter.export_conversations(format="jsonl", output_file=f"/dev/fd/{writing}")
    os.close(writing)


async def test_files_for_text_are_refused(tmp_path: Path, exporter: ExportManager) -> None:
    """Before anything is opened, however they are wrapped."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        for target in (io.StringIO(), file):
            with pytest.raises(InvalidOptionError, match="binary mode") as caught:
                await exporter.export_conversations(format="json", output_file=target)  # type: ignore[arg-type]
            assert "output_file" == caught.value.option


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
async def test_what_a_format_needs_is_imported_in_a_thread(
    name: str, tmp_path: Path, exporter: ExportManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By exports and imports: a large library would hold the event loop up."""
    threads: list[threading.Thread] = []

    def noting(module: str) -> object:
        threads.append(threading.current_thread())
        return import_module(module)

    monkeypatch.setattr("library.infrastructure.data.formats.registry.import_module", noting)
    path = tmp_path / f"a.{name}"

    await exporter.export_conversations(output_file=path)
    await ImportManager(exporter.database_adapter).import_conversations(path, name)

    assert 2 == len(threads)
    assert threading.current_thread() not in threads


async def test_the_default_database_is_opened_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Managers without an adapter, and units without one, meet there; nothing stays open."""
    monkeypatch.chdir(tmp_path)
    async with ConversationHistoryUnit() as history:
        await history.save_message(message("a"))

    manager = ExportManager()
    await manager.export_conversations(output_file="export.jsonl")

    assert ["a"] == texts_of(tmp_path / "export.jsonl")
    assert not manager.database_adapter.is_open


# -- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("format", {"output_file": "export"}),
        ("format", {"output_file": "export.json", "format": "yaml"}),
        ("format", {"output_file": "export.json", "format": ExportFormat.CHATGPT}),
        ("output_file", {"output_file": None}),
        ("output_file", {"output_file": 5}),
        ("output_file", {"output_file": io.StringIO(), "format": "json"}),
        ("output_file", {"output_file": io.TextIOWrapper(io.BytesIO()), "format": "parquet"}),
        ("output_file", {"output_file": TakesText(), "format": "json"}),
        ("format", {"output_file": "export.tsv"}),
        ("fields", {"output_file": "a.json", "fields": ["user_inputs"]}),
        ("fields", {"output_file": "a.json", "fields": []}),
        ("fields", {"output_file": "a.json", "fields": ["user_input", "user_input"]}),
        ("fields", {"output_file": "a.json", "fields": "user_input"}),
        ("fields", {"output_file": "a.jsonl", "format": "openai", "fields": ["user_input"]}),
        ("include_metadata", {"output_file": "a.json", "fields": ["metadata"], "include_metadata": False}),
        ("missing", {"output_file": "a.json", "missing": "ignore"}),
        ("query", {"output_file": "a.json", "query": "words"}),
        ("conversation_ids", {"output_file": "a.json", "conversation_ids": "c"}),
        ("progress", {"output_file": "a.json", "progress": 5}),
        ("progress", {"output_file": "a.json", "progress": asynchronous}),
        ("progress", {"output_file": "a.json", "progress": partial(asynchronous)}),
        ("progress", {"output_file": "a.json", "progress": Asynchronous()}),
    ],
)
async def test_wrong_options_are_named(
    option: str,
    arguments: dict[str, Any],
    tmp_path: Path,
    exporter: ExportManager,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is written."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidOptionError) as caught:
        await exporter.export_conversations(**arguments)

    assert option == caught.value.option
    assert ["database"] == [each.name for each in tmp_path.iterdir()]


async def test_a_folder_is_no_file(tmp_path: Path, exporter: ExportManager) -> None:
    """Nor is a file in a folder that does not exist."""
    with pytest.raises(StorageError, match="folder"):
        await exporter.export_conversations(format="json", output_file=tmp_path)
    with pytest.raises(StorageError, match="does not exist"):
        await exporter.export_conversations(output_file=tmp_path / "nowhere" / "a.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
async def test_a_device_that_is_full(exporter: ExportManager, history: ConversationHistoryUnit) -> None:
    """It is told by name, and the device is still one."""
    await history.save_message(message("a"))

    with pytest.raises(StorageError, match="/dev/full"):
        await exporter.export_conversations(format="jsonl", output_file="/dev/full")

    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("name", ["json", "jsonl.gz", "csv.zst", "xml", "parquet"])
async def test_what_stood_there_stays_when_it_fails(
    name: str, tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """An export that ends in its middle leaves the former file, and nothing beside it."""
    await history.save_messages_batch([message(f"text {number}") for number in range(5000)])
    folder = tmp_path / "exports"
    folder.mkdir()
    path = folder / f"export.{name}"
    path.write_text("former")

    def refuse(progress: TransferProgress) -> None:
        raise RuntimeError(f"enough after {progress.records}")

    with pytest.raises(RuntimeError, match="enough"):
        await exporter.export_conversations(output_file=path, progress=refuse)

    assert "former" == path.read_text()
    assert [path] == list(folder.iterdir())


async def test_a_cancelled_export_leaves_what_was_there(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """Also in the middle; and the database goes on."""
    await history.save_messages_batch([message("x" * 500) for number in range(10_000)])
    folder = tmp_path / "exports"
    folder.mkdir()
    begun = asyncio.Event()
    exporting = asyncio.create_task(
        exporter.export_conversations(output_file=folder / "a.json.gz", progress=lambda _: begun.set())
    )

    await begun.wait()
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting

    assert [] == list(folder.iterdir())
    assert 1 == len(await history.get_conversation_history("c", limit=1))


async def test_links_are_followed_and_rights_kept(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """The file that a link leads to is replaced, not the link; its mode stays."""
    await history.save_message(message("a"))
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("former")
    real.chmod(0o600)
    link.symlink_to(real)

    await exporter.export_conversations(output_file=link)

    assert link.is_symlink()
    assert ["a"] == texts_of(real)
    assert 0o600 == real.stat().st_mode & 0o777


async def test_what_a_killed_export_left_goes_with_the_next(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """A file of a process that lives is left alone."""
    folder = tmp_path / "exports"
    folder.mkdir()
    dead, living = (folder / f".a.jsonl.{pid}-0123abcd.tmp" for pid in (2**22 + 1, os.getpid()))
    dead.touch()
    living.touch()

    await exporter.export_conversations(output_file=folder / "a.jsonl")

    assert {"a.jsonl", living.name} == {each.name for each in folder.iterdir()}


# -- while others work -------------------------------------------------------------------------------------


async def test_an_export_is_of_one_moment(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """What is saved, changed and deleted while it runs is not in it."""
    ids = await history.save_messages_batch([message(f"text {number}") for number in range(6000)])
    path = tmp_path / "export.jsonl"
    meddling: list[asyncio.Task[Any]] = []

    async def meddle() -> None:
        await history.update_message(ids[-1], user_input="changed")
        await history.delete_message(ids[-2])
        await history.save_message(message("late"))

    def begin(_: TransferProgress) -> None:
        if not meddling:
            meddling.append(asyncio.create_task(meddle()))

    await exporter.export_conversations(output_file=path, progress=begin)
    await asyncio.gather(*meddling)

    assert [f"text {number}" for number in range(6000)] == texts_of(path)


async def test_progress_is_told_to_the_end(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """It grows, knows the whole, and ends with it."""
    await history.save_messages_batch([message("a") for _ in range(5000)])
    told: list[TransferProgress] = []

    await exporter.export_conversations(output_file=tmp_path / "a.jsonl", progress=told.append)

    assert TransferProgress(5000, 5000, 5000, "writing") == told[-1]
    assert sorted(told, key=lambda each: each.records) == told


async def test_many_exports_at_once(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """More than there are threads that read; each is whole, and saving goes on."""
    await history.save_messages_batch([message("a") for _ in range(2000)])

    reports, _ = await asyncio.gather(
        asyncio.gather(
            *(exporter.export_conversations(output_file=tmp_path / f"{each}.jsonl") for each in range(12))
        ),
        history.save_message(message("b", "other")),
    )

    assert all(report.written in (2000, 2001) for report in reports)


async def test_fine_tuning_data_have_a_conversation_a_line(
    tmp_path: Path, exporter: ExportManager, history: ConversationHistoryUnit
) -> None:
    """Though their exchanges were saved by turns, each line is one conversation, in its order."""
    await history.save_messages_batch(
        [message(f"text {number}", f"c{number % 3}", -number) for number in range(9)]
    )
    path = tmp_path / "tuning.jsonl"

    await exporter.export_conversations(format=ExportFormat.OPENAI, output_file=path)

    found = [
        [turn["content"] for turn in each["messages"] if turn["role"] == "user"] for each in lines_of(path)
    ]
    assert sorted(found) == [[f"text {first + 6 - 3 * number}" for number in range(3)] for first in range(3)]
