"""Every data unit under the contract of all units: a backend adds one `UnitKind`, and no test."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import DataUnitBase, DataUnitConfig, create_data_unit
from library.infrastructure.data.conformance import Capability, Change, UnitContract, UnitKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from library.infrastructure.data.conformance.kinds import Make


def in_memory(**fixed: Any) -> Make:
    """Make units that keep nothing in the place."""

    def make(_: Path, /, **options: Any) -> DataUnitBase:
        options.pop("lock_timeout_s", None)
        return create_data_unit(DataUnitConfig(**fixed, **options))

    return make


def in_file(**fixed: Any) -> Make:
    """Make units that keep their data in the file `data` of the place."""

    def make(place: Path, /, **options: Any) -> DataUnitBase:
        return create_data_unit(DataUnitConfig(file_path=str(place / "data"), **fixed, **options))

    return make


@contextmanager
def folder_in_the_way(place: Path) -> Iterator[None]:
    """Put a folder where the file would be."""
    (place / "data").mkdir()
    yield
    (place / "data").rmdir()


async def make_later() -> str:
    return "made"


class Anything:
    """An object that no unit knows how to copy."""


def nested(depth: int) -> list[Any]:
    """Nest lists deeper than Python can follow."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


TEXTS = ("", "a", "line\n" * 3, "é € 😀 \u202e", "NUL \0 and \x1b", "x" * 100_000)
JSON = (
    *TEXTS,
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**70,
    0.1,
    -0.0,
    1e300,
    [],
    {},
    [None, [True, {"a": {"b": []}}]],
    {"": 0, "😀": "\0", "order": {"z": 1, "a": 2}},
    list(range(5000)),
)
NOT_JSON = (
    object(),
    math.nan,
    [math.inf],
    {"a", "b"},
    b"bytes",
    "\ud800",
    {"a": ["\udfff"]},
    nested(100_000),
)
OBJECTS = (*JSON, b"bytes", (1, 2), {1, 2}, frozenset({1}), {1: 2, None: 3}, object(), Anything(), Anything)

KEYED = {
    "get_item": lambda unit: unit.get_item("key"),
    "set_item": lambda unit: unit.set_item("key", 1),
    "delete_item": lambda unit: unit.delete_item("key"),
    "get_or_set": lambda unit: unit.get_or_set("missing", make_later),
    "cache_info": lambda unit: unit.cache_info(),
}
PUBLISHING = {
    "publish": Change(lambda unit, value: unit.publish(value)),
    "publish_many": Change(lambda unit, value: unit.publish_many([value])),
}
SUBSCRIBING = {"subscribe": lambda unit: unit.subscribe()}
APPENDING = {
    "append": Change(
        lambda unit, text: unit.append(text), lambda former, text: (former or "") + text
    ),
}  # fmt: skip
READING = {"tail": lambda unit: unit.tail(3), "since": lambda unit: unit.since(0)}

KEPT_IN_FILE = (
    Capability.HOLDS_NONE
    | Capability.COPIES
    | Capability.DURABLE
    | Capability.DURABLE_VERSIONS
    | Capability.SHARED
    | Capability.FORKABLE
    | Capability.CAN_FAIL_TO_OPEN
)
KEPT_IN_LOG = Capability.DURABLE | Capability.EXCLUSIVE | Capability.CAN_FAIL_TO_OPEN


class TestUnits(UnitContract):
    """Memory, file, stream and string units, in memory and on disk."""

    kinds = (
        UnitKind(
            name="memory",
            make=in_memory(data_type="memory"),
            can=Capability.HOLDS_NONE | Capability.COPIES | Capability.FORKABLE,
            samples=OBJECTS,
            refused=(nested(100_000),),
            more_operations=KEYED,
        ),
        UnitKind(
            name="memory-share",
            make=in_memory(data_type="memory", isolation="share"),
            can=Capability.HOLDS_NONE | Capability.FORKABLE | Capability.UNCOUNTED_READS,
            samples=OBJECTS,
            more_operations=KEYED,
        ),
        UnitKind(
            name="memory-persistent",
            make=in_file(data_type="memory", persistent=True),
            can=KEPT_IN_FILE,
            samples=JSON,
            refused=NOT_JSON,
            more_operations=KEYED,
            obstruct=folder_in_the_way,
        ),
        UnitKind(
            name="file",
            make=in_file(data_type="file"),
            can=KEPT_IN_FILE,
            samples=JSON,
            refused=NOT_JSON,
            more_operations={"versions": lambda unit: unit.versions()},
            obstruct=folder_in_the_way,
        ),
        UnitKind(
            name="file-utf-16",
            make=in_file(data_type="file", encoding="utf-16"),
            can=KEPT_IN_FILE,
            samples=JSON,
            refused=NOT_JSON,
            more_operations={"versions": lambda unit: unit.versions()},
            obstruct=folder_in_the_way,
        ),
        UnitKind(
            name="stream",
            make=in_memory(data_type="stream"),
            can=Capability.HOLDS_NONE | Capability.COPIES | Capability.FORKABLE,
            samples=OBJECTS,
            refused=(nested(100_000),),
            more_changes=PUBLISHING,
            more_operations=SUBSCRIBING,
        ),
        UnitKind(
            name="stream-persistent",
            make=in_file(data_type="stream", persistent=True),
            can=KEPT_IN_LOG | Capability.HOLDS_NONE | Capability.COPIES | Capability.DURABLE_VERSIONS,
            samples=JSON,
            refused=NOT_JSON,
            more_changes=PUBLISHING,
            more_operations=SUBSCRIBING,
            obstruct=folder_in_the_way,
        ),
        UnitKind(
            name="string",
            make=in_memory(data_type="string"),
            can=Capability.FORKABLE,
            value="number {}\n".format,
            number=lambda text: int(text.split()[-1]),
            samples=TEXTS,
            refused=(None, 1, b"bytes", ["text"], "\ud800"),
            more_changes=APPENDING,
            more_operations=READING,
        ),
        UnitKind(
            name="string-persistent",
            make=in_file(data_type="string", persistent=True),
            can=KEPT_IN_LOG,
            value="number {}\n".format,
            number=lambda text: int(text.split()[-1]),
            samples=TEXTS,
            refused=(None, 1, b"bytes", ["text"], "\ud800"),
            more_changes=APPENDING,
            more_operations=READING,
            obstruct=folder_in_the_way,
        ),
    )
