"""Telling the format of a file by what it begins with; its name does not count."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.csv_cells import SEPARATOR_LINE
from library.infrastructure.data.formats.json_peek import peek
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from library.infrastructure.data.formats.source import Source

_HEAD_BYTES: Final = 1 << 16
_LONG_HEAD_BYTES: Final = 1 << 20
"""Looked at where the usual head does not tell."""
_MAGIC: Final = ((b"PAR1", ExportFormat.PARQUET), (b"SQLite format 3\x00", ExportFormat.LLM))
_OWN_NAMES: Final = frozenset(EXCHANGES.names) | frozenset(SESSIONS.names)
_DELIMITERS: Final = ",;\t|"
_LONGEST_NAME: Final = 100
_SHOWN_KEYS: Final = 8
_LANGCHAIN_TYPES: Final = ("human", "ai", "system", "tool", "function", "chat", "remove", "constructor")


def detect(source: Source, names: Iterable[str] = ()) -> ExportFormat:
    """Tell the format of a file.

    The formats of this library come first: what has their fields is theirs, whatever else it has.

    Args:
        source: the file.
        names: what fields are called in it, beside their own names; what has one of these is in a format of
            this library.

    Raises:
        FormatError: it is of none that is known.

    """
    own_names = frozenset(names)
    head = source.head(_HEAD_BYTES)
    found = _tell(head, own_names)
    if found is None and len(head) >= _HEAD_BYTES:
        head = source.head(_LONG_HEAD_BYTES)
        found = _tell(head, own_names)
    if found is not None:
        return found
    known = ", ".join(each.value for each in ExportFormat)
    message = (
        f"cannot tell the format of {source.name}: it is {_describe(head)}. Known are {known}: if it is one "
        "of these, say which (`format=...`)"
    )
    if _keys(head):
        message += "; if its keys are fields by other names, say which (`field_mapping=...`)"
    raise FormatError(message, path=source.name)


def _tell(head: bytes, names: AbstractSet[str]) -> ExportFormat | None:
    for magic, format_ in _MAGIC:
        if head.startswith(magic):
            return format_
    text = _text(head)
    start = text[:1]
    if start == "<":
        return ExportFormat.XML
    if start and start in "[{":
        return _tell_json(text, names)
    return ExportFormat.CSV if _is_table(text, names) else None


def _text(head: bytes) -> str:
    """Return the head as text without what comes before its first character; nothing, if it is no text.

    Cells of a table may hold any character, the names in its first line do not.
    """
    if b"\x00" in head.partition(b"\n")[0]:
        return ""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) - error.start > 4:  # else the head ends within a character
            return ""
        text = head[: error.start].decode()
    return text.lstrip("\ufeff \t\r\n")


def _tell_json(text: str, names: AbstractSet[str]) -> ExportFormat | None:
    values = peek(text)
    is_array = text.startswith("[")
    own = ExportFormat.JSON if is_array else ExportFormat.JSONL
    if is_array and not values[0]:
        return own
    elements = values[0] if is_array else values
    for element in elements[:_SHOWN_KEYS]:
        if _is_own(element, names):
            return own
        for check, format_ in _CHECKS:
            if check(element):
                return format_
    return None


def _is_own(value: Any, names: AbstractSet[str]) -> bool:
    if not isinstance(value, dict):
        return False
    keys = value.keys()
    return bool(({"user_input", "agent_response"} | names) & keys) or {"session_id", "user_id"} <= keys


def _is_chatgpt(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return "mapping" in value or any("author" in each for each in _objects(value, "messages"))


def _is_claude(value: Any) -> bool:
    return isinstance(value, dict) and "chat_messages" in value


def _is_open_webui(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    chat = value.get("chat", value)
    return isinstance(chat, dict) and (
        isinstance(chat.get("history"), dict) or ("chat" in value and {"id", "title"} & value.keys() != set())
    )


def _is_oasst(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    is_message = "text" in value and ({"message_id", "parent_id", "replies"} & value.keys() != set())
    return "message_tree_id" in value or is_message or value.get("role") == "prompter"


def _is_sharegpt(value: Any) -> bool:
    return isinstance(value, dict) and any(
        isinstance(value.get(name), list)
        and (not value[name] or any({"from", "role"} & each.keys() for each in _objects(value, name)))
        for name in ("conversations", "conversation")
    )


def _is_llm(value: Any) -> bool:
    return isinstance(value, dict) and {"prompt", "response"} <= value.keys()


def _is_langchain(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_langchain_message(each) for each in value)
    if not isinstance(value, dict):
        return False
    return _is_langchain_message(value) or any(map(_is_langchain_message, _objects(value, "messages")))


def _is_langchain_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return "lc" in value or (
        "role" not in value and isinstance(value.get("type"), str) and value["type"] in _LANGCHAIN_TYPES
    )


def _is_openai(value: Any) -> bool:
    return isinstance(value, dict) and (
        isinstance(value.get("messages"), list) or "preferred_output" in value
    )


_CHECKS: Final[tuple[tuple[Callable[[Any], bool], ExportFormat], ...]] = (
    (_is_chatgpt, ExportFormat.CHATGPT),
    (_is_claude, ExportFormat.CLAUDE),
    (_is_open_webui, ExportFormat.OPEN_WEBUI),
    (_is_oasst, ExportFormat.OASST),
    (_is_sharegpt, ExportFormat.SHAREGPT),
    (_is_llm, ExportFormat.LLM),
    (_is_langchain, ExportFormat.LANGCHAIN),
    (_is_openai, ExportFormat.OPENAI),
)
"""What makes an element one of a format, in the order in which it is asked."""


def _objects(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    held = value.get(key)
    return [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []


def _is_table(text: str, own_names: AbstractSet[str]) -> bool:
    """Tell whether the first line can be the names of columns, and the second one a row of that many.

    A line that tells the delimiter is passed over.
    """
    told = SEPARATOR_LINE.match(text)
    if told:
        text = text[told.end() :]
    delimiters = told[1] if told else _DELIMITERS
    rows = max((_first_rows(text, delimiter) for delimiter in delimiters), key=lambda rows: len(rows[0]))
    names = [name.strip() for name in rows[0]]
    if (_OWN_NAMES | own_names) & set(names):
        return True
    return (
        1 < len(names) == len(set(names))
        and (len(rows) == 1 or len(names) == len(rows[1]))
        and all(name and len(name) <= _LONGEST_NAME and not name.endswith(".") for name in names)
        and any(character.isalpha() for name in names for character in name)
    )


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the names in a table, and its first row if that ends within `text`."""
    rows: list[list[str]] = []
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with suppress(csv.Error):  # a field that is longer than the reader takes
        rows += (row for row in islice(lines, 3) if row)
    is_cut = len(rows) == 2 and not text.endswith(("\r", "\n"))
    return (rows[:1] if is_cut else rows[:2]) or [[]]


def _keys(head: bytes) -> list[str]:
    """Return the keys of the first object, if there is one."""
    text = _text(head)
    values = peek(text) if text[:1] in {"[", "{"} else []
    first = values[0] if values else None
    if isinstance(first, list):
        first = first[0] if first else None
    return list(first) if isinstance(first, dict) else []


def _describe(head: bytes) -> str:
    """Say what a file that is of no known format looks like."""
    if not head:
        return "empty"
    text = _text(head)
    if not text:
        return "neither text nor a database that is known"
    if text[0] not in "[{":
        return f"text that begins with {text[:40]!r}"
    values = peek(text)
    first = values[0]
    kind = "a JSON object"
    if isinstance(first, list):
        first, kind = first[0], "a JSON array of objects"
    if not isinstance(first, dict):
        return "a JSON array, but not of objects"
    keys = ", ".join(list(map(repr, first))[:_SHOWN_KEYS])
    return f"{kind} with the keys {keys}" if keys else f"{kind} without keys"
