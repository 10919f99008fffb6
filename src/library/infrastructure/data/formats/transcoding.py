"""Text in other encodings, read as UTF-8. What is UTF-8 already passes through as it is, at no cost."""

from __future__ import annotations

import codecs
import io
from typing import Final

from library.infrastructure.data.errors import FormatError, InvalidOptionError
from library.infrastructure.data.formats.stored_bytes import Layer
from library.infrastructure.data.json_reading import is_utf8

HEAD_BYTES: Final = 16
"""How much of the content tells its encoding."""
_BINARY: Final = (b"PAR1", b"SQLite format 3\0")
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_FIRST_OF_TEXTS: Final = b'[{<" \t\r\n'
"""How JSON and XML begin; in UTF-8, no NUL follows that."""


def check_encoding(encoding: str | None) -> None:
    """Refuse what is not an encoding of text.

    Raises:
        InvalidOptionError: it is none.

    """
    try:
        io.TextIOWrapper(io.BytesIO(), "utf-8" if encoding is None else encoding)
    except (LookupError, TypeError, ValueError) as error:
        message = (
            f"encoding must be one that Python knows, such as utf-16 or cp1252, not {encoding!r}: {error}"
        )
        raise InvalidOptionError(message, option="encoding") from error


def as_utf8(content: Layer, encoding: str | None, name: str) -> Layer:
    """Return the same content as UTF-8 without a byte order mark, if it is text.

    Args:
        content: what is read.
        encoding: its encoding; `None`: found out.
        name: what errors call the file.

    """
    head = content.exactly(HEAD_BYTES)
    whole = Rejoined(head, content)
    if head.startswith(_BINARY):
        return whole
    found = encoding or _encoding_of(head)
    if found and not (is_utf8(found) or codecs.lookup(found).name == "utf-8-sig"):
        return _Transcoded(whole, found, name)
    return Rejoined(head.removeprefix(codecs.BOM_UTF8), content)


def _encoding_of(head: bytes) -> str | None:
    """Tell which UTF-16 a text is in, if it is."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) >= 2:
        if head[0] in _FIRST_OF_TEXTS and not head[1]:
            return "utf-16-le"
        if head[1] in _FIRST_OF_TEXTS and not head[0]:
            return "utf-16-be"
    return None


class Rejoined(Layer):
    """A stream of which a part was read already, once more from its beginning."""

    def __init__(self, begun: bytes, rest: Layer) -> None:
        """Prepare: `begun` comes first, then the rest."""
        self._begun = begun
        self._rest = rest

    def part(self, size: int) -> bytes:
        """Return some bytes."""
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return self._rest.part(size)

    def close(self) -> None:
        """Close both."""
        self._rest.close()


class _Transcoded(Layer):
    """A text in another encoding, as UTF-8 without a byte order mark."""

    def __init__(self, content: Layer, encoding: str, name: str) -> None:
        self._content = content
        self._encoding = encoding
        self._name = name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._at = 0
        self._is_first = True
        self._has_ended = False

    def part(self, size: int) -> bytes:
        """Return some bytes."""
        while self._at == len(self._ready):
            if self._has_ended:
                return b""
            self._ready = self._more(size)
            self._at = 0
        data = self._ready[self._at : self._at + size]
        self._at += len(data)
        return data

    def close(self) -> None:
        """Close what is read."""
        self._content.close()

    def _more(self, size: int) -> bytes:
        raw = self._content.part(size)
        self._has_ended = not raw
        try:
            text = self._decoder.decode(raw, final=not raw)
            if self._is_first and text:
                self._is_first = False
                text = text.removeprefix("\ufeff")
            return text.encode()
        except UnicodeError as error:
            end = ", or was cut off" if self._has_ended else ""
            message = f"{self._name} is not {self._encoding} text{end} ({error}): tell its encoding"
            raise FormatError(message, path=self._name) from error
