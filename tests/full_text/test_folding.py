"""Texts that read the same to a person who searches fold to the same."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.infrastructure.interfaces.database.full_text.folding import fold


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello World", "hello world"),
        ("Crème BRÛLÉE", "creme brulee"),
        ("Straße STRASSE", "strasse strasse"),
        ("Łódź Ærø Þór đak", "lodz aero thor dak"),
        ("İstanbul \u0131", "istanbul i"),
        ("\uff26\uff55\uff4c\uff4c \ufb01ne x²", "full fine x2"),
        ("it\u2019s \u201cso\u201d \u2014 yes", 'it\'s "so" - yes'),
        ("Ёлка Σίσυφος", "елка σισυφοσ"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("हिन्दी", "हिन्दी"),
        ("ガギ \uff76\uff9e", "ガギ ガ"),
        ("한국어", "한국어"),
        ("co\u00adop \ufeffok\u200d", "coop ok"),
    ],
)
def test_fold(text: str, expected: str):
    """Case, accents and compatibility forms go; what tells words apart stays."""
    assert expected == fold(text)
    assert expected == fold(unicodedata.normalize("NFD", text))


@given(st.text())
def test_folding_twice_changes_nothing(text: str):
    """`fold` is idempotent."""
    assert fold(text) == fold(fold(text))


def test_no_character_folds_to_a_sign_of_the_index():
    """No text can hold what marks are made of."""
    every = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    signs = {"\u02e2", "\u1d9c", *map(chr, range(0xFF01, 0xFF5F))}
    assert set() == signs & set(fold(every))
