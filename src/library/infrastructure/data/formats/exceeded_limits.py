"""What is said when a file asks for more than `ImportLimits` allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from library.infrastructure.data.errors import TransferLimitError

if TYPE_CHECKING:
    from library.infrastructure.data.import_limits import ImportLimits

_TEXTS: Final = {
    "max_bytes": "holds more than {:,} bytes",
    "max_ratio": "unpacks to more than {:,} times its size",
    "max_record_bytes": "has more than {:,} bytes",
    "max_field_characters": "has a value of more than {:,} characters",
    "max_depth": "is nested more than {:,} levels deep",
}


def limit_error(limits: ImportLimits, limit: str, path: str, place: str | None = None) -> TransferLimitError:
    """Make the error that a limit is exceeded.

    Args:
        limits: the limits.
        limit: the name of the one that is exceeded.
        path: the file.
        place: what of the file exceeds it, such as "line 3"; `None`: all of it.

    """
    subject = path if place is None else f"{place} of {path}"
    text = _TEXTS[limit].format(getattr(limits, limit))
    message = f"{subject} {text}; if the file can be trusted, raise {limit} of ImportLimits"
    return TransferLimitError(message, path=path, limit=limit)
