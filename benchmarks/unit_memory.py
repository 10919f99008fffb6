"""The memory unit: `get`, `set`, the keyed cache, `update`.

Floor: `async def get(self, key): return self.items[key]` on an object with a dict, 1000 keys. The peers that
are not asynchronous (cachetools, cachebox) stand behind the same coroutine. Ratios are operations per second
against the floor's: 1.00x is as fast as a dict that somebody put behind a coroutine.

The keyed cache does 15,000 get-or-set over 10,000 keys, of which few are asked for often (about 95 % hits),
at a capacity of 1000, full from the start: each miss evicts. Its floor is the plain `get` from above.
"""

from __future__ import annotations

import asyncio
import random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Section, in_turns, number, rate, run_async, times

from library.infrastructure.data import DataUnitConfig, DataUnitMemory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEYS = [f"key {index}" for index in range(1000)]
CAPACITY = 1000
_random = random.Random(7)
SKEWED = [f"item {int(_random.paretovariate(0.6)) % 10_000}" for _ in range(15_000)]
DOCUMENT = {"name": "Ada", "visits": 3}


class Mapping:
    """The floor: a mapping behind a coroutine. Also what the synchronous peers are put into."""

    def __init__(self, items: Any) -> None:
        self.items = items

    async def get(self, key: str) -> Any:
        return self.items[key]

    async def set(self, key: str, value: Any) -> None:
        self.items[key] = value

    async def get_or_set(self, key: str, factory: Callable[[], Any]) -> Any:
        try:
            return self.items[key]
        except KeyError:
            self.items[key] = value = factory()
            return value


class Remote:
    """A peer with coroutines of its own: get, and set when there was nothing."""

    def __init__(self, cache: Any) -> None:
        self.get = cache.get
        self.set = cache.set

    async def get_or_set(self, key: str, factory: Callable[[], Any]) -> Any:
        value = await self.get(key)
        if value is None:
            value = factory()
            await self.set(key, value)
        return value


async def time_keyed(target: Any, operations: int, *, write: bool, value: Any) -> float:
    """Return operations per second of `get(key)` or `set(key, value)`."""
    call = target.set if write else target.get
    rounds = range(operations // len(KEYS))
    start = perf_counter()
    if write:
        for _ in rounds:
            for key in KEYS:
                await call(key, value)
    else:
        for _ in rounds:
            for key in KEYS:
                await call(key)
    return operations / (perf_counter() - start)


async def time_value(unit: DataUnitMemory, operations: int, *, write: bool, value: Any) -> float:
    """Return operations per second of `get()` or `set(value)`."""
    rounds = range(operations // len(KEYS))
    start = perf_counter()
    if write:
        for _ in rounds:
            for _key in KEYS:
                await unit.set(value)
    else:
        for _ in rounds:
            for _key in KEYS:
                await unit.get()
    taken = perf_counter() - start
    assert await unit.get() == value
    return operations / taken


async def open_unit(isolation: Any, value: Any = None) -> DataUnitMemory:
    unit = DataUnitMemory(DataUnitConfig(data_type="memory", cache_size=CAPACITY, isolation=isolation))
    await unit.initialize()
    if value is not None:
        await unit.set(value)
    return unit


async def make_peers() -> dict[str, Any]:
    """Build the peers, each with the 1000 keys."""
    import cachebox
    import cachetools
    from aiocache import SimpleMemoryCache
    from cashews import Cache

    cashews = Cache()
    cashews.setup("mem://", size=CAPACITY)
    peers: dict[str, Any] = {
        "cachebox.LRUCache in a coroutine": Mapping(cachebox.LRUCache(CAPACITY)),
        "cachetools.LRUCache in a coroutine": Mapping(cachetools.LRUCache(CAPACITY)),
        "cashews mem://": Remote(cashews),
        "aiocache.SimpleMemoryCache (no eviction)": Remote(SimpleMemoryCache()),
    }
    for peer in peers.values():
        for key in KEYS:
            await peer.set(key, "a value")
    return peers


async def measure_values(section: Section, rounds: int, operations: int) -> None:
    """Measure get and set."""
    floor = Mapping(dict.fromkeys(KEYS, "a value"))
    units = {
        "DataUnitMemory, text, isolation='share'": (await open_unit("share", "a value"), "a value"),
        "DataUnitMemory, text": (await open_unit("auto", "a value"), "a value"),
        "DataUnitMemory, dict of 2, isolation='share'": (await open_unit("share", DOCUMENT), DOCUMENT),
        "DataUnitMemory, dict of 2 (copied in and out)": (await open_unit("auto", DOCUMENT), DOCUMENT),
    }
    peers = await make_peers()
    results = {}
    for write in (False, True):

        def keyed(target: Any, count: int, write: bool = write) -> Callable[[], Awaitable[float]]:
            return lambda: time_keyed(target, count, write=write, value="a value")

        def own(name: str, write: bool = write) -> Callable[[], Awaitable[float]]:
            unit, value = units[name]
            return lambda: time_value(unit, operations, write=write, value=value)

        contenders = {FLOOR: keyed(floor, operations)}
        contenders |= {name: own(name) for name in units}
        contenders |= {
            name: keyed(peer, operations if isinstance(peer, Mapping) else operations // 20)
            for name, peer in peers.items()
        }
        results[write] = await in_turns(contenders, rounds)
    gets, sets = results[False], results[True]
    table = section.table("Memory: one value, 1000 keys for the others", "", "get/s", "x", "set/s", "x")
    for name in gets.by_name:
        label = "floor: dict in a coroutine" if name == FLOOR else name
        cells = [cell for s in (gets, sets) for cell in (rate(s.median(name)), times(s.ratio(name)))]
        table.add(label, *cells)
    shared = next(iter(units))
    section.at_least("memory get, shared", 1.0, gets.ratio(shared), "a dict in a coroutine")
    section.at_least("memory set, shared", 0.28, sets.ratio(shared), "a dict in a coroutine")
    for unit, _ in units.values():
        await unit.shutdown()


async def measure_cache(section: Section, rounds: int) -> None:
    """Measure get-or-set with eviction."""
    import cachebox
    import cachetools
    from aiocache import SimpleMemoryCache
    from cashews import Cache

    floor = Mapping(dict.fromkeys(SKEWED, "a value"))
    made = 0

    def factory() -> str:
        nonlocal made
        made += 1
        return "made anew"

    async def plain_get() -> float:
        call = floor.get
        start = perf_counter()
        for key in SKEWED:
            await call(key)
        return len(SKEWED) / (perf_counter() - start)

    hits: dict[str, float] = {}

    def contender(name: str, make: Callable[[], Any], share: int = 1) -> Callable[[], Awaitable[float]]:
        async def run() -> float:
            nonlocal made
            target = make()
            unit = target if isinstance(target, DataUnitMemory) else None
            if unit is not None:
                await unit.initialize()
            put = target.set if unit is None else unit.set_item
            for index in range(CAPACITY):
                await put(f"cold {index}", "a value")
            made = 0
            call = target.get_or_set
            keys = SKEWED[: len(SKEWED) // share]
            start = perf_counter()
            for key in keys:
                await call(key, factory)
            taken = perf_counter() - start
            hits[name] = 1 - made / len(keys)
            if unit is not None:
                info = await unit.cache_info()
                assert info.misses == info.evictions == made
                assert info.size == CAPACITY
                await unit.shutdown()
            return len(keys) / taken

        return run

    def make_cashews() -> Remote:
        cache = Cache()
        cache.setup("mem://", size=CAPACITY)
        return Remote(cache)

    def make_unit(isolation: Any) -> DataUnitMemory:
        return DataUnitMemory(DataUnitConfig(data_type="memory", cache_size=CAPACITY, isolation=isolation))

    ours = "DataUnitMemory.get_or_set, isolation='share'"
    contenders = {
        FLOOR: plain_get,
        ours: contender(ours, lambda: make_unit("share")),
        "DataUnitMemory.get_or_set": contender("DataUnitMemory.get_or_set", lambda: make_unit("auto")),
    }
    for name, make in {
        "cachebox.LRUCache in a coroutine": lambda: Mapping(cachebox.LRUCache(CAPACITY)),
        "cachetools.LRUCache in a coroutine": lambda: Mapping(cachetools.LRUCache(CAPACITY)),
        "cashews mem://": make_cashews,
        "aiocache.SimpleMemoryCache (no eviction)": lambda: Remote(SimpleMemoryCache()),
    }.items():
        contenders[name] = contender(name, make)
    samples = await in_turns(contenders, rounds)
    table = section.table(
        "Memory: keyed cache, 15,000 get-or-set, capacity 1000, full", "", "ops/s", "x", "hits"
    )
    for name in samples.by_name:
        label = "floor: plain get, dict in a coroutine" if name == FLOOR else name
        hit_rate = f"{hits[name]:.3f}" if name in hits else ""
        table.add(label, rate(samples.median(name)), times(samples.ratio(name)), hit_rate)
    section.at_least("keyed get-or-set, shared", 0.4, samples.ratio(ours), "a dict in a coroutine")
    section.at_least("keyed get-or-set, shared", 10, samples.ratio(ours, "cashews mem://"), "cashews")
    aiocache = samples.ratio(ours, "aiocache.SimpleMemoryCache (no eviction)")
    section.at_least("keyed get-or-set, shared", 30, aiocache, "aiocache")


async def measure_update(section: Section, rounds: int, operations: int) -> None:
    """Measure update with a function that does not wait."""
    lock, box = asyncio.Lock(), {"value": 0}
    unit = await open_unit("auto", 0)

    def add_one(value: int) -> int:
        return value + 1

    async def floor() -> float:
        start = perf_counter()
        for _ in range(operations):
            async with lock:
                box["value"] = add_one(box["value"])
        return (perf_counter() - start) / operations * 1e6

    async def ours() -> float:
        before = await unit.get()
        start = perf_counter()
        for _ in range(operations):
            await unit.update(add_one)
        taken = perf_counter() - start
        assert await unit.get() == before + operations
        return taken / operations * 1e6

    samples = await in_turns({FLOOR: floor, "DataUnitMemory.update": ours}, rounds)
    table = section.table("Memory: update(fn), fn synchronous", "", "us", "x")
    for name in samples.by_name:
        label = "floor: asyncio.Lock and a dict" if name == FLOOR else name
        table.add(label, number(samples.median(name)), times(samples.ratio(name)))
    await unit.shutdown()


async def measure(quick: bool) -> Section:
    section = Section("memory")
    rounds = 5 if quick else 15
    await measure_values(section, rounds, 20_000 if quick else 60_000)
    await measure_cache(section, 3 if quick else 9)
    await measure_update(section, rounds, 5_000 if quick else 20_000)
    return section


def run(quick: bool) -> Section:
    return run_async(measure(quick))
