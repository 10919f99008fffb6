"""Putting many rows into a table of exchanges, within a transaction."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.interfaces.database.postgresql.rows import Row

_PART_ROWS: Final = 500
_PART_CHARACTERS: Final = 2_000_000
_FEW_ROWS: Final = 10


def searches_of(rows: Sequence[Row]) -> list[str]:
    """Write by what exchanges are found."""
    return [row.search() for row in rows]


async def insert_rows(connection: Any, statement: str, rows: Sequence[Row]) -> list[int]:
    """Insert rows; while some are on their way to the server, what the next are found by is written.

    Args:
        connection: within a transaction.
        statement: `insert`.
        rows: those without a `message_id` are given the next ones, in order.

    Returns:
        Their ids.

    """
    ids: list[int] = []
    parts = _parts(rows)
    part = next(parts, [])
    searches = searches_of(part) if len(rows) <= _FEW_ROWS else await run_in_worker(searches_of, part)
    while part:
        following = next(parts, [])
        ahead = asyncio.ensure_future(run_in_worker(searches_of, following)) if following else None
        try:
            columns = [list(column) for column in zip(*part, strict=True)]
            ids += [row[0] for row in await connection.fetch(statement, *columns, searches)]
            searches = [] if ahead is None else await ahead
        finally:
            if ahead is not None and not ahead.done():
                ahead.cancel()
                await asyncio.wait((ahead,))
        part = following
    return ids


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut rows into parts of bounded size."""
    left = iter(rows)
    while part := list(islice(left, 1)):
        characters = 0
        while characters <= _PART_CHARACTERS and len(part) < _PART_ROWS:
            characters += len(part[-1].user_input) + len(part[-1].agent_response)
            row = next(left, None)
            if row is None:
                break
            part.append(row)
        yield part
