"""The contract of conversations, part ten: response times, compared with what `statistics` computes."""

# ruff: noqa: S101 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import DailyResponseTimes, PerformanceMetrics, ResponseTimes
from library.infrastructure.data.conformance.conversation_foundation import (
    NOON,
    ConversationFoundation,
    exchange,
    property_test,
)
from library.infrastructure.data.conversation_message import ConversationMessage

if TYPE_CHECKING:
    from library.infrastructure.data import ConversationHistoryUnit

NAMES = [field.name for field in fields(ResponseTimes) if field.name != "count"]
TIMED = st.builds(
    ConversationMessage,
    conversation_id=st.sampled_from("ab"),
    user_input=st.just(""),
    agent_response=st.just(""),
    timestamp=st.datetimes(
        min_value=datetime(1969, 12, 30),  # noqa: DTZ001 - hypothesis wants naive bounds
        max_value=datetime(1970, 1, 3),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
    | st.datetimes(timezones=st.just(UTC)),
    response_time_ms=st.floats(0, 1e9) | st.sampled_from([0.0, 0.1, 1.0]),
)


def percentile(durations: list[float], percent: int) -> float:
    """Interpolate linearly between the closest ranks, as NumPy does by default."""
    if len(durations) == 1:
        return durations[0]
    return statistics.quantiles(durations, n=100, method="inclusive")[percent - 1]


def expected_of(durations: list[float]) -> dict[str, float | None]:
    """Compute the distribution."""
    if not durations:
        return dict.fromkeys(NAMES)
    return {
        "mean_ms": statistics.fmean(durations),
        "min_ms": min(durations),
        "max_ms": max(durations),
        "p50_ms": percentile(durations, 50),
        "p95_ms": percentile(durations, 95),
        "p99_ms": percentile(durations, 99),
    }


def assert_alike(durations: list[float], actual: ResponseTimes) -> None:
    """See that a distribution is that of these durations, but for the last bits."""
    assert len(durations) == actual.count
    for name, expected in expected_of(durations).items():
        found = getattr(actual, name)
        if expected is None:
            assert found is None
        else:
            assert type(found) is float
            assert math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-9), name


class MetricsContract(ConversationFoundation):
    """Response times, compared with what `statistics` computes."""

    @given(messages=st.lists(TIMED, max_size=25), since=st.datetimes(timezones=st.just(UTC)))
    @property_test(40)
    async def test_any_response_times(
        self, unit: ConversationHistoryUnit, messages: list[ConversationMessage], since: datetime
    ) -> None:
        """Of all and of one conversation, from any time on, and for each day in UTC."""
        await unit.clear()
        await unit.save_messages_batch(messages)
        moments = [None, since, *(message.timestamp for message in messages[:2])]

        for conversation_id in (None, "a", "missing"):
            for moment in moments:
                of_day: defaultdict[date, list[float]] = defaultdict(list)
                for message in messages:
                    if conversation_id in (None, message.conversation_id) and (
                        moment is None or message.timestamp >= moment
                    ):
                        of_day[message.timestamp.date()].append(message.response_time_ms)

                metrics = await unit.get_performance_metrics(conversation_id, moment)

                assert_alike([each for durations in of_day.values() for each in durations], metrics)
                assert sorted(of_day) == [day.day for day in metrics.per_day]
                for day in metrics.per_day:
                    assert_alike(of_day[day.day], day)

    async def test_nothing_is_measured(self, unit: ConversationHistoryUnit) -> None:
        """Of nothing there is no mean."""
        assert PerformanceMetrics() == await unit.get_performance_metrics()
        assert PerformanceMetrics() == await unit.get_performance_metrics("missing", NOON)

    async def test_days_end_at_midnight(self, unit: ConversationHistoryUnit) -> None:
        """In UTC, to the microsecond, in the years 1, 1969, 1970 and 9999."""
        midnights = [
            datetime(year, month, 2, tzinfo=UTC) for year in (1, 1969, 1970, 9999) for month in (1, 12)
        ]
        midnights += [datetime(1970, 1, 1, tzinfo=UTC)]
        for midnight in midnights:
            for moment in (midnight - timedelta(microseconds=1), midnight):
                message = exchange()
                message.timestamp = moment
                await unit.save_message(message)

        per_day = (await unit.get_performance_metrics()).per_day

        days = {(midnight - timedelta(days=back)).date() for midnight in midnights for back in (0, 1)}
        # Of 1970-01-01 there are two: its first moment, and its last one.
        assert sorted(days) == [day.day for day in per_day]
        assert 2 * len(midnights) == sum(day.count for day in per_day)
        assert {1, 2} == {day.count for day in per_day}

    @pytest.mark.parametrize("largest", [1e15])
    async def test_the_largest_durations(self, unit: ConversationHistoryUnit, largest: float) -> None:
        """What is finite has a finite mean."""
        await unit.save_messages_batch([exchange(response_time_ms=largest) for _ in range(4)])

        metrics = await unit.get_performance_metrics()

        times = dict.fromkeys(NAMES, largest)
        assert (
            PerformanceMetrics(
                count=4, **times, per_day=(DailyResponseTimes(day=NOON.date(), count=4, **times),)
            )
            == metrics
        )
