"""`get_or_set`: of all who ask for a missing item at the same time, one makes it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitMemory, ReentrantUpdateError, UnitClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Future


@pytest.fixture
async def unit() -> AsyncIterator[DataUnitMemory]:
    """An open unit."""
    async with DataUnitMemory() as unit:
        yield unit


class Factory:
    """Makes an item once it is told to, and counts how often it was asked."""

    def __init__(self, item: Any = "made") -> None:
        self.calls = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self._item = item

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        await self.go.wait()
        if isinstance(self._item, Exception):
            raise self._item
        return self._item


async def ask(unit: DataUnitMemory, factory: Factory, count: int) -> list[asyncio.Task[Any]]:
    """Have so many tasks wait for the item under "key"."""
    tasks = [asyncio.create_task(unit.get_or_set("key", factory)) for _ in range(count)]
    await factory.begun.wait()
    await asyncio.sleep(0)  # the tasks began in order, so that all of them wait now
    return tasks


async def test_one_makes_it_for_all(unit: DataUnitMemory) -> None:
    """Fifty tasks ask, the factory runs once, each gets the item as an object of its own."""
    factory = Factory(["made"])
    tasks = await ask(unit, factory, 50)

    factory.go.set()
    items = await asyncio.gather(*tasks)

    assert [["made"]] * 50 == items
    assert len({id(item) for item in items}) == 50
    assert factory.calls == 1
    assert await unit.get_item("key") == ["made"]


async def test_one_makes_it_for_two_loops(
    unit: DataUnitMemory, in_thread: Callable[..., Future[Any]]
) -> None:
    """A task of another event loop waits for the item that is made in this one, and the other way round."""
    for here_first in (True, False):
        begun, go, calls = threading.Event(), threading.Event(), []

        async def make() -> str:
            calls.append(threading.current_thread())  # noqa: B023 - used up within the round
            begun.set()  # noqa: B023
            await asyncio.to_thread(go.wait)  # noqa: B023
            return "made"

        def there() -> Any:
            return asyncio.run(unit.get_or_set(here_first, make))  # noqa: B023

        async def here() -> Any:
            return await unit.get_or_set(here_first, make)  # noqa: B023

        if here_first:
            task = asyncio.create_task(here())
            await asyncio.to_thread(begun.wait)
            thread = in_thread(there)
        else:
            thread = in_thread(there)
            await asyncio.to_thread(begun.wait)
            task = asyncio.create_task(here())
            await asyncio.sleep(0)
        go.set()

        assert (await task, await asyncio.wrap_future(thread)) == ("made", "made")
        assert len(calls) == 1


async def test_different_keys_do_not_wait_for_each_other(unit: DataUnitMemory) -> None:
    """While one item is being made, another one is made and returned."""
    factory = Factory()
    (waiting,) = await ask(unit, factory, 1)

    assert await unit.get_or_set("other", lambda: "other") == "other"

    factory.go.set()
    assert await waiting == "made"


async def test_an_error_reaches_all(unit: DataUnitMemory) -> None:
    """Whoever waits gets the factory's error; nothing is stored, and the next one may try again."""
    factory = Factory(ValueError("no such thing"))
    tasks = await ask(unit, factory, 10)

    factory.go.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert ["no such thing"] * 10 == [str(answer) for answer in answers]
    assert {ValueError} == {type(answer) for answer in answers}
    assert factory.calls == 1
    assert await unit.get_or_set("key", lambda: "made after all") == "made after all"


async def test_an_error_of_a_plain_function(unit: DataUnitMemory) -> None:
    """A factory that is no coroutine function may raise as well, and return an awaitable."""
    with pytest.raises(ZeroDivisionError):
        await unit.get_or_set("key", lambda: 1 // 0)

    future = asyncio.get_running_loop().create_future()
    future.set_result("awaited")
    assert await unit.get_or_set("key", lambda: future) == "awaited"


async def test_a_cancelled_leader_is_replaced(unit: DataUnitMemory) -> None:
    """When the one who makes the item is cancelled, the next in line makes it; nobody else hears of it."""
    factory = Factory()
    leader, *others = await ask(unit, factory, 5)

    factory.begun.clear()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    await factory.begun.wait()
    factory.go.set()

    assert ["made"] * 4 == await asyncio.gather(*others)
    assert factory.calls == 2


async def test_a_cancelled_leader_is_replaced_by_a_quick_one(unit: DataUnitMemory) -> None:
    """When the next in line makes the item without waiting, the others find it: it is made once."""
    factory = Factory()
    leader, *others = await ask(unit, factory, 5)

    leader.cancel()
    factory.go.set()

    assert ["made"] * 4 == await asyncio.gather(*others)
    assert factory.calls == 2


async def test_cancelled_leaders_one_after_another(unit: DataUnitMemory) -> None:
    """However many leaders are cancelled, the last one who waits gets the item."""
    factory = Factory()
    tasks = await ask(unit, factory, 5)
    for calls, task in enumerate(tasks[:-1], 1):
        assert calls == factory.calls
        factory.begun.clear()
        task.cancel()
        await factory.begun.wait()

    factory.go.set()

    assert await tasks[-1] == "made"


async def test_a_cancelled_follower_disturbs_nobody(unit: DataUnitMemory) -> None:
    """One who only waits can give up; the item is made for the others."""
    factory = Factory()
    leader, follower, other = await ask(unit, factory, 3)

    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    factory.go.set()

    assert ["made", "made"] == await asyncio.gather(leader, other)
    assert factory.calls == 1


async def test_a_timeout_of_the_leader(unit: DataUnitMemory) -> None:
    """A leader under `asyncio.timeout` gives up in time, and leaves nothing behind."""
    factory = Factory()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await unit.get_or_set("key", factory)

    assert await unit.get_or_set("key", lambda: "made") == "made"


@pytest.mark.parametrize("change", ["delete_item", "set_item", "clear"])
async def test_an_item_that_is_out_of_date_is_not_kept(unit: DataUnitMemory, change: str) -> None:
    """Who waited gets what was made; but a change that came meanwhile holds."""
    factory = Factory("old")
    tasks = await ask(unit, factory, 2)

    match change:
        case "delete_item":
            await unit.delete_item("key")
        case "set_item":
            await unit.set_item("key", "new")
        case "clear":
            await unit.clear()
    factory.go.set()

    assert ["old", "old"] == await asyncio.gather(*tasks)
    assert await unit.get_item("key") == ("new" if change == "set_item" else None)


async def test_who_asks_after_a_deletion_gets_a_new_item(unit: DataUnitMemory) -> None:
    """After `delete_item` nobody joins the flight that began before it."""
    old, new = Factory("old"), Factory("new")
    before = await ask(unit, old, 1)
    await unit.delete_item("key")
    after = await ask(unit, new, 1)

    new.go.set()
    old.go.set()

    assert ["new", "old"] == [await after[0], await before[0]]
    assert await unit.get_item("key") == "new"


async def test_a_factory_that_asks_for_its_own_key(unit: DataUnitMemory) -> None:
    """It would wait for itself for ever, and is refused instead, also through another task or key."""

    async def directly() -> Any:
        return await unit.get_or_set("key", directly)

    async def in_task() -> Any:
        return await asyncio.create_task(unit.get_or_set("key", in_task))

    async def through_another() -> Any:
        return await unit.get_or_set("other", lambda: unit.get_or_set("key", through_another))

    for factory in (directly, in_task, through_another):
        with pytest.raises(ReentrantUpdateError):
            async with asyncio.timeout(10):
                await unit.get_or_set("key", factory)
    assert await unit.get_item("key") is None


async def test_a_factory_may_use_the_unit(unit: DataUnitMemory) -> None:
    """Other keys, the value and even items under its own key are open to a factory."""

    async def make() -> str:
        await unit.set("value")
        await unit.set_item("third", 3)
        return f"{await unit.get_or_set('other', lambda: 'other')} {await unit.get()}"

    assert await unit.get_or_set("key", make) == "other value"


async def test_a_shutdown_during_a_flight() -> None:
    """Who waits gets the item; the unit, opened again, does not have it."""
    unit = DataUnitMemory()
    factory = Factory()
    async with unit:
        tasks = await ask(unit, factory, 2)
    factory.go.set()
    async with unit:
        assert ["made", "made"] == await asyncio.gather(*tasks)
        assert await unit.get_item("key") is None
    with pytest.raises(UnitClosedError):
        await unit.get_or_set("key", factory)


async def test_a_loop_that_ends_during_its_flight(
    unit: DataUnitMemory, in_thread: Callable[..., Future[Any]]
) -> None:
    """When the loop of the leader ends, somebody of another loop makes the item."""
    begun, go = threading.Event(), threading.Event()

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def leave() -> None:
        task = asyncio.create_task(unit.get_or_set("key", never))
        await asyncio.to_thread(go.wait)
        assert not task.done()

    thread = in_thread(asyncio.run, leave())
    await asyncio.to_thread(begun.wait)
    task = asyncio.create_task(unit.get_or_set("key", lambda: "made"))
    await asyncio.sleep(0)
    go.set()

    assert await task == "made"
    await asyncio.wrap_future(thread)
