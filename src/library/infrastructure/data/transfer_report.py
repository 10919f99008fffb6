"""What exports and imports tell: while they run, and in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from library.infrastructure.data.export_format import ExportFormat


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far an export or an import has come."""

    records: int
    """How many records were written, read or saved so far."""
    position: int
    """How much is done of `total`."""
    total: int | None
    """What there is to do: records while they are written or saved, bytes of the file while it is read;
    `None` where nobody knows."""
    phase: Literal["writing", "reading", "saving"]
    """What is being done. An import reads and checks everything before it saves."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export has done."""

    path: str
    """The file, or how it calls itself."""
    format: ExportFormat
    """The format that was written."""
    written: int
    """How many records."""
    missing: list[str] = field(default_factory=list)
    """The ids that were asked for and are not there, with `missing="skip"`."""
    bytes: int = 0
    """The size of the file, compressed if it is."""
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import has done."""

    path: str
    """The file, or how it calls itself."""
    format: ExportFormat
    """The format that was read."""
    read: int
    """How many records the file holds, those that were rejected included."""
    written: int
    """How many were stored."""
    skipped: int = 0
    """How many were stored already, or came twice."""
    replaced: int = 0
    """How many stored ones had to go."""
    rejected: int = 0
    """How many could not be imported, with `on_error="skip"`."""
    faults: list[str] = field(default_factory=list)
    """Where the first hundred of these stand, and what is wrong with them."""
    detached: int = 0
    """How many exchanges name a `parent_id` that is neither in the file nor in their conversation."""
    conversations: int | None = None
    """How many conversations the records belong to; `None` for sessions, and beyond 100,000."""
    seconds: float = 0.0
    """How long it took."""
