"""What people type is read as they mean it, and anything is a query."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.interfaces.database.full_text.search_query import (
    MOST_TERMS,
    Phrase,
    Prefix,
    Word,
    parse_query,
)


def shown(text: str) -> list[list[str]]:
    """Read a query, and show the texts of its telling terms."""
    return [[term.text for term in group] for group in parse_query(text).groups]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When did Caroline's friends go?", [["caroline"], ["friends"]]),
        ("red OR blue car", [["red", "blue"], ["car"]]),
        ("a OR cat OR dog", [["cat", "dog"]]),
        ("cat or dog", [["cat"], ["dog"]]),
        ("OR cat OR", [["cat"]]),
        ("cat OR -dog", [["cat"]]),
        ("cat cat CAT", [["cat"]]),
        ("what is the", [["what"], ["is"], ["the"]]),
        ("don't", [["don't"]]),
        ("don\u2019t go cat", [["cat"]]),
        ("OR", [["or"]]),
        ('"to be or not"', [["to be or not"]]),
        ('"the"', [["the"]]),
        ("C++, C# (.NET)!", [["c++"], ["c#"], [".net"]]),
        ("user@example.com.", [["user@example.com"]]),
        ("https://x.y/z?a=1", [["https://x.y/z?a=1"]]),
        ("$1,000.50 3.14 2024-01-15", [["$1,000.50"], ["3.14"], ["2024-01-15"]]),
        ("O\u2019Brien's", [["o'brien"]]),
        ("**bold** --help", [["bold"], ["help"]]),
        ("learn* c* foo-bar*", [["learn"], ["c"], ["foo-bar"]]),
        ("great🎉👍🏽", [["great"], ["🎉"], ["👍"], ["🏽"]]),
        ("🇩🇪", [["🇩🇪"]]),
        ("日本語 日", [["日本語"], ["日"]]),
        ('5" x 6"', [["5"], ["x"], ["6"]]),
        ('say "hello', [["say"], ["hello"]]),
        ("\x00a\x00b\ud800c", [["bc"]]),
        ("-foo", []),
        ("", []),
        ('"" - * !? -"', []),
    ],
)
def test_read(text: str, expected: list[list[str]]):
    """Telling terms, in groups of alternatives."""
    assert expected == shown(text)


def test_kinds():
    """A query is data."""
    query = parse_query('learning "big dogs" app* c++ -cat -"no way" the')
    assert (
        (Word("learning", "learn"),),
        (Phrase("big dogs", ("big", "dogs")),),
        (Prefix("app"),),
        (Phrase("c++", ("c",), ("c\uff0b\uff0b",), is_literal=True),),
    ) == query.groups
    assert (Word("cat"), Phrase("no way", ("no", "way"))) == query.excluded
    assert (Word("the"),) == query.stop_words
    assert query == parse_query('learning "big dogs" app* c++ -cat -"no way" the')


def test_quoted_words_have_no_other_forms():
    """Quotes around one word mean that word."""
    assert ((Word("learning"),),) == parse_query('"Learning"').groups


def test_runs_without_spaces_give_hints():
    """A question in a script without spaces is one run; its parts help where the whole is not found."""
    assert ["北京", "京烤", "烤鸭"] == [hint.text for hint in parse_query("北京烤鸭").hints]
    assert () == parse_query("北京").hints


@given(st.text() | st.text(alphabet="ab \"-*OR+#.日🎉\u0301\ud800\x00'"))
def test_anything_is_a_query(text: str):
    """No text raises, and no text means something else the second time."""
    query = parse_query(text)
    assert query == parse_query(text)
    assert len({*query.terms, *query.excluded}) <= MOST_TERMS


@pytest.mark.parametrize(
    "text",
    ["a ", "x", '"', '"a b ', "-", "+a", "日", "#", "\u0301", "क्", '("', "OR ", "a OR ", "🎉", "*", "don't "],
)
def test_long_queries_are_read_in_linear_time(text: str):
    """What a user pastes takes bounded time and gives a bounded query."""
    started = time.perf_counter()
    query = parse_query(text * 100_000)
    assert time.perf_counter() - started < 5
    assert len(query.terms) + len(query.hints) <= 2 * MOST_TERMS


def test_many_words_are_cut():
    """The first distinct terms count."""
    assert MOST_TERMS == len(parse_query(" ".join(f"w{number}" for number in range(50_000))).terms)
