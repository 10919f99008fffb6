"""What stands between the exchanges of a chat: a new day, a silence, a branch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from library.infrastructure.interfaces.cli.output.local_time import full_day, local, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data import ConversationMessage

_SILENCE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Noted:
    """An exchange, and what is said before it."""

    message: ConversationMessage
    day: str
    """The day, where it is another than that of the exchange before."""
    silence: str
    """How long nobody spoke, where that was long."""
    branch: str
    """What the exchange follows, where that is not the one before."""


def noted(messages: Sequence[ConversationMessage]) -> Iterator[Noted]:
    """Go through the exchanges of a conversation with what is to be said before each."""
    before: ConversationMessage | None = None
    asked: dict[int, list[ConversationMessage]] = {}
    for message in messages:
        is_new_day = before is None or local(before.timestamp).date() != local(message.timestamp).date()
        pause = timedelta(0) if before is None else message.timestamp - before.timestamp
        silence = f"{span(pause.total_seconds())} later" if pause > _SILENCE else ""
        siblings = [] if message.parent_id is None else asked.setdefault(message.parent_id, [])
        is_next = message.parent_id is None or (before is not None and before.message_id == message.parent_id)
        branch = "" if is_next else _branch(message, siblings)
        siblings.append(message)
        yield Noted(message, full_day(message.timestamp) if is_new_day else "", silence, branch)
        before = message


def _branch(message: ConversationMessage, siblings: Sequence[ConversationMessage]) -> str:
    follows = f"after #{message.parent_id}"
    if not siblings:
        return follows
    is_again = any(each.user_input == message.user_input for each in siblings)
    return f"{follows}, {'another answer' if is_again else 'asked differently'}"
