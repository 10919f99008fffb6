"""The keyed cache of a memory unit: which items stay, which go, and what is counted."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import CacheInfo, DataUnitConfig, DataUnitMemory, InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is set."""
    return Clock()


def cache(size: int = 1000, **others: Any) -> DataUnitMemory:
    """Build a unit whose cache holds so many items."""
    return DataUnitMemory(DataUnitConfig(data_type="memory", cache_size=size), **others)


async def held(unit: DataUnitMemory, keys: str) -> str:
    """Return those of the keys that have an item, without changing which was used last."""
    info = await unit.cache_info()
    found = "".join([key for key in keys if await unit.get_item(key) is not None])
    assert len(found) == info.size
    return found


async def test_the_least_recently_used_item_goes() -> None:
    """Beyond `cache_size` items, the one that was neither set nor read for longest is evicted."""
    async with cache(3) as unit:
        for key in "abc":
            await unit.set_item(key, key)
        await unit.get_item("a")
        await unit.set_item("b", "again")
        await unit.set_item("d", "d")

        assert await held(unit, "abcd") == "abd"


async def test_get_or_set_uses_an_item() -> None:
    """An item that `get_or_set` found is as recently used as one that `get_item` found."""
    async with cache(2) as unit:
        await unit.set_item("a", 1)
        await unit.set_item("b", 2)
        await unit.get_or_set("a", lambda: 0)
        await unit.get_or_set("c", lambda: 3)

        assert await held(unit, "abc") == "ac"


async def test_a_cache_of_one() -> None:
    """The smallest cache holds the last item."""
    async with cache(1) as unit:
        for key in "abc":
            await unit.set_item(key, key)

        assert await held(unit, "abc") == "c"
        assert (await unit.cache_info()).evictions == 2


async def test_the_cache_equals_its_model() -> None:
    """Any sequence of calls leaves what a plain list in the order of use holds."""
    chance = random.Random(7)
    model: dict[int, int] = {}
    async with cache(8) as unit:
        for step in range(5000):
            key = chance.randrange(16)
            match chance.randrange(4):
                case 0:
                    model.pop(key, None)
                    model[key] = step
                    await unit.set_item(key, step)
                case 1:
                    assert (model.pop(key, None) is not None) == await unit.delete_item(key)
                case 2:
                    if key in model:
                        model[key] = model.pop(key)
                    assert model.get(key) == await unit.get_item(key)
                case 3:
                    model[key] = model.pop(key, step)
                    assert model[key] == await unit.get_or_set(key, lambda step=step: step)
            if len(model) > 8:
                del model[next(iter(model))]
            assert len(model) == (await unit.cache_info()).size


async def test_an_item_expires(clock: Clock) -> None:
    """An item is there until its time to live is over, and not from then on."""
    async with cache(clock=clock) as unit:
        await unit.set_item("key", "item", ttl=10)
        clock.now += 9.999
        assert await unit.get_item("key") == "item"
        clock.now += 0.001
        assert await unit.get_item("key", "default") == "default"
        assert (await unit.cache_info()).size == 0


async def test_an_item_set_again_lives_anew(clock: Clock) -> None:
    """Setting an item replaces its time to live as well; without one it stays."""
    async with cache(clock=clock) as unit:
        await unit.set_item("anew", 1, ttl=10)
        await unit.set_item("for ever", 1, ttl=10)
        clock.now += 5
        await unit.set_item("anew", 2, ttl=10)
        await unit.set_item("for ever", 2)
        clock.now += 9
        assert await unit.get_item("anew") == 2
        clock.now += 1e9
        assert await unit.get_item("anew") is None
        assert await unit.get_item("for ever") == 2


async def test_reading_does_not_prolong_a_life(clock: Clock) -> None:
    """The time to live counts from when the item was set, however often it is read."""
    async with cache(clock=clock) as unit:
        await unit.set_item("key", 1, ttl=2)
        for _ in range(3):
            await unit.get_item("key")
            clock.now += 0.7
        assert await unit.get_item("key") is None


async def test_an_expired_item_is_made_anew(clock: Clock) -> None:
    """`get_or_set` makes an item again when its time is over; that time begins when the item was made."""
    async with cache(clock=clock) as unit:

        async def slow() -> int:
            clock.now += 100
            return 1

        assert await unit.get_or_set("key", slow, ttl=5) == 1
        clock.now += 4
        assert await unit.get_or_set("key", lambda: 2, ttl=5) == 1
        clock.now += 1
        assert await unit.get_or_set("key", lambda: 3, ttl=5) == 3


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), True, "1", [], 1j])
async def test_a_time_to_live_out_of_range(ttl: Any) -> None:
    """A `ttl` that is no number of seconds above 0 is refused, and the former item stays."""
    async with cache() as unit:
        await unit.set_item("key", "former")
        for call in (unit.set_item("key", 1, ttl=ttl), unit.get_or_set("other", lambda: 1, ttl=ttl)):
            with pytest.raises(InvalidOptionError) as caught:
                await call
            assert caught.value.option == "ttl"
        assert await unit.get_item("key") == "former"
        assert await unit.get_item("other") is None


async def test_none_is_an_item() -> None:
    """`None` can be stored: it is found, counts as a hit, and is not made again."""
    async with cache() as unit:
        await unit.set_item("key", None)

        assert await unit.get_item("key", "default") is None
        assert await unit.get_or_set("key", lambda: "made") is None
        assert await unit.get_or_set("other", lambda: None) is None
        assert await unit.get_or_set("other", lambda: "made") is None
        assert await unit.delete_item("key")
        assert not await unit.delete_item("key")
        assert await unit.get_item("key", "default") == "default"


@pytest.mark.parametrize("key", [None, 0, "", (), (1, ("a", None)), frozenset({1}), b"", 1.5, DataUnitMemory])
async def test_any_hashable_key(key: Any) -> None:
    """A key is anything that can be hashed."""
    async with cache() as unit:
        await unit.set_item(key, "item")

        assert await unit.get_item(key) == "item"
        assert await unit.get_item("another") is None


@pytest.mark.parametrize("key", [[], {}, set(), ([],)])
async def test_a_key_that_cannot_be_hashed(key: Any) -> None:
    """Every keyed call refuses such a key by name, and stores nothing."""
    async with cache() as unit:
        for call in (
            unit.get_item(key),
            unit.set_item(key, 1),
            unit.delete_item(key),
            unit.get_or_set(key, lambda: 1),
        ):
            with pytest.raises(InvalidOptionError) as caught:
                await call
            assert caught.value.option == "key"
            assert type(key).__name__ in str(caught.value)
        assert (await unit.cache_info()).size == 0


async def test_what_is_counted() -> None:
    """`cache_info` counts each lookup once, and each item that had to go; `stats` says the same."""
    async with cache(2) as unit:
        await unit.get_item("a")  # a miss
        await unit.set_item("a", 1)
        await unit.get_item("a")  # a hit
        await unit.get_or_set("b", lambda: 2)  # a miss
        await unit.get_or_set("b", lambda: 2)  # a hit
        await unit.set_item("c", 3)  # evicts a
        await unit.delete_item("c")

        assert CacheInfo(hits=2, misses=2, evictions=1, size=1, max_size=2) == await unit.cache_info()
        stats = await unit.stats()
        assert (2, 2) == (stats.hits, stats.misses)


async def test_the_counts_begin_anew_with_the_unit() -> None:
    """Opened again, a unit counts from nothing."""
    unit = cache(1)
    async with unit:
        await unit.get_item("a")
        await unit.set_item("a", 1)
        await unit.set_item("b", 1)
        await unit.get_item("b")
    async with unit:
        assert CacheInfo(hits=0, misses=0, evictions=0, size=0, max_size=1) == await unit.cache_info()


async def test_clear_empties_the_cache() -> None:
    """`clear` drops the items with the value; shutting down does so, too."""
    unit = cache()
    async with unit:
        await unit.set("value")
        await unit.set_item("key", 1)
        await unit.clear()
        assert not await unit.exists()
        assert await unit.get_item("key") is None
        await unit.set_item("key", 2)
    async with unit:
        assert await unit.get_item("key") is None


async def test_the_value_and_the_items_are_apart() -> None:
    """The items are no part of the value: no version, no watcher, no metadata knows of them."""
    async with cache() as unit:
        await unit.set({"key": "in the value"})
        version = (await unit.entry()).version
        await unit.set_item("key", "in the cache")

        assert (await unit.entry()).version == version
        assert await unit.get() == {"key": "in the value"}


@pytest.mark.parametrize("isolation", ["auto", "share"])
async def test_items_are_isolated_like_the_value(isolation: str) -> None:
    """With `auto` nobody's change of a list reaches the cache; with `share` the very object is handed out."""
    async with DataUnitMemory(DataUnitConfig(data_type="memory", isolation=isolation)) as unit:
        given = [1]
        await unit.set_item("set", given)
        made = await unit.get_or_set("made", lambda: given)
        given.append(2)
        for key in ("set", "made"):
            (await unit.get_item(key)).append(3)
        made.append(4)

        expected = [1] if isolation == "auto" else [1, 2, 3, 3, 4]
        assert expected == await unit.get_item("set") == await unit.get_item("made")
        assert (given is await unit.get_item("set")) == (isolation == "share")


@pytest.mark.slow
async def test_many_threads(in_thread: Callable[..., Future[Any]]) -> None:
    """Threads that read, set, delete and make items at once never see a wrong one, nor exceed the size."""

    async def work(seed: int) -> int:
        chance = random.Random(seed)
        for _ in range(4000):
            key = chance.randrange(40)
            match chance.randrange(4):
                case 0:
                    await unit.set_item(key, [key])
                case 1:
                    await unit.delete_item(key)
                case 2:
                    assert await unit.get_item(key) in (None, [key])
                case 3:
                    assert [key] == await unit.get_or_set(key, lambda key=key: [key])
        return seed

    async with cache(16) as unit:
        threads = [in_thread(lambda seed=seed: asyncio.run(work(seed))) for seed in range(4)]
        assert [0, 1, 2, 3] == [await asyncio.wrap_future(each) for each in threads]
        assert (await unit.cache_info()).size <= 16
