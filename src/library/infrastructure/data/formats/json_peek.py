"""What can be told of JSON from its beginning alone, wherever that ends.

A file of one line may hold gigabytes, and its first object more than one would read ahead. So this takes what
there is: containers that do not end hold what came so far, and a text that does not end is cut.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_TOKEN: Final = re.compile(
    r'[ \t\r\n]*+(?:(?P<mark>[{}\[\]:,])|(?P<text>"(?:[^"\\]|\\.)*+"?+)|(?P<word>[^ \t\r\n{}\[\]:,"]++))',
    re.DOTALL,
)
_MOST_VALUES: Final = 8


class _NoKey:
    """Stands for the key that an object waits for."""


_NO_KEY: Final = _NoKey()


def peek(text: str) -> list[Any]:
    """Return the values that a text begins with: one, or more where they stand in a row.

    What is no JSON ends the reading, and is no error: what came before it is returned.

    Args:
        text: the beginning of a JSON text, or of several.

    """
    values: list[Any] = []
    open_ones: list[Any] = []
    keys: list[Any] = []
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if mark in {",", ":"}:
            continue
        if mark in {"}", "]"}:
            if not open_ones:
                break
            open_ones.pop()
            keys.pop()
            continue
        value: Any = {"{": {}, "[": []}[mark] if mark else _scalar(token[0].strip())
        _put(value, values, open_ones, keys)
        if mark:
            open_ones.append(value)
            keys.append(_NO_KEY)
        if not open_ones and len(values) == _MOST_VALUES:
            break
    return values


def _put(value: Any, values: list[Any], open_ones: list[Any], keys: list[Any]) -> None:
    """Put a value where it belongs; in an object, every second one, the first being its key."""
    if not open_ones:
        values.append(value)
    elif isinstance(open_ones[-1], list):
        open_ones[-1].append(value)
    elif keys[-1] is _NO_KEY:
        key = value if isinstance(value, str) else ""
        keys[-1] = key
        open_ones[-1][key] = None
    else:
        open_ones[-1][keys[-1]] = value
        keys[-1] = _NO_KEY


def _scalar(token: str) -> Any:
    try:
        return json.loads(token)
    except ValueError:
        return token.removeprefix('"')
