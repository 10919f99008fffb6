"""Looking for damage in a table of exchanges: what cannot be read, and what is not found by what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.json_reading import decode
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.postgresql.rows import statements
from library.infrastructure.interfaces.database.postgresql.search_vector import search_vector
from library.infrastructure.interfaces.database.postgresql.text_escape import unescape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.interfaces.database.postgresql.engine import Engine

_PAGE_ROWS: Final = 200
_SHOWN: Final = 5


async def check_exchanges(engine: Engine, table: str) -> list[str]:
    """Read everything, as of one moment; return a sentence for each kind of damage."""
    sql = statements(engine.schema, table)
    unreadable: list[int] = []
    strays: list[int] = []
    async with engine.snapshot("check") as connection:
        cursor = await connection.cursor(sql["all_texts"])
        while rows := await cursor.fetch(_PAGE_ROWS):
            unreadable += await run_in_worker(_unreadable, rows)
            vectors = await run_in_worker(_vectors, rows)
            found = await connection.fetch(sql["found_by_others"], [row[0] for row in rows], vectors)
            strays += [row[0] for row in found]
    problems = []
    if unreadable:
        problems.append(f"{len(unreadable)} exchanges cannot be read ({_shown(unreadable)})")
    if strays:
        problems.append(
            f"{len(strays)} exchanges are not found by what they say ({_shown(strays)}): update_message "
            "makes their entries in the full-text index anew"
        )
    return [f"table {table}: {problem}" for problem in problems]


def _shown(message_ids: Sequence[int]) -> str:
    more = ", ..." if len(message_ids) > _SHOWN else ""
    return f"message_id {', '.join(map(str, message_ids[:_SHOWN]))}{more}"


def _unreadable(rows: Sequence[Any]) -> list[int]:
    return [row[0] for row in rows if not _is_json(row[4])]


def _is_json(document: str) -> bool:
    try:
        return isinstance(decode(document.encode()), dict)
    except ValueError:
        return False


def _vectors(rows: Sequence[Any]) -> list[str]:
    return [search_vector(unescape(row[2]), unescape(row[3]), unescape(row[1])) for row in rows]
