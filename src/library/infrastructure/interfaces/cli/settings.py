"""What the options say that every command takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Settings:
    """The options of every command; the same object, whether they stand before or behind its name."""

    database: str | None = None
    """A URL or a path, as it was typed."""
    table: str | None = None
    """The name of a table; `None`: the usual one for what the command looks at."""
    output: Literal["json", "jsonl"] | None = None
    """`None`: for people on a terminal, and as lines in a pipe."""
    is_quiet: bool = False
    is_verbose: bool = False
    is_debugging: bool = False
