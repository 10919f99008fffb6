"""Moments in foreign files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data.formats.source_times import fill_moments, read_moment

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
SECONDS = 1_715_947_200


@pytest.mark.parametrize(
    "value",
    [
        SECONDS,
        float(SECONDS),
        SECONDS * 1_000,
        SECONDS * 1_000_000,
        SECONDS * 1_000_000_000,
        str(SECONDS),
        f"{SECONDS}.0",
        "2024-05-17T12:00:00Z",
        "2024-05-17T12:00:00.000000+00:00",
        "2024-05-17T14:00:00+02:00",
        "2024-05-17T12:00:00",
        "2024-05-17 12:00:00",
    ],
)
def test_forms(value: Any) -> None:
    """A moment is a number since 1970 of units that its size tells, or ISO 8601; without offset, in UTC."""
    assert NOON == read_moment(value)


def test_microseconds() -> None:
    """Are exact in numbers of seconds, as far as these are."""
    assert datetime(2022, 12, 13, 1, 33, 28, 121227, tzinfo=UTC) == read_moment(1670895208.121227)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, [], {}, "", "soon", "12345", "9" * 25),
        *(float("nan"), float("inf"), -1e300, 1e300, 10**400),
        *("2025-05-12T12:33:05.384611+", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_is_no_moment(value: Any) -> None:
    """Broken texts, and years that no calendar has, are none."""
    assert read_moment(value) is None


@given(st.floats() | st.integers() | st.text() | st.datetimes().map(str))
def test_anything(value: Any) -> None:
    """Whatever is given is a moment in UTC, or none."""
    moment = read_moment(value)

    assert moment is None or moment.tzinfo is UTC


def test_moments_that_are_not_told() -> None:
    """A message without a time came a microsecond after the one that it follows."""
    later = NOON.replace(hour=13)

    filled = fill_moments([None, NOON, None, None, later, None], [None, 0, 1, 2, 1, 0], later)

    assert [later, NOON, NOON.replace(microsecond=1), NOON.replace(microsecond=2), later] == filled[:5]
    assert later.replace(microsecond=1) == filled[5]
    end = datetime.max.replace(tzinfo=UTC)
    assert [end, end] == fill_moments([end, None], [None, 0], None)
    assert [None, None] == fill_moments([None, None], [None, 0], None)
