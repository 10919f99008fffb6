"""The file unit under `kill -9`: what is in the file after its writer was killed in the middle of a `set`.

There is no floor here, but a contrast: a writer that writes JSON in place. A process writes documents of half
a megabyte, numbered, one after the other, and says so after each; it is killed at a random moment. Then the
file is read as it lies there, and opened again with the unit. Killing a process does not cut the power: that
fsync is called at the right moments is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Section, in_child

from library.infrastructure.data import DataUnitFile

if TYPE_CHECKING:
    from collections.abc import Callable

PADDING = ["x" * 50] * 10_000


def content(number: int) -> dict[str, Any]:
    return {"number": number, "padding": PADDING, "end": number}


def fork(work: Callable[[int], None]) -> tuple[int, int]:
    """Run `work(descriptor)` in a child; return its process id and the other end of the pipe."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        os.close(reader)
        work(writer)
    finally:
        os._exit(1)


def write_with_unit(path: str, first: int) -> Callable[[int], None]:
    async def work(said: int) -> None:
        unit = DataUnitFile(path)
        await unit.initialize()
        number = first
        while True:
            await unit.set(content(number))
            os.write(said, b"%d\n" % number)
            number += 1

    return lambda said: asyncio.run(work(said))


def write_in_place(path: str, first: int) -> Callable[[int], None]:
    def work(said: int) -> None:
        number = first
        while True:
            with Path(path).open("w") as file:
                json.dump(content(number), file)
            os.write(said, b"%d\n" % number)
            number += 1

    return work


def reopen(path: str) -> Callable[[int], None]:
    async def work(said: int) -> None:
        async with DataUnitFile(path) as unit:
            value = await unit.get()
        whole = value == content(value["number"])
        os.write(said, b"%d\n" % (value["number"] if whole else -1))

    return lambda said: asyncio.run(work(said))


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 65536):
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


def kill_writers(kind: str, kills: int) -> dict[str, int]:
    """Kill writers; this process has no other threads, since it forks."""
    randomly = random.Random(11)
    found = dict.fromkeys(("kills", "in_the_middle", "unreadable", "lost", "strays"), 0)
    acknowledged = 0
    with tempfile.TemporaryDirectory(prefix="bench-crash-") as folder:
        path = str(Path(folder, "file.json"))
        write = write_with_unit if kind == "ours" else write_in_place
        for _ in range(kills):
            child, said = fork(write(path, acknowledged + 1))
            heard = os.read(said, 65536)
            time.sleep(randomly.random() * 0.02)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            heard += read_all(said)
            acknowledged = max(acknowledged, *(int(line) for line in heard.split()))
            found["kills"] += 1
            found["in_the_middle"] += bool(list(Path(folder).glob(".*.tmp")))
            try:
                json.loads(Path(path).read_bytes())
            except ValueError:
                found["unreadable"] += 1
            if kind != "ours":
                continue
            child, said = fork(reopen(path))
            answer = read_all(said)
            os.waitpid(child, 0)
            number = int(answer or b"-1")
            found["lost"] += not acknowledged <= number <= acknowledged + 1
            found["strays"] += len(list(Path(folder).glob(".*.tmp")))
            acknowledged = max(acknowledged, number)
    return found


def run(quick: bool) -> Section:
    section = Section("crash")
    if not hasattr(os, "fork"):
        return section
    table = section.table(
        "Crash: kill -9 while a file is written",
        "",
        "kills",
        "left a temp file",
        "unreadable",
        "acknowledged, lost",
        "temp files after reopening",
    )
    kills = 20 if quick else 200
    ours = in_child("unit_crash", "ours", kills, timeout_s=300)
    others = in_child("unit_crash", "in place", kills // 5, timeout_s=300)
    keys = ("kills", "in_the_middle", "unreadable", "lost", "strays")
    table.add("DataUnitFile", *(str(ours[key]) for key in keys))
    table.add("json.dump in place", *(str(others[key]) for key in keys[:1]), "", str(others["unreadable"]))
    what = f"{ours['kills']} kills in the middle of a file set"
    section.holds(what, "0 unreadable", str(ours["unreadable"]), ours["unreadable"] == 0)
    section.holds(what, "0 acknowledged lost", str(ours["lost"]), ours["lost"] == 0)
    section.holds(what, "0 temp files left", str(ours["strays"]), ours["strays"] == 0)
    return section


if __name__ == "__main__":
    print(json.dumps(kill_writers(sys.argv[1], int(sys.argv[2]))))
