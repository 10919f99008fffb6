r"""What of an exchange goes into a full-text index.

The index is made by a tokenizer that knows ASCII alone: ASCII letters and digits are parts of words and are
lower-cased, all other ASCII separates words, and all that is beyond ASCII is part of a word. So ASCII text is
indexed as it is, and other text is prepared here: folded, its words set apart, and runs of scripts without
spaces cut into overlapping pairs of characters, so that each of their substrings is a phrase.

What a word can be found by besides itself stands in a third text, the marks. All of them hold characters that
folding maps away, so that no text of a user's can be mistaken for them:

    ˢlearn         the stem of a word that is not its own stem
    c\uff0b\uff0b   a word with the symbols attached to it, in full width
    ᶜ0123456789abcdef   the conversation

and single characters, of scripts without spaces and emoji, which are searched for by themselves.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from string import ascii_lowercase, ascii_uppercase
from typing import Final, NamedTuple

from library.infrastructure.interfaces.database.full_text.character_classes import (
    EMOJI,
    RUN,
    SIGNS,
    UNSPACED,
)
from library.infrastructure.interfaces.database.full_text.folding import fold
from library.infrastructure.interfaces.database.full_text.marked_words import marked_words
from library.infrastructure.interfaces.database.full_text.stemming import stem_marks

INDEX_VERSION: Final = 1
"""Counts changes of what is indexed: an index of another version has to be built anew."""

SCOPE_SIGN: Final = "\u1d9c"
"""What stands before the digest of a conversation's id: ᶜ, which folding maps away."""

_TO_WORDS: Final = str.maketrans(
    {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
)
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_TO_WORDS_AND_MARKS: Final = _TO_WORDS | {ord("?"): "?"}
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_NO_TOKEN: Final = re.compile(rf"(?:[\W_](?<![{UNSPACED}{SIGNS}]))+")
_RUN: Final = re.compile(RUN)
_EMOJI: Final = re.compile(f"[{EMOJI}]")
_TOKEN: Final = re.compile(r"[^\x00-/:-@\[-`{-\x7f]+")


class IndexTexts(NamedTuple):
    """The texts of one exchange's row in the index."""

    user_input: str
    agent_response: str
    marks: str


class IndexTokens(NamedTuple):
    """What an exchange is found by, for an index that takes tokens: those of `IndexTexts`, in lower case."""

    user_input: list[str]
    agent_response: list[str]
    marks: list[str]


def index_texts(user_input: str, agent_response: str, scope: str) -> IndexTexts:
    """Prepare an exchange for the index.

    Args:
        user_input: what the user said.
        agent_response: what the agent answered.
        scope: the mark of its conversation, from `scope_mark`.

    """
    asked = user_input if user_input.isascii() else fold(user_input)
    answered = agent_response if agent_response.isascii() else fold(agent_response)
    text = f"{asked}\n{answered}"
    if text.isascii():
        words = text.translate(_TO_WORDS)
        marks = marked_words(text.lower())
    else:
        marks = marked_words(text)
        marks.update(_EMOJI.findall(text), "".join(_RUN.findall(text)))
        asked, answered = _prepare(asked), _prepare(answered)
        # Letters beyond ASCII become question marks, which keep the rest of their word from having a stem.
        text = f"{asked}\n{answered}".replace("?", " ")
        words = text.encode("ascii", "replace").decode().translate(_TO_WORDS_AND_MARKS)
    marks.update(map(stem_marks.__getitem__, words.split()))
    marks.add(scope)
    marks.discard("")
    return IndexTexts(asked, answered, " ".join(marks))


def exchange_tokens(user_input: str, agent_response: str, scope: str) -> IndexTokens:
    """Prepare an exchange for an index without a tokenizer of its own; see `index_texts`.

    Nearly all text is ASCII, whose words are cut once here, for both the tokens and their stems.
    """
    if user_input.isascii() and agent_response.isascii():
        asked = user_input.translate(_TO_WORDS).split()
        answered = agent_response.translate(_TO_WORDS).split()
        marks = marked_words(f"{user_input}\n{agent_response}".lower())
        marks.update(map(stem_marks.__getitem__, asked), map(stem_marks.__getitem__, answered))
        marks.add(scope)
        marks.discard("")
        return IndexTokens(asked, answered, list(marks))
    asked_text, answered_text, mark_text = index_texts(user_input, agent_response, scope)
    if asked_text.isascii() != answered_text.isascii():
        mark_text = mark_text.translate(_LOWER)
    return IndexTokens(_lower_tokens(asked_text), _lower_tokens(answered_text), mark_text.split(" "))


@lru_cache(maxsize=4096)
def scope_mark(conversation_id: str) -> str:
    """Give the mark that each exchange of a conversation carries in the index."""
    digest = blake2b(conversation_id.encode("utf-8", "surrogatepass"), digest_size=8)
    return SCOPE_SIGN + digest.hexdigest()


def index_tokens(folded: str) -> list[str]:
    """List the tokens that a folded text has in the index, in their order."""
    return prepared_tokens(_prepare(folded))


def prepared_tokens(prepared: str) -> list[str]:
    """List the tokens of a text of `IndexTexts`, in lower case, as the index's tokenizer finds them."""
    return _TOKEN.findall(prepared)


def _lower_tokens(prepared: str) -> list[str]:
    """List the tokens of a prepared text; folded text is in lower case already, ASCII was left as it is."""
    return prepared_tokens(prepared.lower() if prepared.isascii() else prepared)


def spaced(folded: str) -> str:
    """Set the words and runs of a folded text apart: what is beyond ASCII is then part of one of them."""
    return folded if folded.isascii() else _BEYOND_ASCII.sub(_space, folded)


def _prepare(folded: str) -> str:
    """Set words apart and cut runs into pairs."""
    return folded if folded.isascii() else _RUN.sub(_cut, spaced(folded))


def _space(stretch: re.Match[str]) -> str:
    text = stretch[0]
    if not text.isalpha():
        text = _NO_TOKEN.sub(" ", text)
    return _RUN.sub(r" \g<0> ", text)


def _cut(run: re.Match[str]) -> str:
    """Cut a run into overlapping pairs of characters; a single character is left alone."""
    text = run[0]
    return " ".join(map(str.__add__, text, text[1:])) if len(text) > 1 else text
