"""Content that is compressed, unpacked on the way, within limits; what is cut off never looks whole."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.stored_bytes import READ_BYTES, Layer, StoredBytes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.data.import_limits import ImportLimits

MAGIC_BYTES: Final = 4
"""How many first bytes tell how a file is packed."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""Behind a first byte of 0x50 to 0x5f: some programs begin with a frame that holds no content."""
_FREE_BYTES: Final = 16 << 20
"""Up to here, a file may unpack to any number of times its size."""


class Meter:
    """Counts what comes out, and refuses what is more than allowed."""

    def __init__(self, limits: ImportLimits, name: str, packed: Callable[[], int]) -> None:
        """Prepare.

        Args:
            limits: `max_bytes` and `max_ratio` hold.
            name: what errors call the file.
            packed: how many bytes went in so far.

        """
        self._limits = limits
        self._name = name
        self._packed = packed
        self._unpacked = 0

    def count(self, size: int) -> None:
        """Take note of so many bytes.

        Raises:
            TransferLimitError: these are too many.

        """
        self._unpacked += size
        if self._unpacked > self._limits.max_bytes:
            raise limit_error(self._limits, "max_bytes", self._name)
        if self._unpacked > _FREE_BYTES and self._unpacked > self._limits.max_ratio * self._packed():
            raise limit_error(self._limits, "max_ratio", self._name)


def unpacked(stored: StoredBytes, limits: ImportLimits, name: str) -> Layer:
    """Return the content of what is stored: unpacked, if it is packed by gzip or Zstandard."""
    meter = Meter(limits, name, lambda: stored.position)
    magic = stored.peek(MAGIC_BYTES)
    if _is_gzip(magic):
        return _Unpacked(stored, meter, name, _GzipFrame, "gzip", b"\0")
    if _is_zstd(magic):
        return _Unpacked(stored, meter, name, zstd.ZstdDecompressor, "Zstandard", b"")
    return _Measured(stored, meter)


def is_packed(magic: bytes) -> bool:
    """Tell from its first bytes whether a file is packed by gzip or Zstandard."""
    return _is_gzip(magic) or _is_zstd(magic)


def _is_gzip(magic: bytes) -> bool:
    return magic.startswith(_GZIP)


def _is_zstd(magic: bytes) -> bool:
    return magic == _ZSTD or (magic[1:] == _ZSTD_SKIPPABLE and magic[0] >> 4 == 5)


class _Measured(Layer):
    """What is not packed."""

    def __init__(self, stored: StoredBytes, meter: Meter) -> None:
        self._stored = stored
        self._meter = meter

    def part(self, size: int) -> bytes:
        """Return some bytes."""
        data = self._stored.part(size)
        self._meter.count(len(data))
        return data

    def close(self) -> None:
        """Close what is read."""
        self._stored.close()


class _Frame(Protocol):
    """One of the packed parts that stand in a file, one behind the other; as `ZstdDecompressor` is."""

    @property
    def eof(self) -> bool:
        """Whether it was read to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""

    @property
    def unused_data(self) -> bytes:
        """What went in and stands behind its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take what is packed; return some of what is not."""


class _GzipFrame:
    """A member of a gzip file."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)  # gzip only, checksum and length included

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Unpacked(Layer):
    """What is packed in any number of frames, one behind the other."""

    def __init__(
        self,
        stored: StoredBytes,
        meter: Meter,
        name: str,
        new_frame: Callable[[], _Frame],
        packer: str,
        padding: bytes,
    ) -> None:
        self._stored = stored
        self._meter = meter
        self._name = name
        self._new_frame = new_frame
        self._packer = packer
        self._padding = padding
        self._frame = new_frame()
        self._rest = b""
        """What was read, and not passed on to the frame."""

    def part(self, size: int) -> bytes:
        """Return some bytes."""
        while not self._frame.eof or self._next_frame():
            data = b""
            if self._frame.needs_input:
                data = self._rest or self._stored.part(READ_BYTES)
                self._rest = b""
            is_over = self._frame.needs_input and not data
            try:
                unpacked = self._frame.decompress(data, size)
            except (zlib.error, zstd.ZstdError) as error:
                raise self._damaged(f"what {self._packer} packed cannot be unpacked ({error})") from error
            if unpacked:
                self._meter.count(len(unpacked))
                return unpacked
            if is_over and not self._frame.eof:
                raise self._damaged("it was cut off")
        return b""

    def close(self) -> None:
        """Close what is read."""
        self._stored.close()

    def _next_frame(self) -> bool:
        """Go on to the next frame; tell whether there is one."""
        rest = self._frame.unused_data.lstrip(self._padding)
        while not rest:
            data = self._stored.part(READ_BYTES)
            if not data:
                return False
            rest = data.lstrip(self._padding)
        self._rest = rest
        self._frame = self._new_frame()
        return True

    def _damaged(self, reason: str) -> FormatError:
        return FormatError(f"{self._name} is damaged: {reason}; get a whole copy of it", path=self._name)
