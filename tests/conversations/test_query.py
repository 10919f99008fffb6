"""Queries: immutable, equal by what they ask for, printed as the calls that build them."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
import pickle
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import InvalidOptionError
from library.infrastructure.data.conversation_filters import Filters
from library.infrastructure.data.conversation_message import (
    MAX_MESSAGE_ID,
    MAX_MILLISECONDS,
    ConversationMessage,
)
from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.utc_time import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

Q = ConversationQuery
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORDERS = [
    (field, descending)
    for field in ("timestamp", "response_time_ms", "message_id")
    for descending in (False, True)
]

texts = st.text(min_size=1).filter(str.strip)
ids = st.text(min_size=1, max_size=20)
moments = st.datetimes(timezones=st.just(UTC))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
paths = st.text() | st.tuples(st.text(), st.integers(0, 9) | st.text())
messages = st.builds(
    ConversationMessage,
    conversation_id=ids,
    user_input=st.text(),
    agent_response=st.text(),
    timestamp=moments,
    response_time_ms=st.floats(0, MAX_MILLISECONDS),
    message_id=st.integers(1, MAX_MESSAGE_ID),
)


def message(**fields: Any) -> ConversationMessage:
    usual = {
        "conversation_id": "a",
        "user_input": "hello",
        "agent_response": "hi",
        "timestamp": NOON,
        "response_time_ms": 12.5,
        "message_id": 7,
    }
    return ConversationMessage(**(usual | fields))


@st.composite
def queries(draw: st.DrawFn) -> ConversationQuery:
    """Draw a query with any of its options set."""
    query = Q()
    if draw(st.booleans()):
        query = query.conversation_ids(draw(st.lists(ids, max_size=3)))
    start, end = sorted((draw(moments), draw(moments)))
    if start < end:
        query = draw(
            st.sampled_from([query, query.since(start), query.until(end), query.date_range(start, end)])
        )
    for text in draw(st.lists(texts, max_size=2)):
        query = query.contains_text(text)
    least, most = sorted((draw(st.floats(0, MAX_MILLISECONDS)), draw(st.floats(0, MAX_MILLISECONDS))))
    query = draw(st.sampled_from([query, query.min_response_time(least).max_response_time(most)]))
    for path, value in draw(
        st.lists(st.tuples(paths, json_values), max_size=2, unique_by=lambda pair: _path(pair[0]))
    ):
        query = query.metadata(path, value)
    field, descending = draw(st.sampled_from(ORDERS))
    query = query.order_by(field, descending=descending)  # type: ignore[arg-type]
    if draw(st.booleans()):
        query = query.limit(draw(st.integers(1, 1000)))
    return query.after(draw(messages)) if draw(st.booleans()) else query


def _path(key: str | tuple[str | int, ...]) -> tuple[str | int, ...]:
    return (key,) if isinstance(key, str) else key


CALLS: list[Callable[[ConversationQuery], ConversationQuery]] = [
    lambda query: query.conversation_ids(["a", "b"]),
    lambda query: query.since(datetime.min.replace(tzinfo=UTC)),
    lambda query: query.until(datetime.max.replace(tzinfo=UTC)),
    lambda query: query.date_range(NOON, NOON + HOUR),
    lambda query: query.contains_text("another text"),
    lambda query: query.min_response_time(0),
    lambda query: query.max_response_time(1e10),
    lambda query: query.metadata(("a", "path", "of", 4), 1),
    lambda query: query.limit(1001),
    lambda query: query.after(message()),
    lambda query: query.order_by(query.filters.order_field, descending=query.filters.descending),
]


@given(query=queries(), call=st.sampled_from(CALLS))
def test_calls_leave_the_query_as_it_is(
    query: ConversationQuery, call: Callable[[ConversationQuery], ConversationQuery]
):
    """A query can be the start of many others."""
    before = repr(query)
    try:
        changed: ConversationQuery | None = call(query)
    except InvalidOptionError:
        changed = None
    assert before == repr(query)
    assert changed is not query


@given(query=queries())
def test_repr_builds_an_equal_query(query: ConversationQuery):
    """What a log shows can be pasted into a shell."""
    again = eval(repr(query), {"ConversationQuery": Q, "datetime": dt})
    assert query == again
    assert (hash(query), repr(query)) == (hash(again), repr(again))


@given(query=queries())
def test_queries_can_be_pickled(query: ConversationQuery):
    """A query crosses to another process whole."""
    again = pickle.loads(pickle.dumps(query))
    assert (query, hash(query)) == (again, hash(again))


def test_repr_reads_like_the_chain():
    """The representation shows the calls and nothing that was not asked for."""
    assert "ConversationQuery()" == repr(Q())
    expected = "ConversationQuery().conversation_id('a').contains_text('x').limit(20)"
    assert expected == repr(Q().limit(20).contains_text("x").conversation_id("a"))


def test_query_of_the_documentation():
    """The calls take their arguments by position, and a store reads what was meant."""
    query = (
        Q()
        .conversation_id("conv_123")
        .date_range(NOON, NOON + HOUR)
        .contains_text("machine learning")
        .min_response_time(1000)
        .limit(20)
    )
    expected = Filters(
        conversation_ids=("conv_123",),
        since=NOON,
        until=NOON + HOUR,
        texts=("machine learning",),
        min_response_time_ms=1000.0,
        limit=20,
    )
    assert expected == query.filters


def test_attributes_cannot_be_set():
    """Neither the query nor its filters can be changed."""
    with pytest.raises(AttributeError):
        Q().filters = Filters()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Q().limits = 5  # type: ignore[attr-defined]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Q().filters.limit = 5  # type: ignore[misc]


def test_equality_ignores_the_order_of_calls():
    """Queries that ask for the same are the same key of a dict."""
    one = (
        Q()
        .contains_text("x")
        .contains_text("y")
        .metadata("a", 1)
        .metadata("b", 2)
        .conversation_ids(["b", "a"])
    )
    two = (
        Q()
        .conversation_ids(["a", "b", "a"])
        .metadata("b", 2.0)
        .metadata("a", 1)
        .contains_text("y")
        .contains_text("x")
    )
    assert {one} == {two}


@pytest.mark.parametrize(
    ("one", "two"), [(1, True), (0, False), (1, "1"), (None, "null"), ([1], [True]), ({}, [])]
)
def test_equality_tells_json_values_apart(one: Any, two: Any):
    """Python takes `1` and `True` for equal; JSON does not."""
    assert Q().metadata("a", one) != Q().metadata("a", two)
    with pytest.raises(InvalidOptionError):
        Q().metadata("a", one).metadata("a", two)


def test_equality_with_other_objects():
    """A query equals nothing but queries."""
    assert (False, False) == (Q() == "ConversationQuery()", Q().filters == 5)


def test_metadata_values_are_copied():
    """Changing a value later does not change the query."""
    tags = ["a"]
    query = Q().metadata("tags", tags)
    tags.append("b")
    assert ((("tags",), ["a"]),) == query.filters.metadata


def test_metadata_key_is_one_key_as_typed():
    """Dots and quotes in a key mean nothing; a path is a tuple or a list."""
    query = Q().metadata('a.b"[0]', 1).metadata(["a", 0, "b"], 1)
    assert (('a.b"[0]',), ("a", 0, "b")) == tuple(path for path, _ in query.filters.metadata)


def test_conversations_of_several_calls_are_intersected():
    """What a user may see, and what the user asked for, can be said in two calls."""
    allowed = Q().conversation_ids(iter(["a", "b", "c"]))
    assert ("b", "c") == allowed.conversation_ids({"c", "b", "x"}).filters.conversation_ids
    assert () == allowed.conversation_ids(["x"]).filters.conversation_ids
    assert () == Q().conversation_ids([]).filters.conversation_ids
    assert ("a",) == allowed.conversation_id("a").conversation_id("a").filters.conversation_ids


def test_later_calls_take_the_place_of_earlier_ones():
    """Options with a single value hold the last one."""
    query = Q().limit(5).since(NOON).min_response_time(5).limit(6).since(NOON + HOUR).min_response_time(3)
    assert (6, NOON + HOUR, 3.0) == (
        query.filters.limit,
        query.filters.since,
        query.filters.min_response_time_ms,
    )
    assert Q().date_range(NOON, NOON + HOUR) == Q().since(NOON - HOUR).date_range(NOON, NOON + HOUR)


def test_days_are_whole_local_days(monkeypatch: pytest.MonkeyPatch):
    """A date begins at local midnight and ends at the next one, after 25 hours in autumn."""
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    try:
        day = date(2024, 10, 27)
        filters = Q().date_range(day, day).filters
    finally:
        monkeypatch.undo()
        time.tzset()
    expected = (datetime(2024, 10, 26, 22, tzinfo=UTC), datetime(2024, 10, 27, 23, tzinfo=UTC))
    assert expected == (filters.since, filters.until)


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda: Q().conversation_id(""), "conversation_id"),
        (lambda: Q().conversation_id(5), "conversation_id"),
        (lambda: Q().conversation_id("a").conversation_id("b"), "conversation_id"),
        (lambda: Q().conversation_ids("abc"), "conversation_ids"),
        (lambda: Q().conversation_ids(5), "conversation_ids"),
        (lambda: Q().conversation_ids(["a", None]), "conversation_ids"),
        (lambda: Q().conversation_ids(["a", "\ud800"]), "conversation_ids"),
        (lambda: Q().date_range(NOON, NOON), "end"),
        (lambda: Q().date_range(NOON + HOUR, NOON), "end"),
        (lambda: Q().date_range(None, NOON), "start"),
        (lambda: Q().date_range(NOON, "tomorrow"), "end"),
        (lambda: Q().since("today"), "since"),
        (lambda: Q().until(0), "until"),
        (lambda: Q().until(date.max), "until"),
        (lambda: Q().since(NOON).until(NOON), "until"),
        (lambda: Q().until(NOON).since(NOON), "since"),
        (lambda: Q().contains_text(""), "text"),
        (lambda: Q().contains_text(" \n\u3000"), "text"),
        (lambda: Q().contains_text(b"x"), "text"),
        (lambda: Q().contains_text("\udc00"), "text"),
        (lambda: Q().min_response_time(-1), "response_time_ms"),
        (lambda: Q().min_response_time(math.nan), "response_time_ms"),
        (lambda: Q().max_response_time(math.inf), "response_time_ms"),
        (lambda: Q().min_response_time(math.nextafter(MAX_MILLISECONDS, math.inf)), "response_time_ms"),
        (lambda: Q().max_response_time(10**15 + 1), "response_time_ms"),
        (lambda: Q().max_response_time(True), "response_time_ms"),
        (lambda: Q().max_response_time("5"), "response_time_ms"),
        (lambda: Q().min_response_time(2).max_response_time(1), "response_time_ms"),
        (lambda: Q().max_response_time(1).min_response_time(2), "response_time_ms"),
        (lambda: Q().metadata(5, 1), "key"),
        (lambda: Q().metadata((), 1), "key"),
        (lambda: Q().metadata((0,), 1), "key"),
        (lambda: Q().metadata(("a", -1), 1), "key"),
        (lambda: Q().metadata(("a", True), 1), "key"),
        (lambda: Q().metadata(("a", 1.5), 1), "key"),
        (lambda: Q().metadata("\ud800", 1), "key"),
        (lambda: Q().metadata("a", math.nan), "value"),
        (lambda: Q().metadata("a", [math.inf]), "value"),
        (lambda: Q().metadata("a", object()), "value"),
        (lambda: Q().metadata("a", 10**5000), "value"),
        (lambda: Q().metadata("a", {1: 2}), "value"),
        (lambda: Q().metadata("a", 1).metadata(["a"], 2), "value"),
        (lambda: Q().order_by("score"), "field"),
        (lambda: Q().order_by(["timestamp"]), "field"),
        (lambda: Q().order_by(descending=1), "descending"),
        (lambda: Q().limit(0), "limit"),
        (lambda: Q().limit(True), "limit"),
        (lambda: Q().limit(1.0), "limit"),
        (lambda: Q().limit(None), "limit"),
        (lambda: Q().limit(2**63), "limit"),
        (lambda: Q().after(None), "cursor"),
        (lambda: Q().after(7), "cursor"),
        (lambda: Q().after(message(message_id=None)), "cursor"),
        (lambda: Q().cursor(message(message_id=None)), "message"),
        (lambda: Q().cursor("cursor"), "message"),
        (lambda: Q().after(message()).order_by("message_id"), "field"),
        (lambda: Q().after(message()).order_by(descending=True), "field"),
    ],
)
def test_what_no_exchange_could_fulfil_is_refused(call: Callable[[], Any], option: str):
    """Wrong types, wrong values and contradictions are refused by the name of the argument."""
    with pytest.raises(InvalidOptionError) as caught:
        call()
    assert option == caught.value.option


@given(order=st.sampled_from(ORDERS), last=messages)
def test_cursor_names_the_same_place_as_the_exchange(order: tuple[Any, bool], last: ConversationMessage):
    """A web page continues where a program would, in every order, to the last digit."""
    field, descending = order
    query = Q().order_by(field, descending=descending)
    cursor = query.cursor(last)
    value = to_microseconds(last.timestamp) if field == "timestamp" else getattr(last, field)
    assert (value, last.message_id) == query.after(cursor).filters.position
    assert query.after(last) == query.after(cursor)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("made", ORDERS)
@pytest.mark.parametrize("used", ORDERS)
def test_cursor_of_another_order_is_refused(made: tuple[Any, bool], used: tuple[Any, bool]):
    """A cursor continues only the order in which it was made."""
    cursor = Q().order_by(made[0], descending=made[1]).cursor(message())
    query = Q().order_by(used[0], descending=used[1])
    if made == used:
        assert query.after(message()) == query.after(cursor)
        return
    with pytest.raises(InvalidOptionError) as caught:
        query.after(cursor)
    assert "cursor" == caught.value.option


def _cursor(place: Any) -> str:
    raw = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "\ud800",
        "!!!!",
        Q().cursor(message())[:-1],
        Q().cursor(message()) + "A",
        Q().cursor(message()) + "=",
        Q().cursor(message())[:5] + "\n" + Q().cursor(message())[5:],
        _cursor(None),
        _cursor({}),
        _cursor(["timestamp", False, 1]),
        _cursor(["timestamp", False, 1, 0]),
        _cursor(["timestamp", False, 1, 2**53]),
        _cursor(["timestamp", False, 1, True]),
        _cursor(["timestamp", False, 1.0, 1]),
        _cursor(["timestamp", False, 10**18, 1]),
        _cursor(["timestamp", 0, 1, 1]),
        _cursor(["response_time_ms", False, math.nan, 1]),
        _cursor(["response_time_ms", False, -1.0, 1]),
        _cursor(["response_time_ms", False, math.nextafter(MAX_MILLISECONDS, math.inf), 1]),
        _cursor(["message_id", False, 1, 2]),
        _cursor(["score", False, 1, 1]),
        _cursor([["timestamp"], False, 1, 1]),
        "W" * 100_000,
    ],
)
def test_damaged_cursor_is_refused(cursor: str):
    """What a stranger may send in a URL is refused, and never reaches a store."""
    with pytest.raises(InvalidOptionError) as caught:
        Q().after(cursor)
    assert "cursor" == caught.value.option


@given(cursor=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_a_cursor_or_refused(cursor: str):
    """No text makes `after` fail in another way."""
    try:
        query = Q().after(cursor)
    except InvalidOptionError:
        return
    assert f".after({cursor!r})" in repr(query)


def test_subclass_stays_a_subclass():
    """A query with methods of one's own keeps them along the chain."""

    class Mine(ConversationQuery):
        __slots__ = ()

        def slow(self) -> Mine:
            return self.min_response_time(1000)

    query = Mine().limit(5).slow().limit(6)
    assert (Mine, 1000.0) == (type(query), query.filters.min_response_time_ms)
    assert query != Q().min_response_time(1000).limit(6)
