"""`DataUnitFile`: a JSON document on disk that survives crashes, and is shared by processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.data_unit_base import DataUnitBase, State
from library.infrastructure.data.durable_io import resolve_path
from library.infrastructure.data.entry import EMPTY, UnitStats
from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.file_cell import WATCH_INTERVAL_S, FileCell
from library.infrastructure.data.option_checks import check_version

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable

    from library.infrastructure.data.versioned_file import FileVersion


class DataUnitFile(DataUnitBase):
    """Holds a JSON document in a file.

    A `set` that returned is on the disk and survives power loss; one that did not return happened whole or
    not at all. Sets that are asked for at the same time share one write: the last value reaches the disk, and
    all are acknowledged then. The `backups` versions before the present one are kept beside the file, hidden;
    a file that is found damaged is set aside as `<name>.corrupt-<time>` and the newest good version takes its
    place, with a warning in the log.

    Any number of units, threads and processes may use one file; a lock file makes them take turns to write,
    and reads see the newest version without waiting. Values come back as JSON has them: tuples as lists. The
    file may be edited by other programs that replace it; an edit in place is read too, but does not count as
    a version.

    """

    data_type: ClassVar[DataUnitType] = DataUnitType.FILE

    def __init__(
        self, file_path: str | os.PathLike[str] | None = None, config: DataUnitConfig | None = None
    ) -> None:
        """Prepare the unit; no file is touched yet.

        Args:
            file_path: the file, relative to the present working directory; default: the `file_path` of the
                config.
            config: how the unit behaves.

        Raises:
            InvalidOptionError: no path is given, or two different ones, or one that no file can have; or
                `config` is not one of a file unit.

        """
        super().__init__(config)
        path = _one_path(file_path, self.config.file_path)
        self._cell = FileCell(path, self.config, self._on_change, self._check_open)
        self._mutex = self._cell.mutex
        self._poll_interval_s = WATCH_INTERVAL_S

    @property
    def file_path(self) -> str:
        """The file: an absolute path, links followed."""
        return self._cell.path

    async def versions(self) -> list[FileVersion]:
        """List the versions that `restore` can bring back, newest first; the present one is the first."""
        self._check_usable()
        return await self._cell.versions()

    async def restore(self, version: int) -> int:
        """Make the value of a kept version the present value.

        Returns:
            The new version: the history goes on, nothing of it is lost.

        Raises:
            InvalidOptionError: that version is not kept.
            CorruptDataError: that version is damaged.

        """
        self._check_usable()
        check_version("version", version)
        async with self._mutex.hold():
            self._check_open()
            async with self._cell.locked():
                return await self._cell.restore(version)

    async def stats(self) -> UnitStats:
        """Return what the unit counted since it was opened; hits are reads that did not touch the file."""
        self._check_open()
        cell = self._cell
        return UnitStats(
            reads=self._reads,
            writes=cell.writes,
            watchers=self._watchers,
            bytes=cell.size,
            hits=cell.hits,
            misses=cell.misses,
        )

    async def _open(self) -> None:
        await self._cell.open()

    async def _close(self) -> None:
        await self._cell.close()

    async def _read(self) -> State:
        return await self._cell.read()

    async def _write(self, kept: Any, if_version: int | None) -> int:
        return await self._cell.write(kept, if_version)

    async def _write_held(self, kept: Any) -> None:
        await self._cell.write_held(kept)

    async def _update_held(self, fn: Callable[[Any], Any | Awaitable[Any]]) -> Any:
        async with self._cell.locked():
            return await super()._update_held(fn)

    def _version(self) -> int:
        return self._cell.version

    def _updated_at(self) -> float:
        return self._cell.updated_at

    async def _refresh(self) -> None:
        await self._cell.refresh()

    def _admit(self, value: Any) -> Any:
        return super()._admit(value) if value is EMPTY else value

    def _hand_out(self, kept: Any) -> Any:
        return kept


def _one_path(argument: str | os.PathLike[str] | None, configured: str | os.PathLike[str] | None) -> str:
    """Return the path that is given, in the one place or the other."""
    if argument is None and configured is None:
        message = "a file unit needs a file_path: give it to DataUnitFile, or to its config"
        raise InvalidOptionError(message, option="file_path")
    path = resolve_path(configured if argument is None else argument)  # type: ignore[arg-type]  # one is not None
    if configured is not None and path != resolve_path(configured):
        message = f"two different file paths are given: {argument!r}, and {configured!r} in the config"
        raise InvalidOptionError(message, option="file_path")
    return path
