"""Writes a search query as `MATCH` expressions of SQLite's FTS5.

Each token stands in double quotes, and no token holds one: nothing that a user types is syntax. Expressions
find candidates: literals have to be looked for in the texts themselves, as `ranking.py` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from library.infrastructure.interfaces.database.full_text.search_query import Phrase, Prefix, Word
from library.infrastructure.interfaces.database.full_text.stemming import STEM_SIGN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from library.infrastructure.interfaces.database.full_text.search_query import SearchQuery, Term


def match_exact(term: Term) -> str:
    """Match the term as it was written."""
    if isinstance(term, Word):
        return f'"{term.text}"'
    if isinstance(term, Prefix):
        return f'"{term.text}"*'
    return _match_phrase(term, [*_tokens(term), *_quote(term.marks)])


def match_loose(term: Term) -> str:
    """Match any form of the term: inflections of a word, the words of a literal without its symbols."""
    if isinstance(term, Word) and term.stem is not None:
        forms = dict.fromkeys((term.text, term.stem, f"{STEM_SIGN}{term.stem}"))
        return f"({' OR '.join(_quote(forms))})"
    if isinstance(term, Phrase) and term.is_literal and len(term.pieces) > 1:
        return _match_phrase(term, _tokens(term))
    return match_exact(term)


def match_all(query: SearchQuery, scope: str | None = None) -> str | None:
    """Match what holds all telling terms in any form, and none that is excluded.

    Args:
        query: the query.
        scope: the mark of the one conversation to search, from `scope_mark`.

    Returns:
        The expression; `None` if the query finds nothing.

    """
    return _match_groups(query, scope, match_loose)


def match_all_exact(query: SearchQuery, scope: str | None = None) -> str | None:
    """Match what holds all telling terms as they were written; otherwise as `match_all`."""
    return _match_groups(query, scope, match_exact)


def match_any(query: SearchQuery, scope: str | None = None) -> str | None:
    """Match what holds at least one telling term or hint, in any form; otherwise as `match_all`."""
    terms = dict.fromkeys((*query.terms, *query.hints))
    if not terms:
        return None
    return _restrict(f"({' OR '.join(map(match_loose, terms))})", query, scope)


def match_term(query: SearchQuery, term: Term, scope: str | None = None) -> str:
    """Match what holds one of the query's terms in any form, and none that is excluded."""
    return _restrict(match_loose(term), query, scope)


def _match_groups(query: SearchQuery, scope: str | None, match: Callable[[Term], str]) -> str | None:
    if not query.groups:
        return None
    groups = (f"({' OR '.join(map(match, group))})" for group in query.groups)
    return _restrict(" AND ".join(groups), query, scope)


def _restrict(expression: str, query: SearchQuery, scope: str | None) -> str:
    if scope is not None:
        expression = f'"{scope}" AND {expression}'
    excluded = [match_exact(term) for term in query.excluded if is_decided(term)]
    return f"({expression}) NOT ({' OR '.join(excluded)})" if excluded else expression


def is_decided(term: Term) -> bool:
    """Tell whether what the index finds for a term holds it for sure."""
    if not isinstance(term, Phrase) or not term.is_literal:
        return True
    return len(term.pieces) <= 1 and term.is_adjacent and (len(term.tokens) == 1 or not term.marks)


def _match_phrase(term: Phrase, parts: list[str]) -> str:
    if term.is_literal and term.marks and len(term.pieces) == 1:
        parts = _quote(term.marks)
    return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"


def _tokens(term: Phrase) -> list[str]:
    """Write the tokens as one phrase, if they follow each other in the index."""
    return [f'"{" ".join(term.tokens)}"'] if term.tokens and term.is_adjacent else _quote(term.tokens)


def _quote(tokens: Iterable[str]) -> list[str]:
    return [f'"{token}"' for token in tokens]


def is_decided_by_index(query: SearchQuery) -> bool:
    """Tell whether all that `match_all` finds holds all terms for sure, so that no text need be looked at."""
    return all(map(is_decided, (*query.terms, *query.excluded)))
