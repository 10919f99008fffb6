"""The conversations that `demo` saves, read from `demo_conversations.txt`."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.data import ConversationMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_FILE: Final = "demo_conversations.txt"
_ASKED: Final = re.compile(r">(\d*) (.*)")


@dataclass(slots=True)
class _Exchange:
    asked: str
    answer: list[str] = field(default_factory=list)
    follows: int | None = None
    """The number of the exchange in its conversation, from 1 up, where the conversation branches."""


@dataclass(slots=True)
class Script:
    """One conversation, as it stands in the file."""

    conversation_id: str
    user: str
    days_ago: int
    time_of_day: timedelta
    exchanges: list[_Exchange] = field(default_factory=list)


def read_scripts() -> list[Script]:
    """Read the conversations."""
    scripts: list[Script] = []
    for line in (files(__package__) / _FILE).read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            name, user, days, clock = (part.strip() for part in line[2:].split("|"))
            hour, _, minute = clock.partition(":")
            scripts.append(Script(name, user, int(days), timedelta(hours=int(hour), minutes=int(minute))))
        elif asked := _ASKED.fullmatch(line):
            scripts[-1].exchanges.append(_Exchange(asked[2], [], int(asked[1]) if asked[1] else None))
        elif line.startswith("< "):
            scripts[-1].exchanges[-1].answer.append(line[2:])
        elif scripts and scripts[-1].exchanges and not line.startswith(("#", "=")):
            scripts[-1].exchanges[-1].answer.append(line.removeprefix("  "))
    return scripts


def begins(script: Script, now: datetime) -> datetime:
    """Return when a conversation begins; those of today a little before `now`."""
    if not script.days_ago:
        return now - timedelta(minutes=20)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=script.days_ago) + script.time_of_day


def exchanges(scripts: list[Script], sessions: dict[str, str], now: datetime) -> list[ConversationMessage]:
    """Return the exchanges of all conversations, numbered in the order in which they were said.

    Args:
        scripts: the conversations.
        sessions: the session of each user.
        now: the last of them are said a little before.

    """
    chance = random.Random(2210)  # noqa: S311 - each demo is to be the same
    said = [each for script in scripts for each in _said(script, sessions[script.user], now, chance)]
    said.sort(key=lambda each: each.message.timestamp)
    ids = {(each.message.conversation_id, each.number): place for place, each in enumerate(said, 1)}
    for each in said:
        each.message.message_id = ids[each.message.conversation_id, each.number]
        if each.follows is not None:
            each.message.parent_id = ids[each.message.conversation_id, each.follows]
    return [each.message for each in said]


class _Said(NamedTuple):
    """An exchange, its number in its conversation, and that of the one that it follows in a branch."""

    message: ConversationMessage
    number: int
    follows: int | None


def _said(script: Script, session: str, now: datetime, chance: random.Random) -> Iterator[_Said]:
    moment = begins(script, now)
    has_branches = any(each.follows for each in script.exchanges)
    for number, each in enumerate(script.exchanges, 1):
        answer = "\n".join(each.answer).strip()
        took_ms = round(180 + 7 * len(answer) * chance.lognormvariate(0, 0.5), 1)
        metadata = {"session_id": session, "model": "demo-1"}
        message = ConversationMessage(
            script.conversation_id, each.asked, answer, moment, took_ms, metadata=metadata
        )
        follows = each.follows or (number - 1 or None) if has_branches else None
        yield _Said(message, number, follows)
        moment += timedelta(seconds=30 + chance.randrange(90) + took_ms / 1000)
