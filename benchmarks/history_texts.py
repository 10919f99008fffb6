"""Exchanges to save and words to look for, about 600 bytes each, the same in each run.

Saves are measured with real English texts: runs of 20 words of what people asked, and of what they were
answered, out of the samples beside the examples. Searches are measured with made-up texts of 120 words whose
frequencies fall as those of a language do (Zipf's law with Mandelbrot's offset, 100,000 words), since only
there is it known beforehand how many exchanges hold a word. Every other of the frequent words is a real one,
the others were never heard before: no list of stop words knows them.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import TYPE_CHECKING, NamedTuple

from benchmarks._harness import ROOT

from library.infrastructure.data import ConversationMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = ROOT / "examples/library/data/sample"
START = datetime(2025, 1, 1, tzinfo=UTC)
BATCH = 10_000
LONG = 1000
"""Exchanges of a long conversation."""
USER_WORDS, AGENT_WORDS = 20, 100


class Exchange(NamedTuple):
    """An exchange as the floors and the peers save it; the time in microseconds since 1970."""

    conversation_id: str
    user_input: str
    agent_response: str
    timestamp: int
    response_time_ms: float

    def message(self) -> ConversationMessage:
        return ConversationMessage(
            conversation_id=self.conversation_id,
            user_input=self.user_input,
            agent_response=self.agent_response,
            timestamp=datetime.fromtimestamp(self.timestamp / 1e6, UTC),
            response_time_ms=self.response_time_ms,
        )


def timestamp_of(index: int) -> int:
    return int((START + timedelta(seconds=index)).timestamp() * 1e6)


class RealTexts:
    """Exchanges out of the words of real ones, without end."""

    def __init__(self, seed: int = 5) -> None:
        self.random = random.Random(seed)
        asked: list[str] = []
        answered: list[str] = []
        for path in sorted(SAMPLES.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                conversation = json.loads(line)
                if conversation["language"] != "en":
                    continue
                for exchange in conversation["exchanges"]:
                    asked += exchange["user_input"].split()
                    answered += exchange["agent_response"].split()
        self.asked, self.answered = asked, answered
        self.count = 0

    def words(self, source: list[str], number: int) -> str:
        start = self.random.randrange(len(source) - number)
        return " ".join(source[start : start + number])

    def next(self, conversation_id: str) -> Exchange:
        self.count += 1
        return Exchange(
            conversation_id,
            self.words(self.asked, USER_WORDS),
            self.words(self.answered, 85),
            timestamp_of(self.count),
            self.random.uniform(50, 3000),
        )

    def take(self, number: int, conversation_id: str) -> list[Exchange]:
        return [self.next(conversation_id) for _ in range(number)]


class Vocabulary:
    """Words, the most frequent first, and in how many of the exchanges each is expected."""

    SIZE = 100_000
    SLOTS = 4_000_000

    def __init__(self) -> None:
        texts = RealTexts()
        real = [word.lower() for word in texts.answered if word.isascii() and word.isalpha()]
        known = [word for word, _ in Counter(real).most_common(2000)]
        self.words = self._mixed(known, set(real))
        weights = [1 / (rank + 2.7) ** 1.07 for rank in range(1, self.SIZE + 1)]
        total = sum(weights)
        self.shares = [weight / total for weight in weights]
        # Drawing from a list in which a word stands as often as it is due takes a fourth of the time of a
        # weighted choice.
        ends = [round(each * self.SLOTS / total) for each in accumulate(weights)]
        self.slots: list[str] = []
        for word, start, end in zip(self.words, [0, *ends[:-1]], ends, strict=True):
            self.slots += [word] * (end - start)

    def _mixed(self, known: list[str], taken: set[str]) -> list[str]:
        chosen = random.Random(17)
        words: list[str] = []
        known_words = iter(known)
        while len(words) < self.SIZE:
            if len(words) % 2 == 0 and (word := next(known_words, None)):
                words.append(word)
                continue
            syllables = 2 if len(words) < 400 else 3 if len(words) < 10_000 else 4
            made = "".join(chosen.choice("bdfgklmnprtvz") + chosen.choice("aou") for _ in range(syllables))
            if made not in taken:
                taken.add(made)
                words.append(made)
        return words

    def expected_share(self, rank: int) -> float:
        """Return the share of the exchanges that are expected to hold a word."""
        return 1 - (1 - self.shares[rank]) ** (USER_WORDS + AGENT_WORDS)

    def between(self, least: float, most: float, number: int, *, made_up: bool = True) -> list[str]:
        """Return words that a share of the exchanges between `least` and `most` holds, spread evenly."""
        ranks = [
            rank
            for rank in range(self.SIZE)
            if least <= self.expected_share(rank) <= most and not (made_up and rank < 4000 and rank % 2 == 0)
        ]
        step = max(1, len(ranks) // number)
        return [self.words[rank] for rank in ranks[::step][:number]]


class ZipfTexts:
    """The exchanges of a large database: 1000 in each of up to 20 conversations, the others in short ones."""

    def __init__(self, vocabulary: Vocabulary, rows: int) -> None:
        self.slots = vocabulary.slots
        self.rows = rows
        self.long = [f"long {index}" for index in range(min(20, rows // (2 * LONG)))]

    def __iter__(self) -> Iterator[Exchange]:
        choose = random.Random(23)
        every = self.rows // (len(self.long) * LONG) if self.long else self.rows + 1
        for index in range(self.rows):
            turn, left = divmod(index, every)
            if left == 0 and turn < len(self.long) * LONG:
                conversation = self.long[turn % len(self.long)]
            else:
                conversation = f"short {index // 10_000} {index % 400}"
            words = choose.choices(self.slots, k=USER_WORDS + AGENT_WORDS)
            yield Exchange(
                conversation,
                " ".join(words[:USER_WORDS]),
                " ".join(words[USER_WORDS:]),
                timestamp_of(index),
                choose.uniform(50, 3000),
            )

    def batches(self) -> Iterator[list[Exchange]]:
        exchanges = iter(self)
        while batch := list(islice(exchanges, BATCH)):
            yield batch
