"""Reading JSON documents, those that were written in slices slice by slice; see `json_document.py`."""

from __future__ import annotations

import codecs
import json
import math
import secrets
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLICED_READ_BYTES: Final = 1 << 18
"""Smaller documents are parsed at once."""
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19
"""Integers of fewer digits fit into 64 bits; orjson reads larger ones as floats."""


def decode(raw: bytes, encoding: str = "utf-8") -> Any:
    """Parse a JSON document.

    Args:
        raw: the bytes; a byte order mark is passed over.
        encoding: the text encoding of `raw`.

    Returns:
        The value, integers of any size exact.

    Raises:
        ValueError: it is not JSON in that encoding.

    """
    if not is_utf8(encoding):
        raw = raw.decode(encoding).encode()
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if len(raw) > _SLICED_READ_BYTES and b"\n" in raw:
        try:
            return _decode_slices(raw)
        except (
            ValueError,
            LookupError,
        ):  # written by somebody else, in another form, or damaged: the parser will tell
            return loads(raw)
    return loads(raw)


def loads(raw: bytes) -> Any:
    """Parse a document, or a slice, at once."""
    if _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO):  # thirteen times faster than a regular expression
        return _loads_slowly(raw)
    return orjson.loads(raw)


def _loads_slowly(raw: bytes) -> Any:
    """Parse with the standard library, which keeps large integers, and takes nothing that orjson refuses."""
    value = json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_parse_float)
    if rb"\ud" in raw or rb"\uD" in raw:
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair raises a ValueError
    return value


def _parse_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        message = f"{digits} is too large for a float"
        raise ValueError(message)
    return number


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _decode_slices(raw: bytes) -> Any:
    """Parse a document line by line.

    A line that ends in an opening bracket begins a sliced container; the lines up to one that begins with the
    closing bracket are its slices, each of whole items, all but the last with a comma at the end. What is
    left when the slices are taken out, with a random word in the place of each container's content, is small,
    and is parsed at once; then the words are replaced by the contents.
    """
    word = secrets.token_hex(16)
    skeleton: list[bytes] = []
    contents: dict[str, Any] = {}
    lines = iter(raw.split(b"\n"))
    line = next(lines, None)
    while line is not None:
        skeleton.append(line)
        if line.endswith((b"[", b"{")):
            is_list = line.endswith(b"[")
            name = f"{word}-{len(contents)}"
            contents[name], line = _content(lines, is_list=is_list)
            skeleton.append(b'"%s"' % name.encode() if is_list else b'"%s":0' % name.encode())
        else:
            line = next(lines, None)
    return _fill(loads(b"".join(skeleton)), contents)


def _content(lines: Iterator[bytes], *, is_list: bool) -> tuple[Any, bytes]:
    """Parse the slices of one container; return its content, and the line that closes it."""
    items: list[Any] = []
    members: dict[str, Any] = {}
    ended = False
    for line in lines:
        if line.startswith(b"]" if is_list else b"}"):
            if not ended:
                break
            return (items if is_list else members), line
        if ended or not line.strip():
            break
        ended = not line.endswith(b",")
        part = line if ended else line[:-1]
        if is_list:
            items += loads(b"[" + part + b"]")
        else:
            members.update(loads(b"{" + part + b"}"))
    message = "the lines are not slices"
    raise ValueError(message)


def _fill(value: Any, contents: dict[str, Any]) -> Any:
    """Put the contents where their names stand."""
    if isinstance(value, dict):
        only = next(iter(value), None) if len(value) == 1 else None
        return (
            contents[only]
            if only in contents
            else {key: _fill(child, contents) for key, child in value.items()}
        )
    if isinstance(value, list):
        only = value[0] if len(value) == 1 and isinstance(value[0], str) else None
        return contents[only] if only in contents else [_fill(child, contents) for child in value]
    return value


def is_utf8(encoding: str) -> bool:
    """Tell whether an encoding is UTF-8, under whatever name."""
    return codecs.lookup(encoding).name == "utf-8"
