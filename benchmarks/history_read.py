"""The latest 20 exchanges of a conversation of 1000, in a large database and in a small one.

The floor is the raw SELECT in the process itself, which returns tuples. Ours returns messages, out of a
database of the size that is named; the peers read among 10,000 exchanges, but for those that the note names.
The long conversations lie scattered over the whole file.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._harness import FLOOR, Section, in_turns, number, run_async, times
from benchmarks.history_floors import latest, open_apsw
from benchmarks.history_peers import PEERS
from benchmarks.history_setup import OURS, SMALL, Options, open_unit
from benchmarks.history_texts import LONG, RealTexts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.history_peer import Peer

    from library.infrastructure.data import ConversationHistoryUnit

LIMIT = 20
CONVERSATIONS = 5
OURS_SMALL = f"{OURS}, {SMALL:,} exchanges"
FLOOR_SMALL = f"SELECT with apsw, {SMALL:,} exchanges"


async def time_raw(connection: Any, conversations: Sequence[str], calls: int) -> float:
    """Return microseconds a call."""
    start = perf_counter()
    for conversation in islice(cycle(conversations), calls):
        assert len(latest(connection, conversation, LIMIT)) == LIMIT
    return (perf_counter() - start) / calls * 1e6


async def time_ours(unit: ConversationHistoryUnit, conversations: Sequence[str], calls: int) -> float:
    start = perf_counter()
    for conversation in islice(cycle(conversations), calls):
        assert len(await unit.get_conversation_history(conversation, limit=LIMIT)) == LIMIT
    return (perf_counter() - start) / calls * 1e6


async def time_peer(peer: Peer, sessions: Sequence[Any], calls: int) -> float:
    start = perf_counter()
    for session in islice(cycle(sessions), calls):
        assert await peer.latest(session, LIMIT) == LIMIT
    return (perf_counter() - start) / calls * 1e6


async def fill(peer: Peer, exchanges: int) -> list[Any]:
    """Give a peer conversations of 1000 exchanges; return some of them."""
    texts = RealTexts()
    sessions = []
    for index in range(exchanges // LONG if peer.fills else 1):
        session = await peer.session(f"long {index}")
        await peer.save_many(session, texts.take(LONG, f"long {index}"))
        sessions.append(session)
    return sessions[:CONVERSATIONS]


async def measure(section: Section, options: Options, folder: str) -> None:
    large = options.large
    long, small_long = large.texts.long[:CONVERSATIONS], large.small_texts.long[:CONVERSATIONS]
    calls, peer_calls = (50, 4) if options.quick else (300, 10)
    kinds = [kind for kind in PEERS if kind.fills or not options.quick]
    async with AsyncExitStack() as stack:
        raw, small_raw = open_apsw(large.raw), open_apsw(large.small_raw)
        stack.callback(raw.close)
        stack.callback(small_raw.close)
        unit, _ = await stack.enter_async_context(open_unit(large.ours))
        small, _ = await stack.enter_async_context(open_unit(large.small))
        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            FLOOR: partial(time_raw, raw, long, calls),
            FLOOR_SMALL: partial(time_raw, small_raw, small_long, calls),
            OURS: partial(time_ours, unit, long, calls),
            OURS_SMALL: partial(time_ours, small, small_long, calls),
        }
        for kind in kinds:
            peer = kind(str(Path(folder, f"{kind.name}.db")))
            await peer.open()
            stack.push_async_callback(peer.close)
            contenders[peer.name] = partial(time_peer, peer, await fill(peer, SMALL), peer_calls)
        samples = await in_turns(contenders, 3 if options.quick else 7)
    table = section.table(
        f"The latest {LIMIT} of a conversation of {LONG:,}, among {large.rows:,} exchanges",
        "",
        "us",
        "x",
        note=f"the peers among {SMALL:,}; those of ADK, and llm, in a database of {LONG:,}",
    )
    shown = {FLOOR: "floor: SELECT with apsw, in process, tuples"}
    shown |= {kind.name: f"{kind.name} ({kind.note})" for kind in kinds}
    for name in (OURS, OURS_SMALL, FLOOR, FLOOR_SMALL, *(kind.name for kind in kinds)):
        table.add(shown.get(name, name), number(samples.median(name)), times(samples.ratio(name)))
    what = f"the latest {LIMIT} among {large.rows:,}"
    section.at_most(what, 6, samples.ratio(OURS), "x the raw SELECT")
    best = min((kind.name for kind in kinds), key=samples.median)
    section.at_least(what, 1, 1 / samples.ratio(OURS, best), f"as fast as {best}")
    section.at_most(f"{what}, beside {SMALL:,}", 1.2, samples.ratio(OURS, OURS_SMALL), "x the time")


def run(options: Options) -> Section:
    section = Section("read")
    section.tables.append(options.large.table())
    with options.new_folder() as folder:
        run_async(measure(section, options, folder))
    return section
