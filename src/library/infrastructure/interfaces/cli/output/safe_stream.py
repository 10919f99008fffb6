"""An export that is written to a terminal, of which the terminal obeys nothing."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.cli.output.visible import visible

if TYPE_CHECKING:
    from typing import BinaryIO


class SafeStream(io.RawIOBase):
    """Passes UTF-8 text on to a terminal; controls but the end of a line are shown, not sent."""

    def __init__(self, terminal: BinaryIO) -> None:
        """Begin.

        Args:
            terminal: takes the bytes, and stays open.

        """
        super().__init__()
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def write(self, data: Any) -> int:
        """Write all of the bytes."""
        self._pass_on(self._decoder.decode(data))
        return len(data)

    def close(self) -> None:
        """Write what is left of a character that was cut off."""
        if not self.closed:
            self._pass_on(self._decoder.decode(b"", final=True))
        super().close()

    def _pass_on(self, text: str) -> None:
        # Line feeds alone end lines here, and what CSV has before them does no harm.
        lines = (line.removesuffix("\r") for line in text.split("\n"))
        self._terminal.write("\n".join(map(visible, lines)).encode())
        self._terminal.flush()
