"""How queries read as `tsquery`; `tests/postgresql/test_text_index.py` has a server read them."""

from __future__ import annotations

import pytest

from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.lexemes import LONGEST_LEXEME, group_sign, lexeme
from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.tsquery import (
    TextFilter,
    match_all,
    match_all_exact,
    match_term,
)


def stands(*lexemes: str) -> str:
    """Write the lexemes with what stands for each in an exchange that is abridged."""
    return "(" + " | ".join(f"'{each}'" for each in (*lexemes, *map(group_sign, lexemes))) + ")"


@pytest.mark.parametrize(
    ("text", "exact", "loose"),
    [
        ("cats", stands("cats"), stands("cats", "cat", "ˢcat")),
        ("the", stands("the"), stands("the")),
        ("lear*", "('lear':* | 'ˡˡ')", "('lear':* | 'ˡˡ')"),
        ("x1 OR y2", f"({stands('x1')} | {stands('y2')})", f"({stands('x1')} | {stands('y2')})"),
        ("x1 -y2", f"{stands('x1')} & !('y2')", f"{stands('x1')} & !('y2')"),
        ("c++", stands("c\uff0b\uff0b"), stands("c\uff0b\uff0b")),
        ("日", stands("日"), stands("日")),
    ],
)
def test_forms(text: str, exact: str, loose: str):
    """Words as they are written and in any form; prefixes, alternatives, exclusions, marks."""
    query = parse_query(text)
    assert (exact, loose) == (match_all_exact(query), match_all(query))


def test_phrases_of_what_has_no_positions_are_asked_for_as_words():
    """Where the words follow each other, or where they are in an exchange that cannot tell."""
    expected = f"(('a' <-> 'b') | ('ˡ' & ({stands('a')} & {stands('b')})))"
    assert expected == match_all(parse_query('"a b"'))


def test_exclusions_leave_nothing_out_for_being_long():
    """What is excluded is looked for as it is written alone."""
    assert (match_all(parse_query('x1 -"a b" -lear*')) or "").endswith(" & !(('a' <-> 'b') | 'lear':*)")
    assert "!" not in (match_all(parse_query("x1 -foo-bar")) or "")
    assert "!" not in (match_all(parse_query(f'x1 -"a {"b" * (LONGEST_LEXEME + 1)}"')) or "")


def test_scope():
    """One conversation is searched by its mark."""
    query = parse_query("x1")
    scope = scope_mark("c")
    expected = f"'{scope}' & {stands('x1')}"
    assert [expected] * 3 == [
        match_all(query, scope),
        match_all_exact(query, scope),
        match_term(query, query.terms[0], scope),
    ]


@pytest.mark.parametrize("text", ["", "-x", "?!"])
def test_what_asks_for_nothing(text: str):
    """There is nothing to ask the index."""
    assert (None, None) == (match_all(parse_query(text)), match_all_exact(parse_query(text)))


def test_long_tokens_are_cut_alike():
    """They are found by their beginnings, and by their texts."""
    token = "x" * 3000
    query = parse_query(f'"a {token}"')
    assert f"'{lexeme(token)}'" in (match_all(query) or "")
    assert TextFilter(query).is_needed


@pytest.mark.parametrize(
    ("text", "expected"),
    [("words", False), ("word*", False), ('"a phrase"', False), ("foo-bar", True), ("c++", False)],
)
def test_what_the_index_decides(text: str, expected: bool):
    """Only what it cannot tell is looked for in each text."""
    assert expected is TextFilter(parse_query(text)).is_needed


def test_filters_look_at_what_may_be_incomplete():
    """Of what the index found, short texts are believed where it decides; long ones are looked at."""
    phrase, words = TextFilter(parse_query('"a b"')), TextFilter(parse_query("zebra"))
    assert phrase.fits("b a", "")
    assert not phrase.fits("b a" + " " * 300, "")
    assert words.fits(" " * 300, "")
    assert not words.fits(" " * 100_000, "")
    assert not TextFilter(parse_query("x -foo-bar")).fits("x foo-bar", "")
