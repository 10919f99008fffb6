"""Exchanges: what they accept, the form they take, and moments as whole microseconds."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import time
import typing
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from library.infrastructure.data import InvalidValueError
from library.infrastructure.data.conversation_message import (
    MAX_ID_LENGTH,
    MAX_MESSAGE_ID,
    MAX_MILLISECONDS,
    ConversationMessage,
    ConversationSummary,
    SearchResult,
    build_message,
    build_search_result,
)
from library.infrastructure.data.performance_metrics import (
    DailyResponseTimes,
    PerformanceMetrics,
    ResponseTimes,
)
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds, to_utc

NOON = datetime(2024, 5, 17, 12, 0, 0, 123_456, tzinfo=UTC)
LEAST = to_microseconds(datetime.min.replace(tzinfo=UTC))
MOST = to_microseconds(datetime.max.replace(tzinfo=UTC))


class OwnTime(datetime):
    """A subclass, as those of pandas and of libraries that freeze time."""

    def astimezone(self, tz: tzinfo | None = None) -> Any:
        raise TypeError


class OwnText(str):
    """A subclass, as those of enumerations and of NumPy."""

    __slots__ = ()


def message(**fields: Any) -> ConversationMessage:
    usual = {
        "conversation_id": "conv_123",
        "user_input": "What is machine learning?",
        "agent_response": "A subset of AI.",
        "timestamp": NOON,
        "response_time_ms": 1250.0,
    }
    return ConversationMessage(**(usual | fields))


@pytest.fixture
def _five_hours_west(monkeypatch: pytest.MonkeyPatch):
    """Local time is five hours behind UTC."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_fields_stand_in_the_order_of_the_documentation():
    """Exchanges can be built by position."""
    expected = [
        "conversation_id",
        "user_input",
        "agent_response",
        "timestamp",
        "response_time_ms",
        "message_id",
        "metadata",
        "parent_id",
    ]
    assert expected == [field.name for field in dataclasses.fields(ConversationMessage)]
    built = ConversationMessage("c", "hello", "hi", NOON, 5.0, 7, {"a": 1}, 6)
    assert (7, {"a": 1}, 6) == (built.message_id, built.metadata, built.parent_id)


def test_annotations_can_be_read_at_run_time():
    """Pydantic and web frameworks find every type that a field names."""
    for kind in (ConversationMessage, SearchResult, ConversationSummary, PerformanceMetrics):
        assert len(dataclasses.fields(kind)) == len(typing.get_type_hints(kind))


def test_each_exchange_has_metadata_of_its_own():
    """The default is a new dict each time."""
    assert message().metadata is not message().metadata


@pytest.mark.usefixtures("_five_hours_west")
def test_naive_time_is_local_time():
    """A naive timestamp becomes the same moment in UTC, with its microseconds."""
    built = message(timestamp=datetime(2024, 5, 17, 7, 0, 0, 123_456))
    assert (NOON, UTC) == (built.timestamp, built.timestamp.tzinfo)


def test_aware_time_becomes_utc():
    """Two exchanges of one moment are equal, whatever zone they were given in."""
    east = timezone(timedelta(hours=5, minutes=45))
    assert message(timestamp=NOON) == message(timestamp=NOON.astimezone(east))
    assert UTC is message(timestamp=NOON.astimezone(east)).timestamp.tzinfo


def test_subclass_of_datetime_becomes_plain():
    """What is kept is a `datetime`, even where the subclass cannot convert itself."""
    own = OwnTime(2024, 5, 17, 12, 0, 0, 123_456, tzinfo=UTC)
    built = message(timestamp=own)
    assert (datetime, NOON) == (type(built.timestamp), built.timestamp)


def test_subclass_of_str_becomes_plain():
    """Drivers are given plain text."""
    built = message(conversation_id=OwnText("Zürich"), user_input=OwnText("a"), agent_response=OwnText("ß"))
    assert [str] * 3 == [
        type(text) for text in (built.conversation_id, built.user_input, built.agent_response)
    ]


@pytest.mark.parametrize(("given_ms", "expected"), [(0, 0.0), (-0.0, 0.0), (1250, 1250.0), (0.1, 0.1)])
def test_response_time_is_kept_as_float(given_ms: float, expected: float):
    """Whole numbers become floats, and zero has no sign."""
    built = message(response_time_ms=given_ms)
    assert (float, repr(expected)) == (type(built.response_time_ms), repr(built.response_time_ms))


@given(text=st.text())
@example("\x00\x1f\x7f")
@example("🙂 e\u0301 \ufffe")
def test_text_is_any_unicode(text: str):
    """Text is kept as it is, control characters and emoji included."""
    built = message(user_input=text, agent_response=text)
    assert (text, text) == (built.user_input, built.agent_response)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("conversation_id", "", "0"),
        ("conversation_id", "c" * (MAX_ID_LENGTH + 1), "1,001"),
        ("conversation_id", "é" * (MAX_ID_LENGTH + 1), "1,001"),
        ("conversation_id", 5, "int"),
        ("conversation_id", None, "NoneType"),
        ("user_input", b"bytes", "bytes"),
        ("user_input", "half \ud83d of a pair", "lone surrogates"),
        ("agent_response", None, "NoneType"),
        ("agent_response", "\udfff", "lone surrogates"),
        ("timestamp", "2024-05-17", "str"),
        ("timestamp", date(2024, 5, 17), "date"),
        ("timestamp", 0.0, "float"),
        ("timestamp", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "9999"),
        ("timestamp", datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "9999"),
        ("response_time_ms", "12", "str"),
        ("response_time_ms", True, "bool"),
        ("response_time_ms", None, "NoneType"),
        ("response_time_ms", math.nan, "float nan"),
        ("response_time_ms", math.inf, "float inf"),
        ("response_time_ms", -1, "int -1.0"),
        ("response_time_ms", 10**400, "int inf"),
        ("response_time_ms", math.nextafter(MAX_MILLISECONDS, math.inf), "float 1000000000000000.1"),
        ("response_time_ms", 10**15 + 1, "int 1000000000000001.0"),
        ("message_id", 0, "int 0"),
        ("message_id", MAX_MESSAGE_ID + 1, "int 9007199254740992"),
        ("message_id", 1 << 20_000, "20001 bits"),
        ("message_id", True, "bool"),
        ("message_id", 1.0, "float"),
        ("message_id", "1", "str"),
        ("parent_id", -3, "int -3"),
        ("parent_id", False, "bool"),
        ("metadata", None, "NoneType"),
        ("metadata", [("a", 1)], "list"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else type(value).__name__,
)
def test_wrong_field_is_refused_by_name(field: str, value: Any, told: str):
    """What cannot be saved is refused when the exchange is built, and again when it is checked."""
    with pytest.raises(InvalidValueError) as caught:
        message(**{field: value})
    assert (True, True) == (str(caught.value).startswith(field), told in str(caught.value))
    built = message()
    setattr(built, field, value)
    with pytest.raises(InvalidValueError):
        built.check()


def test_limits_are_accepted():
    """The longest identifier, the largest number and the longest response time are good ones."""
    built = message(
        conversation_id="🙂" * MAX_ID_LENGTH,
        message_id=MAX_MESSAGE_ID,
        parent_id=1,
        response_time_ms=MAX_MILLISECONDS,
    )
    assert (MAX_ID_LENGTH, MAX_MESSAGE_ID, 1, 1e15) == (
        len(built.conversation_id),
        built.message_id,
        built.parent_id,
        built.response_time_ms,
    )
    assert 1e15 == message(response_time_ms=10**15).response_time_ms


@pytest.mark.usefixtures("_five_hours_west")
def test_check_normalises_what_was_set_later():
    """A field that was set after the exchange was built takes the form of one that was given at once."""
    built = message()
    built.timestamp = datetime(2024, 5, 17, 7, 0, 0, 123_456)
    built.response_time_ms = 1250
    built.check()
    assert message() == built
    assert float is type(built.response_time_ms)


def test_unknown_attribute_is_refused():
    """A misspelt field does not pass in silence."""
    with pytest.raises(AttributeError):
        message().response_time = 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [ConversationMessage, SearchResult])
def test_exchanges_can_be_copied_and_pickled(kind: type[ConversationMessage]):
    """Copies are equal, and of the same class."""
    built = kind("c", "hello", "hi", NOON, 5.0, 7, {"a": [1]}, 6)
    for other in (copy.deepcopy(built), pickle.loads(pickle.dumps(built)), dataclasses.replace(built)):
        assert built == other


def test_built_from_a_row_equals_built_by_hand():
    """Skipping the checks makes the same exchange."""
    fields = ("c", "hello", "hi", NOON, 5.0, 7, {"a": 1}, 6)
    assert ConversationMessage(*fields) == build_message(ConversationMessage, *fields)
    assert SearchResult(*fields, 1.5, "**hello**") == build_search_result(*fields, 1.5, "**hello**")


def test_search_result_is_an_exchange():
    """A search result goes wherever an exchange goes, and its fields are checked alike."""
    found = SearchResult("c", "hello", "hi", NOON, 5, score=1.5, snippet="hello")
    assert (True, 5.0) == (isinstance(found, ConversationMessage), found.response_time_ms)
    with pytest.raises(InvalidValueError):
        SearchResult("", "hello", "hi", NOON, 5)


def test_summary_cannot_be_changed():
    """A summary is a value."""
    summary = ConversationSummary("c", 2, NOON, NOON, "hello", 7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.message_count = 3  # type: ignore[misc]
    assert summary == pickle.loads(pickle.dumps(summary))


def test_no_exchanges_have_no_response_times():
    """Without exchanges there is neither a mean nor a percentile."""
    none = ResponseTimes()
    assert (0, None, None, None) == (none.count, none.mean_ms, none.p50_ms, none.p99_ms)
    assert () == PerformanceMetrics().per_day


def test_daily_response_times_are_response_times():
    """One function can show those of all days and those of one."""
    daily = DailyResponseTimes(day=date(2024, 5, 17), count=1, mean_ms=5.0)
    whole = PerformanceMetrics(count=1, mean_ms=5.0, per_day=(daily,))
    assert (True, True) == (isinstance(daily, ResponseTimes), isinstance(whole, ResponseTimes))
    assert whole == pickle.loads(pickle.dumps(whole))


@given(count=st.integers(LEAST, MOST))
@example(LEAST)
@example(MOST)
@example(-1)
def test_microseconds_are_exact(count: int):
    """Every microsecond of the years 1 to 9999 is a moment, and the moment counts the same."""
    moment = from_microseconds(count)
    assert (count, UTC) == (to_microseconds(moment), moment.tzinfo)


@given(
    moment=st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))
)
def test_zones_do_not_change_the_moment(moment: datetime):
    """A moment counts the same in any zone, the repeated hour of autumn included."""
    assert to_microseconds(moment) == to_microseconds(to_utc(moment))
    offset = moment.utcoffset()
    assert offset is not None
    assert to_utc(moment).replace(tzinfo=None) == moment.replace(tzinfo=None) - offset


@pytest.mark.parametrize("count", [LEAST - 1, MOST + 1, 10**30, -(10**30)])
def test_no_moment_outside_of_the_calendar(count: int):
    """Years before 1 and after 9999 are refused."""
    with pytest.raises(InvalidValueError):
        from_microseconds(count)
