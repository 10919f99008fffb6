"""The contract of conversations, part three: queries, compared with a plain model."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import (
    ConversationMessage,
    ConversationQuery,
    DuplicateMessageError,
    InvalidOptionError,
)
from library.infrastructure.data.conformance.conversation_foundation import (
    CROWDS,
    NOON,
    ConversationFoundation,
    crowd,
    exchange,
    ids_of,
    property_test,
)

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit, ConversationStore

NAMES = ("a", "b", "ü\0", "A ")
WORDS = ("zebra", "quartz", "Łódź", "東京")
DURATIONS = (0.0, 0.1, 1.0, 1.5, 1e15)
MOMENTS = tuple(NOON + timedelta(microseconds=each) for each in (-1, 0, 1, 2, 86_400_000_000))
KEYS = ("a", "b", "a.b", '"', "ü")
VALUES: tuple[Any, ...] = (
    1,
    True,
    "1",
    1.5,
    None,
    0,
    False,
    "",
    2**64,
    [1],
    [True],
    {"b": 1},
    {},
    [],
    {"b": None},
)
PATHS: tuple[tuple[str | int, ...], ...] = (("a",), ("b",), ("a", "b"), ("a.b",), ('"',), ("ü",), ("a", 0))
ORDERS = tuple(
    (field, descending)
    for field in ("timestamp", "response_time_ms", "message_id")
    for descending in (False, True)
)

MESSAGES = st.builds(
    ConversationMessage,
    conversation_id=st.sampled_from(NAMES),
    user_input=st.lists(st.sampled_from(WORDS), max_size=2).map(" ".join),
    agent_response=st.lists(st.sampled_from(WORDS), max_size=1).map(", ".join),
    timestamp=st.sampled_from(MOMENTS),
    response_time_ms=st.sampled_from(DURATIONS),
    metadata=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3),
)


@st.composite
def queries(draw: st.DrawFn) -> ConversationQuery:
    """Draw any query that does not contradict itself."""
    query = ConversationQuery()
    if names := draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        query = query.conversation_ids(names) if len(names) > 1 else query.conversation_id(names[0])
    since, until = sorted(draw(st.tuples(st.sampled_from(MOMENTS), st.sampled_from(MOMENTS))))
    asked = draw(st.sampled_from(["", "since", "until", "range"]))
    if asked == "range" and since < until:
        query = query.date_range(since, until)
    elif asked == "since":
        query = query.since(since)
    elif asked == "until":
        query = query.until(until)
    least, most = sorted(draw(st.tuples(st.sampled_from(DURATIONS), st.sampled_from(DURATIONS))))
    if draw(st.booleans()):
        query = query.min_response_time(least)
    if draw(st.booleans()):
        query = query.max_response_time(most)
    for path, value in draw(
        st.dictionaries(st.sampled_from(PATHS), st.sampled_from(VALUES), max_size=1)
    ).items():
        query = query.metadata(path if len(path) > 1 else str(path[0]), value)
    for word in draw(st.lists(st.sampled_from(WORDS), max_size=1)):
        query = query.contains_text(word)
    field, descending = draw(st.sampled_from(ORDERS))
    query = query.order_by(field, descending=descending)  # type: ignore[arg-type]  # it is one of three
    return query.limit(draw(st.integers(1, 5))) if draw(st.booleans()) else query


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same: numbers by value, and never a number and a truth value."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def holds(metadata: Any, path: tuple[str | int, ...], value: Any) -> bool:
    """Tell whether a value stands at a path."""
    found = metadata
    for step in path:
        container: Any = found if isinstance(found, list if isinstance(step, int) else dict) else {}
        try:
            found = container[step]
        except LookupError:
            return False
    return same(found, value)


def answer(query: ConversationQuery, messages: list[ConversationMessage]) -> list[ConversationMessage]:
    """Answer a query as its docstrings promise."""
    asked = query.filters

    def fits(message: ConversationMessage) -> bool:
        said = {*message.user_input.split(), *message.agent_response.split(", ")}
        return (
            (asked.conversation_ids is None or message.conversation_id in asked.conversation_ids)
            and (asked.since is None or message.timestamp >= asked.since)
            and (asked.until is None or message.timestamp < asked.until)
            and (asked.min_response_time_ms is None or message.response_time_ms >= asked.min_response_time_ms)
            and (asked.max_response_time_ms is None or message.response_time_ms <= asked.max_response_time_ms)
            and said.issuperset(asked.texts)
            and all(holds(message.metadata, path, value) for path, value in asked.metadata)
        )

    def place(message: ConversationMessage) -> tuple[Any, ...]:
        return getattr(message, asked.order_field), message.message_id

    return sorted(filter(fits, messages), key=place, reverse=asked.descending)[: asked.limit]


async def numbered(
    unit: ConversationHistoryUnit, messages: list[ConversationMessage]
) -> list[ConversationMessage]:
    """Save exchanges, and return them with their ids."""
    ids = await unit.save_messages_batch(messages)
    return [replace(message, message_id=each) for message, each in zip(messages, ids, strict=True)]


class QueryContract(ConversationFoundation):
    """Queries, compared with a plain model."""

    @given(
        messages=st.lists(MESSAGES, max_size=25),
        asked=st.lists(queries(), min_size=1, max_size=6),
        size=st.integers(1, 7),
        others=st.sampled_from([0, 0, 0, *CROWDS]),
    )
    @property_test(60)
    async def test_any_query(
        self,
        unit: ConversationHistoryUnit,
        store: ConversationStore,
        messages: list[ConversationMessage],
        asked: list[ConversationQuery],
        size: int,
        others: int,
    ) -> None:
        """Finds what the model finds, in its order: at once, as a stream, and page by page."""
        await unit.clear()
        saved = await numbered(unit, messages)
        if others:
            await crowd(unit, others)
            asked = [query.conversation_ids(NAMES) for query in asked]

        for query in asked:
            expected = answer(query, saved)
            assert expected == await unit.query_conversations(query), query
            assert expected == [message async for message in unit.stream_conversations(query)], query
            assert expected == [message async for message in store.stream(query)], query
            if query.filters.limit is None:
                joined: list[ConversationMessage] = []
                paged = query.limit(size)
                while page := await unit.query_conversations(paged):
                    assert len(page) == size or len(joined) + len(page) == len(expected)
                    joined += page
                    paged = paged.after(paged.cursor(page[-1]))
                assert expected == joined, query

    async def test_no_query_finds_all(self, unit: ConversationHistoryUnit) -> None:
        """`stream_conversations()` gives everything, oldest first."""
        await unit.save_messages_batch([exchange(at=at, conversation_id=str(at)) for at in (3, 1, 2)])

        found = [message.conversation_id async for message in unit.stream_conversations()]

        assert ["1", "2", "3"] == found

    async def test_behind_an_exchange_that_is_gone(self, unit: ConversationHistoryUnit) -> None:
        """A page goes on where it ended, though the exchange that it ended with was deleted or changed."""
        saved = await numbered(unit, [exchange(at=number) for number in range(6)])
        query = ConversationQuery().limit(2)
        page = await unit.query_conversations(query)
        cursor = query.cursor(page[-1])

        await unit.delete_message(page[-1].message_id or 0)

        assert saved[2:4] == await unit.query_conversations(query.after(cursor))
        assert saved[2:4] == await unit.query_conversations(query.after(page[-1]))

    async def test_many_conversations(self, unit: ConversationHistoryUnit) -> None:
        """A query for 40,000 conversations is one like any other; one for none finds none."""
        await unit.save_messages_batch([exchange(conversation_id=name) for name in ("7", "39999", "x")])
        query = ConversationQuery()

        found = await unit.query_conversations(query.conversation_ids(map(str, range(40_000))))

        assert ["7", "39999"] == [message.conversation_id for message in found]
        assert [] == await unit.query_conversations(query.conversation_ids([]))

    @pytest.mark.parametrize("what", ["metadata", "texts"])
    async def test_many_conditions(self, unit: ConversationHistoryUnit, what: str) -> None:
        """What a query could be built with can be asked for, however much that is."""
        values = {f"key {number}": number for number in range(1200)}
        words = [f"word{number}" for number in range(300)]
        message_id = await unit.save_message(exchange(" ".join(words), metadata=values))
        await unit.save_message(exchange(" ".join(words[1:]), metadata=values | {"key 1199": 0}))
        query = ConversationQuery()
        if what == "metadata":
            for key, value in values.items():
                query = query.metadata(key, value)
        else:
            for word in words:
                query = query.contains_text(word)

        assert [message_id] == ids_of(await unit.query_conversations(query))

    async def test_a_stream_that_is_left_holds_nothing(self, unit: ConversationHistoryUnit) -> None:
        """Whoever stops reading in between leaves nothing open, and keeps nobody from writing."""
        await unit.save_messages_batch([exchange(at=number) for number in range(1000)])

        streams = [unit.stream_conversations() for _ in range(20)]
        for stream in streams:
            assert NOON == (await anext(stream)).timestamp
        await unit.clear()

        assert not await unit.exists()

    async def test_long_texts(self, unit: ConversationHistoryUnit) -> None:
        """Pages are cut where texts are long; nothing is lost at the cuts."""
        texts = [str(number % 10) * (number % 7 * 100_000) for number in range(30)]
        await unit.save_messages_batch([exchange(text, at=at) for at, text in enumerate(texts)])
        query = ConversationQuery().limit(29)

        assert texts == [message.user_input async for message in unit.stream_conversations()]
        assert texts[:29] == [message.user_input for message in await unit.query_conversations(query)]

    @pytest.mark.parametrize("given", [None, "c", {"limit": 5}, ConversationQuery])
    async def test_what_is_no_query(self, unit: ConversationHistoryUnit, given: Any) -> None:
        """Is refused at once."""
        with pytest.raises(InvalidOptionError):
            await unit.query_conversations(given)
        if given is not None:
            with pytest.raises(InvalidOptionError):
                unit.stream_conversations(given)

    async def test_a_failed_save_is_not_found(self, unit: ConversationHistoryUnit) -> None:
        """Neither by a query nor by its text."""
        await unit.save_message(exchange(message_id=1))
        with pytest.raises(DuplicateMessageError):
            await unit.save_messages_batch([exchange("zebra"), exchange("zebra", message_id=1)])

        assert [] == await unit.query_conversations(ConversationQuery().contains_text("zebra"))
        assert [1] == ids_of(await unit.query_conversations(ConversationQuery()))
