"""Copies of what can be changed, so that a caller's later changes do not reach into a unit.

Only the standard containers are copied. Anything else is shared: copying what one does not know (locks,
models, connections) is wrong more often than sharing it, and `copy.deepcopy` is ten times slower on plain
data.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Final

from library.infrastructure.data.errors import InvalidValueError

IMMUTABLE: Final = frozenset({str, int, float, bool, bytes, complex, type(None), range, frozenset})
"""Types whose objects never need copying; tested before anything else, since most values are of these."""
_MAPPINGS: Final = frozenset({dict, OrderedDict, Counter, defaultdict})
_SEQUENCES: Final = frozenset({list, deque})
_FLAT: Final = frozenset({set, bytearray})


def isolate(value: Any) -> Any:
    """Copy the containers of `value`: dict, list, set, tuple, bytearray, and those of `collections`.

    Args:
        value: any object; containers may hold each other and even themselves.

    Returns:
        `value` itself if it holds nothing that can be changed, else a copy that shares only what is not a
        container.

    Raises:
        InvalidValueError: the containers are nested deeper than Python can follow.

    """
    if type(value) in IMMUTABLE:
        return value
    try:
        return _copy(value, {})
    except RecursionError as error:
        message = "the value is nested too deeply to be copied: flatten it, or use isolation='share'"
        raise InvalidValueError(message) from error


def _copy(value: Any, done: dict[int, Any]) -> Any:
    """Copy one object; `done` maps the ids of the containers met so far to their copies."""
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if kind in _MAPPINGS or kind in _SEQUENCES:
        return done[id(value)] if id(value) in done else _copy_container(value, done)
    if kind in _FLAT:
        return done.setdefault(id(value), value.copy())
    if isinstance(value, tuple) and (kind is tuple or hasattr(value, "_make")):
        parts = [_copy(part, done) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        return tuple(parts) if kind is tuple else kind._make(parts)
    return value


def _copy_container(value: Any, done: dict[int, Any]) -> Any:
    """Copy a mapping or a sequence and what it holds."""
    new = done[id(value)] = value.copy()
    if type(value) in _MAPPINGS:
        for key, item in new.items():
            if type(item) not in IMMUTABLE:
                new[key] = _copy(item, done)
    else:
        for index, item in enumerate(new):
            if type(item) not in IMMUTABLE:
                new[index] = _copy(item, done)
    return new
