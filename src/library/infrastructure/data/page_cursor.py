"""Where a page of exchanges ended, as a position that stores compare with and as text that a URL carries.

A page that begins behind a position takes as long as the first one, however far it lies, and neither skips
nor repeats an exchange when others are saved or deleted in between, as pages counted by an offset do.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.conversation_message import MAX_MESSAGE_ID, ConversationMessage
from library.infrastructure.data.errors import InvalidOptionError, InvalidValueError
from library.infrastructure.data.utc_time import from_microseconds, to_microseconds

if TYPE_CHECKING:
    from library.infrastructure.data.conversation_filters import Filters, Position


def position_of(message: ConversationMessage, filters: Filters, option: str) -> Position:
    """Return the place of an exchange in the order of a query.

    Raises:
        InvalidOptionError: what was given as `option` is no exchange, or has no place.

    """
    if not isinstance(message, ConversationMessage):
        shown = type(message).__name__
        raise InvalidOptionError(
            f"{option} must be a ConversationMessage, not an object of type {shown}", option=option
        )
    try:
        message.check()
    except InvalidValueError as error:
        raise InvalidOptionError(str(error), option=option) from error
    if message.message_id is None:
        raise InvalidOptionError(
            "the exchange has no message_id, and so no place in the order: use one read from a store",
            option=option,
        )
    if filters.order_field == "timestamp":
        return to_microseconds(message.timestamp), message.message_id
    if filters.order_field == "response_time_ms":
        return message.response_time_ms, message.message_id
    return message.message_id, message.message_id


def write_cursor(position: Position, filters: Filters) -> str:
    """Write a position in the order of a query as text: base64url of JSON."""
    place = [filters.order_field, filters.descending, *position]
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str, filters: Filters) -> Position:
    """Read what `write_cursor` wrote.

    Raises:
        InvalidOptionError: it is damaged, or of another order than that of the query.

    """
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"==="))
        field, descending, value, message_id = place
        is_whole = _is_position(field, value, message_id) and isinstance(descending, bool)
    except (ValueError, TypeError, RecursionError, InvalidValueError) as error:
        raise _damaged() from error
    if not is_whole:
        raise _damaged()
    if (field, descending) != (filters.order_field, filters.descending):
        raise InvalidOptionError(
            f"the cursor is of another order than this query, which sorts by {filters.order}: "
            "call order_by before after, with the order of the query that made the cursor",
            option="cursor",
        )
    position = (value, message_id)
    if write_cursor(position, filters) != cursor:  # base64 passes over letters that it does not know
        raise _damaged()
    return position


def _is_position(field: Any, value: Any, message_id: Any) -> bool:
    """Tell whether an exchange can stand there; raises InvalidValueError for a time that is none."""
    if type(message_id) is not int or not 1 <= message_id <= MAX_MESSAGE_ID:
        return False
    if field == "timestamp":
        return type(value) is int and to_microseconds(from_microseconds(value)) == value
    if field == "response_time_ms":
        return type(value) is float and 0.0 <= value < math.inf
    return field == "message_id" and type(value) is int and value == message_id


def _damaged() -> InvalidOptionError:
    message = "the cursor is damaged, or was not made by `cursor`: begin again with the first page"
    return InvalidOptionError(message, option="cursor")
