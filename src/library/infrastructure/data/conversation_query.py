"""Queries for exchanges: built call by call, read by stores as `Filters`, and continued page by page.

A query holds plain values alone, checked when they are given: it can be kept, compared, pickled and used
again, and a store that reads one has nothing left to refuse.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, get_args

from library.infrastructure.data.conversation_filters import Filters, OrderField, canonical
from library.infrastructure.data.conversation_message import (
    ConversationMessage,
    check_conversation_id,
    check_milliseconds,
    check_text,
)
from library.infrastructure.data.errors import InvalidOptionError, InvalidValueError
from library.infrastructure.data.json_document import encode
from library.infrastructure.data.json_reading import loads
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.data.page_cursor import position_of, read_cursor, write_cursor
from library.infrastructure.data.utc_time import to_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MAX_LIMIT: Final = 2**63 - 1
_MAX_INDEX: Final = 2**31 - 1


class ConversationQuery:
    """Which exchanges to find, in which order, and how many; without any call, all, from the oldest on.

        query = ConversationQuery().conversation_id("conv_123").contains_text("machine learning").limit(20)

    Every call returns a new query and leaves the one it was called on as it is. An exchange is found where
    all that was asked for holds. A later call of `since`, `until`, `date_range`, the response times,
    `order_by`, `limit` or `after` takes the place of an earlier one. What nothing could ever fulfil is
    refused when it is asked for. Queries are equal when they ask for the same, in whatever order.

    What a method cannot take raises `InvalidOptionError`, with the name of the argument in `option`.
    """

    __slots__ = ("_filters",)

    def __init__(self) -> None:
        """Ask for all exchanges."""
        self._filters = Filters()

    @property
    def filters(self) -> Filters:
        """What the query asks for, as stores read it."""
        return self._filters

    def conversation_id(self, conversation_id: str) -> Self:
        """Ask for one conversation; refused where an earlier call has ruled it out."""
        with _option("conversation_id"):
            checked = check_conversation_id("conversation_id", conversation_id)
        former = self._filters.conversation_ids
        if former is not None and checked not in former:
            raise InvalidOptionError(
                f"conversation_id {checked!r} is ruled out by an earlier call: start from another query",
                option="conversation_id",
            )
        return self._with(conversation_ids=(checked,))

    def conversation_ids(self, conversation_ids: Iterable[str]) -> Self:
        """Ask for any of these conversations, and where there was an earlier call, for those in both.

        Where that leaves none, or none is given, the query is a valid one that finds nothing.
        """
        if isinstance(conversation_ids, str | bytes):
            raise _wrong("conversation_ids", "an iterable of str, such as a list", conversation_ids)
        try:
            given = list(conversation_ids)
        except TypeError as error:
            raise _wrong("conversation_ids", "an iterable of str", conversation_ids) from error
        with _option("conversation_ids"):
            checked = {check_conversation_id("each of conversation_ids", one) for one in given}
        if self._filters.conversation_ids is not None:
            checked.intersection_update(self._filters.conversation_ids)
        return self._with(conversation_ids=tuple(sorted(checked)))

    def date_range(self, start: date, end: date) -> Self:
        """Ask for exchanges from `start` on, itself included, to `end`, itself excluded.

        A `date` that is no `datetime` is a whole local day: `date_range(monday, monday)` is all of Monday.
        """
        return self._between(_start("start", start), _end("end", end), "end")

    def since(self, since: date) -> Self:
        """Ask for exchanges at or after a `datetime`, or from the beginning of a local day on."""
        return self._between(_start("since", since), self._filters.until, "since")

    def until(self, until: date) -> Self:
        """Ask for exchanges before a `datetime`, itself excluded, or to the end of a local day."""
        return self._between(self._filters.since, _end("until", until), "until")

    def contains_text(self, text: str) -> Self:
        """Ask for exchanges that hold all that a search for `text` asks for, in whatever order.

        The text is read as a search is: words, in any inflection, of the user or the agent; `"a phrase"`;
        `-word`; `word*`; `OR`. A text without a word or a symbol to look for finds nothing. Of several calls,
        all must hold.
        """
        with _option("text"):
            checked = check_text("text", text)
        if not checked.strip():
            raise InvalidOptionError(
                "text must hold more than spaces: leave contains_text out to find every text", option="text"
            )
        texts = self._filters.texts
        return self._with(texts=texts if checked in texts else (*texts, checked))

    def min_response_time(self, response_time_ms: float) -> Self:
        """Ask for exchanges whose response took so many milliseconds or longer."""
        least = _milliseconds(response_time_ms)
        return self._taking(least, self._filters.max_response_time_ms)

    def max_response_time(self, response_time_ms: float) -> Self:
        """Ask for exchanges whose response took no more than so many milliseconds."""
        most = _milliseconds(response_time_ms)
        return self._taking(self._filters.min_response_time_ms, most)

    def metadata(self, key: str | Sequence[str | int], value: Any) -> Self:
        """Ask for exchanges whose metadata hold a value; of several calls, all must hold.

        Args:
            key: one key, exactly as it is, dots and quotes included; or a path into nested JSON as a tuple or
                a list: `("tags", 0, "name")` is `metadata["tags"][0]["name"]`.
            value: any JSON value: the whole of what stands there, and of its kind: `1` and `1.0` are the same
                number, `True` and `"1"` are not. `None` is a null that is there, not a key that is not.

        """
        path = _path(key)
        with _option("value"):
            copied = loads(encode(value, "a condition on metadata"))
        for other_path, other in self._filters.metadata:
            if other_path == path:
                if canonical(other) == canonical(copied):
                    return self._with()
                message = (
                    f"metadata at {_shown(path)} cannot be {copied!r} as well as {other!r}, asked for earlier"
                )
                raise InvalidOptionError(message, option="value")
        return self._with(metadata=(*self._filters.metadata, (path, copied)))

    def order_by(self, field: OrderField = "timestamp", *, descending: bool = False) -> Self:
        """Sort by a field, and where it is equal by `message_id`, in the same direction.

        Args:
            field: `"timestamp"`, `"response_time_ms"` or `"message_id"`.
            descending: begin with the latest, the slowest or the last saved.

        """
        if not isinstance(field, str):
            raise _wrong("field", "a str", field)
        if field not in get_args(OrderField):
            known = ", ".join(map(repr, get_args(OrderField)))
            raise InvalidOptionError(f"field must be one of {known}, not {field!r}", option="field")
        if not isinstance(descending, bool):
            raise _wrong("descending", "True or False", descending)
        filters = self._filters
        if filters.position is not None and (filters.order_field, filters.descending) != (field, descending):
            raise InvalidOptionError(
                f"the query continues a page sorted by {filters.order}, which no other order can: "
                "call order_by before after, with the order of the first page",
                option="field",
            )
        return self._with(order_field=field, descending=descending)

    def limit(self, limit: int) -> Self:
        """Ask for no more than so many exchanges, the first in the order of the query; at least 1."""
        return self._with(limit=check_whole_number("limit", limit, 1, _MAX_LIMIT))

    def after(self, cursor: str | ConversationMessage) -> Self:
        """Continue behind an exchange: the last one of a page leads to the next page.

        Pages neither skip nor repeat an exchange when others are saved or deleted in between, and the
        hundredth page takes as long as the first.

        Args:
            cursor: the exchange, or what `cursor` made of it in a query of the same order.

        """
        if isinstance(cursor, ConversationMessage):
            return self._with(position=position_of(cursor, self._filters, "cursor"))
        if not isinstance(cursor, str):
            raise _wrong("cursor", "a cursor or a ConversationMessage", cursor)
        return self._with(position=read_cursor(cursor, self._filters))

    def cursor(self, message: ConversationMessage) -> str:
        """Name the place of an exchange in the order of this query, in letters that a URL can carry.

        It holds the value that exchanges are sorted by, readable for whoever decodes it.
        """
        return write_cursor(position_of(message, self._filters, "message"), self._filters)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(){''.join(f'.{call}' for call in self._calls())}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConversationQuery):
            return NotImplemented
        return type(self) is type(other) and self._filters == other._filters

    def __hash__(self) -> int:
        return hash(self._filters)

    def _with(self, **changes: Any) -> Self:
        query = type(self)()
        query._filters = replace(self._filters, **changes)
        return query

    def _between(self, since: datetime | None, until: datetime | None, option: str) -> Self:
        if since is not None and until is not None and since >= until:
            message = f"no time is at or after {since} and before {until}: the end must lie behind the start"
            raise InvalidOptionError(message, option=option)
        return self._with(since=since, until=until)

    def _taking(self, least: float | None, most: float | None) -> Self:
        if least is not None and most is not None and least > most:
            message = (
                f"no response takes {least} ms or more and {most} ms or less: the least is above the most"
            )
            raise InvalidOptionError(message, option="response_time_ms")
        return self._with(min_response_time_ms=least, max_response_time_ms=most)

    def _calls(self) -> Iterator[str]:
        """List the calls that build this query anew."""
        filters = self._filters
        if filters.conversation_ids is not None:
            one = len(filters.conversation_ids) == 1
            yield (
                f"conversation_id({filters.conversation_ids[0]!r})"
                if one
                else f"conversation_ids({list(filters.conversation_ids)!r})"
            )
        if filters.since is not None and filters.until is not None:
            yield f"date_range({filters.since!r}, {filters.until!r})"
        elif filters.since is not None:
            yield f"since({filters.since!r})"
        elif filters.until is not None:
            yield f"until({filters.until!r})"
        for text in filters.texts:
            yield f"contains_text({text!r})"
        if filters.min_response_time_ms is not None:
            yield f"min_response_time({filters.min_response_time_ms!r})"
        if filters.max_response_time_ms is not None:
            yield f"max_response_time({filters.max_response_time_ms!r})"
        for path, value in filters.metadata:
            yield f"metadata({_shown(path)}, {value!r})"
        if filters.descending:
            yield f"order_by({filters.order_field!r}, descending=True)"
        elif filters.order_field != "timestamp":
            yield f"order_by({filters.order_field!r})"
        if filters.limit is not None:
            yield f"limit({filters.limit})"
        if filters.position is not None:
            yield f"after({write_cursor(filters.position, filters)!r})"


@contextmanager
def _option(name: str) -> Iterator[None]:
    """Report values that no record can hold as the option that they were given for."""
    try:
        yield
    except InvalidValueError as error:
        raise InvalidOptionError(str(error), option=name) from error


def _wrong(option: str, expected: str, value: Any) -> InvalidOptionError:
    message = f"{option} must be {expected}, not an object of type {type(value).__name__}"
    return InvalidOptionError(message, option=option)


def _start(option: str, moment: date) -> datetime:
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return _moment(option, moment)


def _end(option: str, moment: date) -> datetime:
    """Return where a range ends; the end of a day is where the next one begins, be it of 23 hours or 25."""
    if isinstance(moment, date) and not isinstance(moment, datetime):
        try:
            return _start(option, moment + timedelta(days=1))
        except OverflowError as error:
            message = f"{option} has no day behind it: leave it out to go on to the last exchange"
            raise InvalidOptionError(message, option=option) from error
    return _moment(option, moment)


def _moment(option: str, moment: Any) -> datetime:
    if not isinstance(moment, datetime):
        raise _wrong(option, "a datetime or a date", moment)
    with _option(option):
        return to_utc(moment, option)


def _milliseconds(value: float) -> float:
    with _option("response_time_ms"):
        return check_milliseconds("response_time_ms", value)


def _path(key: Any) -> tuple[str | int, ...]:
    """Read the key of a condition on metadata as a path."""
    if not isinstance(key, str | tuple | list):
        raise _wrong("key", "a str, or a tuple of str and int", key)
    parts: tuple[Any, ...] = (key,) if isinstance(key, str) else tuple(key)
    if not parts or not isinstance(parts[0], str):
        message = "key must begin with a str, since metadata is a dict, and an empty path leads nowhere"
        raise InvalidOptionError(message, option="key")
    return tuple(map(_part, parts))


def _part(part: Any) -> str | int:
    if isinstance(part, int):
        if isinstance(part, bool) or not 0 <= part <= _MAX_INDEX:
            message = f"each number in key must be an index into a list, from 0 to {_MAX_INDEX}"
            raise InvalidOptionError(message, option="key")
        return int(part)
    with _option("key"):
        return check_text("each part of key", part)


def _shown(path: tuple[str | int, ...]) -> str:
    return repr(path[0] if len(path) == 1 else path)
