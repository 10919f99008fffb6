"""The text in the content of a message, which is one text, or a list of parts of which some are texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

BLANK_LINE: Final = "\n\n"
"""What stands between texts that are shown as one."""
_TEXT_TYPES: Final = ("text", "input_text", "output_text", "refusal")


def text_of(content: Any) -> str:
    """Return the text that a person sees of `content`; the empty text if there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return join_texts(_text_of_part(part) for part in content)
    return ""


def join_texts(texts: Iterable[str]) -> str:
    """Join texts with a blank line, those left out that are empty."""
    return BLANK_LINE.join(text for text in texts if text)


def without(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a copy without some keys."""
    return {key: value for key, value in mapping.items() if key not in names}


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in _TEXT_TYPES:
        for name in ("text", "refusal"):
            if isinstance(part.get(name), str):
                return str(part[name])
    return ""
