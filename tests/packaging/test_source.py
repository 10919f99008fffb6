"""What the source must not hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
BOUND_TO_A_LOOP = frozenset({
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "Semaphore",
})  # fmt: skip


def loop_bound_names(source: str) -> list[str]:
    """Find each use of an asyncio primitive, under whatever name asyncio was imported."""
    tree = ast.parse(source)
    modules, primitives = {"asyncio"}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.partition(".")[0] == "asyncio" and name.asname:
                    modules.add(name.asname)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asyncio":
            for name in node.names:
                if name.name in BOUND_TO_A_LOOP:
                    primitives[name.asname or name.name] = name.name
                elif name.name in {"locks", "queues"}:
                    modules.add(name.asname or name.name)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in BOUND_TO_A_LOOP:
            owner = ast.unparse(node.value)
            if owner in modules or owner in {"asyncio.locks", "asyncio.queues"}:
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
        elif isinstance(node, ast.Name) and node.id in primitives:
            found.append(f"line {node.lineno}: asyncio.{primitives[node.id]}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nlock = asyncio.Lock()",
        "import asyncio as aio\nqueue = aio.Queue()",
        "import asyncio.locks\nlock = asyncio.locks.Lock()",
        "from asyncio import Event as Flag\nflag = Flag()",
        "from asyncio import locks\nlock = locks.Semaphore()",
        "import asyncio\nlock: object = field(default_factory=asyncio.Condition)",
    ],
)
def test_the_search_finds(source: str) -> None:
    """Each way in which a primitive could be named is found."""
    assert len(loop_bound_names(source)) == 1


@pytest.mark.parametrize("source", ['"""asyncio.Lock()"""', "import threading\nlock = threading.Lock()"])
def test_the_search_ignores(source: str) -> None:
    """Text, and locks that belong to no loop, are no finding."""
    assert loop_bound_names(source) == []


def test_nothing_holds_an_asyncio_primitive() -> None:
    """No `asyncio.Lock`, `Queue`, `Event`, `Condition` or `Semaphore` is made anywhere under src/.

    Such an object binds itself to the first event loop in which a task has to wait for it.
    A data unit works from several loops at once, one a thread, so there it would raise
    `RuntimeError: ... is bound to a different event loop`,
    and only under contention: no simple test ever sees it.
    Two loops that do not contend are no better off, for the object is not safe across threads.
    State is guarded by a `threading.Lock` that is held for straight-line code;
    who must wait across an `await` uses the hand-off mutex and the wake-ups of the data room.
    The contract suite is left out: it is a set of tests, each of which lives in one loop.
    """
    found = {
        str(path.relative_to(SOURCE)): names
        for path in sorted(SOURCE.rglob("*.py"))
        if "conformance" not in path.parts and (names := loop_bound_names(path.read_text(encoding="utf-8")))
    }

    assert found == {}
