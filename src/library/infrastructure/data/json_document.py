"""JSON documents to bytes and back, in slices, so that no single call holds up the event loop for long.

orjson keeps the interpreter's lock for as long as one call takes: 10 MB are 8 ms to write and a hundred to
read. A large document is therefore written slice by slice, each slice on a line of its own, which is plain
JSON to everybody else, since JSON text never holds a raw line break. Read back, the lines are parsed one at a
time: see `_decode_slices`.
"""

from __future__ import annotations

import codecs
import json
import math
import secrets
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from library.infrastructure.data.byte_search import contains
from library.infrastructure.data.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Piece = bytes | memoryview
"""A part of a document's bytes."""

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_FIRST_SLICE: Final = 16
"""Items of a container's first slice, and the size up to which a container is not sliced; later slices
adapt."""
_SLICE_BYTES: Final = 1 << 15
"""The size that slices aim at; from 128 KB on, malloc asks the system for each, which is slow."""
_SLICED_DEPTH: Final = 4
"""How deep containers are looked into for others that are worth slicing."""
_SLICED_READ_BYTES: Final = 1 << 18
"""Smaller documents are parsed at once."""
_KEPT_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 254
"""How deep orjson nests."""
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19
"""Integers of fewer digits fit into 64 bits, which is all that orjson reads without turning them into
floats."""
_NOT_JSON: Final = "JSON holds text, finite numbers, true, false, null, lists, and dicts with text as keys"
_ESCAPES: Final = "nanobrain-data-json-escapes"


class Document:
    """A value that is being written as JSON, piece by piece, so that a large one is never held twice.

    Tuples become lists, enumeration members and UUIDs what JSON has for them; integers may have any size.
    """

    def __init__(self, value: Any, encoding: str = "utf-8") -> None:
        """Prepare to write.

        Args:
            value: the value; it must not be changed until it is written.
            encoding: any text encoding of Python's; characters that it lacks are written as JSON escapes.

        """
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
        return pieces if _is_utf8(self._encoding) else iter((_recode(b"".join(pieces), self._encoding),))

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

    @staticmethod
    def _next_items(items: Iterator[Any], count: int) -> list[Any]:
        try:
            return list(islice(items, count))
        except RuntimeError as error:
            message = "the value was changed by another thread while it was written: try again"
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
            if not contains(written, b"null") or _is_fine(value):
                return written
            reason = "it holds NaN"
        except TypeError as error:
            if _is_fine(value):
                return _write_slowly(value)
            reason = str(error)
        _check(self._value)  # from its root, so that the error names the place
        message = f"the value cannot be written as JSON ({reason}): {_NOT_JSON}"
        raise InvalidValueError(message)


def encode(value: Any, encoding: str = "utf-8") -> bytes:
    """Write a value as JSON, in one piece; see `Document`."""
    return b"".join(Document(value, encoding).pieces())


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
    if not _is_utf8(encoding):
        raw = raw.decode(encoding).encode()
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if len(raw) > _SLICED_READ_BYTES and b"\n" in raw:
        try:
            return _decode_slices(raw)
        except (
            ValueError,
            LookupError,
        ):  # written by somebody else, in another form, or damaged: the parser will tell
            return _loads(raw)
    return _loads(raw)


# -- writing -------------------------------------------------------------------------------------------------


def _write_slowly(value: Any) -> bytes:
    """Write with the standard library what orjson refused: integers beyond 64 bits, named tuples."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the value cannot be written as JSON ({error}): {_NOT_JSON}"
        raise InvalidValueError(message) from error
    return text.encode()


def _check(value: Any) -> None:
    """Refuse what JSON cannot hold, naming its place."""
    todo: list[tuple[str, Any, int]] = [("$", value, 0)]
    while todo:
        place, item, depth = todo.pop()
        fault = _fault(item, depth)
        if fault:
            message = f"{place} is {fault}: {_NOT_JSON}"
            raise InvalidValueError(message)
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


def _is_fine(value: Any) -> bool:
    try:
        _check(value)
    except InvalidValueError:
        return False
    return True


def _recode(raw: bytes, encoding: str) -> bytes:
    """Put a document into another encoding, so that it reads back the same.

    Some encodings write two characters as one byte: then everything beyond ASCII is escaped.
    """
    text = raw.decode()
    expected = _loads(raw)
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


# -- reading -------------------------------------------------------------------------------------------------


def _loads(raw: bytes) -> Any:
    """Parse a document, or a slice, at once."""
    if _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO):  # thirteen times faster than a regular expression
        return json.loads(raw, parse_constant=_refuse_constant)
    return orjson.loads(raw)


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
    return _fill(_loads(b"".join(skeleton)), contents)


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
            items += _loads(b"[" + part + b"]")
        else:
            members.update(_loads(b"{" + part + b"}"))
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


def _is_large(value: Any) -> bool:
    return type(value) in (dict, list) and len(value) > _FIRST_SLICE


def _may_be_large(value: Any) -> bool:
    """Tell whether it is worth looking into a member of a small container."""
    return type(value) in (dict, list) and (
        len(value) > _FIRST_SLICE or any(map(_is_large, _children(value)))
    )


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
