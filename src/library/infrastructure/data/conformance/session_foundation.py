"""What the contract of sessions stands on: a clock, managers, the search for what is left, and input."""

# ruff: noqa: S101 - a contract consists of assertions

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest
from hypothesis import strategies as st

from library.infrastructure.data import (
    SessionConfig,
    SessionData,
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionManager,
    SessionNotFoundError,
)
from library.infrastructure.data.conformance.foundation import open_files, other_tasks
from library.infrastructure.data.conformance.session_kinds import Home, SessionKind, needed_of_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    MakeHome = Callable[[], Awaitable[Home]]

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
_SHARED_THREADS = ("nanobrain-data", "asyncio_")


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def forward(self, by: timedelta) -> datetime:
        """Go on, or back; return the time."""
        self.now += by
        return self.now

    def seconds(self, count: float) -> datetime:
        """Go on by so many seconds; return the time."""
        return self.forward(timedelta(seconds=count))


class MakeManager(Protocol):
    """Makes managers."""

    def __call__(
        self,
        *,
        home: Home | None = None,
        table_name: str = "sessions",
        clock: Callable[[], datetime] | None = None,
        on_expired: Callable[[SessionData], Awaitable[None] | None] | None = None,
        **options: Any,
    ) -> SessionManager:
        """Make one that is not open; options of its `SessionConfig` may be given."""


class Open(Protocol):
    """Makes managers that are open."""

    async def __call__(self, **options: Any) -> SessionManager:
        """Make one; the options are those of `MakeManager`."""


class SessionFoundation:
    """Runs each test for each kind of store that can do what the test needs."""

    kinds: ClassVar[Sequence[SessionKind]]
    """The kinds under the contract."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Choose the kinds for a test."""
        if "kind" in metafunc.fixturenames:
            needed = needed_of_sessions(metafunc.function)
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
    async def new_home(self, kind: SessionKind, place: Path) -> AsyncIterator[MakeHome]:
        """Makes homes of the place; in the end none is damaged or open."""
        made: list[Home] = []

        async def new_home() -> Home:
            made.append(await kind.make(place))
            return made[-1]

        yield new_home
        adapters = [home.adapter for home in made if home.adapter is not None]
        damage = [await adapter.check() for adapter in adapters if adapter.is_open]
        for adapter in adapters:
            await adapter.shutdown()
        await kind.remove(place)
        assert [problem for problems in damage for problem in problems] == []
        assert other_tasks() == []

    @pytest.fixture
    async def home(self, new_home: MakeHome) -> Home:
        """Where the managers of a test are that are told nothing else; checked for damage in the end."""
        home = await new_home()
        if home.adapter is not None:
            await home.adapter.initialize()
        return home

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock of all managers."""
        return Clock()

    @pytest.fixture
    async def make(self, home: Home, clock: Clock) -> AsyncIterator[MakeManager]:
        """Makes managers that are not open, nor clean up by themselves; all are closed in the end."""
        made: list[SessionManager] = []
        usual = home, clock

        def make(
            *,
            home: Home | None = None,
            table_name: str = "sessions",
            clock: Callable[[], datetime] | None = None,
            on_expired: Callable[[SessionData], Awaitable[None] | None] | None = None,
            **options: Any,
        ) -> SessionManager:
            home = home or usual[0]
            config = SessionConfig(**{"session_timeout": HOUR, "cleanup_interval": None, **options})
            manager = SessionManager(
                config,
                home.adapter,
                table_name=table_name,
                store=home.store,
                clock=clock or usual[1],
                on_expired=on_expired,
            )
            made.append(manager)
            return manager

        yield make
        for manager in made:
            await manager.shutdown()

    @pytest.fixture
    async def opened(self, make: MakeManager) -> Open:
        """Makes managers that are open."""

        async def opened(**options: Any) -> SessionManager:
            manager = make(**options)
            await manager.initialize()
            return manager

        return opened

    @pytest.fixture
    async def manager(self, opened: Open) -> SessionManager:
        """A manager that is open; its sessions live for an hour."""
        return await opened()


async def refusal_of(manager: SessionManager, session_id: str) -> type[SessionError] | None:
    """Return why a session cannot be got; see that `default` is given in just these cases."""
    refusal: SessionError | None = None
    session: SessionData | None = None
    try:
        session = await manager.get_session(session_id)
    except SessionError as error:
        refusal = error
    if refusal is not None:
        assert await manager.get_session(session_id, default=None) is None
        assert session_id not in str(refusal)
        return type(refusal)
    assert await manager.get_session(session_id, default=None) == session
    return None


async def commits(home: Home) -> int:
    """Return how many commits an adapter counted."""
    assert home.adapter is not None
    return int((await home.adapter.stats())["commits"])


def ids_of(sessions: Iterable[SessionData]) -> list[str]:
    """Return the ids of sessions, in order."""
    return [session.session_id for session in sessions]


async def all_of(manager: SessionManager, **options: Any) -> list[SessionData]:
    """List all sessions."""
    return await manager.list_sessions(limit=None, **options)


NOT_FOUND, EXPIRED, ENDED = SessionNotFoundError, SessionExpiredError, SessionEndedError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
USER_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
METADATA = st.dictionaries(
    TEXTS | st.sampled_from(["a.b", '"', "$", "'", "user_id", "session_id"]), JSON, max_size=4
)
