"""What holds more of a query, and tells more, comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.interfaces.database.full_text.ranking import Ranker, share_with_neighbours
from library.infrastructure.interfaces.database.full_text.search_query import Word, parse_query


def score(query: str, text: str) -> float:
    return Ranker(parse_query(query), {}, 100).score(text, "").score


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("learning", "I was learning it", "I was learned it"),
        ("cat dog", "a cat, a dog", "a cat, a cat"),
        ("cat", "cat and cat", "cat and dog"),
        ("cat", "a cat", "a cat " + "and more " * 100),
        ("the cat", "the cat", "one cat"),
        ("foo-bar", "is foo-bar", "is foo bar"),
        ("北京烤鸭", "我吃北京烤鸭了", "我在北京的时候"),
        ("北京烤鸭", "我在北京的时候", "我在上海的时候"),
        ("cat OR dog", "a cat", "a cow"),
    ],
)
def test_order(query: str, better: str, worse: str):
    """The better text scores more."""
    assert score(query, better) > score(query, worse)


def test_rare_terms_tell_more():
    """What few exchanges hold decides."""
    query = parse_query("cat axolotl")
    ranker = Ranker(query, {query.terms[0]: 500, query.terms[1]: 2.5}, 1000)
    assert ranker.score("axolotl", "").score > ranker.score("cat", "").score > 0


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("cat dog", "cats and dogs", True),
        ("cat dog", "cats", False),
        ("cat OR dog cow", "dog cow", True),
        ("c++", "C++!", True),
        ("c++", "c + +", False),
        ("c+", "c++", False),
        ("foo-bar", "foo bar", True),
        ('"foo bar"', "foo, bar", True),
        ('"foo bar"', "foo bars", False),
        ("日本語", "最新日本語版", True),
        ("日本語", "日本。本語", False),
        ("lear*", "learning", True),
        ("dying", "to die", True),
        ("happiness", "happy", True),
        ("possibility", "possible", True),
        ("cat -dog", "cat dog", False),
        ("learn -learning", "learned", True),
        ("-dog", "cat", False),
        ("", "cat", False),
    ],
)
def test_holds_all(query: str, text: str, expected: bool):
    """Literals are looked for as they were typed, words in any form; what is excluded holds nothing."""
    assert expected is Ranker(parse_query(query), {}, 10).score("x", text).holds_all


def test_excluded_scores_nothing():
    """An exchange with an excluded term is no result, whatever else it holds."""
    assert 0 == score("cat -dog", "cat cat dog")


def test_stop_words_alone_are_no_result():
    """What holds only stop words of a query that has others scores nothing."""
    assert 0 == score("what is the cat", "what is the")


@given(st.text(), st.text(), st.integers(0, 100))
def test_scores_are_never_negative(query: str, text: str, frequency: int):
    """Neither frequencies beyond the total nor any text make a term tell less than nothing."""
    parsed = parse_query(query)
    scored = Ranker(parsed, dict.fromkeys(parsed.terms, frequency), 10).score(text, query)
    assert scored.score >= 0
    assert not scored.holds_all or scored.score > 0


def test_neighbours_share():
    """An exchange gains from those around it that were found, the nearer the more."""
    lifted = share_with_neighbours(
        {1: 1.0, 2: 4.0, 9: 1.0}, {1: [(0, -1), (2, 1), (3, 2)], 2: [(1, -1)], 9: [(7, -2), (2, 7)]}
    )
    assert {1: 3.0, 2: 4.5, 9: 1.0} == lifted
    near, far = (share_with_neighbours({0: 1.0, 5: 1.0}, {0: [(5, d)]})[0] for d in (1, 2))
    assert near > far > 1


def test_other_forms_are_learned_once():
    """A ranker remembers what it looked at."""
    ranker = Ranker(parse_query("learning"), {Word("learning", "learn"): 3}, 10)
    assert ranker.score("learned", "") == ranker.score("learned", "")
