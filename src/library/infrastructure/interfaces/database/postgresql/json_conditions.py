"""Whether JSON documents have certain values: what no database tells exactly, for numbers of any size."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.conversation_filters import canonical
from library.infrastructure.data.json_reading import decode

if TYPE_CHECKING:
    from collections.abc import Iterable


def json_holds(document: str, wanted: str) -> bool:
    """Tell whether a JSON document has certain values; integers of any size are told apart.

    Args:
        document: JSON.
        wanted: a JSON list of pairs: a path of keys and indexes, and the value as `canonical` wrote it.

    """
    root = decode(document.encode())
    return all(_value_at(root, path) == value for path, value in _pairs(wanted))


def _value_at(value: Any, path: Iterable[str | int]) -> str | None:
    """Write the value at a path; `None` if there is none."""
    for step in path:
        container: Any = value if isinstance(value, list if isinstance(step, int) else dict) else {}
        try:
            value = container[step]
        except LookupError:
            return None
    return canonical(value)


@lru_cache(maxsize=64)
def _pairs(wanted: str) -> list[tuple[list[str | int], str]]:
    pairs: list[tuple[list[str | int], str]] = decode(wanted.encode())
    return pairs
