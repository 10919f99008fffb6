"""English stems of words, remembered, because stemming one takes longer than indexing a sentence."""

from __future__ import annotations

import threading
from typing import Final

# Not `snowballstemmer.stemmer()`: where PyStemmer is installed that gives another version of the algorithm,
# and an index is only found again by the algorithm that built it.
from snowballstemmer.english_stemmer import EnglishStemmer  # type: ignore[import-untyped]

from library.infrastructure.interfaces.database.full_text.stop_words import STOP_WORDS

STEM_SIGN: Final = "\u02e2"
"""What stands before a stem in the index: ˢ, which folding maps away, so that no text can hold it."""

_LONGEST: Final = 40
"""Longer words are codes, not English."""
_REMEMBERED: Final = 100_000

_stemmer: Final = EnglishStemmer()
_stemming: Final = threading.Lock()


def stem(word: str) -> str | None:
    """Find the stem of a folded word; `None` for what has none: numbers, other scripts, stop words."""
    if not (3 <= len(word) <= _LONGEST and word.isascii() and word.isalpha()) or word in STOP_WORDS:
        return None
    with _stemming:  # the stemmer keeps the word that it works on in itself
        return str(_stemmer.stemWord(word))


class StemMarks(dict[str, str]):
    """Each word's mark for the index: its signed stem, or `""` where the stem is the word itself, or none.

    It is a `dict` so that `map(marks.__getitem__, words)` runs without a Python call for what is remembered.
    Threads may share it: a word that two of them miss is stemmed twice.
    """

    def __missing__(self, word: str) -> str:
        """Stem a word and remember it; when too many are remembered, start anew."""
        if len(word) > _LONGEST:
            return ""
        stemmed = stem(word)
        mark = "" if stemmed in {None, word} else f"{STEM_SIGN}{stemmed}"
        if len(self) >= _REMEMBERED:
            self.clear()
        self[word] = mark
        return mark


stem_marks: Final = StemMarks()
