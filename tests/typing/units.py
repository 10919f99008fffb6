"""What type checkers see of the data units; never run, only read by mypy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Literal, assert_type

from library.infrastructure.data import (
    EMPTY,
    CacheInfo,
    DataUnitBase,
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    DataUnitType,
    Entry,
    FileVersion,
    HistoryGapError,
    InvalidOptionError,
    StorageError,
    SubscriberLaggedError,
    SubscriberLimitError,
    Subscription,
    TextPart,
    UnitStats,
    VersionConflictError,
    create_data_unit,
)


def configs() -> None:
    DataUnitConfig(data_type="memory")
    DataUnitConfig(data_type=DataUnitType.STREAM, max_subscribers=3, publish_timeout_s=0.5)
    DataUnitConfig(data_type="file", file_path="a.json", durability="os", backups=0, encoding="utf-16")
    DataUnitConfig(data_type="tape")  # type: ignore[arg-type]
    DataUnitConfig(data_type="memory", cachesize=3)  # type: ignore[call-arg]
    DataUnitConfig(data_type="memory", isolation="copy")  # type: ignore[arg-type]
    DataUnitConfig()  # type: ignore[call-arg]
    assert_type(DataUnitConfig(data_type="memory").durability, Literal["full", "os"])
    assert_type(create_data_unit(DataUnitConfig(data_type="memory")), DataUnitBase)


async def every_unit(unit: DataUnitBase) -> None:
    async with unit as same:
        assert_type(same, DataUnitBase)
    assert_type(await unit.initialize(), None)
    assert_type(await unit.shutdown(), None)
    assert_type(unit.is_open, bool)
    assert_type(unit.name, str)
    assert_type(unit.config, DataUnitConfig)
    assert_type(await unit.get(), Any)
    assert_type(await unit.get(default=3), Any)
    assert_type(await unit.exists(), bool)
    assert_type(await unit.set({"a": 1}), int)
    assert_type(await unit.set(None, if_version=3), int)
    assert_type(await unit.update(lambda value: value), Any)
    assert_type(await unit.update(change), Any)
    assert_type(await unit.clear(), None)
    assert_type(unit.watch(since=3), AsyncIterator[Entry])
    async for entry in unit.watch():
        assert_type(entry, Entry)
    assert_type(unit.metadata, Mapping[str, Any])
    assert_type(await unit.set_metadata("key", []), None)
    stats = await unit.stats()
    assert_type(stats, UnitStats)
    assert_type((stats.reads, stats.bytes), tuple[int, int | None])
    await unit.set(1, if_version="1")  # type: ignore[arg-type]
    await unit.set_metadata(1, "value")  # type: ignore[arg-type]
    stats.reads = 3  # type: ignore[misc]


async def change(value: Any) -> Any:
    return value


async def entries(unit: DataUnitBase) -> None:
    entry = await unit.entry()
    assert_type(entry, Entry)
    assert_type(entry.value, Any)
    assert_type(entry.version, int)
    assert_type(entry.updated_at, datetime)
    assert_type(entry.exists, bool)
    if entry.value is EMPTY:
        entry.version = 3  # type: ignore[misc]


async def memory() -> None:
    async with DataUnitMemory(DataUnitConfig(data_type="memory")) as unit:
        assert_type(unit, DataUnitMemory)
        assert_type(await unit.get_item("key"), Any)
        assert_type(await unit.set_item(("key", 1), None, ttl=0.5), None)
        assert_type(await unit.delete_item("key"), bool)
        assert_type(await unit.get_or_set("key", dict, ttl=3), Any)
        info = await unit.cache_info()
        assert_type(info, CacheInfo)
        assert_type(
            (info.hits, info.misses, info.evictions, info.size, info.max_size), tuple[int, int, int, int, int]
        )
        await unit.get_item([])  # type: ignore[arg-type]


async def file() -> None:
    async with DataUnitFile("a.json") as unit:
        assert_type(unit, DataUnitFile)
        assert_type(unit.file_path, str)
        versions = await unit.versions()
        assert_type(versions, list[FileVersion])
        assert_type(versions[0].updated_at, datetime)
        assert_type(await unit.restore(versions[0].version), int)


async def stream() -> None:
    async with DataUnitStream() as unit:
        assert_type(unit, DataUnitStream)
        assert_type(await unit.publish({}), int)
        assert_type(await unit.publish_many([1, 2]), int)
        assert_type(unit.publish_nowait({}), int)
        async with await unit.subscribe(replay=3, overflow="drop_oldest", queue_size=10) as subscription:
            assert_type(subscription, Subscription)
            assert_type(await subscription.get(), Any)
            assert_type(subscription.get_nowait(), Any)
            assert_type((subscription.lag, subscription.dropped, subscription.position), tuple[int, int, int])
            async for message in subscription:
                assert_type(message, Any)
            async for batch in subscription.batches(10):
                assert_type(batch, list[Any])
            assert_type(await unit.unsubscribe(subscription), None)
        await unit.subscribe(overflow="explode")  # type: ignore[arg-type]
        await unit.subscribe(3)  # type: ignore[call-arg]


async def string() -> None:
    async with DataUnitString("", DataUnitConfig(data_type="string")) as unit:
        assert_type(unit, DataUnitString)
        assert_type(await unit.append("text"), int)
        assert_type(await unit.tail(3), str)
        part = await unit.since(0)
        assert_type(part, TextPart)
        assert_type((part.text, part.offset), tuple[str, int])
        await unit.append(b"bytes")  # type: ignore[arg-type]


def errors(error: DataUnitError) -> None:
    if isinstance(error, VersionConflictError):
        assert_type(error.current, Entry)
        assert_type(error.expected, int)
    if isinstance(error, InvalidOptionError):
        assert_type(error.option, str)
    if isinstance(error, StorageError):
        assert_type(error.path, str)
    if isinstance(error, SubscriberLaggedError):
        assert_type(error.missed, int)
    if isinstance(error, SubscriberLimitError):
        assert_type(error.limit, int)
    if isinstance(error, HistoryGapError):
        assert_type((error.since, error.oldest), tuple[int, int])
