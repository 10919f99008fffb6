"""The options of sessions: what they are by default, and what is refused."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from library.infrastructure.data import SessionConfig

HOUR = timedelta(hours=1)
CENTURY = timedelta(days=36_525)
TICK = timedelta(microseconds=1)
DURATIONS = ("session_timeout", "cleanup_interval", "retention", "touch_interval")


def test_what_holds_by_default() -> None:
    """A day of idleness, a clean-up every five minutes, no limits, and deletion."""
    expected = {
        "session_timeout": timedelta(hours=24),
        "cleanup_interval": timedelta(minutes=5),
        "max_sessions": None,
        "max_sessions_per_user": None,
        "limit_policy": "evict_oldest",
        "cleanup_policy": "delete",
        "retention": None,
        "touch_interval": None,
    }
    assert expected == SessionConfig().model_dump()


@pytest.mark.parametrize(
    "options",
    [
        {"session_timeout": TICK},
        {"session_timeout": CENTURY},
        {"cleanup_interval": None},
        {"cleanup_interval": TICK},
        {"max_sessions": 1, "max_sessions_per_user": 1},
        {"max_sessions": 1 << 53},
        {"max_sessions_per_user": 1 << 53},
        {"limit_policy": "refuse"},
        {"cleanup_policy": "deactivate", "retention": CENTURY},
        {"retention": timedelta(0)},
        {"touch_interval": timedelta(0)},
        {"touch_interval": HOUR, "session_timeout": HOUR},
    ],
)
def test_what_is_accepted(options: dict[str, Any]) -> None:
    """The edges of each range."""
    config = SessionConfig(**options)

    assert options == {name: getattr(config, name) for name in options}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, value) for name in DURATIONS for value in (-TICK, CENTURY + TICK, 60, 1.5, "1 hour", True)),
        ("session_timeout", timedelta(0)),
        ("session_timeout", None),
        ("cleanup_interval", timedelta(0)),
        ("touch_interval", timedelta(days=2)),
        *(
            (name, value)
            for name in ("max_sessions", "max_sessions_per_user")
            for value in (0, -1, 1.0, "5", True, (1 << 53) + 1)
        ),
        ("limit_policy", "evict"),
        ("limit_policy", None),
        ("limit_policy", "REFUSE"),
        ("cleanup_policy", "archive"),
        ("cleanup_policy", None),
        ("session_timeouts", HOUR),
        ("timeout", 5),
    ],
)
def test_what_is_refused(option: str, value: Any) -> None:
    """Wrong types, wrong ranges and unknown options, each by its name."""
    with pytest.raises(ValidationError) as caught:
        SessionConfig(**{option: value})

    assert option in str(caught.value)


def test_a_limit_that_means_nothing() -> None:
    """More for one user than for all contradicts itself."""
    with pytest.raises(ValidationError, match="max_sessions_per_user"):
        SessionConfig(max_sessions=3, max_sessions_per_user=4)


def test_it_is_frozen() -> None:
    """It cannot be changed; an equal one is as good, and may be a key."""
    config = SessionConfig(session_timeout=HOUR)
    with pytest.raises(ValidationError, match="frozen"):
        config.session_timeout = 2 * HOUR  # type: ignore[misc]  # that is the point

    assert SessionConfig(session_timeout=HOUR) == config
    assert hash(SessionConfig(session_timeout=HOUR)) == hash(config)
    assert config == pickle.loads(pickle.dumps(config))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, timedelta(minutes=1)),
        ({"session_timeout": timedelta(seconds=10)}, timedelta(seconds=1)),
        ({"session_timeout": timedelta(seconds=1)}, timedelta(seconds=0.1)),
        ({"session_timeout": TICK}, timedelta(0)),
        ({"touch_interval": HOUR}, HOUR),
        ({"touch_interval": timedelta(0)}, timedelta(0)),
    ],
)
def test_how_long_activity_is_held(options: dict[str, Any], expected: timedelta) -> None:
    """A second, or a tenth of the timeout, unless told otherwise."""
    assert expected == SessionConfig(**options).held_for


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, timedelta(hours=24)),
        ({"session_timeout": HOUR}, HOUR),
        ({"cleanup_policy": "deactivate"}, None),
        ({"retention": timedelta(0)}, timedelta(0)),
        ({"cleanup_policy": "deactivate", "retention": HOUR}, HOUR),
    ],
)
def test_how_long_ended_sessions_are_kept(options: dict[str, Any], expected: timedelta | None) -> None:
    """One timeout, or for ever if they are made inactive, unless told otherwise."""
    assert expected == SessionConfig(**options).kept_for


@given(timeout=st.timedeltas(TICK, CENTURY))
def test_activity_is_never_held_for_longer_than_a_session_lives(timeout: timedelta) -> None:
    """Whatever the timeout is."""
    config = SessionConfig(session_timeout=timeout)

    assert timedelta(0) <= config.held_for <= timeout
