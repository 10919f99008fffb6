"""The steps of the conversation workflow, and what passes between them."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from core.step import Step, StepConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from library.infrastructure.data import (
        DataUnitFile,
        DataUnitMemory,
        DataUnitStream,
        DataUnitString,
        Subscription,
    )

BATCH = 256
"""How many exchanges a reader takes at a time, and how many may wait for it before the publisher does."""
CHECKPOINT_EVERY = 200
"""Exchanges between two checkpoints: so many have to be counted again after a crash, at most."""
RESPONSE_LENGTHS = (25, 50, 100, 200, 400, 800, 1600)
"""Upper bounds, in characters, of the classes in which responses are counted; one more takes the rest."""

_TERM = re.compile(r"(?P<han>[\u3400-\u9fff]+)|[^\W\d_\u3400-\u9fff]+(?:['\u2019][^\W\d_\u3400-\u9fff]+)*")


class InputError(Exception):
    """The input is not what the workflow can read."""


# -- what is read ------------------------------------------------------------------------------------------


class RecordedExchange(BaseModel):
    """One question with its answer, as it stands in a file."""

    user_input: str
    agent_response: str
    timestamp: AwareDatetime | None = None
    """When, where the original says so."""


class Conversation(BaseModel):
    """One line of a file: a conversation."""

    # Id and language stand in the log, which has one line an exchange: they must not break it.
    conversation_id: str = Field(min_length=1, pattern=r"^[^\r\n]*$")
    source: str = Field(min_length=1)
    language: str = Field(pattern=r"^[\w-]+$")
    exchanges: list[RecordedExchange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One message on the stream. It is immutable, so that all who read it may share it."""

    number: int
    """The place in the whole input, from 1 up: it tells a reader what it has done already."""
    source: str
    language: str
    conversation_id: str
    turn: int
    """The place in its conversation, from 1 up."""
    user_input: str
    agent_response: str
    timestamp: datetime | None = None
    """When, where the original says so."""

    @property
    def log_line(self) -> str:
        """What the log says of this exchange; the same in every run, so that two logs can be compared."""
        checksum = zlib.crc32(f"{self.user_input}\0{self.agent_response}".encode())
        lengths = f"{len(self.user_input):>5} {len(self.agent_response):>5}"
        return (
            f"{self.number:06d} {lengths} {checksum:08x} {self.language} {self.conversation_id}#{self.turn}\n"
        )


class ReadConversations(Step):
    """Reads all exchanges of a file, or of the files of a folder."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(StepConfig(name="read", description="Reads conversations from JSON Lines."))
        self.limit = limit

    async def process(self, inputs: Path) -> list[Exchange]:
        """Return the exchanges of a path."""
        # Files are read in a thread: a step must not hold up the event loop, which others share.
        return await asyncio.to_thread(self._read, inputs)

    def _read(self, path: Path) -> list[Exchange]:
        conversations = islice(read_conversations(path), self.limit)
        exchanges: list[Exchange] = []
        for conversation in conversations:
            for turn, exchange in enumerate(conversation.exchanges, 1):
                exchanges.append(
                    Exchange(
                        number=len(exchanges) + 1,
                        source=conversation.source,
                        language=conversation.language,
                        conversation_id=conversation.conversation_id,
                        turn=turn,
                        user_input=exchange.user_input,
                        agent_response=exchange.agent_response,
                        timestamp=exchange.timestamp,
                    )
                )
        if not exchanges:
            raise InputError(f"no conversations found in {path}")
        return exchanges


def read_conversations(path: Path) -> Iterator[Conversation]:
    """Read conversations in the order of file names and lines, so that every run numbers them alike.

    Raises:
        InputError: a line is not a conversation.

    """
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            for line_number, line in enumerate(lines, 1):
                try:
                    yield Conversation.model_validate_json(line)
                except ValidationError as error:
                    first = error.errors(include_url=False, include_input=False)[0]
                    place = ".".join(map(str, first["loc"]))
                    detail = f"{place}: {first['msg']}" if place else first["msg"]
                    raise InputError(f"{file}, line {line_number}: {detail}") from error


# -- what is published -------------------------------------------------------------------------------------


class PublishExchanges(Step):
    """Publishes exchanges on a stream, at a pace that a person can follow or as fast as readers allow."""

    def __init__(self, stream: DataUnitStream, pace: float) -> None:
        super().__init__(StepConfig(name="publish", description="Publishes each exchange on the stream."))
        self.stream = stream
        self.pace = pace
        """Exchanges a second; 0: no limit."""

    async def process(self, inputs: Sequence[Exchange]) -> None:
        """Publish the exchanges."""
        clock = asyncio.get_running_loop().time
        started = clock()
        for count, exchange in enumerate(inputs):
            if self.pace and (early := started + count / self.pace - clock()) > 0:
                await asyncio.sleep(early)
            # Waits while a reader with overflow="block" has no room: nothing is lost.
            await self.stream.publish(exchange)


# -- what is counted ---------------------------------------------------------------------------------------


class SourceTotals(BaseModel):
    """What was counted in the conversations of one source."""

    model_config = ConfigDict(frozen=True)

    languages: list[str] = []
    conversations: int = 0
    exchanges: int = 0
    user_words: int = 0
    agent_words: int = 0
    words: dict[str, int] = {}
    """How often each word occurs."""


class Totals(BaseModel):
    """What was counted in all exchanges up to number `exchanges`; a new object for each change."""

    model_config = ConfigDict(frozen=True)

    exchanges: int = 0
    last: str = ""
    """The log line of the last exchange that is counted, which tells what was counted."""
    response_lengths: list[int] = [0] * (len(RESPONSE_LENGTHS) + 1)
    """How many responses are of each class of `RESPONSE_LENGTHS`."""
    longest_conversation: str = ""
    longest_turns: int = 0
    sources: dict[str, SourceTotals] = {}

    def plus(self, exchanges: Sequence[Exchange], words_of: Mapping[str, Mapping[str, int]]) -> Totals:
        """Return the totals with these exchanges, which follow those that are counted."""
        lengths = self.response_lengths.copy()
        for exchange in exchanges:
            length = len(exchange.agent_response)
            lengths[sum(length > bound for bound in RESPONSE_LENGTHS)] += 1
        sources = self.sources.copy()
        for source, group in groupby(exchanges, key=lambda exchange: exchange.source):
            sources[source] = _count(sources.get(source, SourceTotals()), list(group), words_of)
        longest = max(exchanges, key=lambda exchange: exchange.turn)
        is_longer = longest.turn > self.longest_turns
        return Totals(
            exchanges=exchanges[-1].number,
            last=exchanges[-1].log_line,
            response_lengths=lengths,
            longest_conversation=longest.conversation_id if is_longer else self.longest_conversation,
            longest_turns=max(longest.turn, self.longest_turns),
            sources=sources,
        )


def _count(
    totals: SourceTotals, exchanges: Sequence[Exchange], words_of: Mapping[str, Mapping[str, int]]
) -> SourceTotals:
    words = Counter(totals.words)
    user_words = agent_words = 0
    for exchange in exchanges:
        for text in (exchange.user_input, exchange.agent_response):
            words.update(words_of[text])
        user_words += sum(words_of[exchange.user_input].values())
        agent_words += sum(words_of[exchange.agent_response].values())
    return SourceTotals(
        languages=sorted({*totals.languages, *(exchange.language for exchange in exchanges)}),
        conversations=totals.conversations + sum(exchange.turn == 1 for exchange in exchanges),
        exchanges=totals.exchanges + len(exchanges),
        user_words=totals.user_words + user_words,
        agent_words=totals.agent_words + agent_words,
        words=words,
    )


def count_words(text: str) -> dict[str, int]:
    """Count the words of a text; Chinese writes no spaces, so there each pair of characters is one."""
    return dict(Counter(_words(text.casefold())))


def _words(text: str) -> Iterator[str]:
    for match in _TERM.finditer(text):
        word = match[0]
        if match["han"] and len(word) > 1:
            yield from (word[place : place + 2] for place in range(len(word) - 1))
        else:
            yield word


class IndexExchanges(Step):
    """The fast reader: counts each exchange in a memory unit, and saves the totals to a file unit."""

    def __init__(self, totals: DataUnitMemory, checkpoint: DataUnitFile) -> None:
        super().__init__(StepConfig(name="index", description="Counts words and lengths."))
        self.totals = totals
        self.checkpoint = checkpoint

    async def process(self, inputs: Subscription) -> None:
        """Count what a subscription brings, until the stream ends."""
        counted = saved = (await self.totals.get()).exchanges
        async for batch in inputs.batches(BATCH):
            # After a crash the stream begins with what the slowest reader has not done yet. Each reader skips
            # what it has done itself: so each exchange is delivered at least once, and counted exactly once.
            new = [exchange for exchange in batch if exchange.number > counted]
            if not new:
                continue
            words_of = {text: await self._words_of(text) for text in texts_of(new)}
            # `update` is one step of reading and writing: whoever reads meanwhile sees all of it or nothing.
            totals = await self.totals.update(lambda former: former.plus(new, words_of))  # noqa: B023 - called at once
            counted = totals.exchanges
            if counted - saved >= CHECKPOINT_EVERY:
                await self._save()
                saved = counted
        await self._save()

    async def _words_of(self, text: str) -> dict[str, int]:
        # People and agents repeat themselves ("Yes, that's right"): the unit's keyed cache knows those texts.
        words: dict[str, int] = await self.totals.get_or_set(text, lambda: count_words(text))
        return words

    async def _save(self) -> None:
        # When `set` returns, the checkpoint is on the disk. A crash in between leaves the former one whole.
        await self.checkpoint.set((await self.totals.get()).model_dump())


def texts_of(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Give what was said, in order."""
    for exchange in exchanges:
        yield exchange.user_input
        yield exchange.agent_response


# -- what is logged ----------------------------------------------------------------------------------------


class WriteLog(Step):
    """The slow reader: appends a line for each exchange to a persistent string unit.

    Each write waits for the disk; so exchanges may gather for a moment, and share one.
    """

    def __init__(self, log: DataUnitString, gather_s: float) -> None:
        super().__init__(StepConfig(name="log", description="Writes one line for each exchange."))
        self.log = log
        self.gather_s = gather_s

    async def process(self, inputs: Subscription) -> None:
        """Log what a subscription brings, until the stream ends."""
        written = (await self.log.get("")).count("\n")
        async for batch in inputs.batches(BATCH):
            lines = [exchange.log_line for exchange in batch if exchange.number > written]
            if lines:
                # When `append` returns, the lines are on the disk.
                await self.log.append("".join(lines))
                written += len(lines)
            if inputs.lag < BATCH // 2:  # else the publisher might be waiting
                await asyncio.sleep(self.gather_s)


# -- what is shown -----------------------------------------------------------------------------------------


class ShowExchanges(Step):
    """The reader that is much too slow: shows each exchange for as long as a person needs to read it.

    Nobody should wait for it, and what it shows should be new: `overflow="drop_oldest"` is made for that.
    """

    def __init__(self, screen: DataUnitMemory, seconds: float) -> None:
        super().__init__(StepConfig(name="preview", description="Shows exchanges one by one."))
        self.screen = screen
        self.seconds = seconds

    async def process(self, inputs: Subscription) -> None:
        """Show some of what a subscription brings, until it is closed."""
        # Batches of one: `async for exchange in inputs` takes several ahead, and they would grow old.
        async for exchange, *_ in inputs.batches(1):
            await self.screen.set(exchange)
            await asyncio.sleep(self.seconds)


def totals_from(checkpoint: Any) -> Totals:
    """Return the totals of a checkpoint.

    Raises:
        ValueError: it does not hold any.

    """
    return Totals.model_validate(checkpoint, strict=True)
