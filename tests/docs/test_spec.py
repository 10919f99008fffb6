"""The specification's code runs as it stands.

Each test takes the Python block below one heading of the specification, puts the few names into its namespace
that the text takes for granted, and runs it unchanged, in an empty working directory.
What a comment in the block says is printed, must be printed.
"""

from __future__ import annotations

import ast
import csv
import importlib
import inspect
import json
import logging
import os
import re
import socket
import subprocess
import sys
import warnings
from abc import ABC
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Optional

import pytest

SPEC = Path(__file__).parent / "spec" / "data-infrastructure.md"


def block_below(heading: str) -> str:
    """Give the one Python block that stands below a heading, before the next."""
    blocks: list[str] = []
    current = ""
    fenced: list[str] | None = None
    language = ""
    for line in SPEC.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if fenced is None:
                fenced, language = [], line.removeprefix("```").strip()
            else:
                if current == heading and language == "python":
                    blocks.append("\n".join(fenced) + "\n")
                fenced = None
        elif fenced is not None:
            fenced.append(line)
        elif title := re.match(r"#+ +(.+?) *$", line):
            current = title[1]
    assert len(blocks) == 1, f"{len(blocks)} Python blocks below {heading!r}"
    return blocks[0]


async def run(source: str, **names: Any) -> dict[str, Any]:
    """Run a block, which may await at top level, and give the names that it leaves."""
    namespace: dict[str, Any] = {"__name__": "specification", **names}
    code = compile(source, str(SPEC), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    awaitable = eval(code, namespace)
    if inspect.iscoroutine(awaitable):
        await awaitable
    return namespace


def comment_after(statement: str, source: str) -> Any:
    """Give the JSON value that the comment behind a statement shows."""
    (line,) = [line for line in source.splitlines() if line.startswith(statement)]
    return json.loads(line.partition("  # ")[2])


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_the_base_class_has_every_method_that_the_specification_lists() -> None:
    """`DataUnitBase` has the five coroutine methods, callable as they are written there."""
    namespace = await run(block_below("DataUnitBase"), ABC=ABC, Any=Any)

    from library.infrastructure.data import DataUnitBase

    described = namespace["DataUnitBase"]
    assert issubclass(DataUnitBase, ABC)
    for name in ("get", "set", "clear", "initialize", "shutdown"):
        ours, theirs = getattr(DataUnitBase, name), getattr(described, name)
        assert inspect.iscoroutinefunction(ours), name
        arguments = [object() for _ in inspect.signature(theirs).parameters]
        inspect.signature(ours).bind(*arguments)


async def test_a_memory_unit_gives_back_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    """The block prints the dictionary that its comment shows."""
    source = block_below("Memory Data Unit")

    await run(source)

    assert comment_after("print(data)", source) == ast.literal_eval(capsys.readouterr().out)


async def test_a_file_unit_keeps_its_value_for_the_next_run(working_directory: Path) -> None:
    """What the block stored is in its file as JSON, and a second unit on the file reads it."""
    source = block_below("File Data Unit")
    expected = {"conversations": [{"id": "conv_1", "messages": 5}, {"id": "conv_2", "messages": 3}]}

    namespace = await run(source)
    await namespace["data_unit"].shutdown()
    again = await run(source.replace("await data_unit.set(", "dict("))
    await again["data_unit"].shutdown()

    assert expected == namespace["data"]
    assert expected == again["data"]
    assert expected == json.loads((working_directory / "user_data.json").read_text(encoding="utf-8"))


async def test_a_subscriber_receives_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    """The block prints the event that its comment shows."""
    source = block_below("Stream Data Unit")

    namespace = await run(source)
    await namespace["stream"].shutdown()

    assert comment_after("print(event_data)", source) == ast.literal_eval(capsys.readouterr().out)


async def test_a_string_unit_appends_to_its_initial_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The block prints the four lines that its closing comment shows."""
    source = block_below("String Data Unit")
    expected = [line.removeprefix("# ") for line in source.partition("# Output:\n")[2].splitlines()]

    namespace = await run(source)
    await namespace["log_unit"].shutdown()

    assert len(expected) == 4
    assert "\n".join([*expected, "", ""]) == capsys.readouterr().out


async def test_the_config_takes_the_six_options() -> None:
    """The config holds each option as it was given."""
    from library.infrastructure.data import DataUnitType

    config = (await run(block_below("DataUnitConfig")))["config"]

    assert DataUnitType.MEMORY is config.data_type
    assert (False, 1000, None) == (config.persistent, config.cache_size, config.file_path)
    assert ("utf-8", None) == (config.encoding, config.initial_value)


async def test_a_unit_may_live_as_long_as_one_function() -> None:
    """The function opens a unit, uses it, closes it, and returns the value."""
    from library.infrastructure.data import DataUnitConfig, DataUnitMemory

    data = {"key": "value"}
    namespace = await run(
        block_below("Memory Management"),
        DataUnitMemory=DataUnitMemory,
        config=DataUnitConfig(data_type="memory"),
        data=data,
    )

    assert data == await namespace["use_data_unit"]()


async def test_a_fallback_takes_what_a_unit_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A value that JSON cannot hold raises `DataUnitError`, is logged, and goes into the fallback."""
    from library.infrastructure.data import DataUnitConfig, DataUnitFile, DataUnitMemory

    logger = logging.getLogger("specification")
    large_data = object()
    config = DataUnitConfig(data_type="file", file_path="large.json")
    async with (
        DataUnitFile("large.json", config) as data_unit,
        DataUnitMemory(DataUnitConfig(data_type="memory")) as fallback_data_unit,
    ):
        await run(
            block_below("Error Handling"),
            data_unit=data_unit,
            fallback_data_unit=fallback_data_unit,
            large_data=large_data,
            logger=logger,
        )

        assert large_data is await fallback_data_unit.get()
        assert await data_unit.get() is None
    (record,) = [record for record in caplog.records if record.name == logger.name]
    assert record.getMessage().startswith("Data unit operation failed: ")
    assert len(record.getMessage()) > len("Data unit operation failed: ")


def test_a_fixture_may_hold_a_unit(working_directory: Path) -> None:
    """The block is a test file that passes, in a pytest of its own in which warnings are errors."""
    prelude = "from library.infrastructure.data import DataUnitConfig\n"
    (working_directory / "test_from_spec.py").write_text(prelude + block_below("Testing"), encoding="utf-8")

    options = ["-p", "no:cacheprovider", "-W", "error", "--asyncio-mode=auto"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_from_spec.py"],
        cwd=working_directory,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1 passed" in finished.stdout


async def test_a_conversation_is_saved_printed_and_found(
    working_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The block prints the exchange that it saved, and the search finds it; the file is there afterwards."""
    namespace = await run(block_below("ConversationHistoryUnit"))
    await namespace["history_unit"].shutdown()
    await namespace["db_adapter"].shutdown()

    expected = [
        "User: What is machine learning?",
        "Agent: Machine learning is a subset of AI...",
        "Time: 1250.0ms",
    ]
    assert [*expected, "", ""] == capsys.readouterr().out.split("\n")
    assert namespace["history"] == [
        replace(namespace["message"], message_id=1),
    ]
    (result,) = namespace["results"]
    assert result.message_id == 1
    assert (working_directory / "conversations.db").exists()


async def test_a_message_has_the_fields_in_their_order() -> None:
    """`ConversationMessage` begins with the fields that the block lists, with its defaults."""
    from library.infrastructure.data import ConversationMessage

    names = {"dataclass": dataclass, "field": field, "datetime": datetime}
    described = (
        await run(block_below("ConversationMessage"), **names, Optional=Optional, Dict=dict, Any=Any)
    )["ConversationMessage"]

    expected = [(each.name, each.default, each.default_factory) for each in fields(described)]
    assert (
        expected
        == [(each.name, each.default, each.default_factory) for each in fields(ConversationMessage)][
            : len(expected)
        ]
    )


async def test_a_query_combines_what_it_asks_for() -> None:
    """The block's query finds what fulfils all of it, and nothing else."""
    from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
    from library.infrastructure.interfaces.database import SQLiteAdapter

    noon = datetime(2026, 11, 23, 12)
    wanted = ConversationMessage("conv_123", "What is machine learning?", "A subset of AI.", noon, 1000.0)
    others = [
        replace(wanted, conversation_id="conv_124"),
        replace(wanted, timestamp=noon + timedelta(days=2)),
        replace(wanted, user_input="What is a machine?"),
        replace(wanted, response_time_ms=999.0),
    ]
    async with SQLiteAdapter("conversations.db") as adapter, ConversationHistoryUnit(adapter) as history_unit:
        await history_unit.save_messages_batch([*others, wanted])

        namespace = await run(
            block_below("ConversationQuery"),
            history_unit=history_unit,
            start_date=noon - timedelta(days=1),
            end_date=noon + timedelta(days=1),
        )

    assert [replace(wanted, message_id=5)] == namespace["results"]


async def test_a_batch_is_saved_at_once() -> None:
    """The block's batch is in the history when it returned."""
    from library.infrastructure import data

    messages = [
        data.ConversationMessage(
            "conv_1", f"Question {number}", "Answer", datetime(2026, 11, 23, 12, number), 1.0
        )
        for number in range(3)
    ]
    names = dict(zip(("msg1", "msg2", "msg3"), messages, strict=True))
    async with data.ConversationHistoryUnit() as history_unit:
        await run(
            block_below("Performance Optimization"),
            DataUnitConfig=data.DataUnitConfig,
            DataUnitType=data.DataUnitType,
            history_unit=history_unit,
            **names,
        )

        found = await history_unit.get_conversation_history("conv_1")
    assert [message.user_input for message in messages] == [message.user_input for message in found]


async def test_a_history_takes_the_place_of_a_demo_manager(working_directory: Path) -> None:
    """The block builds a unit that opens its database itself, and closes it with itself."""
    from library.infrastructure.data import ConversationMessage

    namespace = await run(
        block_below("From Demo Implementations"), db_path=str(working_directory / "demo.db")
    )

    async with namespace["history_unit"] as history_unit:
        await history_unit.save_message(ConversationMessage("a", "b", "c", datetime.now(UTC), 1.0))
        assert namespace["db_adapter"].is_open
    assert not namespace["db_adapter"].is_open


async def test_a_session_is_created_changed_and_found(
    working_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The block's session has what it was given; the clean-up leaves it, and it is there after a restart."""
    from library.infrastructure.data import SessionManager

    before = datetime.now(UTC)
    namespace = await run(block_below("SessionManager"), datetime=datetime)
    after = datetime.now(UTC)

    session = namespace["session_data"]
    assert ("user_123", True) == (session.user_id, session.is_active)
    assert namespace["session_id"] == session.session_id
    assert session.metadata == {"client": "web", "version": "1.0", "page_views": 5}
    assert before <= session.created_at <= session.last_activity <= after
    assert capsys.readouterr().out.splitlines() == [
        f"Session created: {session.created_at}",
        f"Last activity: {session.last_activity}",
    ]
    await namespace["session_manager"].shutdown()
    assert (working_directory / "conversations.db").exists()
    async with SessionManager(namespace["config"]) as again:
        assert session == await again.get_session(namespace["session_id"])


async def test_the_sessions_of_the_specification_live_for_two_hours() -> None:
    """The block's config, with a clock that is advanced: idle for two hours, a session is cleaned up."""
    from library.infrastructure.data import SessionExpiredError, SessionManager, SessionNotFoundError

    namespace = await run(block_below("SessionManager"), datetime=datetime)
    await namespace["session_manager"].shutdown()
    session = namespace["session_data"]

    now = session.last_activity + timedelta(hours=2) - timedelta(microseconds=1)
    async with SessionManager(namespace["config"], clock=lambda: now) as manager:
        assert session == await manager.get_session(session.session_id)
        assert 0 == await manager.cleanup_expired_sessions()
        now += timedelta(microseconds=1)
        with pytest.raises(SessionExpiredError):
            await manager.get_session(session.session_id)
        assert 1 == await manager.cleanup_expired_sessions()
        with pytest.raises(SessionNotFoundError):
            await manager.get_session(session.session_id)


async def test_a_session_has_the_fields_in_their_order() -> None:
    """`SessionData` has the fields that the block lists, with its types and its default."""
    from library.infrastructure.data import SessionData

    names = {"dataclass": dataclass, "datetime": datetime, "Dict": dict, "Any": Any}
    described = (await run(block_below("SessionData"), **names))["SessionData"]

    expected = [(each.name, each.type, each.default, each.default_factory) for each in fields(described)]
    assert expected == [
        (each.name, each.type, each.default, each.default_factory) for each in fields(SessionData)
    ]


async def test_conversations_and_sessions_are_exported(working_directory: Path) -> None:
    """The block writes the conversations, with all fields and with four, and the sessions that are there."""
    from library.infrastructure import data

    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    async with data.ConversationHistoryUnit() as history_unit:
        await history_unit.save_messages_batch(
            [
                data.ConversationMessage(
                    name, "Hello, how are you?", 'I am "fine".', noon, 1.5, metadata={"a": [1]}
                )
                for name in ("conv_1", "conv_2", "conv_3")
            ]
        )
    lines = (
        json.dumps(
            {"session_id": name, "user_id": "user_123", "created_at": noon.isoformat(), "metadata": {"n": 1}}
        )
        for name in ("session_1", "session_2", "session_3")
    )
    (working_directory / "stays.jsonl").write_text("\n".join(lines), encoding="utf-8")
    await data.ImportManager().import_sessions("stays.jsonl")

    await run(block_below("ExportManager"))

    exported = json.loads((working_directory / "conversations.json").read_text(encoding="utf-8"))
    assert [("conv_1", {"a": [1]}), ("conv_2", {"a": [1]})] == sorted(
        (each["conversation_id"], each["metadata"]) for each in exported
    )
    with (working_directory / "conversations.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert ["timestamp", "user_input", "agent_response", "response_time_ms"] == header
    assert [[noon, "Hello, how are you?", 'I am "fine".', 1.5]] * 2 == [
        [datetime.fromisoformat(row[0]), *row[1:3], float(row[3])] for row in rows
    ]
    sessions = json.loads((working_directory / "sessions.json").read_text(encoding="utf-8"))
    assert {"session_1", "session_2"} == {each["session_id"] for each in sessions}


async def test_conversations_are_imported(working_directory: Path) -> None:
    """The block reads what was exported, and a table with columns of other names."""
    from library.infrastructure import data

    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    message = data.ConversationMessage("conv_1", "Hello\x00", "Hi\r", noon, 1.5, 7, {"n": 2**70})
    async with data.ConversationHistoryUnit(table_name="backup") as backup:
        await backup.save_message(message)
    await data.ExportManager(table_name="backup").export_conversations(
        output_file="backup_conversations.json"
    )
    (working_directory / "external_data.csv").write_text(
        "user_message,bot_response,timestamp\nWhere?,Here.,2026-11-26T13:00:00Z\n", encoding="utf-8"
    )

    await run(block_below("ImportManager"), ExportFormat=data.ExportFormat)

    async with data.ConversationHistoryUnit() as history_unit:
        assert [message] == await history_unit.get_conversation_history("conv_1")
        (other,) = await history_unit.get_conversation_history("external_data")
    assert ("Where?", "Here.", noon + timedelta(hours=1)) == (
        other.user_input,
        other.agent_response,
        other.timestamp,
    )


async def test_a_history_is_kept_on_postgresql() -> None:
    """The block's unit saves and finds, on a server that listens on PostgreSQL's own port."""
    from postgresql_server import PostgreSQLServer

    from library.infrastructure.data import ConversationMessage

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 5432)) == 0 and "CI" not in os.environ:
            pytest.skip("another server has the port 5432")
    server = PostgreSQLServer(port=5432)
    try:
        await server.execute("CREATE ROLE app_user LOGIN PASSWORD 'secure_password'")
        await server.execute("CREATE DATABASE nanobrain OWNER app_user")
        namespace = await run(block_below("With Database Adapters"))
        async with namespace["history_unit"] as history_unit:
            message = ConversationMessage(
                "conv_1", "Where do otters sleep?", "Afloat.", datetime.now(UTC), 1.0
            )
            message_id = await history_unit.save_message(message)
            (found,) = await history_unit.search_conversations("sleeping otter")
        assert message_id == found.message_id
    finally:
        server.remove()


@pytest.mark.parametrize("own_transform", [False, True], ids=["as-is", "with-transform"])
async def test_a_step_reads_one_unit_and_writes_another(*, own_transform: bool) -> None:
    """`process` returns the result and leaves it in the output unit; `transform` may be overridden."""
    from core.step import StepConfig
    from library.infrastructure.data import DataUnitConfig, DataUnitMemory

    step_class = (await run(block_below("With Workflow Steps")))["ProcessingStep"]
    if own_transform:

        class Doubling(step_class):  # type: ignore[misc, valid-type]
            def transform(self, data: int) -> int:
                return data * 2

        step_class = Doubling
    config = DataUnitConfig(data_type="memory")
    async with DataUnitMemory(config) as source, DataUnitMemory(config) as target:
        await source.set(21)

        result = await step_class(StepConfig(name="processing"), source, target).process({})

        assert (42 if own_transform else 21) == result
        assert result == await target.get()


async def test_the_old_import_still_works_and_says_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """`core.data_unit` warns that it is deprecated, and gives the very class of the new place."""
    monkeypatch.delitem(sys.modules, "core.data_unit", raising=False)

    with pytest.warns(DeprecationWarning, match=r"library\.infrastructure\.data") as warned:
        namespace = await run(block_below("From Core Data Units"))

    assert str(SPEC) == warned[0].filename, "the warning names the line of the user, not one of ours"
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old = importlib.import_module("core.data_unit").DataUnitMemory
    assert namespace["DataUnitMemory"] is old
