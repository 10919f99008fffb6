"""What of an exchange goes into its `search` column: the text of a `tsvector`, which is cast.

The tokens of the user's input come first, then those of the agent's response behind a gap, so that no phrase
reaches from one into the other; the marks have no positions. See `full_text/lexemes.py` for what is too long.
"""

from __future__ import annotations

from collections import defaultdict
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Final

from library.infrastructure.interfaces.database.full_text.index_terms import (
    index_texts,
    prepared_tokens,
    scope_mark,
)
from library.infrastructure.interfaces.database.full_text.lexemes import (
    ABRIDGED,
    UNPLACED,
    group_sign,
    lexeme,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_GAP: Final = 2
_LAST_POSITION: Final = 16_383
_MOST_POSITIONS: Final = 255
_MOST_BYTES: Final = 900_000
"""Of the lexemes and positions of a vector, which takes 1,048,575."""
_BYTES_KEPT: Final = 600_000
"""Of the lexemes of an exchange that is abridged; what stands for the others takes up to 164 kB."""


def search_vector(user_input: str, agent_response: str, conversation_id: str) -> str:
    """Write the vector of an exchange; its texts and its conversation are as the user gave them.

    Args:
        user_input: what the user said.
        agent_response: what the agent answered.
        conversation_id: its conversation.

    """
    asked, answered, mark_text = index_texts(user_input, agent_response, scope_mark(conversation_id))
    asked_tokens = prepared_tokens(asked.lower() if asked.isascii() else asked)
    answered_tokens = prepared_tokens(answered.lower() if answered.isascii() else answered)
    if asked.isascii() != answered.isascii():
        mark_text = mark_text.translate(_LOWER)
    marks = mark_text.split(" ")
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(asked_tokens, 1):
        places[token].append(place)
    for place, token in enumerate(answered_tokens, len(asked_tokens) + _GAP):
        places[token].append(place)
    if len(asked_tokens) + len(answered_tokens) > _MOST_POSITIONS and not _fits(places, marks):
        return _unplaced((*map(lexeme, places), *marks))
    written = [f"'{lexeme(token)}':{','.join(map(str, found))}" for token, found in places.items()]
    return " ".join([*written, *[f"'{mark}'" for mark in marks]])


def _fits(places: dict[str, list[int]], marks: list[str]) -> bool:
    """Tell whether a vector can hold all lexemes with all their positions."""
    counts = [len(found) for found in places.values()]
    if sum(counts) + _GAP > _LAST_POSITION or max(counts) > _MOST_POSITIONS:
        return False
    return _size(map(lexeme, places)) + 2 * sum(counts) + _size(marks) <= _MOST_BYTES


def _size(lexemes: Iterable[str]) -> int:
    return sum([len(each.encode()) + 4 for each in lexemes])


def _unplaced(lexemes: Iterable[str]) -> str:
    """Write a vector without positions, and of an exchange that is abridged with the shorter lexemes only."""
    kept = dict.fromkeys((UNPLACED, *lexemes))
    if _size(kept) > _MOST_BYTES:
        room = _BYTES_KEPT
        ordered = sorted(kept, key=len)
        kept = {UNPLACED: None, ABRIDGED: None}
        for each in ordered:
            room -= len(each.encode())
            kept[each if room >= 0 else group_sign(each)] = None
    return " ".join([f"'{each}'" for each in kept])
