"""`ImportLimits`: how much a file that is imported may ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from library.infrastructure.data.option_checks import check_whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLimits:
    """How much a file may ask for; beyond, an import ends with a `TransferLimitError`, and stores nothing.

    Raises:
        InvalidOptionError: a limit is no whole number from 1 up.

    """

    max_bytes: int = 64 << 30
    """Bytes of the whole content, unpacked."""
    max_ratio: int = 200
    """Bytes that a packed byte may unpack to, counted from 16 MiB of unpacked content on."""
    max_record_bytes: int = 64 << 20
    """Bytes of one line, row or element; of a whole conversation in formats that keep each in one piece."""
    max_field_characters: int = 16 << 20
    """Characters of one value."""
    max_depth: int = 254
    """Levels of nesting; metadata can hold 254."""

    def __post_init__(self) -> None:
        """Check the limits."""
        for field in fields(self):
            check_whole_number(field.name, getattr(self, field.name), 1)
