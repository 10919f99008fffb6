"""Texts of others on a terminal: what it would obey, or what hides or reorders text, is shown instead.

Whoever talks to an agent decides what is in the database. A text with escape sequences in it could otherwise
change the title of a terminal, its clipboard, or what was printed before.
"""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = (
    "\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff"
)
"""Further controls, marks that reorder text, and characters without width; the joiners that scripts and emoji
need are not among them."""
_CONTROLS: Final = re.compile(f"[\x00-\x1f{_HIDDEN}]")
_UNESCAPED_IN_JSON: Final = re.compile(f"[{_HIDDEN}]")
_LINE_END: Final = re.compile("\r\n|[\n\x0b\x0c\x85\u2028\u2029]")


def visible(text: str, *, keeps_lines: bool = False) -> str:
    """Return a text in which control characters are seen: ␛ for ESC.

    Args:
        text: any text.
        keeps_lines: whether line feeds stay.

    """
    if text.isprintable():
        return text
    if keeps_lines:
        return "\n".join(_CONTROLS.sub(_shown, line) for line in _LINE_END.split(text))
    return _CONTROLS.sub(_shown, text)


def one_line(text: str) -> str:
    """Return a text as one line, with one space wherever there is white space."""
    return visible(" ".join(text.split()))


def escaped_in_json(json: str) -> str:
    """Escape in a JSON text what a terminal would obey; what is read from it stays the same."""
    return _UNESCAPED_IN_JSON.sub(_json_escape, json)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x09:
        return "    "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[place : place + 4]}" for place in range(0, len(pair), 4))
