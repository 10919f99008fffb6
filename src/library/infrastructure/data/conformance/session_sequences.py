"""The contract of sessions, part seventeen: whatever is done in whatever order, stores do as a model does."""

# ruff: noqa: S101, SIM300 - a contract consists of assertions, `expected == actual`

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.data import SessionData, SessionError, SessionLimitError
from library.infrastructure.data.conformance.conversation_foundation import property_test
from library.infrastructure.data.conformance.session_foundation import (
    ENDED,
    EXPIRED,
    NOON,
    TICK,
    Clock,
    Open,
    SessionFoundation,
    all_of,
    ids_of,
)

if TYPE_CHECKING:
    from library.infrastructure.data import SessionManager

from library.infrastructure.data.conformance.session_model import TIMEOUT, USERS, Kept, Model

WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])
"""How many others were created after the one that is meant."""
STEP = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(["get", "touch", "count"]), WHICH),
    st.tuples(st.sampled_from(["get", "touch", "end", "delete", "end by update"]), WHICH),
    st.tuples(
        st.just("update"),
        WHICH,
        st.fixed_dictionaries(
            {},
            optional={
                "user_id": st.sampled_from(USERS),
                "last_activity": st.integers(-150, 150),
                "metadata": st.just({"new": []}),
                "key": st.integers(0, 3),
            },
        ),
    ),
    st.tuples(st.sampled_from(["clean up", "flush"])),
    st.tuples(st.just("list"), st.sampled_from([None, *USERS]), st.sampled_from([None, True, False])),
    st.tuples(st.just("jump"), st.sampled_from([-150, -50, -1, 0, 1, 1, 5, 20, 50, 90, 100])),
)
STEPS = st.lists(STEP, min_size=25, max_size=50) | st.lists(STEP, max_size=8)

OPTIONS = st.fixed_dictionaries(
    {
        "cleanup_policy": st.sampled_from(["delete", "deactivate"]),
        "limit_policy": st.sampled_from(["evict_oldest", "refuse"]),
        "touch_interval": st.sampled_from([timedelta(0), timedelta(seconds=20), TIMEOUT]),
    },
    optional={
        "retention": st.sampled_from([timedelta(0), timedelta(seconds=60)]),
        "max_sessions": st.integers(3, 5),
        "max_sessions_per_user": st.integers(1, 3),
    },
)


class Comparison:
    """Managers of one home, and the model: each step is done with both."""

    def __init__(self, managers: list[SessionManager], told: list[SessionData], clock: Clock) -> None:
        self._managers = managers
        self._told = told
        self._clock = clock
        self._model = Model(managers[0].config)
        self._ids: list[str] = []

    def tell(self) -> list[str]:
        """Return of which sessions `on_expired` was called since."""
        ids = ids_of(self._told)
        assert not any(session.is_active for session in self._told)
        self._told.clear()
        return ids

    async def step(self, name: str, *arguments: Any) -> None:
        """Do one, a microsecond after the one before, so that no two have the same time."""
        manager = self._managers[len(self._ids) % len(self._managers)]
        self._managers.reverse()
        now = self._clock.forward(TICK)
        if name == "jump":
            self._clock.seconds(arguments[0])
        elif name == "create":
            await self._create(manager, arguments[0], now)
        elif name == "list":
            user, active = arguments
            expected = self._model.listed(user, active, now)
            assert expected == await all_of(manager, user_id=user, active=active)
        elif name == "flush":
            await manager.flush()
        elif name == "clean up":
            cleaned = self._model.clean_up(now)
            assert len(cleaned) == await manager.cleanup_expired_sessions()
            assert sorted(cleaned) == sorted(self.tell())
        elif self._ids:
            await self._use(manager, name, self._ids[-1 - arguments[0] % len(self._ids)], now, *arguments[1:])
        assert [] == self._told

    async def _create(self, manager: SessionManager, user: str, now: datetime) -> None:
        evicted = self._model.evicted(user, 1, now)
        metadata = {"n": len(self._ids)}
        if evicted and self._model.config.limit_policy == "refuse":
            with pytest.raises(SessionLimitError):
                await manager.create_session(user, metadata)
            return
        session_id = await manager.create_session(user, metadata)
        self._make_room(evicted, now)
        self._model.kept[session_id] = Kept(user, now, now, metadata)
        self._ids.append(session_id)

    def _make_room(self, evicted: list[str], now: datetime) -> None:
        """Those that have expired make room too; which of them is told, and left to the store."""
        told = self.tell()
        assert len(told) == len(set(told))
        for session_id in told:
            each = self._model.kept[session_id]
            assert each.ended is None
            assert self._model.has_expired(each, now)
        self._model.dismiss(told, EXPIRED, now)
        self._model.dismiss(evicted, ENDED, now)

    async def _use(
        self, manager: SessionManager, name: str, session_id: str, now: datetime, changes: Any = None
    ) -> None:
        each = self._model.kept.get(session_id)
        if name == "delete":
            assert (each is not None) is await manager.delete_session(session_id)
            self._model.kept.pop(session_id, None)
            return
        if name == "end":
            is_alive = self._model.refusal(session_id, now) is None
            assert is_alive is await manager.end_session(session_id)
            if each is not None and is_alive:
                each.ended, each.ended_at = ENDED, now
            return
        error = self._model.refusal(session_id, now)
        if error is not None or each is None:
            with pytest.raises(SessionError) as caught:
                await self._call(manager, name, session_id, now, changes)
            assert error is caught.type
            return
        if name == "update":
            await self._update(manager, each, session_id, now, changes)
            return
        got = await self._call(manager, name, session_id, now, changes)
        if name != "get":
            each.last = max(each.last, now)
        if name == "count":
            each.metadata["n"] = each.metadata.get("n", 0) + 1
        if name == "end by update":
            each.ended, each.ended_at = ENDED, now
        if name != "touch":
            assert self._model.data(session_id, is_active=each.ended is None) == got

    async def _update(
        self, manager: SessionManager, each: Kept, session_id: str, now: datetime, changes: Any
    ) -> None:
        user = changes.get("user_id", each.user)
        evicted = self._model.evicted(user, 0, now) if user != each.user else []
        if evicted and self._model.config.limit_policy == "refuse":
            with pytest.raises(SessionLimitError):
                await self._call(manager, "update", session_id, now, changes)
            return
        got = await self._call(manager, "update", session_id, now, changes)
        self._make_room(evicted, now)
        each.user, each.last = user, max(each.last, now)
        if "last_activity" in changes:
            each.last = _moment(now, changes["last_activity"])
        each.metadata = {
            **changes.get("metadata", each.metadata),
            **({"key": changes["key"]} if "key" in changes else {}),
        }
        is_alive = session_id in self._model.alive(now)
        assert self._model.data(session_id, is_active=is_alive) == got

    async def _call(
        self, manager: SessionManager, name: str, session_id: str, now: datetime, changes: Any
    ) -> Any:
        if name == "get":
            return await manager.get_session(session_id)
        if name == "touch":
            return await manager.touch(session_id)
        if name == "count":
            return await manager.update_session(
                session_id, lambda session: {"n": session.metadata.get("n", 0) + 1}
            )
        if name == "end by update":
            return await manager.update_session(session_id, {"is_active": False})
        if "last_activity" in changes:
            changes = changes | {"last_activity": _moment(now, changes["last_activity"])}
        return await manager.update_session(session_id, changes)

    async def compare_all(self) -> None:
        """Compare everything that can be seen."""
        for user in (None, *USERS):
            for active in (None, True, False):
                await self.step("list", user, active)
        for number in range(len(self._ids)):
            await self.step("get", number)


def _moment(now: datetime, seconds: int) -> datetime:
    """Make a time of activity that no step has."""
    return now.replace(microsecond=now.microsecond % 100_000) + timedelta(seconds=seconds + 0.5)


class SessionSequencesContract(SessionFoundation):
    """Whatever is done in whatever order, stores do as a model does."""

    @property_test(150)
    @given(options=OPTIONS, steps=STEPS)
    async def test_as_the_model_does(
        self, opened: Open, clock: Clock, options: dict[str, Any], steps: list[tuple[Any, ...]]
    ) -> None:
        """Results, errors, lists, limits, and who is told of what."""
        clock.now = NOON.replace(year=2100)
        async with await opened(retention=timedelta(0)) as sweeper:
            await sweeper.cleanup_expired_sessions()
            assert [] == await sweeper.list_sessions()
        clock.now = NOON
        told: list[SessionData] = []
        managers = [
            await opened(session_timeout=TIMEOUT, on_expired=told.append, **options) for _ in range(2)
        ]
        try:
            comparison = Comparison(managers, told, clock)
            for step in steps:
                await comparison.step(*step)
            await comparison.compare_all()
        finally:
            for manager in managers:
                await manager.shutdown()
