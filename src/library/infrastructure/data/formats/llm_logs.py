"""Reads the logs of `llm`: what `llm logs --json` prints, or its SQLite file. A row is an exchange."""

from __future__ import annotations

from array import array
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.formats.content_parts import without
from library.infrastructure.data.formats.foreign_reader import (
    Conversation,
    ForeignReader,
    NotUnderstoodError,
)
from library.infrastructure.data.formats.json_text import parse
from library.infrastructure.data.formats.message_tree import in_a_row
from library.infrastructure.data.formats.source_times import read_moment
from library.infrastructure.data.formats.spool import Spool
from library.infrastructure.data.formats.turns import IN_TURN_BEFORE, Speaker, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from library.infrastructure.data.formats.record_format import Fault

SQLITE_MAGIC: Final = b"SQLite format 3\x00"
_DATABASE_MODULE: Final = "library.infrastructure.interfaces.database.sqlite.llm_logs"
"""Imported when it is needed: this room knows no database driver."""


class LlmReader(ForeignReader):
    """Reads rows of `llm`, those of a conversation together, which may stand apart in the file."""

    format = ExportFormat.LLM

    def _conversations(self) -> Iterator[tuple[int | str, Conversation | Fault]]:
        """Give the conversations, in the order of their first rows."""
        if self._source.head(len(SQLITE_MAGIC)).startswith(SQLITE_MAGIC):
            yield from self._from_database()
        else:
            yield from self._from_json()

    def _from_database(self) -> Iterator[tuple[int | str, Conversation]]:
        rows = import_module(_DATABASE_MODULE).read_rows(
            self._source.local_path(), self._source.name, self._source.limits.max_record_bytes
        )
        self._opened.callback(rows.close)
        groups = groupby(enumerate(rows), key=lambda pair: _group(pair[1][0], pair[0]))
        for number, (_, pairs) in enumerate(groups, 1):
            described: list[dict[str, Any]] = []
            values: list[dict[str, Any]] = []
            size = 0
            for _, (conversation, row) in pairs:
                if conversation not in described:
                    if described:  # begun with an older version, which described it elsewhere
                        row["conversation"] = conversation
                    described.append(conversation)
                values.append(row)
                size += sum(len(value) for value in row.values() if isinstance(value, str))
                self._check_gathered(size, "a conversation")
            identity, title = (described[0].get(key) for key in ("id", "name"))
            place = self._place(number, {"conversation_name": title})
            yield place, _conversation(values, identity, title, described[0])

    def _from_json(self) -> Iterator[tuple[int | str, Conversation | Fault]]:
        spool = Spool()
        self._opened.callback(spool.close)
        groups: dict[tuple[str, Any], array[int]] = {}
        for number, raw in enumerate(self._elements(), 1):
            value = parse(raw)
            if isinstance(value, dict) and ("prompt" in value or "response" in value):
                group = _group({"id": value.get("conversation_id")}, number)
                groups.setdefault(group, array("Q")).append(spool.add(raw))
            else:
                yield f"row {number}", self._understood(value)
        for number, rows in enumerate(groups.values(), 1):
            values = [parse(raw) for raw in self._spooled(spool, rows)]
            first = values[0]
            yield (
                self._place(number, first),
                _conversation(values, first.get("conversation_id"), first.get("conversation_name"), {}),
            )

    def _spooled(self, spool: Spool, rows: Iterable[int]) -> Iterator[bytes]:
        size = 0
        for row in rows:
            raw = spool.get(row)
            size += len(raw)
            self._check_gathered(size, "a conversation")
            yield raw

    def _title(self, value: Any) -> Any:
        return value.get("conversation_name") if isinstance(value, dict) else None

    def _understand(self, value: Any) -> Conversation:  # noqa: ARG002 - no row that can be read comes here
        raise NotUnderstoodError("it is no JSON object with a `prompt` and a `response`, as a row of llm is")


def _group(conversation: dict[str, Any], number: int) -> tuple[str, Any]:
    """Return what rows of one conversation have in common; a row without one stands alone."""
    identity = conversation.get("id")
    return ("conversation", identity) if isinstance(identity, str) and identity else ("row", number)


def _conversation(
    rows: list[dict[str, Any]], identity: Any, title: Any, rest: dict[str, Any]
) -> Conversation:
    turns = [turn for row in rows for turn in _turns(row)]
    return Conversation(
        id=identity or rows[0].get("id"),
        title=title,
        content=rows,
        rest=rest,
        turns=turns,
        parents=in_a_row(len(turns)),
    )


def _turns(row: dict[str, Any]) -> tuple[Turn, Turn]:
    """Read a row, which is kept without its two texts."""
    prompt, response = row.get("prompt"), row.get("response")
    texts = [name for name in ("prompt", "response") if isinstance(row.get(name), str)]
    moment = read_moment(row.get("datetime_utc"))
    user_input = prompt if isinstance(prompt, str) else ""
    agent_response = response if isinstance(response, str) else ""
    return (
        Turn(Speaker.USER, user_input, without(row, *texts), None, row.get("id"), moment),
        Turn(
            Speaker.AGENT,
            agent_response,
            IN_TURN_BEFORE,
            None,
            row.get("id"),
            moment,
            _milliseconds(row.get("duration_ms")),
        ),
    )


def _milliseconds(duration: Any) -> float:
    if not isinstance(duration, int | float) or isinstance(duration, bool):
        return 0.0
    try:
        return float(duration)
    except OverflowError:
        return 0.0
