"""Queries find what they should through a real FTS5 index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.interfaces.database.full_text.fts5_match import (
    match_all,
    match_all_exact,
    match_any,
    match_term,
)
from library.infrastructure.interfaces.database.full_text.index_terms import scope_mark
from library.infrastructure.interfaces.database.full_text.ranking import Ranker
from library.infrastructure.interfaces.database.full_text.search_query import parse_query

if TYPE_CHECKING:
    from typing import Any

WORDS = st.sampled_from(
    [
        "learn", "learning", "Learned", "happy", "happiness", "dying", "die", "possible", "possibility",
        "node.js", "c++", "c#", "C++11", ".net", "#tag", "foo-bar", "foo bar", "foo_bar", "don't", "the",
        "3.14", "50%", "$100", "日本", "日本語", "本語", "日", "入門Python", "가나다", "나다", "naïve", "a+",
        "हिन्दी", "🎉", "👍🏽", "Straße", "lea", "foo", "bar", "_x_", "да", "Да!", "naive", "Caroline's",
    ]
)  # fmt: skip
GAPS = st.sampled_from([" ", "  ", ", ", ". ", "\n", " - ", "", "…"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=8).map(lambda parts: "".join(map("".join, parts)))
OPERATORS = st.sampled_from([" ", " ", " ", " OR ", " -", '" "', ' "', '" ', "* "])
QUERIES = st.lists(st.tuples(WORDS, OPERATORS), min_size=1, max_size=4).map(
    lambda parts: "".join(map("".join, parts))
)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("learning", "they learned"),
        ("learn", "learning"),
        ("learns", "learn"),
        ("CAFÉ", "a cafe"),
        ("cafe", "le Café"),
        ("caroline", "Caroline's cat"),
        ("Caroline's", "caroline"),
        ('"big dog"', "a Big, dog"),
        ("lear*", "learning"),
        ("cat OR dog", "my dog"),
        ("c++", "I like C++."),
        ("c++", "C++11"),
        ("c#", "C# é"),
        (".net", "(.NET)"),
        ("#tag", "最新#tag"),
        ("100€", "only 100€!"),
        ("user@example.com", "mail user@example.com now"),
        ("foo-bar", "foo bar"),
        ("日本", "最新日本語テスト"),
        ("本語テ", "最新日本語テスト"),
        ("語", "日本語"),
        ("第3章", "それは第3章節です"),
        ("新python入", "最新Python入門"),
        ("\U00020001\U00020002", "\U00020000\U00020001\U00020002"),
        ("나다", "가나다라"),
        ("हिन्दी", "वह हिन्दी है"),
        ("🎉", "party🎉!"),
        ("👍", "ok👍🏽"),
        ("what is the", "What the is"),
        ("don't", "I don\u2019t"),
        ("x" * 500, "x" * 500),
        ("it's", "It\u2019s"),
    ],
)
def test_found(table: Any, query: str, text: str):
    """What people expect to find is found, in both texts."""
    rows = [table.add(text), table.add("x", text)]
    table.add("something else", "altogether")
    assert rows == table.find(query)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("c++", "c and c#"),
        ("c#", "c sharp"),
        ("50%", "50 cents"),
        ('"learning"', "learned"),
        ('"big dog"', "big bad dog"),
        ("cat -dog", "cat and dog"),
        ('cat -"big dog"', "cat, big dog"),
        ("日語", "日本語"),
        ("ˢlearn", "learning"),
        ("c\uff0b\uff0b x", "c++"),
        ("user_input: x", "x"),
        ("cat NEAR dog", "cat dog"),
        ("-cat", "dog"),
        ("", "dog"),
    ],
)
def test_not_found(table: Any, query: str, text: str):
    """Neither too much, nor what only the index knows, nor the index's own syntax."""
    table.add(text)
    assert [] == table.find(query)


def test_scope(table: Any):
    """One conversation is searched by its mark."""
    table.add("cat", conversation_id="a")
    row = table.add("cat", conversation_id="b")
    assert [row] == table.find("cat", "b")


def test_excluded_literals_exclude_no_more_than_they_say(table: Any):
    """The phrase of an excluded literal is no reason to leave out an exchange."""
    row = table.add("cat foo bar")
    assert [row] == table.find("cat -foo-bar")
    ranker = Ranker(parse_query("cat -foo-bar"), {}, 1)
    assert (True, False) == (
        ranker.score("cat foo bar", "").holds_all,
        ranker.score("cat foo-bar", "").holds_all,
    )


@given(st.text() | st.text(alphabet="ab \"-*OR+#.日🎉\u0301\ud800\x00'():^{}") | QUERIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_expression_is_valid(filled: Any, text: str):
    """Whatever is typed, the index understands what is asked of it."""
    query = parse_query(text)
    for scope in (None, scope_mark("c")):
        for match in (match_all, match_all_exact, match_any):
            filled.match(match(query, scope))
        for term in query.terms:
            filled.match(match_term(query, term, scope))


@pytest.mark.parametrize("text", ["w{} ", "a{}+b ", '"p{} q" ', "-x{} ", "v{} OR ", "日{}本語 ", "c{}++ "])
def test_long_queries_are_valid(filled: Any, text: str):
    """Neither the depth nor the length of an expression goes beyond what the index takes."""
    query = parse_query("some " + "".join(text.format(number) for number in range(5000)))
    filled.match(match_all(query, scope_mark("c")))
    filled.match(match_any(query, scope_mark("c")))


@given(TEXTS, TEXTS, QUERIES)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_ranks_is_found(table: Any, user_input: str, agent_response: str, text: str):
    """The index finds at least what ranking would take; and what it finds of plain words, ranking takes."""
    row = table.add(user_input, agent_response)
    query = parse_query(text)
    scored = Ranker(query, {}, 10).score(user_input, agent_response)
    assert not scored.holds_all or row in table.find(text)
    assert not scored.score or row in table.find_any(text)
    if row in table.find(text) and not any(map(_may_be_apart, query.terms + query.excluded)):
        assert scored.holds_all


def _may_be_apart(term: Any) -> bool:
    """Tell whether the index finds more than what holds the term."""
    return getattr(term, "is_literal", False)
