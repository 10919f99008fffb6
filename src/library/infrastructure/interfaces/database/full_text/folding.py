"""Folding: the form of a text in which case, accents and compatibility forms do not matter.

Beyond Unicode's NFKD and case folding, accents are dropped, but not what tells words apart in their script:
vowel signs of Indic scripts and the voicing marks of kana stay. Letters that Unicode does not decompose, such
as ł, become those that people type for them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LETTERS: Final = dict(
    zip(
        "\u0142\u0141\u00f8\u00d8\u0111\u0110\u00f0\u00d0\u0127\u0126\u0131",
        "llooddddhhi",
        strict=True,
    )
) | {"þ": "th", "Þ": "th", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe"}
_PUNCTUATION: Final = (
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
_REPLACEMENTS: Final = _LETTERS | _PUNCTUATION

_ACCENTS: Final = (
    "\u0300-\u036f\u0483-\u0489"  # Latin, Greek, Cyrillic
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic
    "\u0711\u0730-\u074a\u08ca-\u08e1\u08e3-\u08ff"  # Syriac, more Arabic
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f"
)
_INVISIBLE: Final = (
    "\u00ad\u061c\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
"""Soft hyphens, joiners, directions, variation selectors: they are not seen, so they do not count."""

_SPECIAL: Final = re.compile(f"[{_ACCENTS}{_INVISIBLE}]+|[{''.join(map(re.escape, _REPLACEMENTS))}]")


def fold(text: str) -> str:
    """Fold a text; texts that read the same to a person who searches fold to the same.

    Folding twice changes nothing. Folded text holds no superscripts and no full-width forms, which is what
    `index_terms.py` builds upon.
    """
    if text.isascii():
        return text.lower()
    text = _SPECIAL.sub(_replace, unicodedata.normalize("NFKD", text))
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.casefold())


def _replace(special: re.Match[str]) -> str:
    return _REPLACEMENTS.get(special[0], "")
