"""The history under `kill -9`: whether every exchange that was acknowledged is there afterwards.

32 tasks save, and the process writes down the id of each save when it returned; it is killed at a random
moment. Another process opens the file, reads what the tasks of that round have saved, looks some of it up by
its text, and checks the database, the full-text index included. The file is the same for 20 kills; before it
is given up, all ids acknowledged for it are looked for once more. Killing a process does not cut the power.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
from benchmarks._harness import Section, in_child
from benchmarks.history_setup import open_unit
from benchmarks.history_texts import RealTexts

from library.infrastructure.data import ConversationQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from benchmarks.history_setup import Options

TASKS = 32
KILLS_A_FILE = 20
LOOKED_UP = 5
TEXTS = RealTexts()


def fork(work: Callable[[int], Coroutine[Any, Any, None]]) -> tuple[int, int]:
    """Run `work(descriptor)` in a child; return its process id and the other end of the pipe."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 1
    try:
        os.close(reader)
        asyncio.run(work(writer))
        status = 0
    except BaseException:  # noqa: BLE001 - a child that was forked ends here, whatever happened
        traceback.print_exc()
    finally:
        os._exit(status)


def conversation(kill: int, task: int) -> str:
    return f"kill {kill} task {task}"


def mark(kill: int, task: int, index: int) -> str:
    """Return a word that stands in one exchange only."""
    return f"mark{kill}x{task}x{index}"


async def save_on(path: str, kill: int, said: int) -> None:
    async with open_unit(path) as (unit, _):

        async def task(number: int) -> None:
            index = 0
            while True:
                exchange = TEXTS.next(conversation(kill, number))
                exchange = exchange._replace(user_input=f"{mark(kill, number, index)} {exchange.user_input}")
                message_id = await unit.save_message(exchange.message())
                os.write(said, b"%d %d %d\n" % (number, index, message_id))
                index += 1

        await asyncio.gather(*map(task, range(TASKS)))


async def look_at(path: str, kill: int, acknowledged: list[tuple[int, int, int]], said: int) -> None:
    """Say what is missing, and what is wrong with the file."""
    missing = unfound = torn = 0
    async with open_unit(path) as (unit, adapter):
        there: dict[tuple[int, int, int], bool] = {}
        for task in range(TASKS):
            saved = await unit.get_conversation_history(conversation(kill, task), limit=1_000_000)
            for each in saved:
                index = int(each.user_input.split()[0].rsplit("x", 1)[1])
                there[task, index, each.message_id or 0] = True
            torn += len(saved) != len({each.user_input for each in saved})
        missing = sum(each not in there for each in acknowledged)
        for task, index, message_id in random.Random(kill).sample(
            acknowledged, min(LOOKED_UP, len(acknowledged))
        ):
            results = await unit.search_conversations(
                mark(kill, task, index), limit=5, conversation_id=conversation(kill, task)
            )
            unfound += message_id not in {each.message_id for each in results}
        problems = [str(problem) for problem in await adapter.check()]
    answer = {"missing": missing, "unfound": unfound, "torn": torn, "problems": problems, "kept": len(there)}
    os.write(said, json.dumps(answer).encode())


async def look_at_all(path: str, acknowledged: set[int], said: int) -> None:
    ids: set[int] = set()
    async with open_unit(path) as (unit, _):
        async for each in unit.stream_conversations(ConversationQuery()):
            ids.add(each.message_id or 0)
    connection = apsw.Connection(path)
    whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    os.write(said, json.dumps({"missing": len(acknowledged - ids), "whole": whole}).encode())


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 65536):
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


def ask(work: Callable[[int], Coroutine[Any, Any, None]]) -> dict[str, Any]:
    child, said = fork(work)
    answer = read_all(said)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the child that looks at the file ended with {status}")
    found: dict[str, Any] = json.loads(answer)
    return found


def kill_writers(folder: str, kills: int) -> dict[str, Any]:
    """Kill writers; this process has no other threads and opens no database, since it forks."""
    randomly = random.Random(11)
    found: dict[str, Any] = dict.fromkeys(("acknowledged", "kept", "lost", "unfound", "torn", "damaged"), 0)
    found |= {"kills": 0, "problems": []}
    everything: set[int] = set()
    for kill in range(kills):
        path = str(Path(folder, f"{kill // KILLS_A_FILE}.db"))
        child, said = fork(lambda descriptor, path=path, kill=kill: save_on(path, kill, descriptor))  # type: ignore[misc]
        heard = os.read(said, 65536)
        time.sleep(randomly.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        heard += read_all(said)
        os.waitpid(child, 0)
        lines = heard.decode().splitlines()
        acknowledged = [(int(task), int(index), int(name)) for task, index, name in map(str.split, lines)]
        answer = ask(lambda descriptor: look_at(path, kill, acknowledged, descriptor))  # noqa: B023 - run at once
        found["kills"] += 1
        found["acknowledged"] += len(acknowledged)
        found["kept"] += answer["kept"]
        found["lost"] += answer["missing"]
        found["unfound"] += answer["unfound"]
        found["torn"] += answer["torn"]
        found["damaged"] += bool(answer["problems"])
        found["problems"] += answer["problems"][:3]
        everything |= {message_id for _, _, message_id in acknowledged}
        if kill + 1 == kills or (kill + 1) % KILLS_A_FILE == 0:
            answer = ask(lambda descriptor: look_at_all(path, everything, descriptor))  # noqa: B023 - as above
            found["lost"] += answer["missing"]
            found["damaged"] += not answer["whole"]
            everything = set()
            Path(path).unlink()
    return found


def run(options: Options) -> Section:
    section = Section("crash")
    if not hasattr(os, "fork"):
        return section
    with options.new_folder() as folder:
        found = in_child("history_crash", folder, options.kills, timeout_s=600)
    table = section.table(
        f"Crash: kill -9 while {TASKS} tasks save",
        "",
        "kills",
        "acknowledged",
        "kept",
        "acknowledged, lost",
        "not found by search",
        "saved twice",
        "damaged files",
        note="kept: acknowledged or not; five of each round looked up by search",
    )
    keys = ("kills", "acknowledged", "kept", "lost", "unfound", "torn", "damaged")
    table.add("ConversationHistoryUnit", *(f"{found[key]:,}" for key in keys))
    for problem in found["problems"][:3]:
        print(problem)
    what = f"{found['kills']} kills while {TASKS} tasks save"
    section.holds(what, "0 acknowledged lost", str(found["lost"]), found["lost"] == 0)
    section.holds(what, "0 not found by search", str(found["unfound"]), found["unfound"] == 0)
    section.holds(
        what, "0 damaged files, 0 saved twice", str(found["damaged"]), found["damaged"] + found["torn"] == 0
    )
    return section


if __name__ == "__main__":
    print(json.dumps(kill_writers(sys.argv[1], int(sys.argv[2]))))
