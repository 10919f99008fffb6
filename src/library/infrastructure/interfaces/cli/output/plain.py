"""Results as lines with tabs between the columns, for pipes: no headings, no colours, one line each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from library.infrastructure.interfaces.cli.output.presenter import Presenter, Visit
from library.infrastructure.interfaces.cli.output.records import bracketed, iso, times_record
from library.infrastructure.interfaces.cli.output.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data import (
        ConversationMessage,
        ConversationSummary,
        PerformanceMetrics,
        SearchResult,
    )


class PlainPresenter(Presenter):
    """Prints lines. White space within a text is one space; JSON has the texts as they are."""

    def found(self, results: Sequence[SearchResult]) -> None:
        """Print id, time, conversation and snippet."""
        for each in results:
            _print(each.message_id, iso(each.timestamp), each.conversation_id, bracketed(each.snippet))

    def conversations(self, summaries: Sequence[ConversationSummary]) -> None:
        """Print id, number of exchanges, first time, last time, and what was said first."""
        for each in summaries:
            _print(
                each.conversation_id,
                each.message_count,
                iso(each.started_at),
                iso(each.last_message_at),
                each.first_user_input,
            )

    def exchanges(self, messages: Sequence[ConversationMessage]) -> None:
        """Print id, time, who speaks and what they say: two lines an exchange."""
        for each in messages:
            _print(each.message_id, iso(each.timestamp), "user", each.user_input)
            _print(each.message_id, iso(each.timestamp), "agent", each.agent_response)

    def log(self, messages: Sequence[ConversationMessage]) -> None:
        """Print id, time, conversation, who speaks and what they say, at once."""
        for each in messages:
            start = (each.message_id, iso(each.timestamp), each.conversation_id)
            _print(*start, "user", each.user_input)
            _print(*start, "agent", each.agent_response)
        sys.stdout.flush()

    def metrics(self, metrics: PerformanceMetrics) -> None:
        """Print a line for all, and one a day: count, mean, least, p50, p95, p99, most."""
        for name, times in (("all", metrics), *((each.day, each) for each in metrics.per_day)):
            _print(name, *times_record(times).values())

    def visits(self, visits: Sequence[Visit]) -> None:
        """Print id, user, time of creation, last activity and state."""
        for each in visits:
            session = each.session
            state = "active" if session.is_active else "inactive"
            _print(each.shown_id, session.user_id, iso(session.created_at), iso(session.last_activity), state)

    def visit(self, visit: Visit, conversations: Sequence[ConversationSummary]) -> None:
        """Print name and value."""
        session = visit.session
        _print("session", visit.shown_id)
        _print("user", session.user_id)
        _print("created", iso(session.created_at))
        _print("last active", iso(session.last_activity))
        _print("state", "active" if session.is_active else "inactive")
        _print("metadata", json.dumps(session.metadata, ensure_ascii=False))
        for each in conversations:
            _print("conversation", each.conversation_id)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Print name and value; what a list holds, a line each."""
        for name, value in facts.items():
            if isinstance(value, list):
                for each in value:
                    _print(name, *(each.values() if isinstance(each, dict) else (each,)))
            else:
                _print(name, value)

    def problems(self, problems: Sequence[str]) -> None:
        """Print a problem a line."""
        for each in problems:
            _print(each)


def _print(*columns: Any) -> None:
    sys.stdout.write("\t".join(one_line(_text(each)) for each in columns) + "\n")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)
