"""`DataUnitString`: text that grows by appending, in memory or in a file."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from library.infrastructure.data.append_log import AppendLog
from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.data_unit_base import DataUnitBase, State
from library.infrastructure.data.durable_io import resolve_path
from library.infrastructure.data.entry import EMPTY, UnitStats
from library.infrastructure.data.errors import (
    CorruptDataError,
    DataUnitError,
    HistoryGapError,
    InvalidOptionError,
    InvalidValueError,
)
from library.infrastructure.data.group_commit import GroupCommit
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.data.wakeup import wake
from library.infrastructure.data.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CHUNK_BYTES: Final = 1 << 24


class TextPart(NamedTuple):
    """New text, and where to go on."""

    text: str
    """The text that came after the offset that was given."""
    offset: int
    """The offset to give next time."""


class _Job(NamedTuple):
    """A change of a persistent unit."""

    text: Any
    """The text, or `EMPTY`."""
    appends: bool
    if_version: int | None = None


class DataUnitString(DataUnitBase):
    r"""Holds text, to which one appends.

    The text is kept as UTF-8, in memory: an append costs the same however long the text is. Any text that
    UTF-8 can hold is taken, and comes back bit for bit; lone surrogates are refused.

    With `persistent=True` the text lives in `file_path`, and an `append` that returned is on the disk (with
    `durability="os"`: with the operating system). Appends of the same moment share a write. The file is only
    appended to, except by `set`, `update` and `clear`, which replace it as a whole; one unit at a time may
    have it open. An incomplete character at its end, which a power loss may leave, is cut when it is opened.
    Versions count from 1 again in a new process; offsets go on.

    """

    data_type: ClassVar[DataUnitType] = DataUnitType.STRING

    def __init__(self, initial: str | None = None, config: DataUnitConfig | None = None) -> None:
        """Prepare the unit; nothing is opened yet.

        Args:
            initial: the text of a new unit; empty or `None`: the `initial_value` of the config.
            config: how the unit behaves.

        Raises:
            InvalidOptionError: two different initial texts are given, or `initial` is not text, or `config`
                is not one of a string unit.
            InvalidValueError: the initial text holds a lone surrogate.

        """
        super().__init__(config)
        self._log = self._make_log()
        configured = self.config.initial_value
        if initial is not None and not isinstance(initial, str):
            message = f"initial must be text, not {type(initial).__name__}"
            raise InvalidOptionError(message, option="initial")
        if initial and configured and initial != configured:
            message = f"two different initial texts are given: {initial!r}, and {configured!r} in the config"
            raise InvalidOptionError(message, option="initial_value")
        self._initial = initial if configured is None else configured
        if self._initial is not None:
            self._encode(self._initial)
        self._commits: GroupCommit[_Job] = GroupCommit(self._mutex, self._apply)
        self._utf8 = bytearray()
        self._text: str | None = None
        self._offset_of_start = 0
        self._exists = False
        self._version_number = self._opened_version = 0
        self._at = time.time()
        self._direct = False

    def _make_log(self) -> AppendLog | None:
        config = self.config
        if config.file_path is None:
            return None
        path = resolve_path(config.file_path)
        return AppendLog(path, durable=config.durability == "full", lock_timeout_s=config.lock_timeout_s)

    @property
    def file_path(self) -> str | None:
        """The log file: an absolute path, links followed; `None` if the unit is not persistent."""
        return self._log.path if self._log else None

    # -- appending and reading -------------------------------------------------------------------------------

    async def append(self, text: str) -> int:
        """Add text at the end.

        Returns:
            The new version.

        Raises:
            InvalidValueError: it is not text, or holds a lone surrogate.
            StorageError: the file cannot be written; nothing was added.

        """
        mutex = self._mutex
        if self._direct and not mutex.locked:
            utf8 = self._encode(text)
            guard = mutex.guard
            guard.acquire()  # without `with`, which takes as long as the rest of the call
            try:
                if self._direct and not mutex.locked:
                    self._utf8 += utf8
                    self._text = None
                    self._exists = True
                    self._at = time.time()
                    self._version_number = version = self._version_number + 1
                    if self._changed.waiters:
                        wake(self._changed.take())
                    return version
            finally:
                guard.release()
        self._check_usable()
        self._encode(text)
        if self._log is not None:
            appended: int = await self._commits.submit(_Job(text, appends=True))
            return appended
        async with self._mutex.hold():
            self._check_open()
            self._add([text])
            return self._version_number

    async def tail(self, lines: int = 10) -> str:
        """Return the last lines, with their ends, without reading the rest.

        Args:
            lines: how many, from 0 up.

        """
        self._check_usable()
        check_whole_number("lines", lines, 0)
        self._reads += 1
        with self._mutex.guard:
            if not lines:
                return ""
            end = len(self._utf8) - self._utf8.endswith(b"\n")
            for _ in range(lines):
                end = self._utf8.rfind(b"\n", 0, end)
                if end < 0:
                    break
            return self._utf8[end + 1 :].decode()

    async def since(self, offset: int) -> TextPart:
        """Return the text that was appended after `offset`, and the offset to give next time; begin with 0.

        Args:
            offset: one that `since` returned; it counts the bytes of all text that the unit ever held. Those
                of a persistent unit hold across restarts, until `set`, `update` or `clear` replaces the text.

        Raises:
            HistoryGapError: the text was replaced after that; `oldest` is where the new one begins.
            InvalidOptionError: no `since` ever returned that offset.

        """
        self._check_usable()
        self._reads += 1
        check_whole_number("offset", offset, 0)
        with self._mutex.guard:
            start = self._offset_of_start
            if 0 < offset < start:
                message = f"the text after offset {offset} was replaced: go on from offset {start}"
                raise HistoryGapError(message, since=offset, oldest=start)
            position = offset - start if offset else 0
            if not 0 <= position <= len(self._utf8) or self._is_within_character(position):
                message = f"offset {offset} is none that since() returned"
                raise InvalidOptionError(message, option="offset")
            return TextPart(self._utf8[position:].decode(), start + len(self._utf8))

    def _is_within_character(self, position: int) -> bool:
        return position < len(self._utf8) and self._utf8[position] & 0xC0 == 0x80

    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened."""
        self._check_open()
        return UnitStats(
            reads=self._reads,
            writes=self._version_number - self._opened_version,
            watchers=self._watchers,
            bytes=len(self._utf8),
        )

    # -- the hooks of the base -------------------------------------------------------------------------------

    async def _open(self) -> None:
        if self._log is None:
            self._begin(self._initial)
        else:
            await run_in_worker(self._load, self._log)
        self._opened_version = self._version_number
        self._direct = self._log is None

    def _begin(self, text: str | None) -> None:
        """Hold the text with which the unit is opened; versions go on from its former life."""
        if text is not None or self._exists:
            self._replace(EMPTY if text is None else text)

    def _load(self, log: AppendLog) -> None:
        """Read the file, or begin a new one."""
        is_new = log.open()
        if is_new and self._initial:
            log.append([self._encode(self._initial)])
        utf8 = bytearray()
        for chunk in log.chunks(0, _CHUNK_BYTES):
            utf8 += chunk
        whole = len(utf8) - _incomplete_tail(utf8)
        try:
            utf8[:whole].decode() if whole != len(utf8) else utf8.decode()
        except UnicodeDecodeError as error:
            message = f"{log.path} is not UTF-8 at byte {error.start}: put a good copy there, or move it away"
            raise CorruptDataError(message, path=log.path) from error
        if whole != len(utf8):
            log.cut(whole)
            del utf8[whole:]
        self._utf8, self._text, self._offset_of_start = utf8, None, 0
        self._exists = bool(utf8)
        self._version_number += 1 if utf8 else 0
        self._at = time.time()

    async def _close(self) -> None:
        self._direct = False
        if self._log is not None:
            await run_in_worker(self._log.close)

    def _abandon(self) -> None:
        self._direct = False
        if self._log is not None:
            self._log.close()

    async def _read(self) -> State:
        with self._mutex.guard:
            if self._text is None and self._exists:
                self._text = self._utf8.decode()
            return State(self._text if self._exists else EMPTY, self._version_number, self._at)

    async def exists(self) -> bool:
        """Tell whether the unit holds text; the empty text is one, until the unit is shut down."""
        self._check_usable()
        return self._exists

    async def _write(self, kept: Any, if_version: int | None) -> int:
        if self._log is not None:
            version: int = await self._commits.submit(_Job(kept, appends=False, if_version=if_version))
            return version
        async with self._mutex.hold():
            self._check_open()
            self._check_version(if_version, await self._read())
            self._replace(kept)
            return self._version_number

    async def _write_held(self, kept: Any) -> None:
        if self._log is not None:
            await run_in_worker(self._replace_file, kept)
        else:
            self._replace(kept)

    def _version(self) -> int:
        return self._version_number

    def _updated_at(self) -> float:
        return self._at

    def _admit(self, value: Any) -> Any:
        self._encode(value)
        return value

    def _hand_out(self, kept: Any) -> Any:
        return kept

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            message = f"{self.name} cannot hold a lone surrogate (character {error.start} of the text)"
            raise InvalidValueError(message) from error
        except AttributeError as error:
            message = f"{self.name} holds text, not an object of type {type(text).__name__}"
            raise InvalidValueError(message) from error

    # -- changing --------------------------------------------------------------------------------------------

    def _apply(self, jobs: Sequence[_Job]) -> list[int | Exception]:
        """Apply a batch in a worker thread; appends in a row share a write."""
        answers: list[int | Exception] = []
        for appends, group in groupby(jobs, key=lambda job: job.appends):
            run = list(group)
            answers += self._apply_appends(run) if appends else map(self._apply_replacement, run)
        return answers

    def _apply_appends(self, jobs: Sequence[_Job]) -> list[int | Exception]:
        texts = [job.text for job in jobs]
        try:
            self._check_open()
            if self._log is not None:
                self._log.append([text.encode() for text in texts])
        except DataUnitError as error:
            return [error] * len(jobs)
        first = self._add(texts)
        return list(range(first, first + len(jobs)))

    def _apply_replacement(self, job: _Job) -> int | Exception:
        try:
            self._check_open()
            with self._mutex.guard:
                text = self._utf8.decode() if self._exists else EMPTY
                self._check_version(job.if_version, State(text, self._version_number, self._at))
            self._replace_file(job.text)
        except DataUnitError as error:
            return error
        return self._version_number

    def _replace_file(self, text: Any) -> None:
        if self._log is not None:
            self._log.replace([b"" if text is EMPTY else text.encode()])
        self._replace(text)

    def _add(self, texts: Iterable[str]) -> int:
        """Append to what is held; return the version of the first text."""
        with self._mutex.guard:
            first = self._version_number + 1
            for text in texts:
                self._utf8 += text.encode()
                self._version_number += 1
            self._text, self._exists, self._at = None, True, time.time()
            waiters = self._changed.take()
        wake(waiters)
        return first

    def _replace(self, text: Any) -> None:
        """Hold other text from now on; offsets into the former one become a gap."""
        with self._mutex.guard:
            self._offset_of_start += len(self._utf8) + 1  # so that who knew all of it is told, too
            self._exists = text is not EMPTY
            self._utf8 = bytearray(text.encode()) if self._exists else bytearray()
            self._text = text if self._exists else None
            self._version_number += 1
            self._at = time.time()
            waiters = self._changed.take()
        wake(waiters)


def _incomplete_tail(utf8: bytearray) -> int:
    """Count the bytes at the end that begin a character and do not finish it."""
    for length in range(1, min(3, len(utf8)) + 1):
        byte = utf8[-length]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return length if needed > length else 0
    return 0
