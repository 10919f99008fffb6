"""Imports: what is read, what is refused and how that is told, and that nothing is stored then."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    DataUnitError,
    ExportFormat,
    ExportManager,
    FormatError,
    ImportLimits,
    ImportManager,
    InvalidOptionError,
    InvalidRecordError,
    SessionManager,
    StorageError,
    TransferLimitError,
    TransferProgress,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from library.infrastructure.interfaces.database import SQLiteAdapter

    Write = Callable[..., Path]

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GOOD = {"user_input": "Hello", "agent_response": "Good day"}


@pytest.fixture
def importer(adapter: SQLiteAdapter, history: ConversationHistoryUnit) -> ImportManager:
    return ImportManager(adapter)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of JSON lines, or of a text or bytes as they are."""

    def write(*records: Any, name: str = "talk.jsonl") -> Path:
        path = tmp_path / name
        if len(records) == 1 and isinstance(records[0], bytes):
            path.write_bytes(records[0])
        elif len(records) == 1 and isinstance(records[0], str):
            path.write_text(records[0], encoding="utf-8", newline="")
        else:
            path.write_text("".join(f"{json.dumps(each)}\n" for each in records), encoding="utf-8")
        return path

    return write


async def all_of(history: ConversationHistoryUnit) -> list[ConversationMessage]:
    return [each async for each in history.stream_conversations()]


# -- what is read ------------------------------------------------------------------------------------------


async def test_what_a_file_does_not_tell_is_made_up(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """The conversation is the file's name, the time the place in the file; the same each time."""
    path = write(GOOD, {**GOOD, "user_input": "Again", "agent_response": None})

    report = await importer.import_conversations(path)

    first, second = await history.get_conversation_history("talk")
    assert (2, 2, 1, ExportFormat.JSONL) == (report.read, report.written, report.conversations, report.format)
    assert [EPOCH + timedelta(seconds=number) for number in (1, 2)] == [first.timestamp, second.timestamp]
    assert ("Hello", "Good day", 0.0, {}) == (
        first.user_input,
        first.agent_response,
        first.response_time_ms,
        first.metadata,
    )
    assert "" == second.agent_response
    again = await importer.import_conversations(path, merge_strategy="skip_duplicates")
    assert (2, 0, 2) == (again.read, again.written, again.skipped)


async def test_the_conversation_can_be_named(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """For records that tell none."""
    path = write(GOOD, {**GOOD, "conversation_id": "own"})

    await importer.import_conversations(path, conversation_id="mine")

    assert {"mine", "own"} == {each.conversation_id for each in await all_of(history)}


async def test_what_has_no_field_is_kept(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """It goes to the source in the metadata, beside what is there."""
    metadata = {"rating": 5, "source": {"format": "x"}}
    await importer.import_conversations(write({**GOOD, "metadata": metadata, "stars": [1, None], "n": 2**70}))

    (message,) = await all_of(history)
    assert {"rating": 5, "source": {"format": "x", "stars": [1, None], "n": 2**70}} == message.metadata


async def test_fields_are_renamed(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """By the mapping; a name that occurs nowhere is an error, since it is a slip."""
    path = write({"q": "Hello", "a": "Hi", "id": 7, "user_input": "not this"})
    mapping = {"q": "user_input", "a": "agent_response", "id": "conversation_id"}

    await importer.import_conversations(path, field_mapping=mapping)

    (message,) = await all_of(history)
    assert ("7", "Hello", "Hi") == (message.conversation_id, message.user_input, message.agent_response)
    with pytest.raises(InvalidOptionError, match="'questions'") as caught:
        await importer.import_conversations(path, field_mapping={**mapping, "questions": "metadata"})
    assert "field_mapping" == caught.value.option
    assert 1 == len(await all_of(history))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-26T12:00:00Z", NOON),
        ("2026-11-26T14:00:00.000001+02:00", NOON + timedelta(microseconds=1)),
        ("2026-11-26 12:00:00+00:00", NOON),
        ("20261126T120000Z", NOON),
        (NOON.timestamp(), NOON),
        (int(NOON.timestamp() * 1000), NOON),
        (str(int(NOON.timestamp())), NOON),
        (-1.5, EPOCH - timedelta(seconds=1.5)),
        (NOON.replace(tzinfo=None).isoformat(), NOON.replace(tzinfo=None).astimezone(UTC)),
        (NOON.astimezone(timezone(timedelta(hours=-5))).isoformat(), NOON),
        ("2026-11-26", datetime(2026, 11, 26).astimezone(UTC)),
    ],
)
async def test_times_are_read(
    given: Any, expected: datetime, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """ISO 8601, seconds and milliseconds since 1970; without an offset, local time."""
    await importer.import_conversations(write({**GOOD, "timestamp": given}))

    assert [expected] == [each.timestamp for each in await all_of(history)]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "xml"])
async def test_encodings_are_found_out(
    suffix: str,
    encoding: str,
    mark: bytes,
    write: Write,
    importer: ImportManager,
    history: ConversationHistoryUnit,
) -> None:
    """Of every format of texts, by the first bytes."""
    text = {
        "csv": "user_input,agent_response\r\n\u00e9t\u00e9,\u6545\u5bab\r\n",
        "jsonl": '{"user_input": "\u00e9t\u00e9", "agent_response": "\u6545\u5bab"}\n',
        "json": '[{"user_input": "\u00e9t\u00e9", "agent_response": "\u6545\u5bab"}]',
        "xml": "<a><b><user_input>\u00e9t\u00e9</user_input>"
        "<agent_response>\u6545\u5bab</agent_response></b></a>",
    }[suffix]

    report = await importer.import_conversations(write(mark + text.encode(encoding), name=f"a.{suffix}"))

    (message,) = await all_of(history)
    assert suffix == report.format.value
    assert ("\u00e9t\u00e9", "\u6545\u5bab") == (message.user_input, message.agent_response)


async def test_an_encoding_can_be_told(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """One that cannot be found out; one that Python does not know is refused."""
    path = write("user_input\ncaf\u00e9\n".encode("latin-1"), name="a.csv")

    with pytest.raises(FormatError, match="utf-8"):
        await importer.import_conversations(path, "csv")
    with pytest.raises(InvalidOptionError):
        await importer.import_conversations(path, "csv", encoding="klingon")
    await importer.import_conversations(path, "csv", encoding="latin-1")

    assert ["caf\u00e9"] == [each.user_input for each in await all_of(history)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_delimiters_are_found_out(
    delimiter: str, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Whatever separates the names in the first line."""
    rows = [["user_input", "agent_response", "stars"], ["a, b; c", "d|e", "5"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)

    await importer.import_conversations(write(text, name="a.csv"))

    (message,) = await all_of(history)
    assert ("a, b; c", "d|e", {"source": {"stars": "5"}}) == (
        message.user_input,
        message.agent_response,
        message.metadata,
    )


async def test_a_stream_is_read_and_stays_open(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """An open binary file, also one that is a pipe, and packed."""
    reading, writing = os.pipe()
    content = gzip.compress(b"".join(json.dumps(GOOD).encode() + b"\n" for _ in range(20_000)))
    stream = io.BytesIO(json.dumps(GOOD).encode())

    def feed() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    feeding = threading.Thread(target=feed)
    await importer.import_conversations(stream)
    with os.fdopen(reading, "rb") as pipe:
        feeding.start()
        report = await importer.import_conversations(pipe)
    feeding.join()

    assert not stream.closed
    assert 20_000 == report.written
    assert 20_001 == len(await all_of(history))


async def test_a_named_pipe_is_imported(
    tmp_path: Path, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """The event loop does not wait for who writes into it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    importing = asyncio.create_task(importer.import_conversations(pipe))
    await history.save_message(ConversationMessage("c", "a", "b", NOON, 1.0))
    await asyncio.to_thread(pipe.write_bytes, json.dumps(GOOD).encode())
    report = await importing

    assert (str(pipe), 1) == (report.path, report.written)
    assert {"c", "import"} == {each.conversation_id for each in await all_of(history)}


async def test_an_open_descriptor_has_a_path(importer: ImportManager) -> None:
    """It leads to a pipe without a name, as a shell passes it for `<(command)`."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps(GOOD).encode())
    os.close(writing)

    report = await importer.import_conversations(f"/dev/fd/{reading}")
    os.close(reading)

    assert 1 == report.written


async def test_files_for_text_are_refused(importer: ImportManager) -> None:
    """Before anything is read, however they are wrapped."""
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as file:
        for source in (io.StringIO(json.dumps(GOOD)), file):
            for run in (importer.import_conversations, importer.import_sessions):
                with pytest.raises(InvalidOptionError, match="binary mode") as caught:
                    await run(source)  # type: ignore[arg-type]
                assert "input_file" == caught.value.option


async def test_a_stream_is_called_so(importer: ImportManager) -> None:
    """Where it has no name."""
    report = await importer.import_conversations(io.BytesIO(json.dumps(GOOD).encode()))

    assert "a stream" == report.path


async def test_progress_is_no_coroutine(write: Write, importer: ImportManager) -> None:
    """Nobody would wait for it."""

    async def show(progress: TransferProgress) -> None:
        raise AssertionError(progress)

    with pytest.raises(InvalidOptionError, match="async def") as caught:
        await importer.import_conversations(write(GOOD), progress=show)  # type: ignore[arg-type]

    assert "progress" == caught.value.option


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"q": "Hello", "a": "Hi"}\n{"q": "Bye", "a": "Ho"}\n'),
        ("a.json", '[{"q": "Hello", "a": "Hi"}, {"q": "Bye", "a": "Ho"}]'),
        ("a.csv", "sep=;\r\nq;a\r\nHello;Hi\r\nBye;Ho\r\n"),
    ],
)
async def test_files_of_other_names_are_found_out(
    name: str, content: str, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Where a mapping says what their names stand for."""
    mapping = {"q": "user_input", "a": "agent_response"}

    await importer.import_conversations(write(content, name=name), field_mapping=mapping)

    assert [("Hello", "Hi"), ("Bye", "Ho")] == [
        (each.user_input, each.agent_response) for each in await all_of(history)
    ]


async def test_the_source_is_found_by_its_content(
    tmp_path: Path, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """A name that says something else does not matter."""
    await history.save_message(ConversationMessage("c", "a", "b", NOON, 1.0))
    for name in ("json", "jsonl", "csv", "xml", "parquet"):
        path = tmp_path / f"{name}.bin"
        await ExportManager(importer.database_adapter).export_conversations(format=name, output_file=path)

        report = await importer.import_conversations(path, merge_strategy="skip_duplicates")

        assert (name, 1, 1) == (report.format.value, report.read, report.skipped)


# -- what is refused ---------------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, str]] = {
    "no text": ({"conversation_id": "c"}, "neither user_input nor agent_response"),
    "text of another type": ({**GOOD, "user_input": 7}, "user_input must be a str"),
    "time": ({**GOOD, "timestamp": "yesterday"}, "timestamp must be a time"),
    "time beyond all years": ({**GOOD, "timestamp": 1e300}, "timestamp must be"),
    "negative": ({**GOOD, "response_time_ms": -1}, "response_time_ms must be from 0"),
    "no number": ({**GOOD, "response_time_ms": "fast"}, "response_time_ms must be a number"),
    "flag for a number": ({**GOOD, "response_time_ms": True}, "response_time_ms must be a number"),
    "id": ({**GOOD, "message_id": 0}, "message_id must be a whole number"),
    "large id": ({**GOOD, "message_id": 2**53}, "message_id must be a whole number"),
    "parent": ({**GOOD, "parent_id": "first"}, "parent_id must be a whole number"),
    "metadata": ({**GOOD, "metadata": [1]}, "metadata must be a JSON object"),
    "metadata that are no JSON": ({**GOOD, "metadata": "{a}"}, "metadata must be JSON"),
    "long conversation": ({**GOOD, "conversation_id": "x" * 1001}, "conversation_id must have 1 to 1,000"),
    "surrogate": ({**GOOD, "user_input": "\ud800"}, "surrogate"),
}


@pytest.mark.parametrize("fault", list(BAD))
async def test_a_bad_record_is_told_by_place_and_reason(
    fault: str, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """And nothing is stored of the others."""
    record, reason = BAD[fault]
    path = write(GOOD, GOOD, record, GOOD)

    with pytest.raises(InvalidRecordError) as caught:
        await importer.import_conversations(path)

    assert (str(path), "line 3") == (caught.value.path, caught.value.place)
    assert reason in caught.value.reason
    assert f"{path}, line 3: " in str(caught.value)
    assert [] == await all_of(history)


async def test_bad_records_can_be_left_out(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """The report tells how many, and of the first hundred where and why."""
    path = write(GOOD, *([record for record, _ in BAD.values()] * 10), "no object", GOOD)

    report = await importer.import_conversations(path, on_error="skip")

    count = len(BAD) * 10 + 1
    assert (count + 2, 2, count) == (report.read, report.written, report.rejected)
    assert 100 == len(report.faults)
    assert report.faults[0].startswith("line 2: it has neither user_input")
    assert 2 == len(await all_of(history))


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.csv", "user_input,response_time_ms\na,1\nb,x\n", "line 3"),
        ("a.csv", 'user_input,response_time_ms\n"a\nb",1\nb,x\n', "line 4"),
        ("a.csv", "user_input,response_time_ms\na,1,2\n", "line 2"),
        ("a.json", '[{"user_input": "a"},\n\n{"user_input": 5}]', "record 2"),
        ("a.jsonl", '{"user_input": "a"}\n\n{"user_input": \n', "line 3"),
        ("a.xml", "<r><e><user_input>a</user_input></e><e><timestamp>x</timestamp></e></r>", "record 2"),
    ],
)
async def test_places_are_those_of_the_format(
    name: str, content: str, place: str, write: Write, importer: ImportManager
) -> None:
    """Lines where there are lines."""
    with pytest.raises(InvalidRecordError) as caught:
        await importer.import_conversations(write(content, name=name))

    assert place == caught.value.place


@pytest.mark.parametrize("name", ["json", "csv", "xml", "parquet", "json.gz", "jsonl.gz", "jsonl.zst"])
async def test_a_file_that_is_cut_off_is_refused(
    name: str, tmp_path: Path, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Wherever it is cut; nothing is stored. Of a table, what stands before the cut may be a whole one."""
    texts = [f"text, {number}\n" for number in range(40)]
    await history.save_messages_batch([ConversationMessage("c", text, "x", NOON, 1.0) for text in texts])
    whole = tmp_path / f"whole.{name}"
    await ExportManager(importer.database_adapter).export_conversations(output_file=whole)
    content = whole.read_bytes()
    await history.clear()
    path = tmp_path / f"cut.{name}"

    for length in range(len(content) // 2, len(content) - 2, max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        refusal = await refusal_of(importer, path, name.partition(".")[0])
        stored = [each.user_input for each in await all_of(history)]
        if name == "csv" and refusal is None:
            assert texts[: len(stored)] == stored
            await history.clear()
        else:
            assert [] == stored
            assert name == "csv" or "cut" in str(refusal)


async def refusal_of(importer: ImportManager, path: Path, name: str) -> DataUnitError | None:
    """Return why a file is refused; `None` if it is not."""
    try:
        await importer.import_conversations(path, name)
    except DataUnitError as error:
        return error
    return None


@pytest.mark.parametrize("content", ["", " \n", "hello", "{}", "[1]", "null", "\x00\x01\x02", '{"a": 1}'])
async def test_what_is_no_export_is_refused(
    content: str, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """By name, with what is known."""
    with pytest.raises(DataUnitError, match=r"talk\.jsonl"):
        await importer.import_conversations(write(content))

    assert [] == await all_of(history)


async def test_files_that_cannot_be_read(tmp_path: Path, importer: ImportManager) -> None:
    """A file that is not there, and a folder."""
    with pytest.raises(StorageError, match=r"nowhere\.json"):
        await importer.import_conversations(tmp_path / "nowhere.json")
    with pytest.raises(StorageError, match=r"folder|directory"):
        await importer.import_conversations(tmp_path)


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("input_file", {"input_file": 5}),
        ("format", {"format": "yaml"}),
        ("merge_strategy", {"merge_strategy": "merge"}),
        ("on_error", {"on_error": "ignore"}),
        ("field_mapping", {"field_mapping": {"a": "user_inputs"}}),
        ("field_mapping", {"field_mapping": {"a": "user_input", "b": "user_input"}}),
        ("progress", {"progress": "bar"}),
    ],
)
async def test_wrong_options_are_named(
    option: str, arguments: dict[str, Any], write: Write, importer: ImportManager
) -> None:
    """Each by its name."""
    with pytest.raises(InvalidOptionError) as caught:
        await importer.import_conversations(**{"input_file": write(GOOD), **arguments})

    assert option == caught.value.option


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "limits", "name", "content"),
    [
        ("max_bytes", {"max_bytes": 5000}, "a.jsonl", (json.dumps(GOOD).encode() + b"\n") * 200),
        ("max_ratio", {}, "a.jsonl.gz", gzip.compress((json.dumps(GOOD).encode() + b"\n") * 700_000)),
        (
            "max_record_bytes",
            {"max_record_bytes": 5000},
            "a.jsonl",
            json.dumps({"user_input": "x" * 9000}).encode(),
        ),
        (
            "max_record_bytes",
            {"max_record_bytes": 5000},
            "a.json",
            json.dumps([{"user_input": "x" * 9000}]).encode(),
        ),
        ("max_field_characters", {"max_field_characters": 50}, "a.csv", b"user_input\n" + b"x" * 51),
        (
            "max_field_characters",
            {"max_field_characters": 50},
            "a.jsonl",
            json.dumps({"user_input": "x" * 51}).encode(),
        ),
        (
            "max_field_characters",
            {"max_field_characters": 50},
            "a.xml",
            b"<a><b><user_input>" + b"x" * 51 + b"</user_input></b></a>",
        ),
        (
            "max_depth",
            {},
            "a.jsonl",
            b'{"user_input": "a", "metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
        ),
        ("max_depth", {}, "a.json", b"[" * 100_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_limits_hold(
    limit: str,
    limits: dict[str, int],
    name: str,
    content: bytes,
    write: Write,
    adapter: SQLiteAdapter,
    history: ConversationHistoryUnit,
) -> None:
    """The error names the limit, and nothing is stored."""
    importer = ImportManager(adapter, limits=ImportLimits(**limits))

    with pytest.raises(DataUnitError) as caught:
        await importer.import_conversations(write(content, name=name), name.split(".")[1])

    if isinstance(caught.value, TransferLimitError):
        assert limit == caught.value.limit
    else:  # nesting may be told as what is wrong with a record, or a file
        assert "max_depth" == limit
        assert "nest" in str(caught.value) or "deep" in str(caught.value)
    assert [] == await all_of(history)


async def test_entities_are_never_expanded(
    write: Write, tmp_path: Path, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Neither a billion laughs nor the content of a file."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    for dtd in (f'<!ENTITY l0 "ha">{laughs}', f'<!ENTITY l9 SYSTEM "file://{secret}">'):
        document = f"<!DOCTYPE r [{dtd}]><r><e><user_input>&l9;</user_input></e></r>"

        with pytest.raises(FormatError, match="DOCTYPE"):
            await importer.import_conversations(write(document, name="a.xml"))

    assert [] == await all_of(history)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "many"])
def test_limits_are_numbers(value: Any) -> None:
    """Whole ones, from 1 up."""
    with pytest.raises(InvalidOptionError) as caught:
        ImportLimits(max_depth=value)

    assert "max_depth" == caught.value.option


# -- while others work -------------------------------------------------------------------------------------


async def test_progress_is_told_to_the_end(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """First of reading, in bytes, then of saving, in records; both come to their end."""
    told: list[TransferProgress] = []
    path = write(*({**GOOD, "message_id": number} for number in range(1, 12_001)))

    await importer.import_conversations(path, progress=told.append)

    phases = [each.phase for each in told]
    assert sorted(phases) == phases
    size = path.stat().st_size
    assert TransferProgress(12_000, size, size, "reading") == told[phases.index("saving") - 1]
    assert TransferProgress(12_000, 12_000, 12_000, "saving") == told[-1]


async def test_what_progress_raises_ends_the_import(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Nothing is stored, as long as it was read."""

    def refuse(progress: TransferProgress) -> None:
        raise RuntimeError(f"enough after {progress.records}")

    with pytest.raises(RuntimeError, match="enough"):
        await importer.import_conversations(write(*[GOOD] * 30_000), progress=refuse)

    assert len(await all_of(history)) in (0, 30_000)


async def test_a_cancelled_import_has_stored_nothing(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """As long as it was read; the file that was gathered is gone."""
    begun = asyncio.Event()
    importing = asyncio.create_task(
        importer.import_conversations(write(*[GOOD] * 60_000), progress=lambda _: begun.set())
    )

    await begun.wait()
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing

    assert [] == await all_of(history)


@pytest.mark.parametrize("count", [3, 12_000])
async def test_what_progress_raises_while_saving_comes_after_it(
    count: int, write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """An import that is being saved is completed."""

    def refuse(progress: TransferProgress) -> None:
        if progress.phase == "saving":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await importer.import_conversations(write(*[GOOD] * count), progress=refuse)

    assert count == len(await all_of(history))


async def test_an_import_that_is_cancelled_while_saving_is_completed(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """The cancellation is raised after that."""

    def cancel(progress: TransferProgress) -> None:
        if progress.phase == "saving":
            importing.cancel()

    path = write(*[GOOD] * 30_000)
    importing = asyncio.create_task(importer.import_conversations(path, progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await importing

    assert 30_000 == len(await all_of(history))


async def test_the_unit_goes_on_while_a_file_is_imported(
    write: Write, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Others save and search meanwhile, and find what they saved."""
    path = write(*({**GOOD, "conversation_id": f"c{number % 7}"} for number in range(15_000)))
    importing = asyncio.create_task(importer.import_conversations(path))
    saved = 0
    while not importing.done():
        await history.save_message(ConversationMessage("live", f"otter {saved}", "x", NOON, 1.0))
        saved += 1
        assert min(saved, 5) == len(await history.search_conversations("otters", 5, "live"))

    assert 15_000 == (await importing).written
    assert saved == len(await history.get_conversation_history("live", limit=None))


# -- sessions ----------------------------------------------------------------------------------------------


async def test_sessions_of_others_are_imported(write: Write, adapter: SQLiteAdapter) -> None:
    """With what they tell: an end makes them inactive, and the rest goes to the metadata."""
    path = write(
        {"session_id": "a" * 20, "user_id": 7, "created_at": datetime.now(UTC).timestamp(), "theme": "dark"},
        {
            "session_id": "b" * 20,
            "user_id": "bob",
            "created_at": "2026-11-26T12:00:00Z",
            "is_active": "false",
        },
    )

    report = await ImportManager(adapter).import_sessions(path)

    assert (2, None) == (report.written, report.conversations)
    async with SessionManager(database_adapter=adapter) as sessions:
        found = await sessions.get_session("a" * 20)
        assert ("7", {"source": {"theme": "dark"}}) == (found.user_id, found.metadata)
        assert await sessions.get_session("b" * 20, default=None) is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"session_id": ""}, "no session_id"),
        ({"user_id": None}, "no user_id"),
        ({"created_at": "x"}, "created_at must be a time"),
        ({"is_active": "perhaps"}, "is_active must be true or false"),
        ({"is_active": False, "end_reason": "bored"}, "end_reason must be one of"),
    ],
)
async def test_bad_sessions_are_told(
    fault: dict[str, Any], reason: str, write: Write, adapter: SQLiteAdapter
) -> None:
    """By place and reason, without the id."""
    record = {"session_id": "secret" * 5, "user_id": "u", "created_at": 5, **fault}

    with pytest.raises(InvalidRecordError, match=reason) as caught:
        await ImportManager(adapter).import_sessions(write(record))

    assert "line 1" == caught.value.place
    assert "secret" not in str(caught.value).removeprefix(caught.value.path)


async def test_conversations_are_no_sessions(write: Write, adapter: SQLiteAdapter) -> None:
    """A format that holds no sessions is refused."""
    with pytest.raises(InvalidOptionError, match="holds no sessions"):
        await ImportManager(adapter).import_sessions(write(GOOD), "chatgpt")


# -- anything ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each.value for each in ExportFormat])
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)
@given(
    content=st.binary(max_size=60)
    | st.text(alphabet='[]{}",:;\n <>/=abmessages0\\', max_size=80).map(str.encode)
)
async def test_any_bytes_are_refused_or_imported(
    name: str, content: bytes, tmp_path: Path, importer: ImportManager, history: ConversationHistoryUnit
) -> None:
    """Never anything but an error of ours, with the file's name in it."""
    path = tmp_path / "anything"
    path.write_bytes(content)

    refusal = await refusal_of(importer, path, name)

    assert refusal is None or "anything" in str(refusal)
