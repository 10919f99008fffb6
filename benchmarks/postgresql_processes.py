"""Eight processes with sixteen tasks each save and read, while the server is killed and started again.

Each task saves numbered exchanges into a conversation of its own, reads the latest after each second save,
and searches after each twentieth. In the middle all processes of the server are killed at once, as by a power
cut, and it is started again. Afterwards the table is read through: each save that was acknowledged has to be
there, and none twice. A save that fails is not tried again; it may be there.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks._harness import ROOT, Section, number, rate, run_async
from benchmarks.history_processes import wait_for_start
from benchmarks.history_setup import percentile
from benchmarks.history_texts import RealTexts

from library.infrastructure.data import ConversationHistoryUnit
from library.infrastructure.interfaces.database import PostgreSQLAdapter

if TYPE_CHECKING:
    from benchmarks.postgresql_setup import Options

PROCESSES, TASKS = 8, 16
DOWN_S = 1.0
"""How long the server is gone before it is started again."""


async def work(url: str, process: int, seconds: float) -> dict[str, Any]:
    """Save and read for some seconds; return what was acknowledged, and what failed."""
    texts = RealTexts(process)
    acknowledged: dict[str, list[int]] = {}
    errors: list[str] = []
    waits: list[float] = []
    reads = 0

    async def task(unit: ConversationHistoryUnit, conversation: str, end: float) -> None:
        nonlocal reads
        done = acknowledged.setdefault(conversation, [])
        for index in count():
            exchange = texts.next(conversation)
            message = exchange._replace(user_input=f"{index} {exchange.user_input}").message()
            start = time.perf_counter()
            if start > end:
                return
            try:
                await unit.save_message(message)
                done.append(index)
                waits.append(time.perf_counter() - start)
                if index % 2:
                    found = await unit.get_conversation_history(conversation, limit=20)
                    reads += 1
                    assert found[-1].user_input.split(" ", 1)[0] == str(index), "the last save is not there"
                if index % 20 == 19:
                    await unit.search_conversations(exchange.user_input.split()[0], limit=5)
                    reads += 1
            except Exception as error:  # noqa: BLE001 - any is counted
                errors.append(repr(error))

    async with (
        PostgreSQLAdapter(url) as adapter,
        ConversationHistoryUnit(database_adapter=adapter, table_name="conversations") as unit,
    ):
        await asyncio.to_thread(wait_for_start)
        end = time.perf_counter() + seconds
        await asyncio.gather(
            *(task(unit, f"process {process} task {number}", end) for number in range(TASKS))
        )
    p95, longest = percentile(waits, 0.95), max(waits)
    return {"acknowledged": acknowledged, "reads": reads, "errors": errors, "p95": p95, "longest": longest}


def contend(options: Options, url: str) -> tuple[list[dict[str, Any]], float]:
    """Return what each process says, and how long the server took to be there again."""
    command = [sys.executable, "-m", "benchmarks.postgresql_processes", url]
    children = [
        subprocess.Popen(
            [*command, str(process), str(options.seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout
        child.stdout.readline()
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    time.sleep(options.seconds / 2)
    options.server.kill()
    time.sleep(DOWN_S)
    start = time.perf_counter()
    options.server.start()
    restarted = time.perf_counter() - start
    done = []
    for child in children:
        output, _ = child.communicate(timeout=options.seconds + 120)
        assert child.returncode == 0, f"a process ended with {child.returncode}"
        done.append(json.loads(output))
    return done, restarted


async def prepare(options: Options) -> str:
    url = await options.new_database("processes")
    async with PostgreSQLAdapter(url) as adapter:
        await adapter.conversations("conversations").open()
    return url


async def stored(options: Options) -> Counter[tuple[str, int]]:
    statement = "SELECT conversation_id, split_part(user_input, ' ', 1)::int FROM conversations"
    rows = await options.server.fetch(statement, database="processes")
    return Counter([(row[0], row[1]) for row in rows])


def run(options: Options) -> Section:
    section = Section("processes")
    url = run_async(prepare(options))
    done, restarted = contend(options, url)
    found = run_async(stored(options))
    acknowledged = [
        (conversation, index)
        for each in done
        for conversation, indexes in each["acknowledged"].items()
        for index in indexes
    ]
    lost = sum(found[each] == 0 for each in acknowledged)
    twice = sum(times > 1 for times in found.values())
    errors = [error for each in done for error in each["errors"]]
    table = section.table(
        f"{PROCESSES} processes, {TASKS} tasks each, save and read for {options.seconds} s",
        "",
        "",
        note=f"the server killed in the middle, started {DOWN_S:g} s after, there {restarted:.1f} s later",
    )
    table.add("saves acknowledged", f"{len(acknowledged):,}")
    table.add("of them not there", str(lost))
    table.add("there twice", str(twice))
    table.add("there though not acknowledged", str(len(found) - len(acknowledged) + lost))
    table.add("calls that failed", str(len(errors)))
    table.add("saves/s", rate(len(acknowledged) / options.seconds))
    table.add("reads/s", rate(sum(each["reads"] for each in done) / options.seconds))
    table.add("p95 of a save, ms", number(max(each["p95"] for each in done) * 1e3))
    table.add("longest save, the crash included, s", number(max(each["longest"] for each in done)))
    for error, times in Counter(errors).most_common(3):
        print(f"{times} x {error}")
    section.holds(
        f"{PROCESSES} processes x {TASKS} tasks, {options.seconds} s, one crash",
        "every acknowledged save there, none twice",
        f"{lost} of {len(acknowledged):,} lost, {twice} twice",
        bool(acknowledged) and not lost and not twice,
    )
    return section


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
