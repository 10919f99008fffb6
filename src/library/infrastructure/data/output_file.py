"""Where an export goes: a file that appears when it is whole, or a stream; compressed if its name says so."""

from __future__ import annotations

import gzip
import io
import os
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from library.infrastructure.data.durable_io import (
    check_place,
    explain_os_errors,
    remove_file,
    replacing,
    resolve_path,
    sync_folder,
    temporary_files,
)
from library.infrastructure.data.errors import InvalidOptionError, StorageError
from library.infrastructure.data.formats.stored_bytes import is_stream_path

if TYPE_CHECKING:
    from collections.abc import Callable

_BUFFER_BYTES: Final = 1 << 18


class OutputFile:
    """A binary file to write an export into; used in worker threads, by one at a time.

    What is opened is closed by `finish`, which makes the file visible, or by `abandon`, which leaves what was
    there before. Streams that were handed in, pipes and devices are written as they come.
    """

    def __init__(self, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Prepare; nothing is opened yet.

        Args:
            target: the path of a file, of which links are followed; or an open binary file, which stays open.

        Raises:
            InvalidOptionError: no file can have that path.

        """
        self._stack = ExitStack()
        self._stream: BinaryIO | None = None
        self._path = ""
        self._is_pipe = False
        if isinstance(target, str | os.PathLike):
            self._path = resolve_path(target)
            self.name = os.fspath(target)
            if is_stream_path(self.name):
                self._path, self._is_pipe = os.path.join(os.getcwd(), self.name), True
            """What errors and reports call it."""
        else:
            self._stream = target
            self.name = str(getattr(target, "name", "a stream"))
        self._counted = _Counter()

    @property
    def size(self) -> int:
        """How many bytes were written, compressed if they are."""
        return self._counted.size

    def open(self) -> BinaryIO:
        """Open it, and return what to write to.

        Raises:
            StorageError: the file cannot be made.

        """
        with self._explained():
            if self._stream is not None:
                self._counted.take_over(self._refusing_text(self._stream.write))
                return cast(BinaryIO, self._counted)
            if self._is_pipe:
                raw = self._stack.enter_context(open(self._path, "wb", buffering=0))  # noqa: SIM115
            else:
                check_place(self._path)
                former = os.stat(self._path) if os.path.exists(self._path) else None
                descriptor = self._stack.enter_context(replacing(self._path, former, durable=True))
                raw = self._stack.enter_context(open(descriptor, "wb", buffering=0, closefd=False))  # noqa: SIM115
            self._counted.take_over(self._explaining(raw.write))
            buffered = io.BufferedWriter(cast(Any, self._counted), _BUFFER_BYTES)
            self._stack.enter_context(buffered)
            return self._compressed(buffered)

    def finish(self) -> None:
        """Write what is left, bring it to the disk, and give the file its name.

        Raises:
            StorageError: the disk is full, or failed; the former file is still there.

        """
        with self._explained():
            if self._stream is not None:
                self._stream.flush()
            self._stack.close()
            if self._path and not self._is_pipe:
                sync_folder(os.path.dirname(self._path))
                self._remove_left_behind()

    def abandon(self) -> None:
        """Close without giving the file its name; what was there before stays."""
        with suppress(_AbandonedError, OSError, StorageError):
            self._stack.__exit__(_AbandonedError, _AbandonedError(), None)

    def _compressed(self, raw: BinaryIO) -> BinaryIO:
        name = self._path.lower()
        if name.endswith(".gz"):
            packed: Any = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
        elif name.endswith(".zst"):
            packed = _zstd().ZstdFile(raw, "w")
        else:
            return raw
        self._stack.enter_context(packed)
        return cast(BinaryIO, packed)

    def _explained(self) -> Any:
        return explain_os_errors("write", self.name)

    def _explaining(self, write: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
        """Have errors of a file of ours explained; those of a stream that was handed in are its owner's."""

        def explaining(data: Any) -> int | None:
            with self._explained():
                return write(data)

        return explaining

    def _refusing_text(self, write: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
        """Have a stream explained that takes no bytes."""

        def refusing(data: Any) -> int | None:
            try:
                return write(data)
            except TypeError as error:
                message = f"output_file must be an open binary file: {self.name} takes no bytes ({error})"
                raise InvalidOptionError(message, option="output_file") from error

        return refusing

    def _remove_left_behind(self) -> None:
        """Remove what exports to the same place left that were killed."""
        for path in temporary_files(self._path):
            pid = int(path.rsplit(".", 2)[1].partition("-")[0])
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                remove_file(path)
            except OSError:
                continue


class _AbandonedError(Exception):
    """Makes `replacing` remove its file."""


class _Counter(io.RawIOBase):
    """Writes all that it is given, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._write: Callable[[Any], int | None] = len

    def take_over(self, write: Callable[[Any], int | None]) -> None:
        """Write by this from now on."""
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            done = self._write(view[written:])
            if done is None:
                raise StorageError("cannot write to a stream that does not block: give one that does")
            written += done
        self.size += written
        return written


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - needed for few files
    else:
        from backports import zstd  # noqa: PLC0415 - as above
    return zstd
