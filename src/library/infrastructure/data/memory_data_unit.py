"""`DataUnitMemory`: a value in memory, and beside it a keyed cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.data_unit_base import DataUnitBase, State
from library.infrastructure.data.durable_io import resolve_path
from library.infrastructure.data.entry import EMPTY, UnitStats
from library.infrastructure.data.file_cell import WATCH_INTERVAL_S, FileCell
from library.infrastructure.data.isolation import IMMUTABLE, isolate
from library.infrastructure.data.item_cache import MISSING, CacheInfo, ItemCache, check_ttl, unhashable
from library.infrastructure.data.single_flight import LeaderCancelledError, SingleFlight
from library.infrastructure.data.wakeup import wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from typing import Self


class DataUnitMemory(DataUnitBase):
    """Holds a value in memory, and beside it up to `cache_size` items by key.

    With `isolation="auto"` dicts, lists and sets are copied when they go in and out, while immutable values
    and objects of other types are shared; `isolation="share"` hands out the very object, without a copy.

    With `persistent=True` the value (not the keyed items) lives in `file_path` as with `DataUnitFile`: a
    `set` that returned is on disk, every read sees what other processes wrote, and only what JSON can hold is
    taken.

    """

    data_type: ClassVar[DataUnitType] = DataUnitType.MEMORY

    def __init__(
        self, config: DataUnitConfig | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare the unit; nothing is opened yet.

        Args:
            config: how the unit behaves.
            clock: seconds, from a clock that never goes back; tells when keyed items expire.

        Raises:
            InvalidOptionError: `config` is not one of a memory unit.

        """
        super().__init__(config)
        self._cell = self._make_cell()
        self._state: tuple[Any, int, float] = (EMPTY, 0, time.time())
        self._opened_version = 0
        self._direct = False
        copy = isolate if self.config.isolation == "auto" else _share
        self._items = ItemCache(self.config.cache_size, clock, copy)
        self._flights = SingleFlight()

    def __new__(
        cls,
        config: DataUnitConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,  # noqa: ARG004 - `__init__` takes it
    ) -> Self:
        """Build a unit that shares its value as one that does not count reads: so `get` is faster."""
        shares = cls is DataUnitMemory and isinstance(config, DataUnitConfig) and config.isolation == "share"
        return super().__new__(_SharingDataUnitMemory if shares else cls)  # type: ignore[return-value]

    def _make_cell(self) -> FileCell | None:
        """Build what keeps the value of a persistent unit in a file."""
        if self.config.file_path is None:
            return None
        cell = FileCell(resolve_path(self.config.file_path), self.config, self._on_change, self._check_open)
        self._mutex = cell.mutex
        self._poll_interval_s = WATCH_INTERVAL_S
        return cell

    @property
    def file_path(self) -> str | None:
        """The file of the value: an absolute path, links followed; `None` if the unit is not persistent."""
        return self._cell.path if self._cell else None

    # `_lane` is the value, and exists only while every reader may have that very object: while the unit is
    # open, holds a value that needs no copy, and no `update` is at work. It is written right after `_state`.

    async def get(self, default: Any = None) -> Any:
        """Return the value, or `default` if the unit is empty."""
        try:
            value = self._lane
        except AttributeError:
            return await super().get(default)
        self._reads += 1
        return value

    async def set(self, data: Any, if_version: int | None = None) -> int:
        """Replace the value; see `DataUnitBase.set`."""
        mutex = self._mutex
        if if_version is None and self._direct and not mutex.locked:
            kept = data if type(data) in IMMUTABLE else self._admit(data)
            guard = mutex.guard
            guard.acquire()  # without `with`, which takes a third of the time of the whole call
            try:
                if self._direct and not mutex.locked:
                    former = self._state  # freed after the lock: its deletion may run anybody's code
                    version = former[1] + 1
                    self._state = (kept, version, time.time())
                    if kept is data:
                        self._lane = kept
                    else:
                        self._drop_lane()
                    if self._changed.waiters:
                        wake(self._changed.take())
                    return version
            finally:
                guard.release()
        return await super().set(data, if_version)

    # -- the hooks of the base -------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._items.reset_counts()
        if self._cell is not None:
            await self._cell.open()
        else:
            self._begin(self.config.initial_value)

    def _begin(self, initial: Any) -> None:
        """Hold the initial value; versions go on from the unit's former life."""
        former, version, _ = self._state
        if initial is not None:
            self._store(self._admit(initial), version + 1)
        elif former is not EMPTY:
            self._store(EMPTY, version + 1)
        self._opened_version = self._state[1]
        self._direct = True

    async def _close(self) -> None:
        self._direct = False
        self._drop_lane()
        self._items.clear()
        self._flights.forget_all()
        if self._cell is not None:
            await self._cell.close()

    def _abandon(self) -> None:
        self._direct = False

    async def _read(self) -> State:
        return State(*self._state) if self._cell is None else await self._cell.read()

    async def _write(self, kept: Any, if_version: int | None) -> int:
        if self._cell is not None:
            return await self._cell.write(kept, if_version)
        async with self._mutex.hold():
            self._check_open()
            self._check_version(if_version, State(*self._state))
            await self._write_held(kept)
            return self._state[1]

    async def _write_held(self, kept: Any) -> None:
        if self._cell is not None:
            await self._cell.write_held(kept)
            return
        with self._mutex.guard:
            self._store(kept, self._state[1] + 1)

    def _version(self) -> int:
        return self._state[1] if self._cell is None else self._cell.version

    def _updated_at(self) -> float:
        return self._state[2] if self._cell is None else self._cell.updated_at

    async def _refresh(self) -> None:
        if self._cell is not None:
            await self._cell.refresh()

    def _admit(self, value: Any) -> Any:
        return super()._admit(value) if self._cell is None or value is EMPTY else value

    def _hand_out(self, kept: Any) -> Any:
        return super()._hand_out(kept) if self._cell is None else kept

    async def _update_held(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        if self._cell is not None:
            async with self._cell.locked():
                return await super()._update_held(fn)
        self._drop_lane()
        former = self._state
        try:
            return await super()._update_held(fn)
        finally:
            if self._state is former:
                self._restore_lane()

    def _store(self, kept: Any, version: int) -> None:
        self._state = (kept, version, time.time())
        self._restore_lane()
        wake(self._changed.take())

    def _drop_lane(self) -> None:
        try:
            del self._lane
        except AttributeError:
            return

    def _restore_lane(self) -> None:
        kept = self._state[0]
        if type(kept) in IMMUTABLE or (kept is not EMPTY and self._hand_out(kept) is kept):
            self._lane = kept
        else:
            self._drop_lane()

    async def clear(self) -> None:
        """Make the unit empty, and drop all keyed items."""
        self._check_usable()
        self._items.clear()
        self._flights.forget_all()
        await super().clear()

    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened; hits and misses are those of the keyed cache."""
        self._check_open()
        info = self._items.info()
        return UnitStats(
            reads=self._reads,
            writes=self._state[1] - self._opened_version if self._cell is None else self._cell.writes,
            watchers=self._watchers,
            bytes=None if self._cell is None else self._cell.size,
            hits=info.hits,
            misses=info.misses,
        )

    # -- the keyed cache -------------------------------------------------------------------------------------

    async def get_item(self, key: Hashable, default: Any = None) -> Any:
        """Return the item under `key`, or `default`.

        Raises:
            InvalidOptionError: `key` cannot be hashed.

        """
        self._check_open()
        value = self._items.find(key)
        return default if value is MISSING else value

    async def set_item(self, key: Hashable, value: Any, ttl: float | None = None) -> None:
        """Put an item under `key`; beyond `cache_size` items the least recently used goes.

        Args:
            key: any hashable object.
            value: any object; `None` is an item like any other.
            ttl: seconds after which the item is gone, above 0; `None`: it stays until it is evicted.

        Raises:
            InvalidOptionError: `key` cannot be hashed, or `ttl` is out of range.

        """
        self._check_open()
        self._items.store(key, value, ttl)
        self._flights.forget(key)

    async def delete_item(self, key: Hashable) -> bool:
        """Remove the item under `key`; return whether there was one."""
        self._check_open()
        existed = self._items.discard(key)
        self._flights.forget(key)
        return existed

    async def get_or_set(
        self, key: Hashable, factory: Callable[[], Any | Awaitable[Any]], ttl: float | None = None
    ) -> Any:
        """Return the item under `key`; if there is none, make it, once for all who ask at the same time.

        Args:
            key: any hashable object.
            factory: makes the item, or an awaitable of it. Its error reaches all who wait, and nothing is
                stored.
            ttl: seconds after which the item is gone, above 0.

        Raises:
            InvalidOptionError: `key` cannot be hashed, or `ttl` is out of range.
            ReentrantUpdateError: `factory` asks for the same key.

        """
        items = self._items
        try:
            kept, expires_at, shared = items.entries[key]
            if shared and expires_at is None:  # a hit, without a further call
                items.touch(key)
                items.hits += 1
                return kept
            value = items.find(key)
        except KeyError:
            items.misses += 1
            value = MISSING
        except TypeError as error:
            raise unhashable(key) from error
        return await self._make_item(key, factory, ttl) if value is MISSING else value

    async def _make_item(
        self, key: Hashable, factory: Callable[[], Any | Awaitable[Any]], ttl: float | None
    ) -> Any:
        """Make the item under `key`, or wait for whoever makes it."""
        self._check_open()
        if ttl is not None:
            check_ttl(ttl)
        items, flights = self._items, self._flights
        while True:
            flight = flights.begin(key)
            if flight is not None:
                break
            try:
                return items.isolate(await flights.wait(key))
            except LeaderCancelledError:
                stored = items.peek(key)  # by whoever was faster
                if stored is not MISSING:
                    return items.isolate(stored)
        try:
            made = factory()
            if hasattr(made, "__await__"):
                made = await flights.lead(flight, made)
            flights.land(key, flight, made, lambda: items.store(key, made, ttl))
        except BaseException as error:
            flights.crash(key, flight, error)
            raise
        return items.isolate(made)

    async def cache_info(self) -> CacheInfo:
        """Return the counts of the keyed cache."""
        self._check_open()
        return self._items.info()


class _SharingDataUnitMemory(DataUnitMemory):
    """What `DataUnitMemory` builds for `isolation="share"`."""

    async def get(self, default: Any = None) -> Any:
        """Return the value, or `default` if the unit is empty."""
        try:
            return self._lane
        except AttributeError:
            return await super().get(default)


_SharingDataUnitMemory.__name__ = _SharingDataUnitMemory.__qualname__ = DataUnitMemory.__name__


def _share(value: Any) -> Any:
    return value
