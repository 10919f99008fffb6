"""The part that is shown holds what was found, and is a part of the text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.interfaces.database.full_text.search_query import parse_query
from library.infrastructure.interfaces.database.full_text.snippet import snippet

MARKS = ("\ue000", "\ue001")
WORDS = st.sampled_from(
    ["learning", "é", "e\u0301", "日本語", "İ", "ß", "c++", "🎉", "👍🏽", "\n", "ﷺ", "हिन्दी", "한"]
)
TEXTS = st.lists(WORDS | st.sampled_from([" ", "  ", "x", ", "]), max_size=40).map("".join) | st.text()


def show(query: str, user_input: str, agent_response: str = "", characters: int = 160) -> str:
    return snippet(parse_query(query), user_input, agent_response, ("[", "]"), characters)


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("learning", "I learned  to\n learn", "I [learned] to [learn]"),
        ("cafe", "le Café", "le [Café]"),
        ("cafe", "le Cafe\u0301!", "le [Cafe\u0301]!"),
        ("strasse", "Die Straße.", "Die [Straße]."),
        ("本語", "最新日本語テスト", "最新日[本語]テスト"),
        ("c++", "in C++, c", "in [C++], c"),
        ('"big dog"', "a big  dog", "a [big dog]"),
        ('"big dog" dog', "a big dog", "a [big dog]"),
        ("foo-bar", "é foo bar", "é [foo bar]"),
        ("🎉", "ok🎉", "ok[🎉]"),
        ("lear*", "learning", "[learning]"),
        ("cat", "  nothing\there ", "nothing here"),
        ("", "a [b]", "a [b]"),
        ("cat -dog", "cat", "[cat]"),
        ("北京烤鸭", "我在北京", "我在[北京]"),
    ],
)
def test_marked(query: str, text: str, expected: str):
    """Matches are marked where they stand in the text as it was written, in all their forms."""
    assert expected == show(query, text)


def test_most_terms():
    """The window with most distinct terms is shown, from either text."""
    text = "cat " * 20 + "and so on " * 20 + "the cat and the dog " + "or not " * 20
    assert "[cat] and the [dog]" in show("cat dog", "a cat", text, 60)


def test_ellipses():
    """They stand where the text goes on."""
    text = "one two three four five six seven eight nine ten"
    assert "\u2026four [five] six seven\u2026" == show("five", text, characters=24)
    assert "one two three\u2026" == show("nothing", text, characters=15)
    assert "two" == show("nothing", " ", "two")


def test_a_match_longer_than_the_snippet_is_cut():
    """What does not fit is shown as far as it goes."""
    assert "[xxxxxxxxxx]\u2026" == show("x" * 50, "x" * 50, characters=10)


@given(
    TEXTS,
    TEXTS,
    st.sampled_from(["learning", "e", "日本", "c++ 🎉", "i ss", "", "हिन्दी 한", '"x x"']),
    st.integers(1, 50),
)
def test_a_part_of_the_text(user_input: str, agent_response: str, query: str, characters: int):
    """Without its marks, a snippet is a part of the text, no longer than asked for; marks are balanced."""
    texts = [
        text.translate(dict.fromkeys(map(ord, "\ue000\ue001\u2026"))) for text in (user_input, agent_response)
    ]
    shown = snippet(parse_query(query), texts[0], texts[1], MARKS, characters)
    plain = shown.removeprefix("\u2026").removesuffix("\u2026").replace(MARKS[0], "").replace(MARKS[1], "")
    assert any(plain in " ".join(text.split()) for text in texts)
    assert len(plain) <= characters
    signs = "".join(character for character in shown if character in MARKS)
    assert signs == "".join(MARKS) * (len(signs) // 2)


@given(
    st.lists(st.sampled_from(["e\u0301", "हि", "👍🏽", "か\u3099", "x "]), min_size=20, max_size=60).map(
        "".join
    ),
    st.integers(5, 30),
)
def test_characters_stay_whole(text: str, characters: int):
    """What is seen as one character is not divided where the text is cut."""
    plain = show("nothing", text, characters=characters).removesuffix("\u2026")
    rest = " ".join(text.split()).removeprefix(plain).lstrip()
    assert not rest or not unicodedata.category(rest[0]).startswith("M")
    assert not rest or rest[0] != "🏽"


@pytest.mark.parametrize("text", ["learning ", "é ", "日本語", "x", "é", "e\u0301", " ", "c++", "\u0301"])
def test_long_texts_take_bounded_time(text: str):
    """Megabytes are no trouble."""
    started = time.perf_counter()
    show("learning 日本 c++ é", text * (1_000_000 // len(text)), text)
    assert time.perf_counter() - started < 20
