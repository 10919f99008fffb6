"""`Source`: where an import reads from, unpacked and as UTF-8, within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TextIO

if TYPE_CHECKING:
    from library.infrastructure.data.import_limits import ImportLimits


class Source:
    """A file, or a stream of bytes, to be read from its beginning to its end.

    What is compressed (gzip, Zstandard), encoded (UTF-8 and UTF-16 by their marks, or as told) or packed (the
    `conversations.json` in a zip file) is told by its first bytes, not by its name, and unpacked on the way.

    Raises, wherever it reads:
        StorageError: the file cannot be read.
        FormatError: it is damaged, cut off, or not in the encoding.
        TransferLimitError: it holds more than allowed.

    """

    def __init__(
        self, file: str | BinaryIO, limits: ImportLimits, *, encoding: str | None = None
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            file: the path of a file; or an open binary file, of which only `read` is used, and which is left
                open.
            limits: how much it may hold.
            encoding: of text; `None`: UTF-16 where its first bytes say so, else UTF-8.

        """
        raise NotImplementedError

    name: str
    """What errors call it: the path, or "standard input"."""
    limits: ImportLimits

    @property
    def stem(self) -> str:
        """The name of the file without its folder and suffixes; "import" for streams."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is stored; `None` for streams."""
        raise NotImplementedError

    @property
    def position(self) -> int:
        """Bytes of the file as it is stored that were read so far, for progress; may be asked in any thread."""
        raise NotImplementedError

    def head(self, size: int = 1 << 16) -> bytes:
        """Return the beginning of the content, unpacked and as UTF-8 if it is text; reading begins there anew."""
        raise NotImplementedError

    def open_bytes(self) -> BinaryIO:
        """Open the content: unpacked, as UTF-8 without a byte order mark if it is text."""
        raise NotImplementedError

    def open_text(self) -> TextIO:
        """Open the content as text, line ends as they are."""
        raise NotImplementedError

    def local_path(self) -> str:
        """Return the path of a file with the unpacked content, for readers that jump about in it.

        That is the file itself, or else a temporary copy that `close` removes.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close what was opened, and remove temporary copies."""
        raise NotImplementedError
