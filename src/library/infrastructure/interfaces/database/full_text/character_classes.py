"""Which characters make up words, runs without spaces, and symbols: parts of regular expressions.

All of them speak of folded text, see `folding.py`.
"""

from __future__ import annotations

import unicodedata
from typing import Final


def _ranges(text: str) -> str:
    """Write `0041-005A 0061` as part of a character class."""
    ends = (part.split("-") for part in text.split())
    return "".join("-".join(f"\\U{int(end, 16):08x}" for end in pair) for pair in ends)


def _vowel_signs(first: int, last: int) -> str:
    """Collect the combining characters of a range as part of a character class."""
    return "".join(
        f"\\U{code:08x}" for code in range(first, last) if unicodedata.category(chr(code)) in {"Mn", "Mc"}
    )


UNSPACED: Final = _ranges(
    "0E01-0E3A 0E40-0E4E "  # Thai
    "0E80-0ECF 0EDC-0EDF "  # Lao
    "1000-103F 1050-108F 109A-109F A9E0-A9EF A9FA-A9FF AA60-AA7F "  # Myanmar
    "1780-17D3 17D7 17DC 17DD "  # Khmer
    "1100-11FF A960-A97F AC00-D7FF "  # Hangul: spaced, but particles are attached to words
    "3005-3007 3021-302F 3031-3035 303B 303C 3041-3096 3099 309A 309D-309F 30A1-30FA 30FC-30FF 31F0-31FF "
    "3105-312F 31A0-31BF 3400-4DBF 4E00-9FFF F900-FAFF 1AFF0-1B16F 20000-3FFFF"  # Bopomofo, kana, Han
)
"""Scripts that are written without spaces between words, or with particles attached to them."""

SIGNS: Final = (
    _vowel_signs(0x0300, 0x0E00)
    + _vowel_signs(0x0F00, 0x1000)
    + _vowel_signs(0x1700, 0x1780)
    + (_vowel_signs(0x1800, 0x2000) + _vowel_signs(0xA800, 0xA9E0) + _vowel_signs(0xABE0, 0xAC00))
    + _vowel_signs(0x10A00, 0x12000)
)
"""Combining characters that belong to a word: vowel signs, viramas, nuktas; `\\w` leaves them out."""

LETTER: Final = rf"[^\W_{UNSPACED}]"
"""One letter or digit of a script that puts spaces between its words."""

WORD_PART: Final = rf"(?:{LETTER}|[{SIGNS}])"
"""One character within a word of such a script."""

RUN: Final = f"[{UNSPACED}]+"
"""A run of a script without spaces."""

PIECE: Final = f"{RUN}|{LETTER}{WORD_PART}*"
"""A run, or a word."""

EMOJI: Final = _ranges("2190-2BFF 1F000-1FAFF")
"""Arrows, shapes, dingbats, emoji: symbols that people search for by themselves."""
