"""From what a file holds to rows that a store can keep: every value is checked here, and put in its form."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson

from library.infrastructure.data.conversation_message import (
    check_conversation_id,
    check_message_id,
    check_milliseconds,
    check_text,
)
from library.infrastructure.data.errors import InvalidValueError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import loads
from library.infrastructure.data.session_data import MAX_SESSION_ID_LENGTH, check_name, check_user_id
from library.infrastructure.data.session_record import EndReason
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds, to_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from library.infrastructure.data.formats.record_kind import Row

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM: Final = 1e11
"""Numbers of seconds beyond lie after the year 5138: they are taken for milliseconds."""
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_NO_METADATA: Final = "{}"
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_END_REASONS: Final = frozenset(get_args(EndReason))
_EXCHANGE_FIELDS: Final = frozenset(
    ("message_id", "conversation_id", "timestamp", "user_input", "agent_response", "response_time_ms")
) | {"parent_id", "metadata"}
_SESSION_FIELDS: Final = frozenset(
    (
        "session_id",
        "user_id",
        "created_at",
        "last_activity",
        "is_active",
        "ended_at",
        "end_reason",
        "metadata",
    )
)


def to_exchange_row(values: Mapping[str, Any], conversation_id: str, number: int) -> Row:
    """Check an exchange, and write it as a row of `EXCHANGES`.

    Args:
        values: by the names of fields. What has no field goes to `metadata["source"]`.
        conversation_id: of exchanges that tell none.
        number: the number of the record in its file. One without a time is given so many seconds after
            1970-01-01, so that it has the same each time it is imported, and the order of the file.

    Raises:
        InvalidValueError: a value is wrong, or there is no text.

    """
    get = values.get
    user_input, agent_response = get("user_input"), get("agent_response")
    if user_input is None and agent_response is None:
        message = "it has neither user_input nor agent_response: name its fields with field_mapping"
        raise InvalidValueError(message)
    given_id = get("conversation_id")
    moment = get("timestamp")
    response_time = get("response_time_ms")
    return (
        _optional_id("message_id", get("message_id")),
        conversation_id
        if _is_absent(given_id)
        else check_conversation_id("conversation_id", _as_text(given_id)),
        number * 1_000_000 if _is_absent(moment) else to_moment("timestamp", moment),
        "" if user_input is None else check_text("user_input", user_input),
        "" if agent_response is None else check_text("agent_response", agent_response),
        0.0
        if _is_absent(response_time)
        else check_milliseconds("response_time_ms", _as_number(response_time)),
        _optional_id("parent_id", get("parent_id")),
        _metadata(values, _EXCHANGE_FIELDS),
    )


def to_session_row(values: Mapping[str, Any]) -> Row:
    """Check a session, and write it as a row of `SESSIONS`.

    Raises:
        InvalidValueError: a value is wrong or missing.

    """
    get = values.get
    for name in ("session_id", "user_id", "created_at"):
        if _is_absent(get(name)):
            raise InvalidValueError(f"it has no {name}: name its fields with field_mapping")
    created_at = to_moment("created_at", get("created_at"))
    activity = get("last_activity")
    last_activity = created_at if _is_absent(activity) else to_moment("last_activity", activity)
    end = get("ended_at")
    is_active = _is_absent(end) if _is_absent(get("is_active")) else _as_flag("is_active", get("is_active"))
    reason = "ended" if _is_absent(get("end_reason")) else get("end_reason")
    if not is_active and reason not in _END_REASONS:
        message = f"end_reason must be one of {', '.join(sorted(_END_REASONS))}, not {reason!r:.80}"
        raise InvalidValueError(message)
    ended_at = last_activity if _is_absent(end) else to_moment("ended_at", end)
    return (
        check_name("session_id", _as_text(get("session_id")), MAX_SESSION_ID_LENGTH),
        check_user_id(_as_text(get("user_id"))),
        created_at,
        last_activity,
        is_active,
        None if is_active else ended_at,
        None if is_active else reason,
        _metadata(values, _SESSION_FIELDS),
    )


def to_moment(name: str, value: Any) -> int:
    """Read a time as microseconds since 1970: ISO 8601, or seconds or milliseconds since 1970.

    What names no offset from UTC is local time, as everywhere here.

    Raises:
        InvalidValueError: it is no time of the years 1 to 9999.

    """
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            if not _NUMBER.fullmatch(value.strip()):
                message = f"{name} must be a time as in 2026-11-23T12:30:00Z, not {value!r:.80}"
                raise InvalidValueError(message) from error
            return _since_epoch(name, float(value))
        if moment.tzinfo is UTC:
            since = moment - _EPOCH
            return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return to_microseconds(to_utc(moment, name))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _since_epoch(name, value)
    return to_microseconds(to_utc(value, name))


def _since_epoch(name: str, number: float) -> int:
    if not math.isfinite(number):
        raise InvalidValueError(f"{name} must be a time, not {number}")
    seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    try:
        microseconds = round(seconds * 1_000_000)
        from_microseconds(microseconds)
    except (InvalidValueError, OverflowError) as error:
        message = f"{name} must be seconds or milliseconds since 1970, not {number:g}"
        raise InvalidValueError(message) from error
    return microseconds


def _is_absent(value: Any) -> bool:
    return value is None or value == ""


def _as_text(value: Any) -> Any:
    """Take a number for the text that it is where formats tell no types."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_number(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        return float(value)
    except ValueError as error:
        message = f"response_time_ms must be a number of milliseconds, not {value!r:.80}"
        raise InvalidValueError(message) from error


def _as_flag(name: str, value: Any) -> bool:
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise InvalidValueError(f"{name} must be true or false, not {value!r:.80}")
    return flag


def _optional_id(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    is_digits = type(value) is str and value.isascii() and value.isdecimal() and len(value) < 20
    if is_digits or (type(value) is float and value.is_integer()):
        value = int(value)
    return check_message_id(name, value)


def _metadata(values: Mapping[str, Any], known: frozenset[str]) -> str:
    """Write the metadata of a record as JSON, with all that has no field of its own."""
    given = values.get("metadata")
    if type(given) is str:
        given = _parsed(given) if given else None
    if given is not None and not isinstance(given, dict):
        message = f"metadata must be a JSON object, not an object of type {type(given).__name__}"
        raise InvalidValueError(message)
    if not known.issuperset(values):
        source = {name: value for name, value in values.items() if name not in known}
        given = _with_source(given or {}, source)
    if not given:
        return _NO_METADATA
    return _encoded(given)


def _with_source(metadata: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Add what has no field to what metadata tell of the source."""
    former = metadata.get("source")
    if former is not None:
        source = {**(former if isinstance(former, dict) else {"value": former}), **source}
    return {**metadata, "source": source}


def _parsed(document: str) -> Any:
    try:
        return loads(document.encode())
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"metadata must be JSON, and are not: {error}") from error


def _encoded(metadata: dict[str, Any]) -> str:
    try:
        written = orjson.dumps(metadata)
        if b"null" not in written:  # which is what NaN becomes
            return written.decode()
    except TypeError:  # integers beyond 64 bits, and what is no JSON at all
        written = b""
    try:
        return encode(_plain(metadata), "metadata").decode().replace("\n", "")
    except RecursionError as error:
        raise InvalidValueError("metadata are nested too deep: 254 levels are the most") from error


def _plain(value: Any) -> Any:
    """Write times, which columns of other programs may hold, as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list) else value
