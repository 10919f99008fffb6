"""The bytes of a file or stream as they are stored, counted as they are read."""

from __future__ import annotations

import io
import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from library.infrastructure.data.durable_io import explain_os_errors
from library.infrastructure.data.errors import InvalidOptionError, StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_BYTES: Final = 1 << 17
"""How much is asked for at a time."""


class Layer(ABC):
    """What gives bytes, one part after the other; layers lie over each other, and close what is below.

    They are no files, which would close themselves, and what is below, as soon as they are let go.
    """

    @abstractmethod
    def part(self, size: int) -> bytes:
        """Return some bytes, at most `size`, which is at least 1; none at the end only."""

    @abstractmethod
    def close(self) -> None:
        """Close what is below; may be called again."""

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, or all up to the end."""
        parts = []
        while size > 0 and (data := self.part(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


class LayerFile(io.RawIOBase):
    """A layer as a file that can be read."""

    def __init__(self, layer: Layer) -> None:
        """Prepare; closing this closes the layer."""
        super().__init__()
        self._layer = layer

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, or a part of it."""
        view = memoryview(buffer).cast("B")
        data = self._layer.part(len(view)) if len(view) else b""
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the layer."""
        if not self.closed:
            self._layer.close()
        super().close()


class StoredBytes(Layer):
    """Reads a file that is open; what was looked at by `peek` is read once more."""

    def __init__(self, file: BinaryIO | io.RawIOBase, name: str, *, is_owned: bool) -> None:
        """Prepare.

        Args:
            file: where the bytes come from.
            name: what errors call it.
            is_owned: whether closing this closes the file.

        """
        self._file = file
        self._name = name
        self._is_owned = is_owned
        self._peeked = b""
        self.position = 0
        """Bytes that were read so far."""

    def peek(self, size: int) -> bytes:
        """Return the next bytes, which stay where they are."""
        while len(self._peeked) < size and (data := self._read(size - len(self._peeked))):
            self._peeked += data
        return self._peeked[:size]

    def part(self, size: int) -> bytes:
        """Return some bytes.

        Raises:
            StorageError: the file cannot be read.
            InvalidOptionError: it gives text.

        """
        if self._peeked:
            data, self._peeked = self._peeked[:size], self._peeked[size:]
            return data
        return self._read(size)

    def close(self) -> None:
        """Close it, and the file if it is owned."""
        if self._is_owned:
            self._file.close()

    def _read(self, size: int) -> bytes:
        if size <= 0:
            return b""
        with explain_os_errors("read", self._name):
            data = self._file.read(size)
        if data is None:
            message = f"cannot read {self._name}: nothing is there yet; give a stream that waits for data"
            raise StorageError(message, path=self._name)
        if not isinstance(data, bytes):
            message = f"{self._name} gives {type(data).__name__} instead of bytes: open it in binary mode"
            raise InvalidOptionError(message, option="input_file")
        self.position += len(data)
        return data


def open_file(path: str, name: str) -> io.FileIO:
    """Open a file for reading.

    Raises:
        StorageError: there is none, or it cannot be opened, or is no regular file; see `is_stream_path`.

    """
    with explain_os_errors("read", name):
        try:
            mode = Path(path).stat().st_mode
        except FileNotFoundError as error:
            message = f"cannot read {name}: there is no such file; check its path"
            raise StorageError(message, path=name) from error
        if stat.S_ISDIR(mode):
            raise StorageError(f"cannot read {name}: it is a folder; give the path of a file", path=name)
        if not stat.S_ISREG(mode):
            raise StorageError(f"cannot read {name}: it is not a regular file any more", path=name)
        return io.FileIO(path, "rb")


def is_stream_path(path: str) -> bool:
    """Tell whether what a path leads to can only be read or written as it comes: a pipe, or a device.

    Such paths must be opened as they are: links such as `/dev/stdin` and `/dev/fd/63` lead to what has no
    name in any folder. That goes also for files that were deleted, and are still open.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISDIR(mode):
        return False
    return not stat.S_ISREG(mode) or not Path(os.path.realpath(path)).exists()


def is_text_file(file: Any) -> bool:
    """Tell whether an open file was opened for text; the files of `tempfile` are wrapped."""
    return isinstance(file, io.TextIOBase) or isinstance(getattr(file, "file", None), io.TextIOBase)
