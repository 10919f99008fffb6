"""The string unit: a million appends and the memory they take, appending durably.

Floor: `async def append(self, text): self.parts.append(text)`, joined at the end. Each contender runs in a
process of its own: 1,000,000 distinct texts of 50 characters, made outside the time that is measured; memory
is what the process grew by, divided by the text's 50 MB: once all is appended (`held`), and at most while
`get` built the whole (`peak`).
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import (
    FLOOR,
    HAS_PROC,
    Samples,
    Section,
    in_child,
    in_turns,
    memory_mb,
    number,
    run_async,
    times,
)

from library.infrastructure.data import DataUnitConfig, DataUnitString

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LENGTH = 50
A_CHUNK = 2000


class Parts:
    def __init__(self) -> None:
        self.parts: list[str] = []

    async def append(self, text: str) -> None:
        self.parts.append(text)

    async def get(self) -> str:
        return "".join(self.parts)


class Buffer:
    def __init__(self) -> None:
        self.buffer = io.StringIO()

    async def append(self, text: str) -> None:
        self.buffer.write(text)

    async def get(self) -> str:
        return self.buffer.getvalue()


class Bytes:
    def __init__(self) -> None:
        self.utf8 = bytearray()

    async def append(self, text: str) -> None:
        self.utf8 += text.encode()

    async def get(self) -> str:
        return self.utf8.decode()


OURS = "DataUnitString"
CONTENDERS: dict[str, Any] = {
    FLOOR: Parts,
    OURS: DataUnitString,
    "bytearray in a coroutine": Bytes,
    "io.StringIO in a coroutine": Buffer,
}


async def time_appends(call: Callable[[str], Awaitable[Any]], indexes: range) -> float:
    texts = [f"{index:050d}" for index in indexes]
    start = perf_counter()
    for text in texts:
        await call(text)
    return perf_counter() - start


async def append_many(name: str, count: int) -> dict[str, float]:
    """Append `count` texts, in this process."""
    target = CONTENDERS[name]()
    if isinstance(target, DataUnitString):
        await target.initialize()
    for index in range(A_CHUNK):  # warms up: the first appends load and specialise code
        await Parts().append(f"{index:050d}")
    gc.collect()
    gc.freeze()
    before = memory_mb("VmRSS") if HAS_PROC else 0.0
    call = target.append
    chunks = (range(first, first + A_CHUNK) for first in range(0, count, A_CHUNK))
    seconds = [await time_appends(call, chunk) for chunk in chunks]
    held = memory_mb("VmRSS") - before if HAS_PROC else 0.0
    start = perf_counter()
    whole = await target.get()
    get_ms = (perf_counter() - start) * 1e3
    peak = memory_mb("VmHWM") - before if HAS_PROC else 0.0
    assert len(whole) == count * LENGTH
    assert whole.endswith(f"{count - 1:050d}")
    if isinstance(target, DataUnitString):
        await target.shutdown()
    tenth = len(seconds) // 10
    size_mb = count * LENGTH / 1e6
    return {
        "append_us": sum(seconds) / count * 1e6,
        "last_by_first": median(seconds[-tenth:]) / median(seconds[:tenth]),
        "get_ms": get_ms,
        "held": held / size_mb,
        "peak": peak / size_mb,
    }


def measure_memory(section: Section, rounds: int, count: int) -> None:
    """Measure appends by turns, each in a process of its own."""
    measures = {key: Samples() for key in ("append_us", "last_by_first", "get_ms", "held", "peak")}
    for _ in range(rounds):
        for name in CONTENDERS:
            for key, value in in_child("unit_string", name, count).items():
                measures[key].add(name, value)
    table = section.table(
        f"String: {count:,} appends of {LENGTH} characters, then one get",
        "",
        "append, us",
        "last 10% / first 10%",
        "get, ms",
        "held / text",
        "peak / text",
    )
    for name in CONTENDERS:
        label = "floor: list.append in a coroutine, join" if name == FLOOR else name
        table.add(label, *(number(samples.median(name)) for samples in measures.values()))
    section.at_most("string append", 0.4, measures["append_us"].median(OURS), " us")
    section.at_most("string append, last 10% / first 10%", 1.3, measures["last_by_first"].median(OURS), "x")
    if HAS_PROC:
        section.at_most("string, memory held", 1.1, measures["held"].median(OURS), "x the text")
        section.at_most("string, most memory at get", 2.1, measures["peak"].median(OURS), "x the text")


async def measure_durable(section: Section, rounds: int) -> None:
    """Measure appends to a file, alone and together."""
    text = "a line of text that is fifty characters long, ....\n"
    with tempfile.TemporaryDirectory(prefix="bench-string-") as folder:
        descriptor = os.open(Path(folder, "floor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        config = DataUnitConfig(data_type="string", persistent=True, file_path=str(Path(folder, "text")))

        def append() -> None:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)

        async def floor() -> float:
            start = perf_counter()
            for _ in range(20):
                await asyncio.to_thread(append)
            return (perf_counter() - start) / 20 * 1e6

        async with DataUnitString(None, config) as unit:

            async def alone() -> float:
                start = perf_counter()
                for _ in range(20):
                    await unit.append(text)
                return (perf_counter() - start) / 20 * 1e6

            async def together() -> float:
                start = perf_counter()
                await asyncio.gather(*(unit.append(text) for _ in range(100)))
                return (perf_counter() - start) / 100 * 1e6

            contenders = {
                FLOOR: floor,
                "DataUnitString.append": alone,
                "DataUnitString.append, 100 concurrent, each": together,
            }
            samples = await in_turns(contenders, rounds)
        os.close(descriptor)
    table = section.table("String: persistent, with fsync", "", "us", "x")
    for name in contenders:
        label = "floor: write and fsync in a thread" if name == FLOOR else name
        table.add(label, number(samples.median(name)), times(samples.ratio(name)))


def run(quick: bool) -> Section:
    section = Section("string")
    measure_memory(section, 1 if quick else 3, 1_000_000)
    run_async(measure_durable(section, 3 if quick else 15))
    return section


if __name__ == "__main__":
    print(json.dumps(asyncio.run(append_many(sys.argv[1], int(sys.argv[2])))))
