"""`SessionData`: what it holds, what it refuses, and how it is copied."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import typing
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure import data
from library.infrastructure.data import InvalidValueError, SessionData

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1000)


def make(**fields: Any) -> SessionData:
    return SessionData(
        **{
            "session_id": "s",
            "user_id": "alice",
            "created_at": NOON,
            "last_activity": NOON,
            "metadata": {},
            **fields,
        }
    )


def test_what_it_holds() -> None:
    """Six fields, in this order, active unless told otherwise."""
    session = SessionData("s", "alice", NOON, NOON + timedelta(1), {"k": [1]})

    names = [field.name for field in dataclasses.fields(SessionData)]
    assert ["session_id", "user_id", "created_at", "last_activity", "metadata", "is_active"] == names
    assert ("s", "alice", NOON, NOON + timedelta(1), {"k": [1]}, True) == tuple(
        getattr(session, name) for name in names
    )
    assert session == make(last_activity=NOON + timedelta(1), metadata={"k": [1]})
    assert session != make()


def test_its_public_name() -> None:
    """Is where users import it from, and its annotations resolve there."""
    assert "library.infrastructure.data" == SessionData.__module__
    assert vars(data)["SessionData"] is SessionData
    assert datetime is typing.get_type_hints(SessionData)["created_at"]


@pytest.mark.parametrize("field", ["created_at", "last_activity"])
def test_times(field: str) -> None:
    """Are put in UTC; a naive one is local time."""
    for moment in (NOON.astimezone().replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=3)))):
        value = getattr(make(**{field: moment}), field)
        assert NOON == value
        assert UTC is value.tzinfo


WRONG: list[tuple[str, Any]] = [
    *product(("session_id", "user_id"), ("", "x" * 1001, "\ud800", None, 5, b"s")),
    *product(
        ("created_at", "last_activity"),
        (
            None,
            5,
            "2024-05-17",
            NOON.date(),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        ),
    ),
    *product(("metadata",), (None, [], "{}", (("a", 1),))),
    *product(("is_active",), (None, 0, 1, "yes")),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_what_is_refused(field: str, value: Any) -> None:
    """By its name, when it is built, and when it is checked after a change; no message tells the id."""
    with pytest.raises(InvalidValueError, match=field):
        make(**{field: value})
    session = make()
    setattr(session, field, value)
    with pytest.raises(InvalidValueError, match=field):
        session.check()


def test_fields_it_does_not_have() -> None:
    """Are no attributes."""
    with pytest.raises(AttributeError):
        make().sesion_id = "typo"  # type: ignore[attr-defined]  # that is the point
    with pytest.raises(TypeError):
        make(user="alice")


@given(session_id=TEXTS, user_id=TEXTS, at=st.datetimes(timezones=st.just(UTC)), is_active=st.booleans())
def test_copies(session_id: str, user_id: str, at: datetime, is_active: bool) -> None:
    """Are equal, however they are made; what is pickled or copied deeply has its own metadata."""
    session = SessionData(session_id, user_id, at, at, {"k": [1, {"n": 2**70}]}, is_active)

    copies = [
        copy.copy(session),
        copy.deepcopy(session),
        dataclasses.replace(session),
        SessionData(**dataclasses.asdict(session)),
        *(pickle.loads(pickle.dumps(session, protocol)) for protocol in range(2, 6)),
    ]

    assert [session] * len(copies) == copies
    assert {session.cursor} == {each.cursor for each in copies}
    copies[1].metadata["k"][1]["n"] = 0
    copies[-1].metadata["k"][1]["n"] = 0
    assert 2**70 == session.metadata["k"][1]["n"]


@given(session_id=TEXTS, at=st.datetimes(timezones=st.just(UTC)))
def test_its_cursor(session_id: str, at: datetime) -> None:
    """May stand in a URL, and tells when it was created and no id; other fields do not matter to it."""
    session = make(session_id=session_id, created_at=at)

    assert re.fullmatch(r"-?\d+\.-?\d+", session.cursor)
    assert session.cursor == make(session_id=session_id, created_at=at, user_id="b", is_active=False).cursor
    assert session.cursor != make(session_id=session_id + "x", created_at=at).cursor
    other = at.replace(microsecond=(at.microsecond + 1) % 1_000_000)
    assert session.cursor != make(session_id=session_id, created_at=other).cursor
