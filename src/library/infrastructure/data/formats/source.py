"""`Source`: where an import reads from, unpacked and as UTF-8, within limits."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

from library.infrastructure.data.durable_io import explain_os_errors, remove_file, resolve_path
from library.infrastructure.data.errors import StorageError
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.registry import COMPRESSED_SUFFIXES
from library.infrastructure.data.formats.stored_bytes import (
    READ_BYTES,
    Layer,
    LayerFile,
    StoredBytes,
    is_stream_path,
    open_file,
)
from library.infrastructure.data.formats.transcoding import Rejoined, as_utf8, check_encoding
from library.infrastructure.data.formats.unpacking import MAGIC_BYTES, is_packed, unpacked
from library.infrastructure.data.formats.zip_member import ZipMember, is_zip

if TYPE_CHECKING:
    from library.infrastructure.data.import_limits import ImportLimits

_STREAM_STEM: Final = "import"
_STREAM_NAME: Final = "a stream"
_STANDARD_INPUT: Final = "<stdin>"
"""What Python calls it."""


class Source:
    """A file, or a stream of bytes, to be read from its beginning to its end.

    What is compressed (gzip, Zstandard), encoded (UTF-8 and UTF-16 by their marks, or as told) or packed (the
    `conversations.json` in a zip file) is told by its first bytes, not by its name, and unpacked on the way.

    A file can be opened any number of times, a stream once; looking at its `head` does not count. A path
    that leads to a pipe or a device, as `/dev/stdin` may, is a stream, too.

    Raises, wherever it reads:
        StorageError: the file cannot be read.
        FormatError: it is damaged, cut off, or not in the encoding. UTF-8 is passed on as it is: whoever
            decodes it finds out.
        TransferLimitError: it holds more than allowed.

    """

    def __init__(self, file: str | BinaryIO, limits: ImportLimits, *, encoding: str | None = None) -> None:
        """Prepare; nothing is opened yet.

        Args:
            file: the path of a file or a pipe; or an open binary file, of which only `read` is used, and
                which is left open.
            limits: how much it may hold.
            encoding: of text; `None`: UTF-16 where its first bytes say so, else UTF-8.

        Raises:
            InvalidOptionError: there is no such encoding, or no file can have that path.

        """
        check_encoding(encoding)
        self.limits: ImportLimits = limits
        self._encoding = encoding
        self._stream: str | BinaryIO | None = None
        self._path: str | None = None
        if not isinstance(file, str):
            self._stream = file
        elif is_stream_path(file):
            self._stream = str(Path.cwd() / file)
        else:
            self._path = resolve_path(file)
        self.name: str = file if isinstance(file, str) else _name_of(file)
        """What errors call it: the path, or "standard input", or "a stream"."""
        self._stored: StoredBytes | ZipMember | None = None
        self._begun: Layer | None = None
        """The content, opened by `head` and not passed on yet."""
        self._is_used_up = False
        self._opened: list[Layer | IO[Any]] = []
        self._copies: list[str] = []
        self._local: str | None = None

    @property
    def stem(self) -> str:
        """The name of the file without its folder and suffixes; "import" for streams."""
        if self._stream is not None:
            return _STREAM_STEM
        name = PurePath(self.name)
        return PurePath(name.stem).stem if name.suffix.lower() in COMPRESSED_SUFFIXES else name.stem

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is stored; `None` for streams."""
        if self._stream is not None or self._path is None:
            return None
        with explain_os_errors("read", self.name):
            return Path(self._path).stat().st_size

    @property
    def position(self) -> int:
        """Bytes of the file as it is stored that were read so far, for progress; for any thread."""
        return 0 if self._stored is None else self._stored.position

    def head(self, size: int = 1 << 16) -> bytes:
        """Return the beginning of the content as `open_bytes` gives it; reading begins there anew.

        Args:
            size: so many bytes, unless the content has less.

        """
        content = self._content()
        begun = content.exactly(size)
        self._begun = Rejoined(begun, content)
        return begun

    def open_bytes(self) -> BinaryIO:
        """Open the content: unpacked, as UTF-8 without a byte order mark if it is text."""
        opened = cast(BinaryIO, io.BufferedReader(LayerFile(self._content()), READ_BYTES))
        self._opened.append(opened)
        return opened

    def open_text(self) -> TextIO:
        """Open the content as text, line ends as they are; what is not UTF-8 raises `UnicodeDecodeError`."""
        text = io.TextIOWrapper(self.open_bytes(), "utf-8", newline="")
        self._opened.append(text)
        return text

    def local_path(self) -> str:
        """Return the path of a file with the unpacked content, for readers that jump about in it.

        That is the file itself, or else a temporary copy that `close` removes.
        """
        if self._local is None:
            self._local = self._plain_file() or self._copy(self._content())
        return self._local

    def close(self) -> None:
        """Close what was opened, and remove temporary copies."""
        self._begun = None
        while self._opened:
            self._opened.pop().close()
        while self._copies:
            with explain_os_errors("remove", self._copies[-1]):
                remove_file(self._copies.pop())

    def _content(self) -> Layer:
        """Return the content from its beginning."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        stored = self._stored_bytes()
        if not is_zip(stored.peek(MAGIC_BYTES)):
            return as_utf8(unpacked(stored, self.limits, self.name), self._encoding, self.name)
        if self._path is None:
            self._path = self._copy(unpacked(stored, self.limits, self.name))
        stored.close()
        member = ZipMember(open_file(self._path, self.name), self.limits, self.name)
        self._stored = member
        self._opened.append(member)
        return as_utf8(member, self._encoding, self.name)

    def _stored_bytes(self) -> StoredBytes:
        """Open what is stored."""
        if self._path is not None:
            stored = StoredBytes(open_file(self._path, self.name), self.name, is_owned=True)
        elif self._stream is not None and not self._is_used_up:
            self._is_used_up = True
            stored = self._opened_stream(self._stream)
        else:
            message = f"{self.name} can be read once only: save it as a file, and import that"
            raise StorageError(message, path=self.name)
        self._stored = stored
        self._opened.append(stored)
        return stored

    def _opened_stream(self, stream: str | BinaryIO) -> StoredBytes:
        """Open a pipe or a device by its path, as it is; what is open already stays its owner's."""
        if not isinstance(stream, str):
            return StoredBytes(stream, self.name, is_owned=False)
        with explain_os_errors("read", self.name):
            return StoredBytes(io.FileIO(stream, "rb"), self.name, is_owned=True)

    def _plain_file(self) -> str | None:
        """Return the path if the file itself is the content."""
        if self._path is None:
            return None
        with open_file(self._path, self.name) as file, explain_os_errors("read", self.name):
            magic = file.read(MAGIC_BYTES)
            size = os.fstat(file.fileno()).st_size
        if is_zip(magic) or is_packed(magic):
            return None
        if size > self.limits.max_bytes:
            raise limit_error(self.limits, "max_bytes", self.name)
        return self._path

    def _copy(self, content: Layer) -> str:
        """Write all that can be read to a temporary file; return its path."""
        with explain_os_errors("write a temporary copy of", self.name):
            descriptor, path = tempfile.mkstemp(prefix="nanobrain-import-")
            self._copies.append(path)
            with os.fdopen(descriptor, "wb") as copy:
                while data := content.part(READ_BYTES):
                    copy.write(data)
        return path


def _name_of(stream: BinaryIO) -> str:
    """Name a stream by its file, if it tells one."""
    name = getattr(stream, "name", None)
    if name == _STANDARD_INPUT:
        return "standard input"
    return name if isinstance(name, str) and name and not name.startswith("<") else _STREAM_NAME
