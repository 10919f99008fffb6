"""Eight processes with eight tasks each save into one file at once.

They open the new file at the same time, wait for each other, and save. Afterwards the file is read through:
each save has to be there, once. The floor does the same with a stdlib `sqlite3` connection a process and one
transaction a save, in one thread each.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._harness import ROOT, Section, number, rate, run_async, times
from benchmarks.history_floors import open_stdlib, save_with_stdlib
from benchmarks.history_setup import OURS, open_unit
from benchmarks.history_texts import RealTexts

from library.infrastructure.data import ConversationQuery

if TYPE_CHECKING:
    from benchmarks.history_setup import Options
    from benchmarks.history_texts import Exchange

PROCESSES, TASKS = 8, 8


def exchanges_of(process: int, saves: int) -> list[list[Exchange]]:
    """Return what each task saves; a conversation of its own, numbered."""
    texts = RealTexts(process)
    work = []
    for task in range(TASKS):
        taken = texts.take(saves, f"process {process} task {task}")
        work.append(
            [each._replace(user_input=f"{index} {each.user_input}") for index, each in enumerate(taken)]
        )
    return work


def wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def save_ours(path: str, process: int, saves: int) -> dict[str, Any]:
    work = [[each.message() for each in task] for task in exchanges_of(process, saves)]
    errors: list[str] = []
    async with open_unit(path) as (unit, _):
        wait_for_start()
        start = time.time()

        async def task(messages: list[Any]) -> None:
            for message in messages:
                try:
                    await unit.save_message(message)
                except Exception as error:  # noqa: BLE001 - any is counted
                    errors.append(repr(error))

        await asyncio.gather(*map(task, work))
        end = time.time()
    return {"start": start, "end": end, "errors": errors}


def save_floor(path: str, process: int, saves: int) -> dict[str, Any]:
    work = exchanges_of(process, saves)
    errors = []
    connection = open_stdlib(path)
    wait_for_start()
    start = time.time()
    for task in work:
        for exchange in task:
            try:
                save_with_stdlib(connection, exchange)
            except Exception as error:  # noqa: BLE001 - as above
                errors.append(repr(error))
    end = time.time()
    connection.close()
    return {"start": start, "end": end, "errors": errors}


def contend(kind: str, path: str, saves: int) -> tuple[float, list[str]]:
    """Return seconds from the first start to the last end, and the errors."""
    command = [sys.executable, "-m", "benchmarks.history_processes", kind, path]
    children = [
        subprocess.Popen(
            [*command, str(process), str(saves)],
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
    done = []
    errors = []
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        output, _ = child.communicate(timeout=120)
        if child.returncode:
            errors.append(f"exit {child.returncode}")
        else:
            done.append(json.loads(output))
            errors += done[-1]["errors"]
    spent = max((each["end"] for each in done), default=0.0) - min(
        (each["start"] for each in done), default=0.0
    )
    return spent, errors


async def saved_by_ours(path: str) -> list[tuple[str, str]]:
    async with open_unit(path) as (unit, _):
        return [
            (each.conversation_id, each.user_input)
            async for each in unit.stream_conversations(ConversationQuery())
        ]


def run(options: Options) -> Section:
    section = Section("processes")
    saves = 5 if options.quick else 50
    expected = sorted(
        (each.conversation_id, each.user_input)
        for process in range(PROCESSES)
        for task in exchanges_of(process, saves)
        for each in task
    )
    with options.new_folder() as folder:
        path, floor_path = str(Path(folder, "ours.db")), str(Path(folder, "floor.db"))
        spent, errors = contend("ours", path, saves)
        found = sorted(run_async(saved_by_ours(path)))
        floor_spent, floor_errors = contend("floor", floor_path, saves)
    table = section.table(
        f"{PROCESSES} processes save into one new file, {TASKS} tasks each",
        "",
        "saves",
        "there",
        "errors",
        "seconds",
        "saves/s",
        "x",
        note="opened at the same time; WAL, synchronous=FULL",
    )
    total = len(expected)
    there = total if found == expected else len(set(found) & set(expected))
    table.add(
        OURS,
        f"{total:,}",
        f"{there:,}",
        str(len(errors)),
        number(spent),
        rate(there / spent),
        times(floor_spent / spent),
    )
    table.add(
        "floor: sqlite3, a transaction a save",
        f"{total:,}",
        "",
        str(len(floor_errors)),
        number(floor_spent),
        rate(total / floor_spent),
        "1.00x",
    )
    for error in errors[:3]:
        print(error)
    what = f"{PROCESSES} processes, {TASKS} tasks each"
    promised = f"{total:,} of {total:,} there once, 0 errors"
    section.holds(what, promised, f"{there:,}, {len(errors)} errors", found == expected and not errors)
    return section


if __name__ == "__main__":
    process, saves = int(sys.argv[3]), int(sys.argv[4])
    if sys.argv[1] == "ours":
        outcome = asyncio.run(save_ours(sys.argv[2], process, saves))
    else:
        outcome = save_floor(sys.argv[2], process, saves)
    print(json.dumps(outcome))
