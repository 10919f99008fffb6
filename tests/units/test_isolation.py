"""What a caller does to an object that it gave or got does not reach into a unit."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from library.infrastructure.data import (
    DataUnitBase,
    DataUnitConfig,
    DataUnitMemory,
    DataUnitStream,
    InvalidValueError,
    create_data_unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the old form is in use, too


class Point(NamedTuple):
    """The new form."""

    x: list[int]
    y: int = 0


@dataclass
class Foreign:
    """An object of the user's own."""

    items: list[int] = field(default_factory=list)


CONTAINERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "dict": (lambda: {"a": 1}, lambda value: value.update(b=2)),
    "list": (lambda: [1], lambda value: value.append(2)),
    "set": (lambda: {1}, lambda value: value.add(2)),
    "bytearray": (lambda: bytearray(b"a"), lambda value: value.append(2)),
    "deque": (lambda: deque([1, 2], maxlen=2), lambda value: value.append(3)),
    "defaultdict": (lambda: defaultdict(list, a=[1]), lambda value: value["a"].append(2)),
    "OrderedDict": (lambda: OrderedDict(a=1, b=2), lambda value: value.move_to_end("a")),
    "Counter": (lambda: Counter("aab"), lambda value: value.update("b")),
    "tuple of a list": (lambda: (1, [2]), lambda value: value[1].append(3)),
    "named tuple of a list": (lambda: Pair(1, [2]), lambda value: value.right.append(3)),
    "typed named tuple": (lambda: Point([1]), lambda value: value.x.append(2)),
    "list of sets": (lambda: [{1}, {2}], lambda value: value[0].add(3)),
    "dict of dicts": (lambda: {"a": {"b": {"c": 1}}}, lambda value: value["a"]["b"].update(c=2)),
    "tuple of tuples": (lambda: ((1, (2, [3])),), lambda value: value[0][1][1].append(4)),
    "deque of bytearrays": (lambda: deque([bytearray(b"a")]), lambda value: value[0].extend(b"b")),
    "list under a tuple": (lambda: {(1, 2): [3]}, lambda value: value[1, 2].append(4)),
}
every_container = pytest.mark.parametrize(("make", "change"), CONTAINERS.values(), ids=CONTAINERS)


@pytest.fixture(params=["memory", "stream"])
def unit(request: pytest.FixtureRequest) -> DataUnitBase:
    """A unit that holds any object."""
    return create_data_unit(DataUnitConfig(data_type=request.param))


@every_container
async def test_changing_what_was_given(
    unit: DataUnitBase, make: Callable[[], Any], change: Callable[[Any], Any]
) -> None:
    """The unit keeps what was given, as it was then, in an object of the same type."""
    async with unit:
        given = make()
        await unit.set(given)
        change(given)

        got = await unit.get()
        assert make() == got
        assert type(make()) is type(got)


@every_container
async def test_changing_what_was_got(
    unit: DataUnitBase, make: Callable[[], Any], change: Callable[[Any], Any]
) -> None:
    """Everybody gets an object of their own, by whatever call."""
    async with unit:
        await unit.set(make())

        change(await unit.get())
        change((await unit.entry()).value)
        watcher = unit.watch()
        change((await anext(watcher)).value)
        await watcher.aclose()

        assert make() == await unit.get()


@every_container
async def test_changing_what_an_update_gave(
    unit: DataUnitBase, make: Callable[[], Any], change: Callable[[Any], Any]
) -> None:
    """An update that raises after it changed its argument changes nothing, nor does changing its result."""
    async with unit:
        await unit.set(make())

        def spoil(value: Any) -> Any:
            change(value)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await unit.update(spoil)
        assert make() == await unit.get()
        change(await unit.update(lambda value: value))
        assert make() == await unit.get()


@every_container
async def test_every_subscriber_has_its_own(make: Callable[[], Any], change: Callable[[Any], Any]) -> None:
    """What one subscriber does to a message, the others do not see, nor does the history."""
    async with DataUnitStream() as stream:
        subscriptions = [await stream.subscribe() for _ in range(2)]
        await stream.publish(1)
        await stream.publish(make())
        await stream.publish_many([make()])

        for subscription in (*subscriptions, await stream.subscribe(since=0)):
            assert await subscription.get() == 1
            for _ in range(2):
                message = await subscription.get()
                assert make() == message
                change(message)


async def test_the_traits_of_containers_stay() -> None:
    """A `defaultdict` keeps its factory, a `deque` its length, a dict its order."""
    async with DataUnitMemory() as unit:
        await unit.set([defaultdict(list), deque([1], maxlen=3), {"b": 1, "a": 2}])

        mapping, queue, order = await unit.get()
        assert mapping["missing"] == []
        assert queue.maxlen == 3
        assert ["b", "a"] == list(order)


async def test_cycles() -> None:
    """Containers that hold themselves come back in the same shape."""
    given: dict[str, Any] = {"list": []}
    given["self"] = given
    given["list"].append(given["list"])
    async with DataUnitMemory() as unit:
        await unit.set(given)

        got = await unit.get()
        assert got["self"] is got is not given
        assert got["list"][0] is got["list"] is not given["list"]


async def test_a_cycle_through_a_tuple() -> None:
    """A tuple within its own list does not send the copy round for ever."""
    inner: list[Any] = []
    given = (inner,)
    inner.append(given)
    async with DataUnitMemory() as unit:
        await unit.set(given)

        got = await unit.get()
        assert got[0] is not inner
        assert got[0][0][0] is got[0]


async def test_an_object_held_twice() -> None:
    """What was one object is one object in the copy, too."""
    shared = [1]
    async with DataUnitMemory() as unit:
        await unit.set([shared, {"again": shared}, {2}, shared])

        first, second, _, third = await unit.get()
        assert first is second["again"] is third is not shared


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, "text", b"bytes", (1, ("a", None)), frozenset({1}), range(3), Pair(1, 2), 1j]
)
async def test_what_cannot_change_is_shared(unit: DataUnitBase, value: Any) -> None:
    """Immutable values are not copied."""
    async with unit:
        await unit.set(value)

        assert value is await unit.get()


async def test_foreign_objects_are_shared(unit: DataUnitBase) -> None:
    """An object of an unknown type is handed out itself, within containers as well."""
    foreign = Foreign([1])
    async with unit:
        await unit.set(foreign)
        assert foreign is await unit.get()
        await unit.set([foreign])
        assert foreign is (await unit.get())[0]


@pytest.mark.parametrize("data_type", ["memory", "stream"])
@every_container
async def test_share_hands_out_the_very_object(
    data_type: str, make: Callable[[], Any], change: Callable[[Any], Any]
) -> None:
    """With `isolation="share"` nothing is copied, in no direction."""
    async with create_data_unit(DataUnitConfig(data_type=data_type, isolation="share")) as unit:
        given = make()
        await unit.set(given)

        assert given is await unit.get()
        assert given is (await unit.entry()).value
        assert given is await unit.update(lambda value: value)
        change(given)
        expected = copy.deepcopy(given)
        assert expected == await unit.get()


async def test_deep_nesting(unit: DataUnitBase) -> None:
    """What is nested deeper than Python can follow is refused, and the former value stays."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    async with unit:
        await unit.set("former")
        with pytest.raises(InvalidValueError, match="nested too deeply"):
            await unit.set(deep)
        assert await unit.get() == "former"


async def test_metadata_is_isolated(unit: DataUnitBase) -> None:
    """Notes in the metadata are copied both ways, like values."""
    async with unit:
        note = ["note"]
        await unit.set_metadata("tags", note)
        note.append("changed")
        unit.metadata["tags"].append("changed")

        assert unit.metadata["tags"] == ["note"]
