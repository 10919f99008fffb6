"""What the contract of conversations stands on: the fixtures, the search for what is left, and exchanges."""

# ruff: noqa: S101 - a contract consists of assertions

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage
from library.infrastructure.data.conformance.conversation_kinds import DatabaseKind, needed_of_database
from library.infrastructure.data.conformance.foundation import open_files, other_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from library.infrastructure.data import ConversationStore, DatabaseAdapter

    MakeAdapter = Callable[[], Awaitable[DatabaseAdapter]]

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
_SHARED_THREADS = ("nanobrain-data", "asyncio_")


class ConversationFoundation:
    """Runs each test for each kind of database that can do what the test needs."""

    kinds: ClassVar[Sequence[DatabaseKind]]
    """The kinds under the contract."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Choose the kinds for a test."""
        if "kind" in metafunc.fixturenames:
            needed = needed_of_database(metafunc.function)
            able = [kind for kind in self.kinds if needed in kind.can]
            metafunc.parametrize("kind", able, ids=[each.name for each in able])

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Path]:
        """A folder of the test's own; afterwards nothing in it is open, and no thread was left."""
        before = set(threading.enumerate())
        yield tmp_path
        assert open_files(tmp_path) == []
        left = set(threading.enumerate()) - before
        assert [thread.name for thread in left if not thread.name.startswith(_SHARED_THREADS)] == []

    @pytest.fixture
    async def make(self, kind: DatabaseKind, place: Path) -> AsyncIterator[MakeAdapter]:
        """Makes adapters of the place's database that are not open; in the end none is damaged or open."""
        made: list[DatabaseAdapter] = []

        async def make() -> DatabaseAdapter:
            made.append(await kind.make(place))
            return made[-1]

        yield make
        damage = [await adapter.check() for adapter in made if adapter.is_open]
        for adapter in made:
            await adapter.shutdown()
        await kind.remove(place)
        assert [problem for problems in damage for problem in problems] == []
        assert other_tasks() == []

    @pytest.fixture
    async def closed_adapter(self, make: MakeAdapter) -> DatabaseAdapter:
        """An adapter of an empty database that was never opened; it may be open at the end."""
        return await make()

    @pytest.fixture
    async def adapter(self, closed_adapter: DatabaseAdapter) -> DatabaseAdapter:
        """An adapter that is open."""
        await closed_adapter.initialize()
        return closed_adapter

    @pytest.fixture
    async def unit(self, adapter: DatabaseAdapter) -> AsyncIterator[ConversationHistoryUnit]:
        """A unit that is open."""
        unit = ConversationHistoryUnit(adapter)
        await unit.initialize()
        yield unit
        await unit.shutdown()

    @pytest.fixture
    async def store(self, adapter: DatabaseAdapter) -> ConversationStore:
        """The store of the table that `unit` uses."""
        store = adapter.conversations()
        await store.open()
        return store


def property_test(examples: int) -> settings:
    """Set up a property test: the examples share the fixtures of one test, and take care of that."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )


def exchange(
    user_input: str = "hello",
    agent_response: str = "good day",
    *,
    conversation_id: str = "c",
    at: float = 0,
    response_time_ms: float = 1.5,
    **fields: Any,
) -> ConversationMessage:
    """Make an exchange, `at` seconds from a noon."""
    return ConversationMessage(
        conversation_id, user_input, agent_response, NOON + timedelta(seconds=at), response_time_ms, **fields
    )


async def crowd(unit: ConversationHistoryUnit, size: int) -> None:
    """Save exchanges that nobody looks for: a database may index many in other ways than few.

    Their words are longer than any that tests make up.
    """
    await unit.save_messages_batch(
        [
            exchange(f"counterexample{number}", "incomprehensible", conversation_id="crowd")
            for number in range(size)
        ]
    )


def ids_of(messages: Sequence[ConversationMessage]) -> list[int | None]:
    """Return the ids of exchanges, in order."""
    return [message.message_id for message in messages]


def in_order(messages: Sequence[ConversationMessage]) -> list[ConversationMessage]:
    """Sort saved exchanges as a conversation does."""
    return sorted(messages, key=lambda message: (message.timestamp, message.message_id))


def facts(message: ConversationMessage) -> tuple[Any, ...]:
    """Return all that an exchange holds so that only what is equal in value and kind is equal."""
    return (
        message.message_id,
        message.conversation_id,
        message.user_input,
        message.agent_response,
        message.timestamp,
        message.timestamp.utcoffset(),
        repr(message.response_time_ms),
        json.dumps(message.metadata, sort_keys=True),
        message.parent_id,
    )


CROWDS = (0, 1500)
"""Sizes of crowds, for tests of what is found by its text."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
MOMENTS = st.datetimes() | st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
METADATA = st.dictionaries(TEXTS | st.sampled_from(["a.b", '"', "$", "'", "\\", "["]), JSON, max_size=4)
