"""Writing JSON documents, in slices, so that no single call holds up the event loop for long.

orjson keeps the interpreter's lock for as long as one call takes: 10 MB are 8 ms to write and a hundred to
read. A large document is therefore written slice by slice, each slice on a line of its own, which is plain
JSON to everybody else, since JSON text never holds a raw line break. Read back, the lines are parsed one at a
time: see `json_reading.py`.
"""

from __future__ import annotations

import codecs
import json
import math
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from library.infrastructure.data.byte_search import contains
from library.infrastructure.data.errors import InvalidValueError
from library.infrastructure.data.json_reading import decode, is_utf8, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Piece = bytes | memoryview
"""A part of a document's bytes."""

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_FIRST_SLICE: Final = 16
"""Containers of up to so many items are not sliced."""
_SLICE_BYTES: Final = 1 << 15
"""The size that slices aim at; from 128 KB on, malloc asks the system for each, which is slow."""
_SLICED_DEPTH: Final = 4
"""How deep containers are looked into for others that are worth slicing."""
_KEPT_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 254
"""How deep orjson nests."""
_SHOWN_PLACE: Final = 80
"""Characters of a place that an error shows."""
_NOT_JSON: Final = "JSON holds text, finite numbers, true, false, null, lists, and dicts with text as keys"
_ESCAPES: Final = "nanobrain-data-json-escapes"


class Document:
    """A value that is being written as JSON, piece by piece, so that a large one is never held twice.

    Tuples become lists, enumeration members and UUIDs what JSON has for them; integers may have any size.
    """

    def __init__(self, value: Any, encoding: str, name: str) -> None:
        """Prepare to write.

        Args:
            value: the value; it must not be changed until it is written.
            encoding: any text encoding of Python's; characters that it lacks are written as JSON escapes.
            name: what errors call the unit for which it is written.

        """
        self._name = name
        self.raw: bytes | None = None
        """The whole document, once it was written, if it is of less than 1 MB."""
        self._value = value
        self._encoding = encoding

    def pieces(self) -> Iterator[Piece]:
        """Write the value.

        Raises:
            InvalidValueError: JSON cannot hold it; the error names the place and the object.

        """
        if self.raw is not None:
            yield self.raw
            return
        kept: list[Piece] = []
        size = 0
        for piece in self._encoded():
            size += len(piece)
            if size <= _KEPT_BYTES:
                kept.append(piece)
            yield piece
        if size <= _KEPT_BYTES:
            self.raw = b"".join(kept)

    def check(self) -> None:
        """See that JSON can hold the value; raises as `pieces` does."""
        for _ in self.pieces():
            pass

    def _encoded(self) -> Iterator[Piece]:
        pieces = self._write(self._value, _SLICED_DEPTH)
        return pieces if is_utf8(self._encoding) else iter((_recode(b"".join(pieces), self._encoding),))

    def _write(self, value: Any, depth: int) -> Iterator[Piece]:
        """Write a value, looking `depth` levels deep for large containers."""
        if depth and _is_large(value):
            yield from self._slices(value)
        elif depth and type(value) in (dict, list) and any(map(_may_be_large, _children(value))):
            yield from self._members(value, depth)
        else:
            yield self._dumps(value)

    def _slices(self, value: dict[str, Any] | list[Any]) -> Iterator[Piece]:
        """Write a container as lines of so many items that a line has about the size aimed at."""
        opening, closing = (b"{\n", b"\n}") if isinstance(value, dict) else (b"[\n", b"\n]")
        yield opening
        items = iter(value.items() if isinstance(value, dict) else value)
        step, separate = _FIRST_SLICE * 8, False
        while part := self._next_items(items, step):
            if separate:
                yield b",\n"
            piece = self._dumps(dict(part) if isinstance(value, dict) else part)
            yield memoryview(piece)[1:-1]
            separate = True
            step = step * 2 if len(piece) < _SLICE_BYTES // 2 else max(1, step * _SLICE_BYTES // len(piece))
        yield closing

    def _next_items(self, items: Iterator[Any], count: int) -> list[Any]:
        try:
            return list(islice(items, count))
        except RuntimeError as error:
            message = f"{self._name}: another thread changed the value while it was written: try again"
            raise InvalidValueError(message) from error

    def _members(self, value: dict[str, Any] | list[Any], depth: int) -> Iterator[Piece]:
        """Write a small container whose members may be large."""
        separator = b"{" if isinstance(value, dict) else b"["
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield separator
            if isinstance(value, dict):
                yield self._dumps({key: 0})[1:-2]
            yield from self._write(child, depth - 1)
            separator = b","
        yield b"}" if isinstance(value, dict) else b"]"

    def _dumps(self, value: Any) -> bytes:
        """Write a part of the value at once; orjson writes NaN as null, so a null is looked at twice."""
        try:
            written = orjson.dumps(value, option=_OPTIONS)
            if not contains(written, b"null") or not _find_fault(value):
                return written
            reason = "it holds NaN"
        except TypeError as error:
            if not _find_fault(value):
                return self._write_slowly(value)
            reason = str(error)
        fault = _find_fault(self._value) or f"the value cannot be written ({reason})"  # from the root
        raise InvalidValueError(f"{self._name} cannot hold this: {fault}: {_NOT_JSON}")

    def _write_slowly(self, value: Any) -> bytes:
        """Write with the standard library what orjson refused: integers beyond 64 bits, named tuples."""
        try:
            text = json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(f"{self._name} cannot hold this: {error}: {_NOT_JSON}") from error
        return text.encode()


def encode(value: Any, name: str) -> bytes:
    """Write a value of the unit `name` as JSON, in one piece; see `Document`."""
    return b"".join(Document(value, "utf-8", name).pieces())


def _find_fault(value: Any) -> str | None:
    """Find what JSON cannot hold; name its place and what it is."""
    todo: list[tuple[str, Any, int]] = [("$", value, 0)]
    while todo:
        place, item, depth = todo.pop()
        fault = _fault(item, depth)
        if fault:
            shown = place if len(place) <= _SHOWN_PLACE else f"{place[:_SHOWN_PLACE]}..."
            return f"{shown} is {fault}"
        if isinstance(item, dict):
            todo += (
                (f"{place}[{key!r}]", child, depth + 1) for key, child in item.items() if not _is_plain(child)
            )
        elif isinstance(item, Enum):
            todo.append((place, item.value, depth + 1))
        elif isinstance(item, list | tuple):
            todo += (
                (f"{place}[{index}]", child, depth + 1)
                for index, child in enumerate(item)
                if not _is_plain(child)
            )
    return None


def _is_plain(item: Any) -> bool:
    """Tell quickly that nothing is wrong with an item."""
    return item is None or type(item) in (bool, int) or (type(item) is str and item.isascii())


def _fault(item: Any, depth: int) -> str | None:
    """Name what is wrong with one object, leaving aside what it holds."""
    if depth > _MAX_DEPTH:
        return f"nested more than {_MAX_DEPTH} levels deep, or holds itself"
    if isinstance(item, float) and not math.isfinite(item):
        return str(float(item))
    if isinstance(item, str):
        return None if _is_encodable(item) else "text with a lone surrogate"
    if isinstance(item, dict):
        wrong = [key for key in item if not isinstance(key, str) or not _is_encodable(key)]
        return f"a dict with the key {wrong[0]!r}" if wrong else None
    known = item is None or isinstance(item, int | float | list | tuple) or _orjson_takes(item)
    return None if known else f"an object of type {type(item).__name__}"


def _plain(item: Any) -> Any:
    """Turn what orjson takes beyond JSON into what it writes for it."""
    return item.value if isinstance(item, Enum) else str(item)


def _recode(raw: bytes, encoding: str) -> bytes:
    """Put a document into another encoding, so that it reads back the same.

    Some encodings write two characters as one byte: then everything beyond ASCII is escaped.
    """
    text = raw.decode()
    expected = loads(raw)
    for candidate in (text, json.dumps(expected, separators=(",", ":"))):
        recoded = candidate.encode(encoding, _ESCAPES)
        try:
            if decode(recoded, encoding) == expected:
                return recoded
        except ValueError:
            continue
    message = f"the value cannot be written in {encoding}: use another encoding, such as utf-8"
    raise InvalidValueError(message)


def _orjson_takes(item: Any) -> bool:
    try:
        orjson.dumps(item, option=_OPTIONS)
    except TypeError:
        return False
    return True


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write characters that an encoding lacks as JSON escapes; in JSON they only occur within strings."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(json.dumps(character)[1:-1] for character in text), error.end


codecs.register_error(_ESCAPES, _escape)


def _is_large(value: Any) -> bool:
    return type(value) in (dict, list) and len(value) > _FIRST_SLICE


def _may_be_large(value: Any) -> bool:
    """Tell whether it is worth looking into a member of a small container."""
    return type(value) in (dict, list) and (
        len(value) > _FIRST_SLICE or any(map(_is_large, _children(value)))
    )


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
