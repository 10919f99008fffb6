"""How values stand in XML, so that none is lost: as plain text, or else as JSON, or as nothing.

XML 1.0 has no way to write some characters, such as NUL, U+FFFE and most control characters, even escaped.
A text that holds one is written as a JSON string, in ASCII, and its element says `encoding="json"`. All other
texts are plain to any program; a carriage return is escaped, which parsers would take for a line end.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.formats.record_kind import FieldType
from library.infrastructure.data.formats.row_slices import TEXTUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from library.infrastructure.data.formats.record_kind import Field

NO_VALUE: Final = ' null="true">'
"""What follows the name in the tag of an element that stands for `None`."""
JSON_TEXT: Final = ' encoding="json">'
"""What follows the name in the tag of an element whose text is a JSON string."""
JSON_GROWTH: Final = 12
"""Characters that one character takes at most in a JSON string."""

_PIECE: Final = 1 << 18
"""Characters that are looked at in one call, which holds the interpreter's lock for about a millisecond."""
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_XML_BYTES: Final = bytes(set(range(0x20)) - set(b"\t\n\r"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def escape(text: str) -> str:
    """Escape what would be taken for markup, or not be kept: "]]>" must not stand in texts either."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def is_xml(document: bytes) -> bool:
    """Tell whether XML has a way to write every character of what is UTF-8."""
    return (
        len(document.translate(None, _NOT_XML_BYTES)) == len(document)
        and b"\xef\xbf\xbe" not in document
        and b"\xef\xbf\xbf" not in document
    )


def contents(field: Field, values: Sequence[Any]) -> list[str] | None:
    """Return what stands in the elements of one field, of many records at once.

    Returns:
        For each value, escaped, the text behind the opening tag; if the field is optional, with the end of
        that tag. `None`: a value is to be written by `pieces` instead.

    """
    if field.type in TEXTUAL:
        texts = values if None not in values else ["" if value is None else value for value in values]
        found = escape("\0".join(texts)).split("\0")
        if len(found) != len(values):
            return None
    elif not field.is_optional:
        return list(map(_PLAIN[field.type], values))
    else:
        plain = _PLAIN[field.type]
        return [NO_VALUE if value is None else f">{plain(value)}" for value in values]
    if field.is_optional:
        return [NO_VALUE if value is None else f">{text}" for value, text in zip(values, found, strict=True)]
    return found


def pieces(field: Field, value: Any) -> Iterator[str]:
    """Return the element of one field, whatever its value, in pieces that are not large."""
    yield f"<{field.name}"
    if value is None:
        yield NO_VALUE
    elif field.type not in TEXTUAL:
        yield f">{_PLAIN[field.type](value)}"
    else:
        parts = [value[start : start + _PIECE] for start in range(0, len(value), _PIECE)]
        if any(_NOT_XML.search(part) for part in parts):
            yield f'{JSON_TEXT}"'
            for part in parts:
                yield escape(json.dumps(part)[1:-1])
            yield '"'
        else:
            yield ">"
            yield from map(escape, parts)
    yield f"</{field.name}>"


def from_json(text: str) -> str:
    """Return the text that a JSON string stands for.

    Raises:
        ValueError: it is no JSON string, or holds what is no character.

    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, str):
        message = "is said to hold a JSON string, but does not"
        raise ValueError(message)  # noqa: TRY004 - a text of the wrong kind
    try:
        value.encode()
    except UnicodeEncodeError as error:
        message = "holds half a surrogate pair, which is no character"
        raise ValueError(message) from error
    return value


def _moment(microseconds: int) -> str:
    return (_EPOCH + timedelta(0, 0, microseconds)).isoformat(timespec="microseconds")


def _flag(value: bool) -> str:  # noqa: FBT001 - the value of a field
    return "true" if value else "false"


_PLAIN: Final[dict[FieldType, Callable[[Any], str]]] = {
    FieldType.INTEGER: str,
    FieldType.NUMBER: repr,
    FieldType.MOMENT: _moment,
    FieldType.FLAG: _flag,
}
