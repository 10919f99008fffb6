"""Reading all sessions of a table, or many, as of one moment, for exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.session_data import session_key
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.postgresql.text_escape import unescape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data.formats.record_kind import Row
    from library.infrastructure.data.record_transfer import RowTarget

_FIRST_ROWS: Final = 20
_PAGE_ROWS: Final = 300
_PAGE_CHARACTERS: Final = 1_000_000


async def export_all(connection: Any, sql: Mapping[str, str], target: RowTarget) -> None:
    """Give all sessions to a target, the oldest first; within a transaction that reads as of one moment."""
    await run_in_worker(target.begin, await connection.fetchval(sql["count"]), [])
    cursor = await connection.cursor(sql["export"])
    wanted = _FIRST_ROWS
    while rows := await cursor.fetch(wanted):
        await run_in_worker(_give, rows, target)
        characters = sum([len(row["metadata"]) for row in rows])
        # As many as fit, should those that come next be as long as these.
        wanted = max(1, min(_PAGE_ROWS, _PAGE_CHARACTERS * len(rows) // max(1, characters)))


async def export_some(
    connection: Any, sql: Mapping[str, str], session_ids: Sequence[str], target: RowTarget
) -> None:
    """Give the sessions that were asked for to a target; tell it which of them are not there."""
    wanted = list(dict.fromkeys(session_ids))
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), _PAGE_ROWS):
        part = set(wanted[start : start + _PAGE_ROWS])
        for row in await connection.fetch(sql["export_chosen"], [session_key(each) for each in part]):
            session_id = unescape(row["session_id"])
            if session_id in part:
                found[session_id] = row
    missing = [each for each in wanted if each not in found]
    await run_in_worker(target.begin, len(found), missing)
    rows = sorted(found.values(), key=lambda row: (row["created_at"], row["session_id"]))
    for start in range(0, len(rows), _PAGE_ROWS):
        await run_in_worker(_give, rows[start : start + _PAGE_ROWS], target)


def _give(rows: Sequence[Any], target: RowTarget) -> None:
    target.take([_to_row(row) for row in rows])


def _to_row(row: Any) -> Row:
    """Write a session as a row of `SESSIONS`; metadata stand on one line."""
    session_id, user_id, *between, metadata = row
    return (unescape(session_id), unescape(user_id), *between, metadata.replace("\n", ""))
