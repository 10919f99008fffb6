"""Finding the records of an XML document while it is parsed.

A record is an element, at any depth below the root, whose children hold only text; an element that bears the
name of the kind of record, such as `<exchange>`, always is one. Attributes of a record are values as well.
Elements around records are passed through. What would be lost (text or fields beside records, elements within
fields, a value that is given twice) becomes a `Fault`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn
from xml.parsers import expat

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.record_format import Fault
from library.infrastructure.data.formats.xml_text import JSON_GROWTH, from_json

if TYPE_CHECKING:
    from library.infrastructure.data.formats.record_format import Found
    from library.infrastructure.data.formats.record_kind import RecordKind
    from library.infrastructure.data.formats.source import Source

_MAX_NAMES: Final = 10_000
"""Names of elements and attributes; the parser keeps each that it ever saw."""
_TAG_BYTES: Final = 1 << 16
"""Bytes that a tag or a comment may have in any case. Longer ones may have as many as a value may have
characters, since the parser begins anew with them each time that more arrives."""
_FIELDS_BESIDE_RECORDS: Final = "it holds both records and fields of its own"


class _Parent:
    """An element that is open and holds elements."""

    __slots__ = ("attributes", "fault", "has_nested", "is_named", "name", "values")

    def __init__(self, name: str, attributes: dict[str, str], *, is_named: bool) -> None:
        self.name = name
        self.attributes = attributes
        self.is_named = is_named
        """Whether it, or one around it, bears the name of the kind of record."""
        self.has_nested = False
        """Whether it holds records, or what holds records."""
        self.values: dict[str, str | None] = {}
        self.fault: str | None = None


class RecordFinder:
    """Parses a document that is fed in parts, and collects the records that end in them."""

    def __init__(self, source: Source, kind: RecordKind) -> None:
        """Begin.

        Args:
            source: what is read: its name and its limits.
            kind: what its records are called.

        """
        self._found: list[Found] = []
        self._name = source.name
        self._limits = source.limits
        self._kind_name = kind.name
        self._record_name = kind.record_name
        self._fed = 0
        self._ended_at = 0  # the byte at which the last record ended
        self._count = 0
        self._parents: list[_Parent] = []
        # An element that is open and holds no other so far:
        self._leaf: str | None = None
        self._attributes: dict[str, str] = {}
        self._texts: list[str] = []
        self._max_characters = source.limits.max_field_characters
        # Where fields go, while they belong to an element that can be a record:
        self._values: dict[str, str | None] | None = None
        # The encoding told here is the true one, whatever the declaration of the document says.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._texts.append  # called as often as the others, and faster

    def feed(self, data: bytes) -> int:
        """Parse the next part.

        Returns:
            How many bytes at its end begin a tag, or the like, that has not ended; they are parsed once more
            with the next part.

        Raises:
            FormatError: the document is not well-formed, or has a DOCTYPE.
            TransferLimitError: it holds more than the source allows.

        """
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            self._refuse_document(str(error), error)
        self._fed += len(data)
        size = self._fed - self._ended_at
        if size > self._max_characters:
            self._check_length(sum(map(len, self._texts)))
        if size > self._limits.max_record_bytes:
            self._refuse("max_record_bytes")
        if len(self._parser.intern) > _MAX_NAMES:
            message = f"{self._name} is no file of records: it has more than {_MAX_NAMES:,} different names"
            raise FormatError(message, path=self._name)
        unfinished = self._fed - self._parser.CurrentByteIndex
        if unfinished > max(self._max_characters, _TAG_BYTES):
            self._refuse("max_field_characters")
        return unfinished

    def take(self) -> list[Found]:
        """Return the records that ended since they were last taken."""
        found, self._found = self._found, []
        return found

    def finish(self) -> None:
        """Check that the document has ended.

        Raises:
            FormatError: it has not.

        """
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            self._refuse_document(f"it ends too early ({error})", error)

    def close(self) -> None:
        """Let go of the parser, which holds this object."""
        self._parser.StartDoctypeDeclHandler = None
        self._parser.StartElementHandler = None
        self._parser.EndElementHandler = None
        self._parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._leaf is not None:
            self._open_parent(self._leaf)
        if self._texts:
            self._end_text_between()
        self._leaf = name
        self._attributes = attributes

    def _end(self, name: str) -> None:
        if self._leaf is None:
            self._close_parent()
            return
        self._leaf = None
        texts = self._texts
        text = texts[0] if len(texts) == 1 else "".join(texts)
        texts.clear()
        values = self._values
        if (
            values is None
            or self._attributes
            or name in values
            or name == self._record_name
            or ":" in name
            or len(text) > self._max_characters
        ):
            self._end_leaf(_local(name), text)
        else:
            values[name] = text

    def _end_leaf(self, name: str, text: str) -> None:
        """End an element that holds no other, where there is more to it than a text to keep."""
        self._check_length(len(text))
        parent = self._parents[-1] if self._parents else None
        if parent is not None and (parent.is_named or (len(self._parents) > 1 and name != self._record_name)):
            self._add(parent, name, text)
        elif text.strip():
            self._emit(Fault(f"<{name}> holds text where a record was expected"))
        elif name == self._record_name or (parent is not None and name != self._kind_name):
            self._emit_values({}, self._attributes)
            self._note_record(parent)

    def _add(self, parent: _Parent, name: str, text: str) -> None:
        """Add a field to the element that holds it."""
        value = self._interpret(name, text) if self._attributes else text
        if parent.has_nested:
            parent.fault = _FIELDS_BESIDE_RECORDS
        elif name in parent.values:
            parent.fault = f"<{name}> is given twice"
        elif isinstance(value, Fault):
            parent.fault = value.reason
        else:
            parent.values[name] = value

    def _interpret(self, name: str, text: str) -> str | Fault | None:
        """Return the value of a field whose element has attributes."""
        attributes = {_local(key): value for key, value in self._attributes.items()}
        if (attributes.get("null") or attributes.get("nil")) in {"true", "1"}:
            return Fault(f"<{name}> is said to be null, but holds text") if text.strip() else None
        encoding = attributes.get("encoding")
        if encoding is None:
            return text
        if encoding != "json":
            return Fault(f"<{name}> is in an encoding that is not known: {encoding[:40]!r}")
        try:
            value = from_json(text)
        except ValueError as error:
            return Fault(f"<{name}> {error}")
        if len(value) > self._max_characters:
            self._refuse("max_field_characters")
        return value

    def _open_parent(self, name: str) -> None:
        """Make a parent of the leaf, now that another element begins in it."""
        name = _local(name)
        above = self._parents[-1] if self._parents else None
        is_named = name == self._record_name or (above is not None and above.is_named)
        parent = _Parent(name, self._attributes, is_named=is_named)
        self._parents.append(parent)
        self._values = parent.values if is_named or above is not None else None
        if len(self._parents) >= self._limits.max_depth:
            self._refuse("max_depth")

    def _close_parent(self) -> None:
        """End an element that holds elements."""
        if self._texts:
            self._end_text_between()
        self._values = None
        parent = self._parents.pop()
        above = self._parents[-1] if self._parents else None
        if above is not None and above.is_named:
            above.fault = f"<{parent.name}> holds elements where only text can stand"
            return
        if parent.fault is not None:
            self._emit(Fault(parent.fault))
        elif parent.is_named or (above is not None and not parent.has_nested):
            self._emit_values(parent.values, parent.attributes)
        self._note_record(above)

    def _end_text_between(self) -> None:
        """Look at the text before, between or behind elements; layout is passed over."""
        if not all(map(str.isspace, self._texts)):
            parent = self._parents[-1]
            parent.fault = f"<{parent.name}> holds text beside elements"
        self._texts.clear()

    @staticmethod
    def _note_record(parent: _Parent | None) -> None:
        """Keep in mind that an element holds a record, or what holds records, so that it is none itself."""
        if parent is not None:
            parent.has_nested = True
            if parent.values:
                parent.fault = _FIELDS_BESIDE_RECORDS
                parent.values.clear()

    def _emit_values(self, values: dict[str, str | None], attributes: dict[str, str]) -> None:
        """Give a record, with what its attributes tell."""
        for key, value in attributes.items():
            if key.startswith(("xml:", "xmlns")):  # meant for parsers
                continue
            name = _local(key)
            if name in values:
                self._emit(Fault(f"{name} is given twice"))
                return
            if len(value) > self._max_characters:
                self._refuse("max_field_characters")
            values[name] = value
        self._emit(values)

    def _emit(self, record: dict[str, Any] | Fault) -> None:
        index = self._parser.CurrentByteIndex
        if index - self._ended_at > self._limits.max_record_bytes:
            self._refuse("max_record_bytes")
        self._ended_at = index
        self._count += 1
        self._found.append((self._count, record))

    def _check_length(self, length: int) -> None:
        """Check how long the text of the leaf is; what is written as JSON may grow by that."""
        is_json = "encoding" in self._attributes
        if length > (self._max_characters * JSON_GROWTH + 2 if is_json else self._max_characters):
            self._refuse("max_field_characters")

    def _refuse(self, limit: str) -> NoReturn:
        raise limit_error(self._limits, limit, self._name, f"record {self._count + 1}")

    def _refuse_document(self, reason: str, error: expat.ExpatError) -> NoReturn:
        message = f"{self._name} is no well-formed XML: {reason}"
        raise FormatError(message, path=self._name) from error

    def _refuse_doctype(self, *_: object) -> NoReturn:
        message = (
            f"{self._name} has a DOCTYPE: such documents are refused, since the entities that it can declare "
            "are used for attacks; take it out if you trust whoever wrote the file"
        )
        raise FormatError(message, path=self._name)


def _local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]
