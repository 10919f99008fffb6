"""Creating and updating sessions on disk: one task in sequence, and 64 tasks at once.

The floor is stdlib `sqlite3` with one connection and one transaction an operation. Beside one task of ours it
runs in the task itself; beside 64, in a thread, as a plain sequence of as many operations in all: nothing is
handed over, and nobody waits for a lock. Of 64 tasks each updates a session of its own; one task updates as
many by turns. Each contender has one file through all rounds.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Samples, Section, in_turns, rate, run_async, times
from benchmarks.history_save import TASKS, time_tasks
from benchmarks.session_floors import OnDisk
from benchmarks.session_peers import ADK_DATABASE, ADK_WAL, JOURNALS, open_adk_database
from benchmarks.session_setup import OURS, Contender, open_manager, ours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.session_setup import Options

OPERATIONS = ("create", "update")
FLOOR_NAME = "floor: sqlite3, a transaction each"
ADK_SHARE = 10
"""Of ADK so many times fewer operations are timed."""


class Contest:
    """The contenders, each with sessions that are there to be updated."""

    def __init__(self, folder: str, in_sequence: int, at_once: int) -> None:
        self.folder = folder
        self.in_sequence = in_sequence
        self.at_once = at_once
        self.stack = AsyncExitStack()
        self.contenders: dict[str, Contender] = {}
        self.sessions: dict[str, list[Any]] = {}
        self.errors: dict[str, list[Exception]] = {}

    async def open(self) -> None:
        self.floor = OnDisk(self.path("floor"))
        self.stack.callback(self.floor.close)
        self.floor_sessions = [self.floor.create(f"user {task}") for task in range(TASKS)]
        manager = await self.stack.enter_async_context(open_manager(self.path("ours")))
        self.contenders[OURS] = ours(manager)
        for name, journal in JOURNALS.items():
            opened = open_adk_database(self.path(name), journal)
            self.contenders[name] = await self.stack.enter_async_context(opened)
        for name, each in self.contenders.items():
            self.sessions[name] = [await each.create(f"user {task}") for task in range(TASKS)]

    def path(self, name: str) -> str:
        return str(Path(self.folder, f"{name}.db"))

    def floor_rate(self, operation: str, count: int) -> float:
        start = perf_counter()
        if operation == "create":
            for index in range(count):
                self.floor.create(f"user {index % TASKS}")
        else:
            for index in range(count):
                self.floor.update(self.floor_sessions[index % TASKS], index)
        return count / (perf_counter() - start)

    def one_task(self, operation: str) -> Mapping[str, Callable[[], Awaitable[float]]]:
        async def floor() -> float:
            return self.floor_rate(operation, self.in_sequence)

        async def one(name: str, count: int) -> float:
            contender, sessions = self.contenders[name], self.sessions[name]
            start = perf_counter()
            if operation == "create":
                for index in range(count):
                    await contender.create(f"user {index % TASKS}")
            else:
                for index in range(count):
                    await contender.update(sessions[index % TASKS], index)
            return count / (perf_counter() - start)

        return {FLOOR: floor} | {
            name: partial(one, name, self.in_sequence // (1 if name == OURS else ADK_SHARE))
            for name in self.contenders
        }

    def all_tasks(self, operation: str) -> Mapping[str, Callable[[], Awaitable[float]]]:
        async def floor() -> float:
            return await asyncio.to_thread(self.floor_rate, operation, TASKS * self.at_once)

        async def many(name: str, count: int) -> float:
            contender, sessions = self.contenders[name], self.sessions[name]
            errors = self.errors.setdefault(f"{operation} {name}", [])

            def call(task: int, number: int) -> Awaitable[Any]:
                if operation == "create":
                    return contender.create(f"user {task}")
                return contender.update(sessions[task], number)

            return await time_tasks(call, [range(count)] * TASKS, errors)

        return {FLOOR: floor} | {
            name: partial(many, name, max(1, self.at_once // (1 if name == OURS else 5 * ADK_SHARE)))
            for name in self.contenders
        }


def add_table(section: Section, title: str, samples: dict[str, Samples], errors: dict[str, int]) -> None:
    columns = [column for what in OPERATIONS for column in (f"{what}/s", "x")]
    table = section.table(title, "", *columns, "errors", note="synchronous=FULL")
    for name in (OURS, FLOOR, ADK_DATABASE, ADK_WAL):
        cells = [
            cell for each in samples.values() for cell in (rate(each.median(name)), times(each.ratio(name)))
        ]
        failed = str(errors.get(name, 0) or "")
        table.add(FLOOR_NAME if name == FLOOR else name, *cells, failed)


async def measure(section: Section, options: Options, folder: str) -> None:
    contest = Contest(folder, 50 if options.quick else 200, 5 if options.quick else 50)
    rounds = 3 if options.quick else 9
    async with contest.stack:
        await contest.open()
        one = {what: await in_turns(contest.one_task(what), rounds, sync=True) for what in OPERATIONS}
        many = {what: await in_turns(contest.all_tasks(what), rounds, sync=True) for what in OPERATIONS}
    errors = {
        name: sum(len(contest.errors.get(f"{what} {name}", ())) for what in OPERATIONS)
        for name in contest.contenders
    }
    add_table(section, "One task creates and updates sessions in sequence", one, {})
    add_table(section, f"{TASKS} tasks create and update sessions at once", many, errors)
    for tasks, bar, samples in (("one task", 0.7, one), (f"{TASKS} tasks", 4, many)):
        for what in OPERATIONS:
            section.at_least(f"{what}, {tasks}", bar, samples[what].ratio(OURS), "raw sqlite3 FULL")
        for what in OPERATIONS:
            section.at_least(f"{what}, {tasks}", 20, samples[what].ratio(OURS, ADK_DATABASE), ADK_DATABASE)


def run(options: Options) -> Section:
    section = Section("save")
    with options.new_folder() as folder:
        run_async(measure(section, options, folder))
    return section
