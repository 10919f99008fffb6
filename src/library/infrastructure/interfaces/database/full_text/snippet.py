"""Shows the part of an exchange that holds most of a query, with what was found marked."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.interfaces.database.full_text.character_classes import PIECE, SIGNS
from library.infrastructure.interfaces.database.full_text.folding import fold
from library.infrastructure.interfaces.database.full_text.matching import (
    Forms,
    Literal,
    phrase_pattern,
)
from library.infrastructure.interfaces.database.full_text.search_query import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery

ELLIPSIS: Final = "\u2026"

_MOST_MATCHES: Final = 1000
"""Matches in one text that are looked at."""
_BLOCK: Final = 4000
"""Characters that are folded at once."""
_WORD_TO_CUT: Final = 20
"""Characters to leave out, at most, so that no word is cut."""
_LONGEST_CLUSTER: Final = 32
_HINT: Final = 0.1
"""What a part of a run without spaces counts, where a term counts one."""

_EXTENDING: Final = (
    f"{SIGNS}\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3"
    "\u1160-\u11ff\ud7b0-\ud7ff\u3099\u309a\uff9e\uff9f\uffa0-\uffdc\u200c\u200d\ufe00-\ufe0f"
)
_CLUSTERS: Final = re.compile(rf"[\x00-\x7f]+(?![{_EXTENDING}])|.[{_EXTENDING}]*", re.DOTALL)
_PIECE: Final = re.compile(PIECE)
_SPACES: Final = re.compile(r"\s+")
_JOINERS: Final = frozenset("\u200d")
_MODIFIERS: Final = frozenset(
    map(chr, (*range(0x1F3FB, 0x1F400), *range(0x1160, 0x1200), 0x200D, 0xFF9E, 0xFF9F))
)


class _Match(NamedTuple):
    """A part of a text that a term was found in."""

    start: int
    end: int
    place: int
    """Which of the terms."""


class _Window(NamedTuple):
    """A part of a text that fits into a snippet, with the matches from `first` to `last`."""

    worth: float
    text: str
    matches: list[_Match]


def snippet(
    query: SearchQuery, user_input: str, agent_response: str, marks: tuple[str, str], characters: int
) -> str:
    """Show what a query found in an exchange.

    Args:
        query: the query.
        user_input: what the user said.
        agent_response: what the agent answered.
        marks: what to put before and after each match.
        characters: how many characters of the text to show, at most; marks and ellipses come on top.

    Returns:
        The part that holds most terms, each run of white space as one space, with an ellipsis where the text
        goes on; the beginning, if nothing is found.

    """
    finder = _finder(query)
    characters = max(characters, 1)
    windows = [finder.best_window(text, characters) for text in (user_input, agent_response)]
    best = max(windows, key=lambda window: window.worth)
    if not best.matches and not user_input.strip():
        best = windows[1]
    return _show(best.text, best.matches, marks, characters)


class _Finder:
    """Finds the terms of one query in texts as they were written."""

    def __init__(self, query: SearchQuery) -> None:
        terms = tuple(dict.fromkeys((*query.terms, *query.hints)))
        telling = set(query.terms)
        self._worths = [1.0 if term in telling else _HINT for term in terms]
        self._forms = Forms(terms)
        self._literals: list[tuple[int, Literal]] = []
        self._phrases: list[tuple[int, re.Pattern[str]]] = []
        for place, term in enumerate(terms):
            if isinstance(term, Phrase) and term.is_literal:
                self._literals.append((place, Literal(term)))
            if isinstance(term, Phrase) and (len(term.pieces) > 1 or not term.is_literal):
                self._phrases.append((place, phrase_pattern(term)))

    def best_window(self, text: str, characters: int) -> _Window:
        """Choose the matches that fit into so many characters and are worth most."""
        matches = self._matches(text)
        best, best_worth, first = (0, 0), 0.0, 0
        inside = [0] * len(self._worths)
        worth = 0.0
        for last, match in enumerate(matches):
            if not inside[match.place]:
                worth += self._worths[match.place]
            inside[match.place] += 1
            while first < last and match.end - matches[first].start > characters:
                place = matches[first].place
                inside[place] -= 1
                if not inside[place]:
                    worth -= self._worths[place]
                first += 1
            now = worth + 0.001 * (last - first)
            if now > best_worth + 1e-9:
                best, best_worth = (first, last + 1), now
        return _Window(best_worth, text, matches[slice(*best)])

    def _matches(self, text: str) -> list[_Match]:
        """Find the first matches, in the order of the text."""
        matches: list[_Match] = []
        for start, end in _blocks(text):
            matches += sorted(
                _Match(first + start, last + start, place)
                for first, last, place in self._find(text[start:end])
            )
            if len(matches) >= _MOST_MATCHES:
                break
        return matches[:_MOST_MATCHES]

    def _find(self, block: str) -> Iterator[_Match]:
        folded = fold(block)
        found = list(self._find_folded(folded))
        if not found or (block.isascii() or len(folded) == len(block) == len(_CLUSTERS.findall(block))):
            yield from found
            return
        folded, starts, ends = _mapped(block)
        for match in self._find_folded(folded):
            yield _Match(starts[match.start], ends[match.end - 1], match.place)

    def _find_folded(self, folded: str) -> Iterator[_Match]:
        pattern = self._forms.pattern if folded.isascii() else _PIECE
        for word in pattern.finditer(folded):
            for place, _ in self._forms[word[0]]:
                yield _Match(word.start(), word.end(), place)
        for place, literal in self._literals:
            for start, end in literal.find(folded):
                yield _Match(start, end, place)
        for place, phrase in self._phrases:
            for found in phrase.finditer(folded):
                yield _Match(found.start(), found.end(), place)


@lru_cache(maxsize=16)
def _finder(query: SearchQuery) -> _Finder:
    return _Finder(query)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Divide a text between words, so that parts of it can be looked at."""
    start = 0
    while start < len(text):
        end = min(start + _BLOCK, len(text))
        if end < len(text):
            space = text.rfind(" ", start + _BLOCK // 2, end)
            end = space if space > 0 else end
        yield start, end
        start = end


def _mapped(block: str) -> tuple[str, list[int], list[int]]:
    """Fold a text, and tell for each character where that which it was made of begins and ends."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in _CLUSTERS.finditer(block):
        folded = fold(cluster[0])
        parts.append(folded)
        if cluster[0].isascii():
            starts += range(cluster.start(), cluster.end())
            ends += range(cluster.start() + 1, cluster.end() + 1)
        else:
            starts += [cluster.start()] * len(folded)
            ends += [cluster.end()] * len(folded)
    return "".join(parts), starts, ends


def _show(text: str, matches: list[_Match], marks: tuple[str, str], characters: int) -> str:
    start, end = _frame(text, matches, characters)
    shown: list[str] = []
    space = True  # what comes first does not begin with white space
    for part, is_match in _parts(text, matches, start, end):
        collapsed = _SPACES.sub(" ", part)
        if space:
            collapsed = collapsed.removeprefix(" ")
        if collapsed:
            space = collapsed.endswith(" ")
            shown += (marks[0], collapsed, marks[1]) if is_match else (collapsed,)
    if shown and space:
        shown[-1] = shown[-1].removesuffix(" ")
    before = ELLIPSIS if start and not text[:start].isspace() else ""
    after = ELLIPSIS if end < len(text) and not text[end:].isspace() else ""
    return f"{before}{''.join(shown)}{after}"


def _parts(text: str, matches: list[_Match], start: int, end: int) -> Iterator[tuple[str, bool]]:
    """Divide a part of a text into what matches and what does not; matches that overlap become one."""
    position = start
    spans: list[tuple[int, int]] = []
    for match in matches:
        first, last = max(match.start, start), min(match.end, end)
        if spans and first < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        elif first < last:
            spans.append((first, last))
    for first, last in spans:
        yield text[position:first], False
        yield text[first:last], True
        position = last
    yield text[position:end], False


def _frame(text: str, matches: list[_Match], characters: int) -> tuple[int, int]:
    """Choose what to show around matches: less before than after them, and whole words where that is easy."""
    first = matches[0].start if matches else 0
    last = min(max((match.end for match in matches), default=0), first + characters)
    start = max(0, min(first - (characters - (last - first)) // 3, len(text) - characters))
    end = min(len(text), start + characters)
    if start and not text[start - 1].isspace():
        space = _SPACES.search(text, start, min(first, start + _WORD_TO_CUT))
        start = space.end() if space else start
    if end < len(text) and not text[end].isspace():
        spaces = list(_SPACES.finditer(text, max(last, end - _WORD_TO_CUT), end))
        end = spaces[-1].start() if spaces else end
    for _ in range(_LONGEST_CLUSTER):
        start += 0 < start < end and _is_inside_cluster(text, start)
        end -= start < end - 1 and end < len(text) and _is_inside_cluster(text, end)
    return start, end


def _is_inside_cluster(text: str, index: int) -> bool:
    """Tell whether a character is seen as one with that before it."""
    character = text[index]
    return (
        unicodedata.category(character).startswith("M")
        or character in _MODIFIERS
        or text[index - 1] in _JOINERS
    )
