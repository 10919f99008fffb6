"""Many rows as aligned lines, and ids that fit: rich takes most of a millisecond for a row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def aligned(
    headings: Sequence[str], rows: Sequence[Sequence[str]], is_right: Sequence[bool], width: int
) -> Iterator[str]:
    """Return a heading, a rule, and a line for each row.

    All columns but the last are as wide as their longest text; the last one is cut where the terminal ends.

    Args:
        headings: of the columns.
        rows: the texts of the cells.
        is_right: which columns are justified on the right.
        width: that of the terminal.

    """
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    rule = "─" * min(width, sum(widths) + len(widths) - 1)
    widths[-1] = 0  # nothing stands behind it
    yield _line(headings, widths, is_right, width)
    yield rule
    for row in rows:
        yield _line(row, widths, is_right, width)


def _line(cells: Sequence[str], widths: Sequence[int], is_right: Sequence[bool], width: int) -> str:
    padded = []
    for cell, wide, right in zip(cells, widths, is_right, strict=True):
        gap = " " * (wide - cell_len(cell))
        padded.append(f"{gap}{cell}" if right else f"{cell}{gap}")
    line = " ".join(padded).rstrip()
    return line if cell_len(line) <= width else f"{set_cell_size(line, width - 1).rstrip()}…"


def shortened(text: str, width: int) -> str:
    """Return a text in so many cells: what is too long loses its middle, since ids differ in the end, too."""
    if cell_len(text) <= width:
        return text
    end = text[len(text) - max(0, (width - 1) // 2) :]
    while cell_len(end) > (width - 1) // 2:
        end = end[1:]
    return f"{set_cell_size(text, max(0, width - 1 - cell_len(end))).rstrip()}…{end}"
