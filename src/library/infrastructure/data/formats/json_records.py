"""What becomes of a JSON text that should be a record, when it is read."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.json_elements import nesting
from library.infrastructure.data.formats.record_format import Fault
from library.infrastructure.data.json_reading import loads

if TYPE_CHECKING:
    from library.infrastructure.data.errors import TransferLimitError
    from library.infrastructure.data.import_limits import ImportLimits


class NotJsonError(ValueError):
    """The text is no JSON, not even one whose values cannot be taken: it does not tell where it ends."""


class JsonRecords:
    """Parses records, within limits."""

    def __init__(self, limits: ImportLimits, path: str, place_name: str) -> None:
        """Prepare.

        Args:
            limits: `max_depth` and `max_field_characters` hold.
            path: what errors call the file.
            place_name: what errors count.

        """
        self._limits = limits
        self._path = path
        self._place_name = place_name
        self._max_characters = limits.max_field_characters
        self._max_levels = limits.max_depth + 1

    def parse(self, raw: bytes, place: int) -> dict[str, Any] | Fault:
        """Parse a record.

        Args:
            raw: the record as UTF-8; blanks around it do no harm.
            place: where it stands.

        Returns:
            Its members, or what is wrong with it.

        Raises:
            NotJsonError: it is no JSON.
            TransferLimitError: it is nested too deeply, or has a text that is too long.

        """
        if raw.count(b"{") + raw.count(b"[") > self._max_levels and nesting(raw.strip()) > self._max_levels:
            raise self._limit_error("max_depth", place)
        try:
            value = loads(raw)
        except (ValueError, RecursionError) as error:
            return Fault(_reason(raw, error))
        if type(value) is not dict:
            return Fault(f"it is no JSON object, but {_called(value)}")
        if len(raw) > self._max_characters and any(map(self._is_too_long, value.values())):
            raise self._limit_error("max_field_characters", place)
        return value

    def _is_too_long(self, value: Any) -> bool:
        return isinstance(value, str) and len(value) > self._max_characters

    def _limit_error(self, limit: str, place: int) -> TransferLimitError:
        return limit_error(self._limits, limit, self._path, f"{self._place_name} {place}")


class _Leniently:
    """Parses what comes close to JSON, and notes what keeps it from being JSON, or from being taken."""

    def __init__(self) -> None:
        self.reason = ""

    def parse(self, raw: bytes) -> None:
        """Parse a text.

        Raises:
            ValueError: it does not come close.
            RecursionError: it is nested too deeply.

        """
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            self._note(f"it is not UTF-8: there is a byte {raw[error.start]:#04x}")
            text = raw.decode(errors="replace")
        value = json.loads(
            text,
            strict=False,
            parse_constant=lambda name: self._note(f"it holds {name}, which is no JSON"),
            parse_int=self._take_integer,
            parse_float=self._take_float,
        )
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            self._note("it holds one half of a surrogate pair, which is no character")

    def _note(self, reason: str) -> None:
        self.reason = self.reason or reason

    def _take_integer(self, digits: str) -> None:
        if len(digits) > sys.get_int_max_str_digits() > 0:
            self._note(f"it holds an integer of {len(digits):,} digits")

    def _take_float(self, digits: str) -> None:
        if math.isinf(float(digits)):
            self._note("it holds a number that is too large for a float")


def _reason(raw: bytes, error: Exception) -> str:
    """Say why a record cannot be taken, if it is JSON at least in its outline.

    Raises:
        NotJsonError: it is not.

    """
    lenient = _Leniently()
    try:
        lenient.parse(raw)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as closer:
        raise NotJsonError(str(closer)) from error
    return lenient.reason or f"it is not JSON: {error}"


def _called(value: Any) -> str:
    """Name the type of what is no object, as JSON does."""
    if value is None:
        return "null"
    return {str: "a text", list: "an array", bool: str(value).lower()}.get(type(value), "a number")
