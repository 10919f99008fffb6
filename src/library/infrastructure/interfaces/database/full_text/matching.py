"""Finds the terms of a query in the texts themselves, for ranking and for what is shown."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from library.infrastructure.interfaces.database.full_text.character_classes import (
    RUN,
    WORD_PART,
)
from library.infrastructure.interfaces.database.full_text.search_query import Prefix, Word
from library.infrastructure.interfaces.database.full_text.stemming import STEM_SIGN, stem_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.interfaces.database.full_text.search_query import Phrase, Term

EXACT: Final = 1.0
"""What a word counts that is written as in the query."""
INFLECTED: Final = 0.6
"""What another form of it counts, and a literal's words without the symbols between them."""

BARRIER: Final = "\n\x1f\n"
"""What to put between texts so that no phrase reaches from one into the next."""

_BREAK: Final = r"[\x00-\x1e -/:-`{-\x7f]"
_TOKEN: Final = r"[^\x00-/:-`{-\x7f]"  # noqa: S105 - part of an expression, no secret
_RUN: Final = re.compile(RUN)
_SPACED: Final = re.compile(WORD_PART)
_NEVER: Final = re.compile(r"(?!)")


class Forms(dict[str, tuple[tuple[int, float], ...]]):
    """Which of some terms a word is a form of, as pairs of the term's place and what the form counts.

    A word is looked at once, then remembered.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        """Know the forms of those terms that are words or prefixes."""
        super().__init__()
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        self._stems: defaultdict[str, list[int]] = defaultdict(list)
        self._prefixes: list[tuple[str, int]] = []
        roots = set()
        for place, term in enumerate(terms):
            if isinstance(term, Word):
                self._exact[term.text].append(place)
                if term.stem is not None:
                    self._stems[term.stem].append(place)
                roots.add(_root(term))
            elif isinstance(term, Prefix):
                self._prefixes.append((term.text, place))
                roots.add(term.text)
        self.pattern = _beginning_with(roots)
        """Finds the words of a spaced text that may be forms, and few others."""

    def __missing__(self, form: str) -> tuple[tuple[int, float], ...]:
        """Look at a word for the first time."""
        places = dict.fromkeys(self._exact.get(form, ()), EXACT)
        stem = stem_marks[form].removeprefix(STEM_SIGN) or form
        for place in self._stems.get(stem, ()):
            places.setdefault(place, INFLECTED)
        for prefix, place in self._prefixes:
            if form.startswith(prefix):
                places[place] = EXACT
        self[form] = result = tuple(places.items())
        return result


class Literal:
    """Finds a text in folded texts as it was typed; a run without spaces also within a longer one."""

    def __init__(self, term: Phrase) -> None:
        """Know where the ends of the text may not stand within a word."""
        self._text = term.text
        self._is_bounded_before = _is_bounded(term.text[0])
        self._is_bounded_after = _is_bounded(term.text[-1]) and not term.text.endswith("++")
        self._ends_with_plus = term.text.endswith("+") and self._is_bounded_after

    def find(self, folded: str) -> Iterator[tuple[int, int]]:
        """Find where the text begins and ends."""
        start = folded.find(self._text)
        while start >= 0:
            end = start + len(self._text)
            if self._stands_alone(folded, start, end):
                yield start, end
                start = folded.find(self._text, end)
            else:
                start = folded.find(self._text, start + 1)

    def _stands_alone(self, folded: str, start: int, end: int) -> bool:
        if self._is_bounded_before and start and _SPACED.match(folded, start - 1):
            return False
        if self._ends_with_plus and folded.startswith("+", end):
            return False
        return not (self._is_bounded_after and _SPACED.match(folded, end))


def phrase_pattern(term: Phrase) -> re.Pattern[str]:
    """Find the words of a phrase in spaced text, whatever stands between them."""
    pieces = term.pieces
    if not pieces:
        return _NEVER
    before = "" if _RUN.match(pieces[0]) else f"(?<!{_TOKEN})"
    after = "" if _RUN.match(pieces[-1]) else f"(?!{_TOKEN})"
    words = f"{_BREAK}+".join(map(re.escape, pieces))
    return re.compile(f"{before}{words}{after}")


def _is_bounded(character: str) -> bool:
    """Tell whether a literal that ends so must not go on with a letter."""
    return character.isascii() or _SPACED.match(character) is not None


def _root(term: Word) -> str:
    """Give the beginning that all forms of a word share, as do happy and happier, hope and hoping."""
    stem = term.stem
    if stem is None:
        return term.text
    if len(stem) == 3 and stem.endswith("ie"):
        return stem[0]
    if stem.endswith(("i", "e", "y", "bl")):
        return stem[:-1]
    return stem


def _beginning_with(roots: set[str]) -> re.Pattern[str]:
    """Find words by their beginnings; the first letter comes first, so that others are skipped quickly."""
    if not roots:
        return _NEVER
    rests: defaultdict[str, list[str]] = defaultdict(list)
    for root in sorted(roots):
        rests[root[0]].append(re.escape(root[1:]))
    first = "".join(map(re.escape, rests))
    branches = (f"(?<={re.escape(letter)})(?:{'|'.join(rest)})" for letter, rest in rests.items())
    any_branch = "|".join(branches)
    return re.compile(f"[{first}](?<!{_TOKEN}.)(?:{any_branch}){_TOKEN}*", re.DOTALL)
