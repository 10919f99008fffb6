"""What is indexed of an exchange."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from library.infrastructure.interfaces.database.full_text.index_terms import (
    index_texts,
    index_tokens,
    scope_mark,
    spaced,
)
from library.infrastructure.interfaces.database.full_text.marked_words import marked_words
from library.infrastructure.interfaces.database.full_text.stemming import StemMarks, stem

SCOPE = scope_mark("c")


def narrow(marks: set[str]) -> set[str]:
    """Write full-width symbols as people do."""
    return {"".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in m) for m in marks}


def test_ascii_is_indexed_as_it_is():
    """The tokenizer does what is left to do."""
    texts = index_texts("Hello, World_1!", "Learning the ropes", SCOPE)
    assert ("Hello, World_1!", "Learning the ropes") == texts[:2]
    assert {SCOPE, "\u02e2learn", "\u02e2rope"} == set(texts.marks.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naïve—Café", ["naive", "cafe"]),
        ("日本語", ["日本", "本語"]),
        ("日", ["日"]),
        ("最新Python入門。終", ["最新", "python", "入門", "終"]),
        ("ラーメン 々々", ["ラー", "ーメ", "メン", "々々"]),
        ("\U00020000\U00020001\U00020002", ["\U00020000\U00020001", "\U00020001\U00020002"]),
        ("가나다 สวัส", ["가나", "나다", "สว", "วั", "ัส"]),
        ("हिन्दी_भाषा", ["हिन्दी", "भाषा"]),
        ("🎉party🎉 «да»", ["party", "да"]),
    ],
)
def test_tokens(text: str, expected: list[str]):
    """Words stand apart, runs without spaces are cut into pairs, symbols are no part of words."""
    from library.infrastructure.interfaces.database.full_text.folding import fold

    assert expected == index_tokens(fold(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c++, and c#.", {"c++", "c#"}),
        ("use .net (.net) x.net 3.14 .5", {".net"}),
        ("#tag @user $100 50% a+", {"#tag", "@user", "$100", "50%", "a+"}),
        ("user@example.com a+b c#d i++", {"i++"}),
        ("c++11 c+", {"c++", "c+"}),
        ("№ 100€ é £5", {"100€", "£5"}),
        ("最新c++入門#tag", {"c++", "#tag"}),
        ("a + b # c", set()),
    ],
)
def test_marked_words(text: str, expected: set[str]):
    """Words with symbols attached are marks; punctuation and operators make none."""
    assert expected == narrow(marked_words(text))


def test_single_characters_are_marks():
    """A single character of a run, or an emoji, is searched for by itself."""
    marks = index_texts("日本語🎉", "👍🏽", SCOPE).marks.split()
    assert {*"日本語🎉👍🏽", SCOPE} == set(marks)


def test_scopes_differ():
    """Each conversation has a mark of its own, whatever its id."""
    scopes = {scope_mark(name) for name in ("", "a", "A", "日本", "a b", '"', "\x00")}
    assert 7 == len(scopes)
    assert all(len(scope) == 17 and scope.startswith("\u1d9c") for scope in scopes)


@pytest.mark.parametrize(
    "text",
    ["+", "a+", "a", "é", "#", "é++#", "日", ".a", " .", "é+", "क्", "\u2019", "i\u0307", "\x00", "@#$"],
)
def test_any_million_characters_take_linear_time(text: str):
    """Nothing in a text makes indexing it slow."""
    long = text * (1_000_000 // len(text))
    started = time.perf_counter()
    index_texts(long, "", SCOPE)
    assert time.perf_counter() - started < 20


def test_stems():
    """English words have stems; stop words, numbers, codes and other scripts have none."""
    assert "learn" == stem("learning")
    assert [None] * 6 == [stem(word) for word in ("the", "ab", "123", "x1y2", "da" * 30, "да")]


def test_stems_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    """The memory of stems does not grow with the words of the world."""
    from library.infrastructure.interfaces.database.full_text import stemming

    monkeypatch.setattr(stemming, "_REMEMBERED", 10)
    marks = StemMarks()
    for number in range(26):
        assert "\u02e2" in marks[f"learn{chr(97 + number)}ing"]
    assert len(marks) <= 10


def test_threads_share_the_stemmer():
    """Several threads that meet new words at once get the right stems."""
    words = [f"{a}{b}{c}ating" for a in "bcdfg" for b in "aeiou" for c in "klmnprst"]
    expected = [stem(word) for word in words]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: [stem(word) for word in words], range(8)))
    assert [expected] * 8 == results


def test_spaced_keeps_ascii():
    """ASCII is left to the tokenizer."""
    assert "a-b c" == spaced("a-b c")
