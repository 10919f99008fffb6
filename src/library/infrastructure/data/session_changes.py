"""What `update_session` is asked to change: checked once, then done by every store in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import InvalidOptionError, InvalidValueError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import decode
from library.infrastructure.data.session_data import SessionData, check_user_id
from library.infrastructure.data.session_record import End, SessionRecord, is_flat
from library.infrastructure.data.utc_time import to_utc

if TYPE_CHECKING:
    from datetime import datetime

_FIXED: Final = frozenset({"session_id", "created_at"})
_KNOWN: Final = frozenset({"user_id", "last_activity", "is_active", "metadata"})
_FIELDS: Final = _FIXED | _KNOWN


@dataclass(slots=True, eq=False)
class SessionChanges:
    """What is to be changed of a session."""

    merged: dict[str, Any]
    """Keys of `metadata` that are set; the others stay."""
    is_flat: bool
    """Whether neither `merged` nor `metadata` holds anything that can be changed."""
    metadata: dict[str, Any] | None = None
    """What takes the place of the whole `metadata` before `merged` is."""
    user_id: str | None = None
    last_activity: datetime | None = None
    """`None`: the moment of the change, for a change is activity."""
    ends: bool = False

    def apply(self, record: SessionRecord, now: datetime) -> SessionRecord:
        """Return the session as it is after the changes."""
        metadata, flat = self.metadata, self.is_flat
        if metadata is None:
            metadata, flat = record.metadata, flat and record.is_flat
        last_activity = alive_at = self.last_activity
        if last_activity is None or alive_at is None:
            last_activity = max(record.last_activity, now)
            alive_at = max(record.alive_at, now)
        return SessionRecord(
            record.session_id,
            self.user_id or record.user_id,
            record.created_at,
            last_activity,
            alive_at,
            metadata | self.merged,
            flat,
            record.version + 1,
            End("ended", now) if self.ends else None,
        )


def read_changes(changes: Mapping[str, Any]) -> SessionChanges:
    """Check what a caller asked to change.

    Args:
        changes: new values by field; `user_id`, `last_activity`, `is_active` and `metadata` are fields of the
            session, everything else is a key of its metadata.

    Raises:
        InvalidOptionError: `session_id` or `created_at` was to be changed, or what was given is no mapping.
        InvalidValueError: a value cannot be held.

    """
    if type(changes) is not dict and not isinstance(changes, Mapping):
        message = f"changes must be a dict, or a function of the session, not {type(changes).__name__}"
        raise InvalidOptionError(message, option="changes")
    if _FIELDS.isdisjoint(changes):
        merged, flat = to_json(changes)
        return SessionChanges(merged, flat)
    for fixed in sorted(_FIXED.intersection(changes)):
        raise InvalidOptionError(f"{fixed} of a session cannot be changed: create another", option=fixed)
    is_active = changes.get("is_active", True)
    if not isinstance(is_active, bool):
        raise InvalidValueError(f"is_active must be True or False, not {type(is_active).__name__}")
    metadata, metadata_is_flat = None, True
    if "metadata" in changes:
        metadata, metadata_is_flat = to_json(changes["metadata"])
    merged, merged_is_flat = to_json({key: changes[key] for key in changes if key not in _KNOWN})
    return SessionChanges(
        merged,
        metadata_is_flat and merged_is_flat,
        metadata,
        check_user_id(changes["user_id"]) if "user_id" in changes else None,
        to_utc(changes["last_activity"], "last_activity") if "last_activity" in changes else None,
        ends=not is_active,
    )


def read_difference(before: SessionRecord, after: SessionData) -> SessionChanges:
    """Find out what a function changed of the session that it was given.

    Raises:
        InvalidOptionError: it changed the `session_id` or `created_at`.
        InvalidValueError: a value cannot be held.

    """
    fixed = {"session_id": before.session_id, "created_at": before.created_at}
    changes: dict[str, Any] = {
        name: getattr(after, name) for name, value in fixed.items() if getattr(after, name) != value
    }
    changes |= {"user_id": after.user_id, "is_active": after.is_active, "metadata": after.metadata}
    if after.last_activity != before.last_activity:
        changes["last_activity"] = after.last_activity
    return read_changes(changes)


def to_json(metadata: Any) -> tuple[dict[str, Any], bool]:
    """Copy a mapping into what JSON makes of it; tell, too, whether it holds nothing that can be changed.

    Raises:
        InvalidValueError: it is no mapping, or holds what JSON cannot.

    """
    if type(metadata) is dict:
        for key, value in metadata.items():
            kind = type(value)
            if not (type(key) is str and key.isascii()):
                break
            if kind is str:
                if not value.isascii():
                    break
            elif not (kind is int or kind is bool or value is None or (kind is float and isfinite(value))):
                break
        else:  # which is so of nearly all: JSON holds them as they are
            return metadata.copy(), True
    elif isinstance(metadata, Mapping):
        metadata = dict(metadata)
    else:
        raise InvalidValueError(f"metadata must be a dict, not an object of type {type(metadata).__name__}")
    copied = decode(encode(metadata, "metadata"))
    return copied, is_flat(copied)
