"""Searching a large table: how long a search takes, by how common its words are.

Beside it: one raw query for each kind, which asks the same index, and ranks all that match by `ts_rank`. It
is given up after some seconds. Words are made up, except for the commonest of all, which is "the".
"""

from __future__ import annotations

import random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg
from benchmarks._harness import Section, number, run_async
from benchmarks.history_search import LIMIT, Kind, kinds, time_ours
from benchmarks.history_setup import percentile
from benchmarks.postgresql_floors import RANKED
from benchmarks.postgresql_setup import OURS, TABLE, Options, open_unit

from library.infrastructure.interfaces.database.postgresql.candidates import search_statements

if TYPE_CHECKING:
    from benchmarks.history_texts import Vocabulary

BAR_MS = 60
PATIENCE_S = 3


def phrases(vocabulary: Vocabulary, rows: int) -> list[Kind]:
    """Words beside each other: of common words many phrases are there, of others hardly any."""
    chosen = random.Random(31)
    words, common = vocabulary.words, vocabulary.between(0.25, 0.45, 12)
    mid = vocabulary.between(0.004, 0.008, 40)

    def pairs(source: list[str], number: int) -> list[str]:
        return [f'"{" ".join(chosen.sample(source, 2))}"' for _ in range(number)]

    return [
        Kind("phrase of two of the 8 commonest", pairs(words[:8], 12), 1),
        Kind("phrase of two common words", pairs(common, 12), 1),
        Kind("phrase of two mid words", pairs(mid, 12), 1),
    ]


async def time_raw(connection: Any, words: str) -> str:
    """Return the milliseconds of a raw query, asked twice."""
    between = " <-> " if words.startswith('"') else " & "
    asked = between.join(f"'{word}'" for word in words.strip('"').split())
    statement = RANKED.replace("{indexed}", search_statements("public", TABLE)["indexed"])
    taken = 0.0
    for _ in range(2):
        start = perf_counter()
        try:
            await connection.fetch(statement, asked, LIMIT, timeout=PATIENCE_S)
        except TimeoutError:
            return f"> {PATIENCE_S * 1000:,}"
        taken = (perf_counter() - start) * 1e3
    return number(taken)


async def measure(section: Section, options: Options) -> None:
    large = options.large
    table = section.table(
        f"Search among {large.rows:,} exchanges, the best {LIMIT}, milliseconds",
        "",
        "ours p50",
        "ours p95",
        "ours most",
        "raw ts_rank",
        note=f"{OURS}.search_conversations beside ORDER BY ts_rank over the same index, one query",
    )
    connection = await asyncpg.connect(large.url)
    async with open_unit(large.url) as unit:
        vocabulary, rows = large.vocabulary, large.rows
        for kind in (*kinds(vocabulary, rows), *phrases(vocabulary, rows)):
            passes = max(1, (20 if options.quick else 100) // len(kind.queries))
            await time_ours(unit, kind.queries, 1)
            taken = await time_ours(unit, kind.queries, passes)
            p95 = percentile(taken, 0.95)
            raw = await time_raw(connection, kind.queries[0])
            table.add(kind.name, number(percentile(taken, 0.5)), number(p95), number(max(taken)), raw)
            if "phrase" not in kind.name:
                section.at_most(f"search, {kind.name}, p95", BAR_MS, p95, " ms")
    await connection.close()


def run(options: Options) -> Section:
    section = Section("search")
    run_async(measure(section, options))
    return section
