"""The elements of a JSON text, found one after the other without parsing it, in bounded memory.

Most elements are small and flat, and lie within what was read: one regular expression finds where they end.
Large and deep ones are followed bracket by bracket, over any number of pieces. What stands between brackets
is not looked at here: whoever parses an element finds out whether it is JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Final

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.exceeded_limits import limit_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from library.infrastructure.data.errors import TransferLimitError
    from library.infrastructure.data.import_limits import ImportLimits

_READ_BYTES: Final = 1 << 17
"""A regular expression keeps the interpreter's lock: this much takes it a millisecond."""
_FLAT_LEVELS: Final = 5
_BLANK: Final = rb"[ \t\r\n]*+"
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN: Final = rb'[^"{}\[\]]*+'

_BACKSLASH, _QUOTE = b'\\"'
_OPENING: Final = frozenset(b"{[")
_SHOWN_BYTES: Final = 20


def _flat(levels: int) -> bytes:
    """Write the expression of an object or array that is nested at most so many levels deep."""
    inner = _STRING if levels == 1 else rb"(?:" + _STRING + rb"|" + _flat(levels - 1) + rb")"
    return rb"[{\[]" + _PLAIN + rb"(?:" + inner + _PLAIN + rb")*+[}\]]"


_BLANKS: Final = re.compile(_BLANK)
_ELEMENT_AND_COMMA: Final = re.compile(
    _BLANK + rb"(" + _flat(_FLAT_LEVELS) + rb")" + _BLANK + rb",", re.DOTALL
)
_ELEMENT_AND_NEXT: Final = re.compile(
    _BLANK + rb"(" + _flat(_FLAT_LEVELS) + rb")" + _BLANK + rb"(?=[{\[])", re.DOTALL
)
_WITHIN_STRING: Final = re.compile(rb"[^\"\\]*+(?:\\.[^\"\\]*+)*+", re.DOTALL)
_BETWEEN_BRACKETS: Final = re.compile(_PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+", re.DOTALL)
_SCALAR: Final = re.compile(rb'[^ \t\r\n,:"{}\[\]]*+')


def array_elements(stream: BinaryIO, limits: ImportLimits, name: str) -> Iterator[bytes]:
    """Give the bytes of each element of a JSON array, or of each of several JSON values in a row.

    Several values in a row are JSON Lines, whether or not each stands on one line; a single value is one.
    The bytes begin and end with the element; that they are valid JSON is for the caller to find out.

    Args:
        stream: the text, as UTF-8 without a byte order mark.
        limits: `max_record_bytes` and `max_depth` hold for each element; the first level below the element
            counts as one.
        name: what errors call the file.

    Raises:
        FormatError: the text is empty, cut off, goes on behind its end, or is not JSON between the elements.
        TransferLimitError: an element is too large, or nested too deeply.

    """
    return JsonElements(stream, limits, name).all()


def nesting(raw: bytes) -> int:
    """Return how many levels of objects and arrays lie within each other in a JSON text."""
    end = _NestedEnd()
    end.find(raw, 0)
    return end.depth


class JsonElements:
    """What is left of a JSON text: `all` or `rest_of_array` gives its elements."""

    def __init__(
        self, stream: BinaryIO, limits: ImportLimits, name: str, *, begun: bytes = b"", count: int = 0
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            stream: where to read on.
            limits: how large and how deep an element may be.
            name: what errors call the file.
            begun: what was read from the stream, and is not used up.
            count: how many elements came before.

        """
        self._stream = stream
        self._limits = limits
        self._name = name
        self._window = begun
        self._at = 0
        self.count = count
        self._takes_flat = limits.max_depth >= _FLAT_LEVELS - 1

    def all(self) -> Iterator[bytes]:
        """Give all elements of a text from its beginning; see `array_elements`."""
        first = self._next()
        if not first:
            raise FormatError(f"{self._name} is empty: there is no JSON in it", path=self._name)
        if first == b"[":
            self._at += 1
            yield from self.rest_of_array()
        else:
            yield from self._values()

    def rest_of_array(self, *, is_behind_element: bool = False) -> Iterator[bytes]:
        """Give the elements of an array whose beginning was read, up to the end of the text.

        Args:
            is_behind_element: whether what comes next is the comma behind an element.

        """
        if is_behind_element and not self._goes_on():
            return
        while True:
            yield from self._flat_elements(_ELEMENT_AND_COMMA)
            if self._next() == b"]" and not self.count:
                self._at += 1
                self._check_end()
                return
            yield self._element()
            if not self._goes_on():
                return

    def _values(self) -> Iterator[bytes]:
        """Give values that stand in a row, up to the end of the text."""
        while self._next():
            yield self._element(may_end_text=True)
            yield from self._flat_elements(_ELEMENT_AND_NEXT)

    def _flat_elements(self, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
        """Give elements as long as they are small and flat, and what follows is there as well."""
        if not self._takes_flat:
            return
        limit = self._limits.max_record_bytes
        while found := pattern.match(self._window, self._at):
            element = found[1]
            if len(element) > limit:
                raise self._limit_error("max_record_bytes")
            self._at = found.end()
            self.count += 1
            yield element

    def _goes_on(self) -> bool:
        """Pass over what stands behind an element; tell whether it was a comma, and not the end."""
        following = self._next()
        if following not in {b",", b"]"}:
            raise self._fault(f"a comma is missing behind record {self.count}")
        self._at += 1
        if following == b"]":
            self._check_end()
        return following == b","

    def _check_end(self) -> None:
        """Refuse anything behind the end of the array."""
        if self._next():
            raise self._fault("the array ends, but the file goes on")

    def _next(self) -> bytes:
        """Pass over blanks; return the byte that comes next, which may be none at the end of the text."""
        while True:
            self._at = _behind(_BLANKS, self._window, self._at)
            if self._at < len(self._window):
                return self._window[self._at : self._at + 1]
            if not self._read_on():
                return b""

    def _element(self, *, may_end_text: bool = False) -> bytes:
        """Return the element that comes next, however large; a number may be ended by the end of the text."""
        first = self._next()
        if not first:
            raise self._cut_off()
        end = _ScalarEnd() if first not in b'{["' else _NestedEnd()
        pieces: list[bytes] = []
        size = 0
        while True:
            begin = self._at
            self._at = end.find(self._window, begin)
            size += self._at - begin
            if size > self._limits.max_record_bytes:
                raise self._limit_error("max_record_bytes")
            if end.depth > self._limits.max_depth + 1:
                raise self._limit_error("max_depth")
            pieces.append(self._window[begin : self._at])
            if end.is_found:
                break
            if self._at == len(self._window) and not self._read_on():
                if isinstance(end, _ScalarEnd) and may_end_text:
                    break
                raise self._cut_off()
        if not size:
            raise self._fault(
                f"no value begins behind record {self.count}" if self.count else "no value begins"
            )
        self.count += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_on(self) -> bool:
        """Replace what was used up by what comes next; tell whether there was any."""
        self._window = self._stream.read(_READ_BYTES)
        self._at = 0
        return bool(self._window)

    def _cut_off(self) -> FormatError:
        place = f"behind record {self.count}" if self.count else "before the first record is complete"
        return FormatError(
            f"{self._name} ends {place}: it was cut off; get a whole copy of it, and import that",
            path=self._name,
        )

    def _fault(self, reason: str) -> FormatError:
        """Say what is wrong, and what stands there instead."""
        if not self._next():
            return self._cut_off()
        shown = self._window[self._at : self._at + _SHOWN_BYTES].decode(errors="replace")
        return FormatError(f"{self._name} is not JSON: {reason}, at {shown!r}", path=self._name)

    def _limit_error(self, limit: str) -> TransferLimitError:
        return limit_error(self._limits, limit, self._name, f"record {self.count + 1}")


class _ScalarEnd:
    """Finds where a number, `true`, `false` or `null` ends, which may be in another piece of the text."""

    depth: Final = 0

    def __init__(self) -> None:
        self.is_found = False

    def find(self, window: bytes, at: int) -> int:
        """Return the position behind the value, or the length of the window if the value may go on."""
        at = _behind(_SCALAR, window, at)
        self.is_found = at < len(window)
        return at


class _NestedEnd:
    """Finds where an object, an array or a string ends, which may be in another piece of the text."""

    def __init__(self) -> None:
        self.is_found = False
        self.depth = 0
        """The greatest depth that was seen."""
        self._level = 0
        self._in_string = False
        self._is_escaped = False

    def find(self, window: bytes, at: int) -> int:
        """Return the position behind the value, or the length of the window if the value goes on."""
        size = len(window)
        if not self._level and not self._in_string:
            self._take(window[at])
            at += 1
        elif self._is_escaped:
            at += 1
            self._is_escaped = False
        while True:
            if self._in_string:
                at = _behind(_WITHIN_STRING, window, at)
                if at < size and window[at] == _BACKSLASH:  # the window ends behind it
                    self._is_escaped = True
                    return size
            else:
                at = _behind(_BETWEEN_BRACKETS, window, at)
            if at == size:
                return size
            self._take(window[at])
            at += 1
            if not self._level and not self._in_string:
                self.is_found = True
                return at

    def _take(self, byte: int) -> None:
        """Take note of a bracket or a quotation mark."""
        if byte == _QUOTE:
            self._in_string = not self._in_string
        elif byte in _OPENING:
            self._level += 1
            self.depth = max(self.depth, self._level)
        else:
            self._level -= 1


def _behind(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """Return where a match that begins at a position ends."""
    found = pattern.match(text, at)
    return found.end() if found else at
