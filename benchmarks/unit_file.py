"""The file unit: durable writes, reads, writes at the same time, and how long the event loop stands still.

Floor of a write: `orjson.dumps`, a temporary file, fsync, `os.replace`, fsync of the folder, in a thread
(`asyncio.to_thread`). It keeps no backups, no versions, and locks nobody out. Floor of a read: `read` and
`orjson.loads` in a thread. Ratios are times, so less is better. Contenders take turns, ten small
writes in a row or one large one, since the time of an fsync swings with whatever else the disk has to do.

The stall is the longest that a task which sleeps a millisecond at a time was late, on the same loop.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson
from benchmarks._harness import FLOOR, Section, in_turns, number, run_async, times

from library.infrastructure.data import DataUnitConfig, DataUnitFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SIZES = {"1 KB": 1_000, "100 KB": 100_000, "10 MB": 10_000_000}
BARS = {"1 KB": 1.15, "100 KB": 1.1, "10 MB": 0.8}


def document(size: int) -> dict[str, Any]:
    """Build a document of about `size` bytes of JSON."""
    item = {"id": 1_000_000, "name": "item 1000000", "score": 0.25, "tags": ["a", "b"], "text": "x" * 40}
    count = size // (len(orjson.dumps(item)) + 1)
    items = [{**item, "id": i, "name": f"item {i}"} for i in range(count)]
    whole: dict[str, Any] = orjson.loads(orjson.dumps({"kind": "benchmark", "items": items}))
    return whole  # no object occurs twice, which pickle would write only once


def write_file(path: Path, value: Any, *, durable: bool = True) -> None:
    """The floor of a write."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    rest = memoryview(orjson.dumps(value))
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    if durable:
        os.fsync(descriptor)
    os.close(descriptor)
    temporary.replace(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def write_in_place(path: Path, value: Any) -> None:
    with path.open("w") as file:
        json.dump(value, file)


def read_file(path: Path) -> Any:
    return orjson.loads(path.read_bytes())


class Threaded:
    """Functions that block, called in a thread."""

    def __init__(self, write: Callable[[Any], Any], read: Callable[[], Any]) -> None:
        self.write = write
        self.read = read

    async def set(self, value: Any) -> None:
        await asyncio.to_thread(self.write, value)

    async def get(self) -> Any:
        return await asyncio.to_thread(self.read)


OURS = "DataUnitFile"
SHARED = "DataUnitFile, isolation='share'"
NO_SYNC = "same as floor, no fsync"


class Contenders:
    """Everything that holds a document, in one folder."""

    def __init__(self, folder: Path) -> None:
        import diskcache

        for name in ("floor", "unsynced", "in place", "ours", "shared", "os"):
            (folder / name).mkdir()
        path, unsynced, in_place = (folder / name / "file.json" for name in ("floor", "unsynced", "in place"))
        self.units = {
            OURS: self.unit(folder, "ours"),
            SHARED: self.unit(folder, "shared", isolation="share"),
            "DataUnitFile, durability='os'": self.unit(folder, "os", durability="os"),
        }
        plain = diskcache.Cache(str(folder / "cache"))
        full = diskcache.Cache(str(folder / "full"), sqlite_synchronous=2)
        self.caches = (plain, full)
        self.all: dict[str, Any] = {
            FLOOR: Threaded(lambda value: write_file(path, value), lambda: read_file(path)),
            **self.units,
            NO_SYNC: Threaded(
                lambda value: write_file(unsynced, value, durable=False), lambda: read_file(unsynced)
            ),
            "json.dump in place, no fsync": Threaded(
                lambda value: write_in_place(in_place, value), lambda: json.loads(in_place.read_text())
            ),
            "diskcache (pickle; no fsync)": Threaded(
                lambda value: plain.set("key", value), lambda: plain.get("key")
            ),
            "diskcache, synchronous=FULL": Threaded(
                lambda value: full.set("key", value), lambda: full.get("key")
            ),
        }

    @staticmethod
    def unit(folder: Path, name: str, **options: Any) -> DataUnitFile:
        path = folder / name / "file.json"
        return DataUnitFile(path, DataUnitConfig(data_type="file", **options))

    async def open(self) -> None:
        for unit in self.units.values():
            await unit.initialize()

    async def close(self) -> None:
        for unit in self.units.values():
            await unit.shutdown()
        for cache in self.caches:
            await asyncio.to_thread(cache.close)


async def time_once(call: Callable[[], Awaitable[Any]], times_over: int = 1) -> float:
    """Return the milliseconds that a call takes, on average over so many in a row."""
    start = perf_counter()
    for _ in range(times_over):
        await call()
    return (perf_counter() - start) / times_over * 1e3


async def measure_times(section: Section, contenders: Contenders, rounds: dict[str, int]) -> None:
    """Measure one write, and one read of what was read before, of each size."""
    writes, reads = {}, {}
    for size, count in rounds.items():
        value = document(SIZES[size])

        in_a_row = 1 if size == "10 MB" else 10

        def setter(
            target: Any, value: Any = value, in_a_row: int = in_a_row
        ) -> Callable[[], Awaitable[float]]:
            return lambda: time_once(lambda: target.set(value), in_a_row)

        def getter(target: Any, value: Any = value) -> Callable[[], Awaitable[float]]:
            async def run() -> float:
                got: list[Any] = []

                async def call() -> None:
                    got.append(await target.get())

                taken = await time_once(call)
                assert got == [value]
                return taken

            return run

        # Garbage is collected once for a size, not for each write: that takes longer than a write of 1 KB.
        gc.collect()
        writes[size] = await in_turns(
            {name: setter(target) for name, target in contenders.all.items()},
            count,
            collect=size == "10 MB",
            sync=True,
        )
        reads[size] = await in_turns(
            {name: getter(target) for name, target in contenders.all.items()},
            max(1, count // 3),
            collect=size == "10 MB",
        )
    labels = {
        "set": "floor: orjson, temp, fsync, replace, fsync folder; in a thread",
        "get": "floor: read, orjson; in a thread",
    }
    notes = {"set": "with fsync unless it says so", "get": "of ours: when the file has not changed"}
    for title, measured in (("set", writes), ("get", reads)):
        heads = [head for size in measured for head in (f"{size}, ms", "x")]
        table = section.table(f"File: {title}", "", *heads, note=notes[title])
        for name in contenders.all:
            cells = [
                cell
                for samples in measured.values()
                for cell in (number(samples.median(name)), times(samples.ratio(name)))
            ]
            table.add(labels[title] if name == FLOOR else name, *cells)
    for size in rounds:
        section.at_most(f"file set, {size}", BARS[size], writes[size].ratio(OURS), "x the floor's time")


async def measure_together(section: Section, contenders: Contenders, rounds: int) -> None:
    """Measure 64 sets at the same time, per set."""
    value = document(1000)
    unit, floor = contenders.units[OURS], contenders.all[FLOOR]

    async def separate(target: Any) -> float:
        start = perf_counter()
        for _ in range(64):
            await target.set(value)
        return (perf_counter() - start) / 64 * 1e3

    async def together() -> float:
        version = (await unit.entry()).version
        start = perf_counter()
        versions = await asyncio.gather(*(unit.set(value) for _ in range(64)))
        taken = (perf_counter() - start) / 64 * 1e3
        assert sorted(versions) == list(range(version + 1, version + 65))
        return taken

    names = {
        FLOOR: lambda: separate(floor),
        "DataUnitFile.set, 64 one after the other": lambda: separate(unit),
        "DataUnitFile.set, 64 concurrent": together,
    }
    samples = await in_turns(names, rounds)
    table = section.table("File: 64 sets of 1 KB, each", "", "ms", "x")
    for name in names:
        label = "floor, one after the other" if name == FLOOR else name
        table.add(label, number(samples.median(name)), times(samples.ratio(name)))
    ratio = samples.ratio("DataUnitFile.set, 64 concurrent", "DataUnitFile.set, 64 one after the other")
    section.at_most("file, 64 concurrent sets, per set", 0.2, ratio, "x separate ones")


async def longest_stall(call: Callable[[], Awaitable[Any]]) -> float:
    """Return by how many ms a ticker of 1 ms was late at most while `call` ran."""
    worst = 0.0
    done = False

    async def tick() -> None:
        nonlocal worst
        while not done:
            start = perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, perf_counter() - start - 0.001)

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0.005)
    worst = 0.0
    kept = await call()
    await asyncio.sleep(0.002)
    done = True
    await ticker
    del kept  # freeing 10 MB of objects takes time on the loop, whoever made them
    return worst * 1e3


async def measure_stalls(section: Section, contenders: Contenders, rounds: int) -> None:
    """Measure how long a 10 MB set and get hold the loop up."""
    value = document(SIZES["10 MB"])
    left_out = {SHARED, NO_SYNC, "DataUnitFile, durability='os'", "diskcache, synchronous=FULL"}
    targets = {name: target for name, target in contenders.all.items() if name not in left_out}
    setters = {name: partial(longest_stall, partial(t.set, value)) for name, t in targets.items()}
    sets = await in_turns(setters, rounds, sync=True)
    del value, setters
    gc.collect()
    gc.freeze()  # what else the process holds is not what is measured
    getters = {name: partial(longest_stall, t.get) for name, t in targets.items()}
    gets = await in_turns(getters, rounds)
    table = section.table("File: longest stall of the loop, 10 MB", "", "set, ms", "get, ms")
    for name in targets:
        label = "floor: orjson in a thread" if name == FLOOR else name
        table.add(label, number(sets.median(name)), number(gets.median(name)))
    section.at_most("loop stall, set of 10 MB", 12, sets.median(OURS), " ms")
    section.at_most("loop stall, get of 10 MB", 60, gets.median(OURS), " ms")


async def measure(quick: bool) -> Section:
    section = Section("file")
    folder = tempfile.mkdtemp(prefix="bench-file-")
    try:
        contenders = Contenders(Path(folder))
        await contenders.open()
        rounds = {"1 KB": 30, "100 KB": 15, "10 MB": 1} if quick else {"1 KB": 200, "100 KB": 70, "10 MB": 7}
        await measure_times(section, contenders, rounds)
        await measure_together(section, contenders, 3 if quick else 9)
        await measure_stalls(section, contenders, 1 if quick else 7)
        await contenders.close()
    finally:
        shutil.rmtree(folder)
    return section


def run(quick: bool) -> Section:
    return run_async(measure(quick))
