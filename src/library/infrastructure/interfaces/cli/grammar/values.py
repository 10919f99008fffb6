"""The kinds of values that options take: moments, durations, names of formats, ids."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from library.infrastructure.interfaces.cli.loading import load
from library.infrastructure.interfaces.cli.settings import Settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXPORT_FORMATS: Final = ("json", "jsonl", "csv", "xml", "parquet", "openai")
"""What `ExportFormat` names and can be written; here too, so that help does not import the library."""
IMPORT_FORMATS: Final = (
    *EXPORT_FORMATS,
    "chatgpt",
    "claude",
    "sharegpt",
    "oasst",
    "open-webui",
    "llm",
    "langchain",
)
IMPORT_LIMITS: Final = ("max_bytes", "max_ratio", "max_record_bytes", "max_field_characters", "max_depth")
"""The names of `ImportLimits`."""
_DAY_LENGTH: Final = len("2026-11-23")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)")
_THOUSANDS: Final = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class NamedChoice(click.Choice[str]):
    """One of some names; where it is none of them, the nearest is asked for."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the text of the error."""
        message = super().get_invalid_choice_message(value, ctx).rstrip(".")
        typed = str(value).lower()
        near = [each for each in self.choices if each.startswith(typed)]
        near = near or get_close_matches(typed, self.choices, 1, 0.5)
        return f"{message}. Did you mean {near[0]!r}?" if near else message


class Duration(click.ParamType[timedelta]):
    """A time span: a number, and one of the letters s, m, h, d and w."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read a duration."""
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no time span: write 30d, 12h, 90m or 2w.", param, ctx)
        try:
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
        except OverflowError:
            self.fail(f"{value!r} is longer than time spans can be.", param, ctx)


class Moment(click.ParamType[date]):
    """A day, a moment, or how long ago that is. What names no time zone is local time."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read a moment; a day comes as a `date` that is no `datetime`."""
        text = str(value).strip()
        if _DURATION.fullmatch(text.lower()):
            try:
                return datetime.now(UTC) - Duration().convert(text, param, ctx)
            except OverflowError:
                self.fail(f"{value!r} lies before the year 1.", param, ctx)
        if text.lower() in {"today", "yesterday"}:
            return datetime.now(UTC).astimezone().date() - timedelta(days=text.lower() == "yesterday")
        try:
            return date.fromisoformat(text) if len(text) <= _DAY_LENGTH else datetime.fromisoformat(text)
        except ValueError:
            message = f"{value!r} is no time: write 2026-11-23, 2026-11-23T09:00, 7d or yesterday."
            self.fail(message, param, ctx)


class ConversationId(click.ParamType[str]):
    """The id of a conversation, which shells complete."""

    name = "conversation"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        """Return it as it is: whether there is such a conversation is seen when it is looked for."""
        return str(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return conversations whose id begins so."""
        found: list[CompletionItem] = load("actions.completion:conversation_ids")(
            ctx.ensure_object(Settings), incomplete
        )
        return found


class Mapping(click.ParamType[tuple[str, str]]):
    """Two names: FROM=TO."""

    name = "from=to"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read the names; the first may hold the sign itself."""
        source, sign, target = str(value).rpartition("=")
        if not sign or not source or not target:
            self.fail(f"{value!r} does not say what becomes what: write FROM=TO.", param, ctx)
        return source, target


class Limit(click.ParamType[tuple[str, int]]):
    """NAME=NUMBER: a name of `ImportLimits`, and a number; k, M and G are thousands, millions, billions."""

    name = "name=number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Read the name and the number, which may have commas."""
        if isinstance(value, tuple):
            return value
        name, _, text = str(value).partition("=")
        name = name.strip().replace("-", "_")
        if name not in IMPORT_LIMITS:
            near = get_close_matches(name, IMPORT_LIMITS, 1, 0.5)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            self.fail(f"{name!r} is none of {', '.join(IMPORT_LIMITS)}{hint}", param, ctx)
        found = _NUMBER.fullmatch(text.strip().lower().replace(",", ""))
        number = int(Decimal(found[1]) * _THOUSANDS[found[2]]) if found is not None else 0
        if number < 1:
            self.fail(f"{value!r} names no number from 1 up: write {name}=2000, 500k, 64M or 2G.", param, ctx)
        return name, number


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "a,b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read the names."""
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if not names:
            self.fail("it holds no name.", param, ctx)
        return names
