"""A conversation history: it saves real conversations in a database, searches them, and shows what it holds.

    read ──> publish ──> stream ──> save ──> history (SQLite) ──> search, chat, tree, visits, response times

The conversations reach the history as in `conversation_workflow.py`: steps read, publish and save them, and
data units carry them from one to the next. Run it again, and nothing is saved twice; kill it while it saves,
and the next run goes on behind the last transaction.

Then an agent answers from the history, by searching it. Those who visit it have sessions, which expire on a
clock that is advanced by hand. The sample does not say how long its agents took; how long this one takes is
measured, and that is what the response times show.

Run `python conversation_history.py --help` for the options.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from history_steps import AnswerFromHistory, Question, SaveExchanges, count_saved
from history_view import (
    MARKS,
    WIDEST,
    Run,
    print_chat,
    print_heading,
    print_histogram,
    print_metrics,
    print_next,
    print_results,
    print_tree,
    print_visits,
    say,
    snippet_length,
)
from session_steps import CONFIG, VISITORS, Visits, conversation_of
from workflow_steps import BATCH, InputError, PublishExchanges, ReadConversations
from workflow_view import PipedConsole

from library.infrastructure.data import (
    ConversationHistoryUnit,
    ConversationQuery,
    DataUnitConfig,
    DataUnitError,
    DataUnitStream,
)
from library.infrastructure.interfaces.database import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from workflow_steps import Exchange

SAMPLE = Path(__file__).parent / "sample"
SEARCHES = ('"cold brew" almond -oat', "how do I learn drawing?", "故宫 门票")
RESULTS = 2
CHAT = "taskmaster-4/dlg-97f4068d-1f22-4b38-9a80-4e333b7cab54"
CHAT_SHOWN = 2
KEPT_RUNS = 5
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Tour:
    """Shows one thing after the other of what a history can do."""

    def __init__(
        self, console: Console, history: ConversationHistoryUnit, answers: ConversationHistoryUnit
    ) -> None:
        self.console = console
        self.history = history
        self.answers = answers
        self.agent = AnswerFromHistory(history, answers)
        self.started = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"

    async def search(self, query: str, limit: int) -> None:
        """Print what a search finds."""
        started = time.perf_counter()
        # A snippet is the part that fits best; what was found stands between the two marks.
        results = await self.history.search_conversations(
            query, limit, highlight=MARKS, snippet_characters=snippet_length(self.console)
        )
        print_results(self.console, query, results, (time.perf_counter() - started) * 1000)

    async def show(self, message_id: int) -> None:
        """Print the conversation of an exchange, which stands out."""
        message = await self.history.get_message(message_id)
        messages = await self.history.get_conversation_history(message.conversation_id, limit=None)
        print_heading(self.console, message.conversation_id)
        print_chat(self.console, messages, found=message_id if len(messages) > 1 else None)

    async def searches(self) -> None:
        """Search for words, phrases and whole questions, in English and Chinese."""
        # Saving does not wait for the index: the first search after it brings it up to date.
        await self.history.search_conversations("index")
        print_heading(self.console, "Search", 'words, a "phrase", -without, any language')
        for query in SEARCHES:
            await self.search(query, RESULTS)

    async def branches(self) -> None:
        """Have the customer of the chat order again, from the agent that searches, and change their mind."""
        first, second, third, *_ = await self.history.get_conversation_history(CHAT)
        order = f"order {self.started}"

        async def ask(text: str, parent: int | None = None, attempt: int = 1) -> int:
            answer = await self.agent.execute(Question(order, text, parent, attempt))
            return int(answer.message_id)

        root = await ask(first.user_input)
        offer = await ask(second.user_input, root)
        other = await ask(second.user_input, root, attempt=2)
        await ask(third.user_input, offer)
        leaf = await ask("Can I have it with almond milk?", other)
        await ask("Then I would like a latte.", root)

        print_heading(self.console, "Branches", "parent_id says what an exchange follows")
        print_tree(self.console, order, await self.answers.get_conversation_history(order))
        thread = await self.answers.get_thread(leaf)
        prompt = await self.answers.get_context(order, at=leaf, max_characters=2000)
        path = " → ".join(f"#{each.message_id}" for each in thread)
        say(self.console, f"  the thread of #{leaf} is {path}: {len(prompt)} messages for a prompt", "dim")

    async def visits(self) -> None:
        """Have a chat service visited: sessions are made, used, expire, and are cleaned up."""
        visits = Visits(self.agent, self.started)
        await visits.happen()
        minutes = CONFIG.session_timeout.total_seconds() / 60
        explanation = f"they expire after {minutes:g} idle minutes, by a clock that is advanced by hand"
        print_heading(self.console, "Sessions", explanation)
        print_visits(self.console, visits.rows, visits.saved)
        told = " and ".join(sorted(visits.farewells))
        left = " and ".join(
            f"{each.user_id}, who asked {each.metadata['questions']} times" for each in visits.left
        )
        say(self.console, f"  on_expired was called for {told}; left is the session of {left}", "dim")

    async def response_times(self) -> None:
        """Ask again what began each conversation, and show how long the answers took."""
        run = f"run {self.started}"
        summaries = await self.history.list_conversations(limit=None)
        for summary in summaries:
            await self.agent.execute(Question(run, summary.first_user_input))
        explanation = f"{len(summaries)} answers from the history, measured in this run"
        print_heading(self.console, "Response times", explanation)
        asked = ConversationQuery().conversation_id(run)
        times = [each.response_time_ms async for each in self.answers.stream_conversations(asked)]
        print_histogram(self.console, times)

        conversations = await self.answers.list_conversations(limit=None)
        runs = [each.conversation_id for each in conversations if each.conversation_id.startswith("run ")]
        for old in runs[KEPT_RUNS:]:
            run = old.removeprefix("run ")
            visits = [conversation_of(name, run) for name in VISITORS]
            for each in (old, f"order {run}", *visits):
                await self.answers.delete_conversation(each)
        kept = [Run(name, await self.answers.get_performance_metrics(name)) for name in runs[:KEPT_RUNS]]
        print_metrics(self.console, kept)

    async def whole(self) -> None:
        """Show everything."""
        await self.searches()
        print_heading(self.console, "A conversation", CHAT)
        messages = await self.history.get_conversation_history(CHAT)
        print_chat(self.console, messages[:CHAT_SHOWN])
        say(self.console, f"  … and {len(messages) - CHAT_SHOWN} more", "dim")
        await self.branches()
        await self.visits()
        await self.response_times()


async def fill(history: ConversationHistoryUnit, place: Path, exchanges: Sequence[Exchange]) -> str:
    """Save the exchanges that are not saved yet; return what was done, in words."""
    saved = await count_saved(history, exchanges)
    total = f"{len({each.conversation_id for each in exchanges})} conversations, {len(exchanges):,} exchanges"
    if saved == len(exchanges):
        at = (await history.entry()).updated_at.astimezone()
        return f"{place} holds all {total}.\nSaved {at:%Y-%m-%d %H:%M:%S}: nothing is saved again."
    save = SaveExchanges(history)
    started = time.perf_counter()
    stream = DataUnitStream(DataUnitConfig(data_type="stream", cache_size=BATCH, isolation="share"))
    async with stream, asyncio.TaskGroup() as tasks:
        saving = await stream.subscribe(overflow="block")
        tasks.create_task(save.execute(saving))
        await PublishExchanges(stream, pace=0).execute(exchanges[saved:])
        await stream.shutdown()  # the end of the stream: the reader finishes what it has not read
    took_s = time.perf_counter() - started
    earlier = f", behind {saved:,} of an earlier run" if saved else ""
    return (
        f"{total}: saved {len(exchanges) - saved:,} in {place}{earlier}\n"
        f"in {save.transactions} transactions and {took_s:.2f} s; each is on the disk when it returns."
    )


async def work(options: argparse.Namespace, console: Console, status: Console) -> None:
    """Fill the history if need be, and show what was asked for."""
    exchanges: list[Exchange] = await ReadConversations().execute(SAMPLE)
    adapter = SQLiteAdapter(options.database)
    # Both tables are in one database, which opens with the first unit and closes with the last.
    history = ConversationHistoryUnit(adapter)
    answers = ConversationHistoryUnit(adapter, table_name="answers")
    async with history, answers:
        if options.fresh:
            await count_saved(history, exchanges)  # refuses to erase what the example has not saved
            await history.clear()
            await answers.clear()
        say(status, await fill(history, shown_path(options.database), exchanges))
        tour = Tour(console, history, answers)
        if options.search is not None:
            await tour.search(options.search, options.limit)
        elif options.show is not None:
            await tour.show(options.show)
        else:
            await tour.whole()
            print_heading(console, "Try next")
            print_next(console, suggestions(await first_id(history)))


async def first_id(history: ConversationHistoryUnit) -> int:
    """Return an exchange that is worth a look."""
    found = await history.search_conversations("simulators", limit=1)
    return found[0].message_id or 1 if found else 1


def suggestions(message_id: int) -> list[tuple[str, str]]:
    """Return what to try next."""
    return [
        ("make history ARGS='--search \"latte OR mocha\"'", "search for what you like"),
        (f"make history ARGS='--show {message_id}'", "read the conversation of an exchange"),
        ("make history", "once more: nothing is saved twice"),
        ("make history ARGS=--fresh", "start again with an empty database"),
        ("make workflow", "the same conversations as a live workflow"),
        (".venv/bin/python examples/library/data/chat_service.py", "a chat service in one file"),
        ("less docs/sessions.md docs/conversations.md", "how to do all this in a program of yours"),
    ]


def shown_path(path: Path) -> Path:
    """Return the path relative to the working directory, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; wrong options end the program."""
    parser = argparse.ArgumentParser(description="Save, search and show real conversations.")
    parser.add_argument(
        "--database",
        type=Path,
        default=Path(".nanobrain-data/conversations.db"),
        help="the SQLite file (default: %(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="empty the database, and start again")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--search", metavar="WORDS", help="only search for this")
    only.add_argument("--show", metavar="ID", type=number, help="only show the conversation of an exchange")
    parser.add_argument(
        "--limit", metavar="N", type=number, default=10, help="how many results (default: 10)"
    )
    return parser.parse_args(arguments)


def number(text: str) -> int:
    """Read a whole number; that of an exchange may have the # that it is shown with."""
    digits = text.removeprefix("#")
    if not (digits.isdecimal() and digits.isascii() and 0 < int(digits) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(digits)


def main() -> int:
    """Run the program; return its exit code."""
    options = parse()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    console = PipedConsole()
    console.width = min(console.width, WIDEST)
    # Whoever asks for one thing may pipe it on: then what was done to the database is no part of it.
    is_part = options.search is not None or options.show is not None
    status = PipedConsole(stderr=True) if is_part else console
    code = 0
    try:
        options.database.parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(work(options, console, status))
    except* KeyboardInterrupt:
        print("Stopped. What was saved is kept: run the same command again to go on.", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except* BrokenPipeError:  # whoever read the output has seen enough, as `| head` has
        code = EXIT_FAILED
    except* (DataUnitError, InputError, OSError) as failed:
        first: BaseException = failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"error: {first}", file=sys.stderr)
        code = EXIT_FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
