"""Text with NUL in it, which PostgreSQL cannot hold.

One private character is the sign: NUL becomes the sign and "0", the sign itself the sign and "1". Text that
has neither, which is nearly all there is, stands as it is, and is only looked through.
"""

from __future__ import annotations

from typing import Final

_NUL: Final = "\0"
_SIGN: Final = "\ue0f0"
_ESCAPED_NUL: Final = _SIGN + "0"
_ESCAPED_SIGN: Final = _SIGN + "1"


def escape(text: str) -> str:
    """Return the text as PostgreSQL holds it."""
    if _NUL not in text and _SIGN not in text:
        return text
    return text.replace(_SIGN, _ESCAPED_SIGN).replace(_NUL, _ESCAPED_NUL)


def unescape(text: str) -> str:
    """Return the text that was escaped."""
    if _SIGN not in text:
        return text
    return text.replace(_ESCAPED_NUL, _NUL).replace(_ESCAPED_SIGN, _SIGN)
