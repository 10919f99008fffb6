"""Results as plain values, for JSON: moments are ISO texts in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from library.infrastructure.data import SearchResult
from library.infrastructure.interfaces.cli.output.presenter import MARKS

if TYPE_CHECKING:
    from library.infrastructure.data import (
        ConversationMessage,
        ConversationSummary,
        ResponseTimes,
        SessionData,
    )


def iso(moment: date) -> str:
    """Return a moment in UTC, with no more digits than it has; or a day."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return moment.isoformat()


def bracketed(snippet: str) -> str:
    """Put what was found in brackets."""
    return snippet.replace(MARKS[0], "[").replace(MARKS[1], "]")


def exchange_record(message: ConversationMessage) -> dict[str, Any]:
    """Return the fields of an exchange, in the order in which exports have them."""
    record = {
        "message_id": message.message_id,
        "conversation_id": message.conversation_id,
        "timestamp": iso(message.timestamp),
        "user_input": message.user_input,
        "agent_response": message.agent_response,
        "response_time_ms": message.response_time_ms,
        "parent_id": message.parent_id,
        "metadata": message.metadata,
    }
    if isinstance(message, SearchResult):
        record |= {"score": message.score, "snippet": bracketed(message.snippet)}
    return record


def summary_record(summary: ConversationSummary) -> dict[str, Any]:
    """Return the fields of a summary, and the cursor that leads behind it."""
    return {
        "conversation_id": summary.conversation_id,
        "message_count": summary.message_count,
        "started_at": iso(summary.started_at),
        "last_message_at": iso(summary.last_message_at),
        "last_message_id": summary.last_message_id,
        "first_user_input": summary.first_user_input,
        "cursor": summary.cursor,
    }


def times_record(times: ResponseTimes) -> dict[str, Any]:
    """Return a distribution of response times."""
    return {
        "count": times.count,
        "mean_ms": times.mean_ms,
        "min_ms": times.min_ms,
        "p50_ms": times.p50_ms,
        "p95_ms": times.p95_ms,
        "p99_ms": times.p99_ms,
        "max_ms": times.max_ms,
    }


def session_record(session: SessionData, shown_id: str) -> dict[str, Any]:
    """Return the fields of a session, of the id what may be shown."""
    return {
        "session_id": shown_id,
        "user_id": session.user_id,
        "created_at": iso(session.created_at),
        "last_activity": iso(session.last_activity),
        "is_active": session.is_active,
        "metadata": session.metadata,
        "cursor": session.cursor,
    }
