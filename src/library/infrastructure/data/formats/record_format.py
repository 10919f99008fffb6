"""The contract of a file format: what its writer and its reader promise.

Both are plain synchronous code, called in worker threads, one call at a time. Both work in memory that does
not grow with the number of records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row
    from library.infrastructure.data.formats.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How records are written; a format looks at what concerns it."""

    safe_for_spreadsheets: bool = False
    """CSV: keep spreadsheets from taking texts for formulas; reading undoes it."""


class RecordWriter(ABC):
    """Writes one file: `begin`, then any number of `write`, then `finish`."""

    fields: ClassVar[tuple[str, ...] | None] = None
    """The fields that the format always takes, where it has no room for others; `None`: any."""
    wants_whole_conversations: ClassVar[bool] = False
    """Whether the exchanges of a conversation have to come one after the other, in their order."""

    def __init__(
        self, file: BinaryIO, kind: RecordKind, fields: Sequence[Field], options: WriteOptions
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            file: where the bytes go; only `write` is called, which takes all that it is given.
            kind: what is written.
            fields: which fields, in which order; at least one.
            options: how.

        """
        self._file = file
        self._kind = kind
        self._fields = tuple(fields)
        self._options = options

    def begin(self) -> None:  # noqa: B027 - many formats have nothing there
        """Write what comes before the first record."""

    @abstractmethod
    def write(self, rows: Sequence[Row]) -> None:
        """Write records; each row holds the values of `fields`, in their order."""

    def finish(self) -> None:  # noqa: B027 - as above
        """Write what comes behind the last record; the file stays open."""


class Fault(NamedTuple):
    """Stands in the place of a record that cannot be read, where reading can go on behind it."""

    reason: str


Found = tuple[int | str, "dict[str, Any] | Fault"]
"""Where a record stands, and its values by the names of the source.

The place is a number that counts from 1 (see `RecordReader.place_name`), or a text that says it all, such as
`conversation 3 ("A title")`. Values are as the format has them: text everywhere in CSV and XML. A value that
is not there has no key, or is `None`. A moment is an ISO 8601 text, a `datetime`, or a number of seconds
since 1970 (of milliseconds, from 1e11 on); what is JSON is a `dict`, or the text of one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How records are read; a format looks at what concerns it."""

    delimiter: str | None = None
    """CSV: what separates the columns; `None`: found out."""


class RecordReader(ABC):
    """Reads one file: an iterator of what it finds, in the order of the file.

    Raises while it is iterated:
        FormatError: the file is not of this format, is damaged, or ends too early; nothing behind that place
            can be read.
        TransferLimitError: a limit of the source is exceeded; see `Source.limits`.

    """

    place_name: ClassVar[str] = "record"
    """What is counted by places that are numbers: "line", "row"."""
    is_own: ClassVar[bool] = True
    """Whether the records are in the fields of `RecordKind`, and `message_id`s are what this library gave.

    A reader of a foreign format gives exchanges in these fields, with ids of its own making that count from
    1 within the file, so that `parent_id` can name one that came earlier. It gives the exchanges of a
    conversation one after the other, and in the place of times that the source does not tell, the same each
    time it is read.
    """

    def __init__(self, source: Source, kind: RecordKind, options: ReadOptions) -> None:
        """Prepare; nothing is read yet."""
        self._source = source
        self._kind = kind
        self._options = options

    @abstractmethod
    def __iter__(self) -> Iterator[Found]:
        """Read from the beginning to the end; called once."""

    def close(self) -> None:  # noqa: B027 - as above
        """Give up what is open; also called when the iterator was not run to its end."""

    def describe(self, place: int | str) -> str:
        """Say where a record stands."""
        return f"{self.place_name} {place}" if isinstance(place, int) else place
