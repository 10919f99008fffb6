"""A workflow on data units: it reads conversations, and counts, logs and shows them at the same time.

    read ──> publish ──> stream ──┬──> index    fast: counts in a memory unit, checkpoints to a file unit
                                  ├──> log      slow: appends to a persistent string unit
                                  └──> preview  much too slow: misses most, and that is all right

Kill it whenever you like, with `kill -9` if you like, and run it again: it goes on where it was, and ends
with the same totals and the same log as if nothing had happened. What makes that work:

- The index and the log each keep on disk how far they are: the checkpoint holds the totals and the number of
  exchanges in them, in one `set`; the log holds a line for each exchange.
- A run publishes what follows the one that is further behind, and each reader skips what it has done already.
  It makes no difference which of the two is ahead, or whether a damaged checkpoint gave way to an older one.

Run `python conversation_workflow.py --help` for the options.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_steps import (
    BATCH,
    IndexExchanges,
    InputError,
    PublishExchanges,
    ReadConversations,
    ShowExchanges,
    Totals,
    WriteLog,
    totals_from,
)
from workflow_view import Display, PipedConsole, Progress, Reader, make_display, print_summary

from library.infrastructure.data import (
    CorruptDataError,
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from workflow_steps import Exchange

logger = logging.getLogger("conversation_workflow")

SAMPLE = Path(__file__).parent / "sample"
PACE_ON_TERMINAL = 250.0
GATHER_S = 0.2
PREVIEW_S = 0.3
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Workflow:
    """The units and steps of the workflow, and how it resumes."""

    def __init__(self, directory: Path, *, pace: float) -> None:
        """Prepare the units; files are touched when they are opened."""
        # Totals are never changed, only replaced: so they can be shared instead of copied.
        self.totals = DataUnitMemory(
            DataUnitConfig(data_type="memory", name="totals", isolation="share", initial_value=Totals())
        )
        self.checkpoint = DataUnitFile(directory / "checkpoint.json")
        self.log = DataUnitString(
            config=DataUnitConfig(
                data_type="string",
                persistent=True,
                file_path=str(directory / "exchanges.log"),
                lock_timeout_s=1.0,  # who else has it open is another run, and will not be done soon
            )
        )
        self.stream = DataUnitStream(
            DataUnitConfig(data_type="stream", name="exchanges", cache_size=BATCH, isolation="share")
        )
        self.screen = DataUnitMemory(DataUnitConfig(data_type="memory", name="screen"))
        self.publish = PublishExchanges(self.stream, pace)
        self.index = IndexExchanges(self.totals, self.checkpoint)
        # Without a pace nobody looks on: previews may be short, and enough gathers while the disk works.
        self.write = WriteLog(self.log, gather_s=GATHER_S if pace else 0.0)
        self.preview = ShowExchanges(self.screen, seconds=PREVIEW_S if pace else PREVIEW_S / 10)
        self.readers: list[Reader] = []

    async def open(self, opened: contextlib.AsyncExitStack) -> None:
        """Open all units; `opened` shuts them down again."""
        # The log first: its lock keeps a second run out, before that one touches anything.
        await opened.enter_async_context(self.log)
        try:
            await opened.enter_async_context(self.checkpoint)
        except CorruptDataError as error:
            # The unit brings back a backup if it has a good one; here it has none.
            logger.warning(
                "no checkpoint is readable, so everything is counted again; kept as %s.bad", error.path
            )
            await asyncio.to_thread(os.replace, error.path, f"{error.path}.bad")
            await opened.enter_async_context(self.checkpoint)
        for unit in (self.totals, self.stream, self.screen):
            await opened.enter_async_context(unit)

    async def clear(self) -> None:
        """Forget what former runs did."""
        await self.checkpoint.clear()
        await self.log.clear()

    async def restore(self, exchanges: Sequence[Exchange]) -> int:
        """Take up what former runs did; return how many exchanges need not be published any more.

        Raises:
            InputError: they had other input.

        """
        totals = Totals()
        if await self.checkpoint.exists():
            try:
                totals = totals_from(await self.checkpoint.get())
            except ValueError:
                logger.warning(
                    "%s holds no totals, so everything is counted again", self.checkpoint.file_path
                )
        await self.totals.set(totals)

        text: str = await self.log.get("")
        if not text.endswith("\n") and text:  # a power failure may have left a part of a line
            text = text[: text.rfind("\n") + 1]
            await self.log.set(text)
        logged = text.count("\n")

        is_same = text == "".join(exchange.log_line for exchange in exchanges[:logged])
        if totals.exchanges:
            last = exchanges[: totals.exchanges][-1]
            is_same = is_same and (last.number, last.log_line) == (totals.exchanges, totals.last)
        if not is_same:
            raise InputError(
                f"{self.log.name} belongs to other input, or to more of it: "
                "choose another --directory, or start again with --fresh"
            )
        return min(totals.exchanges, logged)

    async def run(self, exchanges: Sequence[Exchange], done: int, display: Display) -> None:
        """Publish the exchanges after the first `done` ones, and have all readers work on them."""
        # All subscribe before anything is published, so that nobody misses the beginning.
        # With overflow="block" publishing waits for a reader; with "drop_oldest" it never does.
        index = await self.stream.subscribe(overflow="block")
        log = await self.stream.subscribe(overflow="block")
        preview = await self.stream.subscribe(overflow="drop_oldest", queue_size=8)
        self.readers = [
            Reader("index", "counts at once", "publishing waits", index),
            Reader("log", "waits for the disk", "publishing waits", log),
            Reader("preview", "gives time to read", "oldest are dropped", preview),
        ]
        with display:
            # If one of them fails, the others are cancelled, and the error comes out of the group.
            async with asyncio.TaskGroup() as tasks:
                showing = tasks.create_task(self._show_progress(len(exchanges), display))
                previewing = tasks.create_task(self.preview.execute(preview))
                exact = [
                    tasks.create_task(self.index.execute(index)),
                    tasks.create_task(self.write.execute(log)),
                ]
                await self.publish.execute(exchanges[done:])
                # The end of the stream: readers finish what they have not read, then their loops end.
                await self.stream.shutdown()
                await asyncio.wait(exact)
                # These two need not come to an end of their own.
                previewing.cancel()
                showing.cancel()
            display.show(await self._progress(len(exchanges)))

    async def _show_progress(self, total: int, display: Display) -> None:
        while True:
            display.show(await self._progress(total))
            await asyncio.sleep(0.1)

    async def _progress(self, total: int) -> Progress:
        totals: Totals = await self.totals.get()
        return Progress(totals.exchanges, total, self.readers, await self.screen.get())


async def work(options: argparse.Namespace, console: Console) -> None:
    """Run the workflow from where it is to its end, and print the summary."""
    exchanges: list[Exchange] = await ReadConversations(options.limit).execute(options.input)
    pace = options.pace if options.pace is not None else PACE_ON_TERMINAL * console.is_terminal
    workflow = Workflow(options.directory, pace=pace)
    async with contextlib.AsyncExitStack() as opened:
        await workflow.open(opened)
        if options.fresh:
            await workflow.clear()
        done = await workflow.restore(exchanges)
        total = f"{len(exchanges):,} exchanges from {shown_path(options.input)}"
        if done == len(exchanges):
            at = (await workflow.checkpoint.entry()).updated_at.astimezone()
            say(console, f"Complete since {at:%Y-%m-%d %H:%M:%S}: {total}. Start again with --fresh.")
        else:
            say(console, f"Resuming after {done:,} of {total}." if done else f"Reading {total}.")
            await workflow.run(exchanges, done, make_display(console))
            say(console, f"Complete: {total}.")
        files = [
            (
                shown_path(Path(workflow.checkpoint.file_path)),
                "the totals; earlier versions beside it, hidden",
            ),
            (shown_path(Path(workflow.log.name)), "a line for each exchange"),
        ]
        cache = await workflow.totals.cache_info()
        print_summary(console, await workflow.totals.get(), workflow.readers, cache, files)


def say(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def shown_path(path: Path) -> Path:
    """Return the path relative to the working directory, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong options end the program."""
    parser = argparse.ArgumentParser(
        description="Count, log and show conversations with data units. An interrupted run can go on."
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(".nanobrain-data/conversation-workflow"),
        help="where checkpoint and log are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--input",
        type=Path,
        default=SAMPLE,
        help="a file of JSON Lines, or a folder of them (default: the sample)",
    )
    parser.add_argument("--limit", type=whole_number, help="take only so many conversations")
    parser.add_argument(
        "--pace",
        type=rate,
        help=f"exchanges a second; 0: no limit (default: {PACE_ON_TERMINAL:g} on a terminal, else 0)",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what former runs did, and start again")
    options = parser.parse_args(arguments)
    if not options.input.exists():
        parser.error(f"--input {options.input} does not exist")
    return options


def whole_number(text: str) -> int:
    """Read a number of conversations."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def rate(text: str) -> float:
    """Read a number of exchanges a second."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")


def main() -> int:
    """Run the program; return its exit code."""
    options = parse()
    console = PipedConsole()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    code = 0
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(work(options, console))
    except* KeyboardInterrupt:
        print("Stopped. What was done is kept: run the same command again to go on.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except* (DataUnitError, InputError, OSError) as failed:
        first: BaseException = failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"error: {first}", file=sys.stderr)
        code = EXIT_FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
