"""What people type into a search, as data: `parse_query` reads it, each database renders it.

    words               all of them; inflections of English words are found, too
    "a phrase"          these words next to each other, uninflected
    -word -"a phrase"   not this; a query of nothing else finds nothing
    word*               words that begin so, from three characters on
    this OR that        one of them; binds closer than the space between words
    c++ node.js a-b     found as typed first, then as the phrase of their words

Any text is a query: what is not syntax is text. Reading takes time in proportion to the text, of which all
beyond `LONGEST_QUERY` characters and `MOST_TERMS` terms is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.interfaces.database.full_text.character_classes import (
    EMOJI,
    LETTER,
    PIECE,
    RUN,
    UNSPACED,
    WORD_PART,
)
from library.infrastructure.interfaces.database.full_text.folding import fold
from library.infrastructure.interfaces.database.full_text.index_terms import index_tokens
from library.infrastructure.interfaces.database.full_text.marked_words import marked_words
from library.infrastructure.interfaces.database.full_text.stemming import stem
from library.infrastructure.interfaces.database.full_text.stop_words import CONTRACTIONS, STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_QUERY: Final = 10_000
"""Characters of a query that are read."""
MOST_TERMS: Final = 64
"""Distinct terms of a query, and tokens of one term, that count."""
_LONGEST_WORD: Final = 200
"""A longer word is looked for by its beginning."""

_ITEM: Final = re.compile(r"""(?<![^\s(])(?P<minus>-?)"(?P<phrase>[^"]*)"|(?P<run>[^\s"]+)""")
_QUOTES: Final = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\uff02"), '"') | {0: " "}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SYMBOL: Final = re.compile(f"([\U0001f1e6-\U0001f1ff]{{2}}|[{EMOJI}])")
_EXCLUSION: Final = re.compile(r"-(?=[^\W_])")
_PREFIX: Final = re.compile(rf"({LETTER}{WORD_PART}{{2,}})\*")
_WORD: Final = re.compile(rf"{LETTER}{WORD_PART}*")
_RUN: Final = re.compile(RUN)
_PIECE: Final = re.compile(PIECE)
_LETTER: Final = re.compile(rf"{LETTER}|[{UNSPACED}]")
_LAST: Final = re.compile(rf"{WORD_PART}|[{UNSPACED}]")
_LEADING: Final = frozenset("#@$\u20ac\u00a3")
_TRAILING: Final = frozenset("+#%$\u20ac\u00a3")
_SINGLE: Final = re.compile(f"[{UNSPACED}{EMOJI}]")
_PARTICLES: Final = re.compile("[\u3041-\u309f]{2}")


@dataclass(frozen=True, slots=True)
class Word:
    """A word; unless it was quoted, its inflections are found as well."""

    text: str
    """The word, folded."""
    stem: str | None = None
    """Its English stem, if its inflections count; it may be the word itself."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """All words with one beginning."""

    text: str
    """The beginning, folded."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words, or parts of a run without spaces, next to each other."""

    text: str
    """What was typed, folded."""
    tokens: tuple[str, ...]
    """Its tokens in the index, in their order."""
    marks: tuple[str, ...] = ()
    """Marks that an exchange has in the index if it holds the text."""
    is_literal: bool = False
    """Whether it is looked for as typed, symbols included, and not for its words alone."""

    @property
    def is_adjacent(self) -> bool:
        """Whether the tokens follow each other in the index; characters may be within longer runs."""
        return not any(map(_SINGLE.fullmatch, self.tokens))

    @property
    def pieces(self) -> tuple[str, ...]:
        """The words, and the runs without spaces, that it consists of."""
        return tuple(_PIECE.findall(self.text))


Term = Word | Prefix | Phrase
"""One thing that an exchange holds or not. Terms that mean the same are equal; they can be keys."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query that was read."""

    groups: tuple[tuple[Term, ...], ...]
    """The telling terms: an exchange holds all if it holds one of each group. If empty, nothing is found."""
    excluded: tuple[Term, ...] = ()
    """An exchange that holds one of these as it is written is no result."""
    stop_words: tuple[Term, ...] = ()
    """What tells nothing and is not required."""
    hints: tuple[Term, ...] = ()
    """Parts of runs without spaces: where a run as a whole is not found, they tell a little."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The telling terms of all groups."""
        return tuple(chain.from_iterable(self.groups))


class _Item(NamedTuple):
    """One term in the order of the text; `term` is `None` where `OR` was written."""

    term: Term | None
    is_excluded: bool = False
    is_telling: bool = True


def parse_query(text: str) -> SearchQuery:
    """Read a query; there is no text that is none."""
    items = _limited(_items(_SURROGATE.sub("", text[:LONGEST_QUERY]).translate(_QUOTES)))
    groups: list[list[_Item]] = []
    excluded: dict[Term, None] = {}
    joins = False
    for before, item, after in zip([None, *items], items, [*items[1:], None], strict=False):
        if item.term is None:
            joins = _is_wanted(before) and _is_wanted(after)
            if not joins:
                groups.append([_Item(Word("or"), is_telling=False)])
        elif item.is_excluded:
            excluded[Word(item.term.text) if isinstance(item.term, Word) else item.term] = None
        elif joins:
            groups[-1].append(item)
            joins = False
        else:
            groups.append([item])
    telling = _groups([item for item in group if item.is_telling] for group in groups)
    stop_words = _groups([item for item in group if not item.is_telling] for group in groups)
    if not telling:
        return SearchQuery(_groups(groups), tuple(excluded))
    held = tuple(dict.fromkeys(chain.from_iterable(stop_words)))
    return SearchQuery(telling, tuple(excluded), held, _hints(telling))


def _groups(groups: Iterable[list[_Item]]) -> tuple[tuple[Term, ...], ...]:
    """Leave out what is there twice, and what is empty."""
    unique = (tuple(dict.fromkeys(item.term for item in group if item.term)) for group in groups)
    return tuple(dict.fromkeys(group for group in unique if group))


def _is_wanted(item: _Item | None) -> bool:
    return item is not None and item.term is not None and not item.is_excluded


def _limited(items: Iterable[_Item]) -> list[_Item]:
    """Take items until there are enough distinct terms."""
    taken: list[_Item] = []
    seen: set[Term | None] = {None}
    for item in items:
        seen.add(item.term)
        if len(seen) > MOST_TERMS + 1:
            break
        taken.append(item)
    return taken


def _hints(telling: Iterable[tuple[Term, ...]]) -> tuple[Term, ...]:
    """Take long runs without spaces apart: whole questions are written in one."""
    parts: dict[Term, None] = {}
    for term in chain.from_iterable(telling):
        if isinstance(term, Phrase) and term.is_literal and _RUN.search(term.text):
            for piece in term.pieces:
                parts |= dict.fromkeys(_parts(piece))
            parts.pop(term, None)
    return tuple(parts)[:MOST_TERMS]


def _parts(piece: str) -> Iterator[Term]:
    if not _RUN.match(piece):
        yield Word(piece, stem(piece))
    elif len(piece) > 1:
        pairs = (pair for pair in index_tokens(piece) if not _PARTICLES.fullmatch(pair))
        yield from (Phrase(pair, (pair,), is_literal=True) for pair in pairs)


def _items(text: str) -> Iterator[_Item]:
    for match in _ITEM.finditer(text):
        run = match["run"]
        if run is None:
            for term in _quoted(match["phrase"]):
                yield _Item(term, is_excluded=bool(match["minus"]))
        elif run == "OR":
            yield _Item(None)
        else:
            excludes = _EXCLUSION.match(run)
            for item in _read_run(fold(run[1:] if excludes else run)):
                yield item._replace(is_excluded=bool(excludes))


def _quoted(text: str) -> Iterator[Term]:
    """Read what stands in quotes: its words count as they are, and symbols only where they are attached."""
    folded = fold(text)
    pieces = _PIECE.findall(folded)
    if not pieces or (len(pieces) == 1 and not _SYMBOL.search(folded)):
        for item in _read_run(folded.strip()):
            yield Word(item.term.text) if isinstance(item.term, Word) else item.term  # type: ignore[misc]
        return
    marks = (*sorted(marked_words(folded)), *dict.fromkeys("".join(_SYMBOL.findall(folded))))
    words = " ".join(pieces[:MOST_TERMS])
    yield Phrase(words, tuple(index_tokens(words)[:MOST_TERMS]), marks[:MOST_TERMS])


def _read_run(run: str) -> Iterator[_Item]:
    """Read what stands between spaces, which emoji divide."""
    for part in _SYMBOL.split(run):
        if _SYMBOL.fullmatch(part):
            yield _Item(Phrase(part, tuple(part), is_literal=True))
        elif core := _core(part):
            yield _read_core(core, part)


def _core(part: str) -> str:
    """Take off the punctuation around a word, but not the symbols that make it another word."""
    first, last = _LETTER.search(part), _LAST.search(part[::-1])
    if first is None or last is None:
        return ""
    start, end = first.start(), len(part) - last.start()
    if part[start - 1 : start] in _LEADING or (
        part[start - 1 : start] == "."
        and part[start - 2 : start - 1] in {"", *"([{'"}
        and not first[0].isdigit()
    ):
        start -= 1
    if not _RUN.match(part[end - 1]):
        if part.startswith("++", end):
            end += 2
        elif part[end : end + 1] in _TRAILING:
            end += 1
    return part[start:end]


def _read_core(core: str, part: str) -> _Item:
    if core in CONTRACTIONS:
        return _Item(Phrase(core, tuple(index_tokens(core)), is_literal=True), is_telling=False)
    if prefix := _PREFIX.fullmatch(part):
        return _Item(Prefix(prefix[1]))
    core = core.removesuffix("'s")
    if _WORD.fullmatch(core):
        if len(core) > _LONGEST_WORD:
            return _Item(Prefix(core[:_LONGEST_WORD]))
        return _Item(Word(core, stem(core)), is_telling=core not in STOP_WORDS)
    if _RUN.fullmatch(core):
        core = core[: MOST_TERMS + 1]
        return _Item(Phrase(core, tuple(index_tokens(core)), is_literal=True))
    pieces = list(islice(_PIECE.finditer(core), MOST_TERMS + 1))
    if len(pieces) > MOST_TERMS:
        core = core[: pieces[MOST_TERMS - 1].end()]
    tokens, marks = index_tokens(core)[:MOST_TERMS], sorted(marked_words(core))[:MOST_TERMS]
    return _Item(Phrase(core, tuple(tokens), tuple(marks), is_literal=True))
