"""What was exported and imported again is equal, in every format that this library writes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationMessage,
    ExportFormat,
    ExportManager,
    ImportManager,
    SessionConfig,
    SessionManager,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path

OWN = ("json", "jsonl", "csv", "xml", "parquet")
SUFFIXES = (*OWN, "json.gz", "jsonl.zst", "csv.zst", "xml.gz")
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(
    "=+-@'\t\r\n\x00\",;<&]>\\x", max_size=8
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.tuples(
        TEXTS.filter(bool),
        TEXTS,
        TEXTS,
        st.datetimes(timezones=st.just(UTC)),
        st.floats(0, 1e15),
        st.dictionaries(TEXTS, JSON, max_size=3),
        st.booleans(),
    ),
    max_size=5,
)
shared_folder = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


def facts(message: ConversationMessage) -> tuple[Any, ...]:
    """Return all of an exchange so that only what is equal in value and kind is equal."""
    return (
        message.message_id,
        message.conversation_id,
        message.user_input,
        message.agent_response,
        message.timestamp,
        message.response_time_ms.hex(),
        json.dumps(message.metadata, sort_keys=True),
        message.parent_id,
    )


async def all_of(adapter: SQLiteAdapter, table_name: str = "conversations") -> list[tuple[Any, ...]]:
    """Return all that a table holds."""
    async with ConversationHistoryUnit(adapter, table_name) as history:
        return [facts(each) async for each in history.stream_conversations()]


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_nothing_is_lost(
    suffix: str, tmp_path: Path, adapter: SQLiteAdapter, hard: list[ConversationMessage]
) -> None:
    """Exchanges with every field at its worst come back as they were, ids and parents included."""
    path = tmp_path / f"export.{suffix}"

    exported = await ExportManager(adapter).export_conversations(output_file=path)
    imported = await ImportManager(adapter, table_name="copy").import_conversations(path)

    assert len(hard) == exported.written == imported.written == imported.read
    assert path.stat().st_size == exported.bytes
    assert exported.format is imported.format
    assert [facts(each) for each in hard] == await all_of(adapter, "copy")
    assert 0 == imported.detached


@pytest.mark.parametrize("suffix", OWN)
@shared_folder
@given(drawn=MESSAGES, safe=st.booleans())
async def test_any_exchanges_come_back(
    suffix: str, tmp_path: Path, drawn: list[tuple[Any, ...]], *, safe: bool
) -> None:
    """Whatever they hold."""
    path = tmp_path / f"export.{suffix}"
    ids: list[str] = []
    async with SQLiteAdapter(":memory:") as first, SQLiteAdapter(":memory:") as second:
        async with ConversationHistoryUnit(first) as history:
            for number, (conversation_id, *fields, metadata, follows) in enumerate(drawn):
                parent_id = number if follows and number else None
                ids.append(ids[-1] if parent_id else conversation_id)
                message = ConversationMessage(ids[-1], *fields, None, metadata, parent_id)
                await history.save_message(message)
        await ExportManager(first).export_conversations(output_file=path, safe_for_spreadsheets=safe)
        await ImportManager(second).import_conversations(path, suffix)

        assert await all_of(first) == await all_of(second)


@pytest.mark.parametrize("suffix", OWN)
async def test_sessions_come_back(suffix: str, tmp_path: Path, adapter: SQLiteAdapter) -> None:
    """Active, ended and expired ones, with all that is known of them."""
    path = tmp_path / f"sessions.{suffix}"
    now = NOON
    config = SessionConfig(
        session_timeout=timedelta(hours=1), cleanup_policy="deactivate", cleanup_interval=None
    )
    async with SessionManager(config, adapter, clock=lambda: now) as sessions:
        first = await sessions.create_session("=alice\x00", {"n": 2**70, "\r": [0.1, None, {}]})
        ended = await sessions.create_session("bob")
        await sessions.end_session(ended)
        now += timedelta(hours=1, microseconds=1)
        await sessions.cleanup_expired_sessions()
        active = await sessions.create_session("carol", {"text": "x" * 5000})
        expected = await sessions.list_sessions(limit=None)
    assert {first, ended, active} == {each.session_id for each in expected}

    exported = await ExportManager(adapter).export_sessions(output_file=path, safe_for_spreadsheets=True)
    imported = await ImportManager(adapter, sessions_table="copy").import_sessions(path)

    assert 3 == exported.written == imported.written
    async with SessionManager(config, adapter, table_name="copy", clock=lambda: now) as sessions:
        assert expected == await sessions.list_sessions(limit=None)
    again = tmp_path / f"again.{suffix}"
    await ExportManager(adapter, sessions_table="copy").export_sessions(
        output_file=again, safe_for_spreadsheets=True
    )
    assert suffix == "parquet" or path.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("suffix", OWN)
async def test_texts_without_metadata_come_back(
    suffix: str, tmp_path: Path, adapter: SQLiteAdapter, hard: list[ConversationMessage]
) -> None:
    """Fields that were left out are what they are by default; the others are equal."""
    path = tmp_path / f"export.{suffix}"
    fields = ["agent_response", "conversation_id", "user_input", "timestamp"]

    await ExportManager(adapter).export_conversations(output_file=path, fields=fields)
    await ImportManager(adapter, table_name="copy").import_conversations(path)

    expected = [
        facts(replace(each, message_id=None, response_time_ms=0.0, metadata={}, parent_id=None))
        for each in hard
    ]
    found = [(None, *each[1:]) for each in await all_of(adapter, "copy")]
    assert sorted(expected, key=str) == sorted(found, key=str)


@pytest.mark.parametrize("name", [each.value for each in ExportFormat])
async def test_every_format_has_a_reader(name: str, tmp_path: Path, adapter: SQLiteAdapter) -> None:
    """A file of another format is refused by name, and nothing is stored."""
    from library.infrastructure.data import DataUnitError

    path = tmp_path / "file"
    path.write_bytes(b"\x7f neither this nor that \xff" * 100)

    with pytest.raises(DataUnitError, match=r"file"):
        await ImportManager(adapter).import_conversations(path, name)

    assert [] == await all_of(adapter)


async def test_times_are_exact(
    tmp_path: Path, adapter: SQLiteAdapter, history: ConversationHistoryUnit
) -> None:
    """A response time comes back as the very number, the greatest and the least included."""
    numbers = [math.nextafter(0, 1), math.nextafter(1e15, 0), 1 / 3, 1e15]
    for number in numbers:
        await history.save_message(ConversationMessage("c", "", "", NOON, number))

    for suffix in OWN:
        path = tmp_path / f"times.{suffix}"
        await ExportManager(adapter).export_conversations(output_file=path)
        await ImportManager(adapter, table_name=suffix).import_conversations(path)

        assert [number.hex() for number in numbers] == [each[5] for each in await all_of(adapter, suffix)]
