"""The log of a persistent stream: one JSON record a line, each with version, time and message.

    {"version":12,"at":1790000000.25,"data":{"event":"user_login"}}

A stream that was cleared begins with a record that has `"cleared":true` instead of data, so that versions go
on. All of this blocks: it runs in worker threads.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from library.infrastructure.data.append_log import AppendLog
from library.infrastructure.data.durable_io import explain_os_errors, replace_file
from library.infrastructure.data.errors import CorruptDataError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

_MOST_DAMAGED_LINES: Final = 1000
"""More than so many damaged lines at the end are not what an interrupted write leaves."""
_RECORD_BEGINS: Final = b'{"version":'
_CHUNK_BYTES: Final = 1 << 20
_INDEX_EVERY: Final = 256
"""Of so many messages one is found directly; the others are read from there on."""


class Record(NamedTuple):
    """A line of the log."""

    version: int
    at: float
    data: Any
    cleared: bool


class StreamLog:
    """Keeps every message of a stream in a file."""

    def __init__(self, path: str, *, durable: bool, lock_timeout_s: float) -> None:
        """Prepare; see `AppendLog`."""
        self.path = path
        self.first = 1
        """The version of the oldest message."""
        self.last = 0
        """The version of the newest message, or of the last clearing."""
        self.is_open = False
        self._log = AppendLog(path, durable=durable, lock_timeout_s=lock_timeout_s)
        self._index: list[tuple[int, int]] = []
        """Version and place in the file of every so many messages."""

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self._log.size

    def open(self) -> Iterator[Record]:
        """Own the file, repair its end, and return its records, oldest first.

        Raises:
            CorruptDataError: it is something else, or there is damage before the end; it stays as it is.
            LockTimeoutError: another unit or process has it open.
            StorageError: it cannot be opened.

        """
        self._log.open()
        self.first, self.last, self._index = 1, 0, []
        self.is_open = True
        damage: list[bytes] = []
        damaged_at = 0
        for place, line in self._lines(0):
            record = _parse(line)
            if record is not None and not damage and self._follows(record):
                self._note(record, place)
                yield record
            elif record is None and len(damage) < _MOST_DAMAGED_LINES:
                damaged_at = damaged_at if damage else place
                damage.append(line)
            else:
                raise self._damaged(damaged_at if damage else place)
        if damage and not self.last and not self._is_cut_off(damage):
            raise self._damaged(damaged_at)
        if damage:
            self._set_aside(damaged_at, damage)

    def close(self) -> None:
        """Give the file up."""
        self.is_open = False
        self._log.close()

    def append(self, at: float, messages: Sequence[bytes]) -> None:
        """Write messages, encoded as JSON, as the next versions; on the disk when this returns."""
        lines = []
        places = []
        place = self._log.size
        for version, message in enumerate(messages, self.last + 1):
            line = b'{"version":%d,"at":%r,"data":%b}\n' % (version, at, message)
            lines.append(line)
            places.append((version, place))
            place += len(line)
        self._log.append(lines)
        self._index += ((version, start) for version, start in places if version % _INDEX_EVERY == 0)
        self.last += len(lines)

    def clear(self, at: float) -> None:
        """Drop all messages, which is a version of its own."""
        self._log.replace([b'{"version":%d,"at":%r,"cleared":true}\n' % (self.last + 1, at)])
        self._index = []
        self.last += 1
        self.first = self.last + 1

    def read(self, version: int, count: int) -> list[Any]:
        """Return up to `count` messages from `version` on; none if it was cleared or closed meanwhile."""
        nearest = bisect_right(self._index, (version, self._log.size)) - 1
        start = self._index[nearest][1] if nearest >= 0 else 0
        messages: list[Any] = []
        for _, line in self._lines(start):
            record = _parse(line)
            if record is None or record.cleared or record.version < version:
                continue
            if record.version != version + len(messages):
                return []
            messages.append(record.data)
            if len(messages) == count:
                break
        return messages

    def _lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Read lines with their ends, each with its place; the last one may lack its end."""
        rest, place = b"", start
        for chunk in self._log.chunks(start, _CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield place, line + b"\n"
                place += len(line) + 1
        if rest:
            yield place, rest

    def _follows(self, record: Record) -> bool:
        """Tell whether a record is the one that comes next; the first may be that of any clearing."""
        return record.version == self.last + 1 or (record.cleared and not self.last)

    def _is_cut_off(self, damage: Sequence[bytes]) -> bool:
        """Tell whether this is a first record whose writing was interrupted, and not somebody else's file."""
        line = damage[0]
        begins = line.startswith(_RECORD_BEGINS) or _RECORD_BEGINS.startswith(line) or not line.strip(b"\0")
        if len(damage) > 1 or line.endswith(b"\n") or not begins:
            return False
        try:
            decode(line)
        except ValueError:
            return True
        return _parse(line + b"\n") is not None

    def _set_aside(self, place: int, damage: Sequence[bytes]) -> None:
        """Cut an incomplete record off the log; what is cut is kept beside it."""
        aside = f"{self.path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        with explain_os_errors("repair", self.path):
            replace_file(aside, damage, None, durable=True)
        self._log.cut(place)
        logger.warning("%s ended in an incomplete record, which is now in %s", self.path, aside)

    def _damaged(self, place: int) -> CorruptDataError:
        message = (
            f"{self.path} is not the log of a stream, or damaged, at byte {place}: put a good copy there, "
            "move it away, or use another file"
        )
        return CorruptDataError(message, path=self.path)

    def _note(self, record: Record, place: int) -> None:
        self.last = record.version
        if record.cleared:
            self.first = record.version + 1
        elif record.version % _INDEX_EVERY == 0:
            self._index.append((record.version, place))


def encode_message(message: Any, name: str) -> bytes:
    """Write a message of the stream `name` as one line of JSON.

    Raises:
        InvalidValueError: JSON cannot hold it.

    """
    return encode(message, name).replace(b"\n", b"")


def _parse(line: bytes) -> Record | None:
    """Read a line; `None`: it is damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = decode(line)
        cleared = record.get("cleared") is True
        return Record(
            int(record["version"]), float(record["at"]), None if cleared else record["data"], cleared
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
