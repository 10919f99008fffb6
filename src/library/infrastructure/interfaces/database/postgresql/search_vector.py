"""What of an exchange goes into its `search` column: the text of a `tsvector`, which is cast.

The tokens of the user's input come first, then those of the agent's response behind a gap, so that no phrase
reaches from one into the other; the marks have no positions. See `full_text/lexemes.py` for what is too long.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING, Final

from library.infrastructure.interfaces.database.full_text.index_terms import (
    exchange_tokens,
    scope_mark,
)
from library.infrastructure.interfaces.database.full_text.lexemes import (
    ABRIDGED,
    LONGEST_LEXEME,
    UNPLACED,
    group_sign,
    lexeme,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_GAP: Final = 2
_LAST_POSITION: Final = 16_383
_MOST_POSITIONS: Final = 255
_PLACES: Final = tuple([f"':{place}" for place in range(_MOST_POSITIONS + _GAP)])
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
    asked, answered, marks = exchange_tokens(user_input, agent_response, scope_mark(conversation_id))
    count = len(asked) + len(answered)
    if count <= _MOST_POSITIONS:
        placed = *_placed(asked, 1), *_placed(answered, len(asked) + _GAP), *map(add, marks, repeat("'"))
        return "'" + " '".join(placed)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(asked, 1):
        places[token].append(place)
    for place, token in enumerate(answered, len(asked) + _GAP):
        places[token].append(place)
    if not _fits(places, marks):
        return _unplaced((*map(lexeme, places), *marks))
    written = [f"'{lexeme(token)}':{','.join(map(str, found))}" for token, found in places.items()]
    return " ".join([*written, *[f"'{mark}'" for mark in marks]])


def _placed(tokens: list[str], first: int) -> Iterable[str]:
    """Write lexemes and their positions, but for the first quote.

    One that comes again is written again, and the server joins its positions: that is soonest done.
    """
    if max(map(len, tokens), default=0) > LONGEST_LEXEME:
        tokens = [lexeme(token) for token in tokens]
    return map(add, tokens, _PLACES[first:])


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
