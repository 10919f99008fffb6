"""Words with symbols attached, such as `c++`, `c#`, `.net`, `#tag`, `@user`, `$100` and `50%`.

Without their symbols they would be lost among all that is written with the same letter or number, so they are
indexed once more as a whole, with the symbols in full width. Folding maps full width away, so that no text
holds it.
"""

from __future__ import annotations

import re
from typing import Final

from library.infrastructure.interfaces.database.full_text.character_classes import (
    LETTER,
    WORD_PART,
)

_LONGEST: Final = 40
"""Characters of a marked word; a longer one is cut after its leading symbol, and has no trailing one."""

_SYMBOLS: Final = ("#", "@", "$", "+", "%", "\u20ac", "\u00a3")

# The symbol comes first and what must not stand before it after that: the expressions skip to their first
# character quickly. For the same reason trailing symbols are looked for in the reversed text.
_LED: Final = re.compile(rf"[#@$\u20ac\u00a3](?<!{LETTER}.){WORD_PART}{{1,{_LONGEST}}}", re.DOTALL)
_DOTTED: Final = re.compile(rf"\.(?<![^\s(\[{{\"'].)(?!\d){WORD_PART}{{1,{_LONGEST}}}", re.DOTALL)
_TRAILED_REVERSED: Final = re.compile(
    rf"[+#%$\u20ac\u00a3](?:(?<=\+)\+|(?<!{LETTER}.)){WORD_PART}{{1,{_LONGEST}}}(?!{WORD_PART})", re.DOTALL
)

_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in b"#@$.+%"}


def marked_words(folded: str) -> set[str]:
    """Find the words of a folded text that have symbols attached, as marks of the index."""
    marked: list[str] = []
    for symbol in _SYMBOLS:
        if symbol in folded:
            marked = _LED.findall(folded)
            marked += [reverse[::-1] for reverse in _TRAILED_REVERSED.findall(folded[::-1])]
            break
    marked += _DOTTED.findall(folded)
    return {word.translate(_FULL_WIDTH) for word in marked}
