"""Ranks found exchanges by what they hold of a query.

It is BM25, in which a word's other forms count less than the word, and in which an exchange gains from what
the exchanges around it hold: an answer seldom repeats the words of the question before it.

The constants were chosen by evidence recall on LoCoMo (five conversations of 300 exchanges, 1,000 questions).
Around these values it hardly changes, so they are round.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from library.infrastructure.interfaces.database.full_text.folding import fold
from library.infrastructure.interfaces.database.full_text.index_terms import spaced
from library.infrastructure.interfaces.database.full_text.marked_words import marked_words
from library.infrastructure.interfaces.database.full_text.matching import (
    BARRIER,
    EXACT,
    INFLECTED,
    Forms,
    Literal,
    phrase_pattern,
)
from library.infrastructure.interfaces.database.full_text.search_query import Phrase, Prefix, Word

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery, Term

SATURATION: Final = 1.2
"""BM25's k1: how soon repeating a word stops to count; the usual value."""
LENGTH_WEIGHT: Final = 0.5
"""BM25's b: how much more a word counts in a short exchange; below the usual 0.75, since long answers are
mostly to the point."""
TYPICAL_CHARACTERS: Final = 600
"""The length of an exchange that neither gains nor loses by it."""
HINT_WEIGHT: Final = 0.3
"""What parts of a run without spaces count, where the run itself is not found."""
STOP_WORD_WEIGHT: Final = 0.05
"""What a held stop word adds: enough to decide between exchanges that hold the same telling terms."""
NEIGHBOUR_SHARES: Final = {1: 0.5, 2: 0.25}
"""What an exchange gains of the scores of those one and two places before and after it."""

Key = TypeVar("Key")


class Scored(NamedTuple):
    """What one exchange is worth to a query."""

    score: float
    """Zero, if the exchange is no result."""
    holds_all: bool
    """Whether it holds each telling term, in any form."""
    is_exact: bool
    """Whether it holds each as it was written."""


NOTHING: Final = Scored(0.0, holds_all=False, is_exact=False)


class Ranker:
    """Scores exchanges for one query. It remembers the words that it met: one for each search."""

    def __init__(self, query: SearchQuery, document_frequencies: Mapping[Term, float], total: int) -> None:
        """Weigh the terms.

        Args:
            query: the query.
            document_frequencies: how many exchanges hold each of `query.terms` and `query.hints`, at least
                about; terms left out count as rare.
            total: how many exchanges there are.

        """
        terms: dict[Term, int] = {}
        for term in (*query.terms, *query.hints, *query.stop_words, *query.excluded):
            terms.setdefault(term, len(terms))
        self._telling = {term: terms[term] for term in (*query.terms, *query.hints)}
        self._weights = [_rarity(document_frequencies.get(term, 0), total) for term in terms]
        self._groups = [[terms[term] for term in group] for group in query.groups]
        self._hints = [terms[term] for term in query.hints]
        self._stop_words = [terms[term] for term in query.stop_words]
        self._excluded = [terms[term] for term in query.excluded]
        self._forms = Forms(tuple(terms))
        self._literals: list[tuple[int, Literal, re.Pattern[str] | None]] = []
        self._phrases: list[tuple[int, re.Pattern[str]]] = []
        for term, place in terms.items():
            if isinstance(term, Phrase) and term.is_literal:
                has_words = len(term.pieces) > 1 and term not in query.excluded
                loose = phrase_pattern(term) if has_words else None
                self._literals.append((place, Literal(term), loose))
            elif isinstance(term, Phrase):
                self._phrases.append((place, phrase_pattern(term)))

        self._marks = [
            (place, frozenset(term.marks))
            for term, place in terms.items()
            if isinstance(term, Phrase) and term.marks and not (term.is_literal and len(term.pieces) > 1)
        ]
        self._reads_words = (
            bool(self._phrases)
            or any(isinstance(term, Word | Prefix) for term in terms)
            or any(loose is not None for _, _, loose in self._literals)
        )

    def held_terms(self, user_input: str, agent_response: str) -> list[Term]:
        """List the telling terms and hints that one exchange holds, in any form."""
        counts, _, _ = self._count(user_input, agent_response)
        return [term for term, place in self._telling.items() if counts[place]]

    def score(self, user_input: str, agent_response: str) -> Scored:
        """Score one exchange."""
        return self._weigh(*self._count(user_input, agent_response))

    def _count(self, user_input: str, agent_response: str) -> tuple[list[float], set[int], int]:
        """Count how often one exchange holds each term, which it holds as written, and its characters."""
        folded = fold(f"{user_input}{BARRIER}{agent_response}")
        text = spaced(folded) if self._reads_words else ""
        counts = [0.0] * len(self._weights)
        exact: set[int] = set()
        forms = self._forms
        for form in forms.pattern.findall(text):
            for place, weight in forms[form]:
                counts[place] += weight
                if weight == EXACT:
                    exact.add(place)
        for place, literal, loose in self._literals:
            found = sum(1 for _ in literal.find(folded))
            counts[place] = EXACT * found
            if found:
                exact.add(place)
            if not found and loose is not None:
                counts[place] = INFLECTED * len(loose.findall(text))
        for place, phrase in self._phrases:
            counts[place] = EXACT * len(phrase.findall(text))
            exact.add(place)
        for place, marks in self._marks:
            if counts[place] and not marks <= marked_words(folded).union(folded):
                counts[place] = 0.0
        return counts, exact, len(folded)

    def _weigh(self, counts: list[float], exact: set[int], characters: int) -> Scored:
        if any(counts[place] for place in self._excluded):
            return NOTHING
        weights = self._weights
        damping = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * characters / TYPICAL_CHARACTERS)
        score = 0.0
        holds_all = bool(self._groups)
        for group in self._groups:
            best = max([weights[place] * counts[place] / (counts[place] + damping) for place in group])
            score += best
            holds_all = holds_all and best > 0.0
        if not holds_all:
            for place in self._hints:
                score += HINT_WEIGHT * weights[place] * counts[place] / (counts[place] + damping)
        if score:
            score += STOP_WORD_WEIGHT * sum([counts[place] > 0 for place in self._stop_words])
        is_exact = holds_all and all(
            any(place in exact and counts[place] for place in group) for group in self._groups
        )
        return Scored(score, holds_all, is_exact)


def share_with_neighbours(
    scores: Mapping[Key, float], neighbours: Mapping[Key, Sequence[tuple[Key, int]]]
) -> dict[Key, float]:
    """Lift exchanges by the scores of those around them.

    Args:
        scores: the score of each exchange that was found.
        neighbours: for each of them, the exchanges around it in its conversation, each with how many places
            it is away; those without a score, or too far away, add nothing.

    """
    return {
        key: score
        + sum(
            NEIGHBOUR_SHARES.get(abs(distance), 0.0) * scores.get(other, 0.0)
            for other, distance in neighbours.get(key, ())
        )
        for key, score in scores.items()
    }


def _rarity(holding: float, total: int) -> float:
    """Weigh a term by how few exchanges hold it; more than it is in cannot be less than nothing."""
    return math.log1p((max(total - holding, 0.0) + 0.5) / (holding + 0.5))
