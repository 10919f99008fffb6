"""The words of the command in errors, in place of those of the library: options, as they are typed."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = [
    (re.compile(text), words)
    for text, words in (
        (r"\bsay which \(`format=\.\.\.`\)", "say which with --format"),
        (r"\btells no format: set format\b", "tells no format: give --format"),
        (r"\bsay which \(`field_mapping=\.\.\.`\)", "say which with --map"),
        (r"\bname its fields with field_mapping\b", "name its fields with --map"),
        (r"\bfield_mapping (names|must lead)\b", r"--map \1"),
        (r"\b(choose|to|into) another table_name\b", r"\1 another --table"),
        (
            r"\bafter must be a ConversationSummary, or the cursor of one\b",
            "--after must be what the page before names in its last line",
        ),
        (
            r"\bafter must be the cursor of a session of the page before\b",
            "--after must be what the page before names in its last line",
        ),
        (r"\braise (max_\w+) of ImportLimits\b", r"allow more with --limit \1=NUMBER"),
        (r"\bfields (names metadata), which include_metadata=False\b", r"--fields \1, which --no-metadata"),
        (r"\bleave fields out\b", "leave --fields out"),
        (r"\bfields must name\b", "--fields must name"),
        (
            r'\bimport with merge_strategy="replace" or "skip_duplicates"',
            "import with --merge replace or --merge skip_duplicates",
        ),
        (r"\bset overwrite=True", "give --overwrite"),
        (r"\b(encoding|delimiter) (must be one)\b", r"--\1 \2"),
    )
]


def in_words_of_the_command(text: str) -> str:
    """Return the text of an error in which options are named as they are typed."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
