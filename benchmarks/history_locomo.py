"""Whether a search finds what a question asks for: recall of the evidence among the first ten.

The questions come from a file in the form of the LoCoMo data set, which you bring along with `--locomo`:
conversations of two people in sessions, and questions with the turns that answer them. Two turns in a row of
one session become one exchange; each question is searched in its own conversation. Beside it: a plain FTS5
index (unicode61) over the same exchanges, one a conversation, any of the words, `ORDER BY bm25`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
from benchmarks._harness import Section, number, run_async
from benchmarks.history_setup import OURS, Options, open_unit
from benchmarks.history_texts import Exchange, timestamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10
BAR = 0.78
TURN = re.compile(r"D:?0*(\d+):0*(\d+)")
RAW = "plain FTS5, any of the words, bm25"


class Question(NamedTuple):
    """A question, and which exchanges of its conversation answer it."""

    conversation_id: str
    text: str
    category: int
    evidence: frozenset[int]


class Questions:
    """The exchanges of a file, and the questions about them that name evidence."""

    def __init__(self, path: Path) -> None:
        self.exchanges: list[Exchange] = []
        self.questions: list[Question] = []
        for sample in json.loads(path.read_text(encoding="utf-8")):
            where = self._read_conversation(sample["sample_id"], sample["conversation"])
            for question in sample["qa"]:
                named = TURN.findall(" ".join(question.get("evidence") or []))
                evidence = frozenset(where[turn] for turn in named if turn in where)
                if evidence:
                    self.questions.append(
                        Question(sample["sample_id"], question["question"], question["category"], evidence)
                    )

    def _read_conversation(self, name: str, content: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Join turns to exchanges; return in which exchange each turn is, by its position in the list."""
        where: dict[tuple[str, str], int] = {}
        sessions = [key for key in content if re.fullmatch(r"session_\d+", key)]
        for session in sorted(sessions, key=lambda key: int(key.removeprefix("session_"))):
            turns = content[session]
            for start in range(0, len(turns), 2):
                pair = turns[start : start + 2]
                texts = [*map(spoken, pair), ""][:2]
                for turn in pair:
                    where[TURN.findall(turn["dia_id"])[0]] = len(self.exchanges)
                at = timestamp_of(60 * len(self.exchanges))
                self.exchanges.append(Exchange(name, texts[0], texts[1], at, 1.0))
        return where


def spoken(turn: dict[str, Any]) -> str:
    shared = f" [shares image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return f"{turn['speaker']}: {turn['text']}{shared}"


class Found:
    """How much of the evidence was found, by category of the question."""

    def __init__(self) -> None:
        self.recall: defaultdict[int, list[float]] = defaultdict(list)
        self.milliseconds: list[float] = []

    def add(self, question: Question, found: set[int], seconds: float) -> None:
        self.recall[question.category].append(len(question.evidence & found) / len(question.evidence))
        self.milliseconds.append(seconds * 1e3)

    def mean(self) -> float:
        return fmean(each for values in self.recall.values() for each in values)

    def cells(self, categories: list[int]) -> Iterator[str]:
        yield f"{self.mean():.3f}"
        for category in categories:
            yield f"{fmean(self.recall[category]):.3f}"
        yield number(fmean(self.milliseconds))


def ask_raw(asked: Questions) -> Found:
    indexes: dict[str, apsw.Connection] = {}
    for index, exchange in enumerate(asked.exchanges):
        if exchange.conversation_id not in indexes:
            indexes[exchange.conversation_id] = apsw.Connection(":memory:")
            indexes[exchange.conversation_id].execute("CREATE VIRTUAL TABLE fts USING fts5(user, agent)")
        indexes[exchange.conversation_id].execute(
            "INSERT INTO fts(rowid, user, agent) VALUES (?, ?, ?)",
            (index + 1, exchange.user_input, exchange.agent_response),
        )
    found = Found()
    for question in asked.questions:
        start = perf_counter()
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question.text))
        rows = indexes[question.conversation_id].execute(
            "SELECT rowid FROM fts WHERE fts MATCH ? ORDER BY bm25(fts) LIMIT ?", (words, LIMIT)
        )
        hits = {row[0] - 1 for row in rows}
        found.add(question, hits, perf_counter() - start)
    return found


async def ask_ours(asked: Questions, path: str) -> Found:
    found = Found()
    async with open_unit(path) as (unit, _):
        ids = await unit.save_messages_batch([exchange.message() for exchange in asked.exchanges])
        position = {message_id: index for index, message_id in enumerate(ids)}
        for question in asked.questions:
            start = perf_counter()
            results = await unit.search_conversations(
                question.text, limit=LIMIT, conversation_id=question.conversation_id
            )
            spent = perf_counter() - start
            found.add(question, {position[result.message_id or 0] for result in results}, spent)
    return found


def run(options: Options) -> Section:
    section = Section("locomo")
    if options.locomo is None:
        return section
    asked = Questions(options.locomo)
    with options.new_folder() as folder:
        ours = run_async(ask_ours(asked, str(Path(folder, "ours.db"))))
    raw = ask_raw(asked)
    categories = sorted(raw.recall)
    table = section.table(
        f"Questions about conversations: recall of the evidence among the first {LIMIT}",
        "",
        "all",
        *(f"category {category}" for category in categories),
        "ms",
        note=f"{len(asked.questions):,} questions, {len(asked.exchanges):,} exchanges of two turns",
    )
    table.add(OURS, *ours.cells(categories))
    table.add(RAW, *raw.cells(categories))
    mean = ours.mean()
    section.holds(f"recall of evidence @{LIMIT}", f">= {BAR}", f"{mean:.3f}", mean >= BAR)
    return section
