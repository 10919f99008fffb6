"""The one file in a zip file that is to be imported, such as the `conversations.json` of an export."""

from __future__ import annotations

import errno
import os
import zipfile
import zlib
from posixpath import basename
from typing import TYPE_CHECKING, Final, cast

from library.infrastructure.data.durable_io import explain_os_errors
from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.stored_bytes import Layer
from library.infrastructure.data.formats.unpacking import Meter

if TYPE_CHECKING:
    import io

    from library.infrastructure.data.import_limits import ImportLimits

_FIRST_BYTES: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""The second is that of a zip file without members."""
_WANTED: Final = "conversations.json"
_SHOWN_MEMBERS: Final = 10
_ENCRYPTED: Final = 1
"""The flag of a member that needs a password."""
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError)
"""What `zipfile` raises where a file is damaged."""


def is_zip(magic: bytes) -> bool:
    """Tell from its first bytes whether a file is a zip file."""
    return magic.startswith(_FIRST_BYTES)


class ZipMember(Layer):
    """Reads the member named `conversations.json`, or the only one."""

    def __init__(self, file: io.FileIO, limits: ImportLimits, name: str) -> None:
        """Open the member; the file is closed with it, or if that fails.

        Raises:
            FormatError: the file is damaged, or does not tell which member is meant.
            StorageError: it cannot be read.

        """
        self._file = file
        self._name = name
        self.position = 0
        """How far the file was read."""
        try:
            with explain_os_errors("read", name):
                self._zip = zipfile.ZipFile(file)
                member = self._chosen(self._zip.infolist())
                self._content = cast(zipfile.ZipExtFile, self._zip.open(member))
                size = min(member.compress_size, os.fstat(file.fileno()).st_size)
        except BaseException as error:
            file.close()
            if isinstance(error, _DAMAGE) or _is_wrong_place(error.__cause__):
                raise self._damaged(error) from error
            raise
        self._meter = Meter(limits, name, lambda: size)

    def part(self, size: int) -> bytes:
        """Return some bytes."""
        try:
            with explain_os_errors("read", self._name):
                data = self._content.read1(size)
                self.position = self._file.tell()
        except _DAMAGE as error:
            raise self._damaged(error) from error
        self._meter.count(len(data))
        return data

    def close(self) -> None:
        """Close the member and the file."""
        self._content.close()
        self._zip.close()
        self._file.close()

    def _chosen(self, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
        """Choose the member that is meant; what macOS adds is none."""
        files = [each for each in members if not (each.is_dir() or each.filename.startswith("__MACOSX/"))]
        named = [each for each in files if basename(each.filename) == _WANTED]
        chosen = named or files
        if len(chosen) != 1:
            shown = ", ".join(each.filename for each in chosen[:_SHOWN_MEMBERS]) or "nothing"
            more = ", ..." if len(chosen) > _SHOWN_MEMBERS else ""
            raise FormatError(
                f"{self._name} is a zip file that holds {shown}{more}: unpack it, and import the file that is"
                f" meant; one that is named {_WANTED}, or is alone, is found",
                path=self._name,
            )
        self._check(chosen[0])
        return chosen[0]

    def _check(self, member: zipfile.ZipInfo) -> None:
        """Refuse a member that cannot be read here."""
        reason = None
        if member.flag_bits & _ENCRYPTED:
            reason = "is encrypted"
        elif member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            reason = "is packed in a way that is not known here"
        if reason:
            message = f"{member.filename} in {self._name} {reason}: unpack it, and import the file itself"
            raise FormatError(message, path=self._name)

    def _damaged(self, error: BaseException) -> FormatError:
        message = f"{self._name} is a zip file that is damaged or cut off ({error}); get a whole copy of it"
        return FormatError(message, path=self._name)


def _is_wrong_place(error: BaseException | None) -> bool:
    """Tell whether the system refused a place in the file: that of a damaged zip file may be negative."""
    return isinstance(error, OSError) and error.errno == errno.EINVAL
