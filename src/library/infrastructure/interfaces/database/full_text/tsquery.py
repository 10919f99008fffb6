"""Writes a search query as `tsquery` of PostgreSQL; the counterpart of `fts5_match.py`.

The text is cast, never parsed as a language by PostgreSQL: its tokens are ours. Each stands in single quotes,
and none holds one or a backslash: nothing that a user types is syntax. What the queries find are candidates:
literals, and what is long, have to be looked for in the texts themselves, see `TextFilter` and `ranking.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from library.infrastructure.interfaces.database.full_text.fts5_match import is_decided, is_decided_by_index
from library.infrastructure.interfaces.database.full_text.lexemes import (
    ABRIDGED,
    LONGEST_LEXEME,
    UNPLACED,
    group_sign,
    lexeme,
)
from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import Phrase, Prefix, Word
from library.infrastructure.interfaces.database.full_text.stemming import STEM_SIGN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery, Term

_FOLLOWED_BY: Final = " <-> "
_BUT_NOT: Final = " & !"
_PLACED_FOR_SURE: Final = 255
"""Characters of an exchange that cannot hold a token more often than a vector can tell."""
_WHOLE_FOR_SURE: Final = 50_000
"""Characters of an exchange whose lexemes all fit into a vector."""


class TextFilter:
    """Tells whether candidates hold all that a query asks for; one for each query, it remembers words."""

    def __init__(self, query: SearchQuery) -> None:
        """Know what the index decides."""
        self._ranker = Ranker(query, {}, 1)
        terms = (*query.terms, *query.excluded)
        phrases = [term for term in terms if isinstance(term, Phrase)]
        self.is_needed = not is_decided_by_index(query) or any(map(_is_cut, terms))
        """Whether candidates may be wrong however short they are."""
        self._decided_characters = _PLACED_FOR_SURE if phrases else _WHOLE_FOR_SURE

    def fits(self, user_input: str, agent_response: str) -> bool:
        """Tell whether what the index found for `match_all` holds all terms, and none that is excluded."""
        if not self.is_needed and len(user_input) + len(agent_response) <= self._decided_characters:
            return True
        return self._ranker.score(user_input, agent_response).holds_all


def match_exact(term: Term) -> str:
    """Match the term as it was written."""
    if isinstance(term, Word):
        return _any_of([term.text])
    if isinstance(term, Prefix):
        return f"('{term.text}':* | '{ABRIDGED}')"
    return _match_phrase(term, with_marks=True)


def match_loose(term: Term) -> str:
    """Match any form of the term: inflections of a word, the words of a literal without its symbols."""
    if isinstance(term, Word) and term.stem is not None:
        return _any_of([term.text, term.stem, f"{STEM_SIGN}{term.stem}"])
    if isinstance(term, Phrase) and term.is_literal and len(term.pieces) > 1:
        return _match_phrase(term, with_marks=False)
    return match_exact(term)


def match_all(query: SearchQuery, scope: str | None = None) -> str | None:
    """Match what holds all telling terms in any form, and none that is excluded.

    Args:
        query: the query.
        scope: the mark of the one conversation to search, from `scope_mark`.

    Returns:
        The text of a `tsquery`; `None` if the query finds nothing.

    """
    return _match_groups(query, scope, match_loose)


def match_all_exact(query: SearchQuery, scope: str | None = None) -> str | None:
    """Match what holds all telling terms as they were written; otherwise as `match_all`."""
    return _match_groups(query, scope, match_exact)


def match_term(query: SearchQuery, term: Term, scope: str | None = None) -> str:
    """Match what holds one of the query's terms in any form, and none that is excluded."""
    return _restrict(match_loose(term), query, scope)


def without_order(expression: str) -> str:
    """Write what one of these expressions asks for but for the order of words, which only a vector tells.

    The index decides it alone; all that the expression matches, it matches.
    """
    wanted, sign, excluded = expression.partition(_BUT_NOT)
    return wanted.replace(_FOLLOWED_BY, " & ") + (sign + excluded if _FOLLOWED_BY not in excluded else "")


def _match_groups(query: SearchQuery, scope: str | None, match: Callable[[Term], str]) -> str | None:
    if not query.groups:
        return None
    groups = (_joined(" | ", list(map(match, group))) for group in query.groups)
    return _restrict(" & ".join(groups), query, scope)


def _restrict(expression: str, query: SearchQuery, scope: str | None) -> str:
    if scope is not None:
        expression = f"'{scope}' & {expression}"
    excluded = [_match_for_sure(term) for term in query.excluded if is_decided(term) and not _is_cut(term)]
    return f"{expression}{_BUT_NOT}({' | '.join(excluded)})" if excluded else expression


def _match_for_sure(term: Term) -> str:
    """Match no more than what holds the term as it was written: no stand-ins for what is long."""
    if isinstance(term, Word):
        return f"'{term.text}'"
    if isinstance(term, Prefix):
        return f"'{term.text}':*"
    return _match_phrase(term, with_marks=True, for_sure=True)


def _match_phrase(term: Phrase, *, with_marks: bool, for_sure: bool = False) -> str:
    """Match the tokens as one phrase, if they follow each other in the index."""
    marks = term.marks if with_marks else ()
    if term.is_literal and marks and len(term.pieces) == 1:
        return _all_of(marks, for_sure=for_sure)
    if len(term.tokens) < 2 or not term.is_adjacent:
        return _all_of((*term.tokens, *marks), for_sure=for_sure)
    phrase = _FOLLOWED_BY.join(f"'{lexeme(token)}'" for token in term.tokens)
    if not for_sure:
        phrase = f"({phrase}) | ('{UNPLACED}' & {_all_of(term.tokens)})"
    return f"(({phrase}) & {_all_of(marks, for_sure=for_sure)})" if marks else f"({phrase})"


def _all_of(tokens: Iterable[str], *, for_sure: bool = False) -> str:
    found = dict.fromkeys(map(lexeme, tokens))
    return _joined(" & ", [f"'{each}'" if for_sure else _any_of([each]) for each in found])


def _any_of(tokens: Iterable[str]) -> str:
    """Match one of the tokens, or what stands for it where it was left out."""
    found = dict.fromkeys(map(lexeme, tokens))
    found |= dict.fromkeys([group_sign(each) for each in found])
    return _joined(" | ", [f"'{each}'" for each in found])


def _joined(operator: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({operator.join(parts)})"


def _is_cut(term: Term) -> bool:
    return isinstance(term, Phrase) and any(len(token) > LONGEST_LEXEME for token in term.tokens)
