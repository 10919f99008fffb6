"""Pairing the messages of a conversation into exchanges.

An exchange is what a user said, and what the agent responded:

- What a user says begins an exchange, unless the open one holds neither a user's nor an agent's message yet.
- What the agent says belongs to the open exchange. If it holds something of the agent already, formats in
  which tool calls split one response (`joins_replies`) add to that, and in others an exchange begins in which
  no user said anything.
- All else (system messages, tool calls and their results, thoughts, what was hidden) belongs to the open
  exchange.

So a question without a response is an exchange, as is a response without a question, and no text is merged
with another one or lost. A conversation that branches is paired along each of its threads: two responses to
one question are two exchanges with the same question, which follow the same exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_ENTRY_SIZE: Final = 64
"""Characters that a message without text counts for."""
IN_TURN_BEFORE: Final = object()
"""In the place of a message: that of the turn before tells this turn too."""


class Speaker(Enum):
    """Who says what a message shows."""

    USER = "user"
    AGENT = "agent"
    OTHER = "other"
    """Nobody: a message that is not shown as somebody's words."""


@dataclass(slots=True)
class Turn:
    """One message of a conversation."""

    speaker: Speaker
    text: str
    """What a person sees of it; empty where nobody speaks."""
    whole: Any
    """The message as the source has it."""
    bare: Any = None
    """The message without its text, where that stands in it as one text; else `None`."""
    id: Any = None
    """What the source calls it."""
    moment: datetime | None = None
    """When, if the source tells."""
    took_ms: float = 0.0
    """How long it took to make, if the source tells."""


class Exchange(NamedTuple):
    """The messages of one exchange, by their numbers."""

    numbers: list[int]
    follows: int | None
    """The number of the exchange that it follows, counting from 0."""


class Pairing:
    """The exchanges of a conversation: iterate over it, once or several times."""

    def __init__(self, turns: Sequence[Turn], parents: Sequence[int | None], *, joins_replies: bool) -> None:
        """Pair.

        Args:
            turns: the messages.
            parents: of each, the number of the one that it follows, which comes earlier; or `None`.
            joins_replies: whether responses that follow each other are one response.

        """
        self._parents = parents
        self._begins: list[bool] = []
        self._is_end = [True] * len(turns)
        has_user: list[bool] = []
        has_reply: list[bool] = []
        sizes: list[int] = []
        for turn, parent in zip(turns, parents, strict=True):
            is_user, is_reply = turn.speaker is Speaker.USER, turn.speaker is Speaker.AGENT
            begins = (
                parent is None
                or (is_user and (has_user[parent] or has_reply[parent]))
                or (is_reply and has_reply[parent] and not joins_replies)
            )
            self._begins.append(begins)
            size = len(turn.text) + _ENTRY_SIZE
            if parent is None or begins:
                has_user.append(is_user)
                has_reply.append(is_reply)
                sizes.append(size)
            else:
                has_user.append(is_user or has_user[parent])
                has_reply.append(is_reply or has_reply[parent])
                sizes.append(size + sizes[parent])
                self._is_end[parent] = False
        self._end_where_others_begin()
        told = sum(len(turn.text) + _ENTRY_SIZE for turn in turns)
        self.repeated_size = (
            sum(size for size, is_end in zip(sizes, self._is_end, strict=True) if is_end) - told
        )
        """About how many characters exchanges repeat of each other, where threads branch within them."""

    def _end_where_others_begin(self) -> None:
        """Let an exchange end where another one follows it, even if it also goes on from there."""
        for parent, begins in zip(self._parents, self._begins, strict=True):
            if begins and parent is not None:
                self._is_end[parent] = True

    def __iter__(self) -> Iterator[Exchange]:
        """Give the exchanges, each behind the one that it follows."""
        places: dict[int, int] = {}
        for end, is_end in enumerate(self._is_end):
            if not is_end:
                continue
            numbers = [end]
            while not self._begins[numbers[-1]]:
                parent = self._parents[numbers[-1]]
                assert parent is not None  # noqa: S101 - what follows nothing begins an exchange
                numbers.append(parent)
            before = self._parents[numbers[-1]]
            places[end] = len(places)
            numbers.reverse()
            yield Exchange(numbers, None if before is None else places[before])

    @property
    def branches(self) -> bool:
        """Whether an exchange follows another one than that before it."""
        return any(exchange.follows != (place - 1 if place else None) for place, exchange in enumerate(self))
