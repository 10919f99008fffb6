"""How tokens and marks become lexemes of PostgreSQL's `tsvector`, whatever its limits; both sides use it.

A vector holds a megabyte, a lexeme 2046 bytes, with at most 255 positions of at most 16383. An exchange that
is longer says so by signs that folding maps away, so that no text can hold them, and queries ask for those
too. So the index finds at least what it should of any exchange, and for all but such ones exactly that.

    ˡ       the exchange is unplaced: its lexemes have no positions, which phrases have to be told
    ˡˡ      it is abridged: not all of its lexemes are there
    ˡabc    what stands for one that is not: one of 32,768 groups
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

UNPLACED: Final = "\u02e1"
ABRIDGED: Final = UNPLACED * 2

LONGEST_LEXEME: Final = 255
"""Characters of a lexeme; a longer token is cut. Words and beginnings in a query are shorter."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


def lexeme(token: str) -> str:
    """Give the lexeme of a token."""
    return token[:LONGEST_LEXEME]


def group_sign(lexeme: str) -> str:
    """Give what stands for a lexeme in an exchange that is abridged."""
    number = crc32(lexeme.encode())
    return UNPLACED + _LETTERS[number & 31] + _LETTERS[number >> 5 & 31] + _LETTERS[number >> 10 & 31]
