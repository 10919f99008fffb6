"""Searching a large database: how long a search takes, by how common its words are.

Beside it: the same texts in a plain FTS5 index (unicode61), all words required, `ORDER BY bm25(...)
LIMIT 10`, with apsw in the process itself. It ranks every match, however many there are. Each query is asked
once before it is timed. Words are made up, except for the commonest of all, which is "the".
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks._harness import Section, number, run_async
from benchmarks.history_floors import open_apsw, search
from benchmarks.history_setup import OURS, Options, open_unit, percentile

if TYPE_CHECKING:
    from benchmarks.history_setup import Large
    from benchmarks.history_texts import Vocabulary

    from library.infrastructure.data import ConversationHistoryUnit

LIMIT = 10
RARE_BAR_MS, BAR_MS = 5, 25


class Kind(NamedTuple):
    """Queries of one kind, and how many of them are asked of the raw index."""

    name: str
    queries: list[str]
    raw: int


def kinds(vocabulary: Vocabulary, rows: int) -> list[Kind]:
    chosen = random.Random(29)
    rare = vocabulary.between(50 / rows, 300 / rows, 60)
    mid = vocabulary.between(0.004, 0.008, 40)
    common = vocabulary.between(0.25, 0.45, 12)
    very_common = vocabulary.between(0.5, 0.95, 6)
    return [
        Kind("rare word", rare, 60),
        Kind("mid word", mid, 20),
        Kind("common word", common, 4),
        Kind("very common word", very_common, 3),
        Kind('the commonest, "the"', [vocabulary.words[0]] * 6, 2),
        Kind("two common words", [" ".join(chosen.sample(common, 2)) for _ in range(12)], 3),
        Kind("two very common words", [" ".join(chosen.sample(very_common, 2)) for _ in range(6)], 2),
        Kind("common + rare word", [f"{chosen.choice(common)} {word}" for word in rare[:30]], 15),
        Kind("rare + rare word", [f"{one} {two}" for one, two in pairwise(rare)][:30], 30),
        Kind("absent word", [f"{word}xq" for word in rare[:20]], 20),
    ]


async def time_ours(unit: ConversationHistoryUnit, queries: list[str], passes: int) -> list[float]:
    taken = []
    for _ in range(passes):
        for words in queries:
            start = perf_counter()
            await unit.search_conversations(words, limit=LIMIT)
            taken.append((perf_counter() - start) * 1e3)
    return taken


async def ask_once(unit: ConversationHistoryUnit, queries: list[str], connection: Any) -> None:
    """Ask each query once, and see that ours finds as many as hold the words."""
    for words in queries:
        found = len(await unit.search_conversations(words, limit=LIMIT))
        holding = count(connection, words)
        assert found >= min(LIMIT, holding), f"{words!r}: {found} found, {holding} hold it"


def time_raw(connection: Any, queries: list[str]) -> list[float]:
    taken = []
    for turn in range(2):
        for words in queries:
            start = perf_counter()
            search(connection, words, LIMIT)
            if turn:
                taken.append((perf_counter() - start) * 1e3)
    return taken


def count(connection: Any, words: str) -> int:
    quoted = " ".join(f'"{word}"' for word in words.split())
    found = connection.execute("SELECT count(*) FROM fts WHERE fts MATCH ?", (quoted,)).fetchall()
    return int(found[0][0])


async def measure(section: Section, options: Options, large: Large) -> None:
    table = section.table(
        f"Search among {large.rows:,} exchanges, the best {LIMIT}, milliseconds",
        "",
        "holding all",
        "ours p50",
        "ours p95",
        "raw FTS5 p50",
        "raw FTS5 p95",
        note=f"{OURS}.search_conversations beside ORDER BY bm25 over a plain index of the same texts",
    )
    async with AsyncExitStack() as stack:
        raw = open_apsw(large.raw)
        stack.callback(raw.close)
        unit, _ = await stack.enter_async_context(open_unit(large.ours))
        for kind in kinds(large.vocabulary, large.rows):
            passes = max(1, (20 if options.quick else 100) // len(kind.queries))
            raw_taken = time_raw(raw, kind.queries[: kind.raw])
            await ask_once(unit, kind.queries, raw)
            taken = await time_ours(unit, kind.queries, passes)
            holding = [float(count(raw, words)) for words in sorted(set(kind.queries[: kind.raw]))]
            p95 = percentile(taken, 0.95)
            table.add(
                kind.name,
                f"{percentile(holding, 0.5):,.0f}",
                number(percentile(taken, 0.5)),
                number(p95),
                number(percentile(raw_taken, 0.5)),
                number(percentile(raw_taken, 0.95)),
            )
            bar = RARE_BAR_MS if kind.name in {"rare word", "absent word"} else BAR_MS
            section.at_most(f"search, {kind.name}, p95", bar, p95, " ms")


def run(options: Options) -> Section:
    section = Section("search")
    run_async(measure(section, options, options.large))
    return section
