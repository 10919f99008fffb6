"""What the readers of other programs' exports share: from messages to exchanges that keep everything.

What has a field goes there. All else is kept under `metadata["source"]`, so that nothing is lost:

- `format`: the value of `ExportFormat`;
- `conversation`: in the first exchange of each conversation, what the source tells of the conversation;
- `messages`: the messages that went into the exchange, in order, as the source has them. Where the text of
  one is the whole `user_input` or `agent_response`, it is kept without that. A message that branches have in
  common is kept in the first exchange that has it; the others have its `id`, and `"is_repeated": true`;
- `text_taken_from`: which of `messages`, counting from 0, the texts were taken out of;
- `is_current`: where a conversation branches and the source tells which thread is shown: whether this
  exchange is on it.

The title of a conversation is also the `metadata["title"]` of its first exchange.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from library.infrastructure.data.conversation_message import MAX_ID_LENGTH, MAX_MILLISECONDS
from library.infrastructure.data.formats.content_parts import join_texts
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.json_elements import array_elements
from library.infrastructure.data.formats.json_text import digest, parse
from library.infrastructure.data.formats.record_format import Fault, RecordReader
from library.infrastructure.data.formats.source_times import (
    fill_moments,
    read_moment,
    seconds_after_epoch,
)
from library.infrastructure.data.formats.turns import IN_TURN_BEFORE, Pairing, Speaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from library.infrastructure.data.export_format import ExportFormat
    from library.infrastructure.data.formats.record_format import Found, ReadOptions
    from library.infrastructure.data.formats.record_kind import RecordKind
    from library.infrastructure.data.formats.source import Source
    from library.infrastructure.data.formats.turns import Exchange, Turn

_SHOWN_TITLE: Final = 60
_TOO_DEEP: Final = "it is nested too deeply"


class NotUnderstoodError(Exception):
    """A conversation is not in the form that its format has; becomes a `Fault`."""


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A conversation of a foreign file, read but not paired."""

    turns: list[Turn]
    parents: list[int | None]
    """Of each turn, the number of the one that it follows, which comes earlier."""
    content: Any
    """What a conversation without an id is told apart by."""
    id: Any = None
    """The source's own id."""
    title: Any = None
    created: Any = None
    """When it began, in whatever form."""
    rest: dict[str, Any] = field(default_factory=dict)
    """What the source tells of it besides its messages."""
    current: int | None = None
    """The number of the turn at which the thread ends that the program shows."""


class _Told(NamedTuple):
    """What the exchanges of one conversation have in common."""

    conversation: Conversation
    id: str
    moments: list[datetime | None]
    current: set[int]
    branches: bool
    is_kept: list[bool]
    """Of each turn, whether an exchange has it already."""
    first_id: int


class ForeignReader(RecordReader):
    """Reads one conversation after the other; subclasses say what a conversation is."""

    place_name = "conversation"
    is_own = False
    format: ClassVar[ExportFormat]
    joins_replies: ClassVar[bool] = False
    """Whether one response may be split into several messages; see `turns.py`."""

    def __init__(self, source: Source, kind: RecordKind, options: ReadOptions) -> None:
        """Prepare; nothing is read yet."""
        super().__init__(source, kind, options)
        self._opened = ExitStack()
        self._count = 0

    def __iter__(self) -> Iterator[Found]:
        """Read from the beginning to the end; called once."""
        for place, conversation in self._conversations():
            if isinstance(conversation, Fault):
                yield place, conversation
            else:
                yield from self._exchanges(self.describe(place), conversation)

    def close(self) -> None:
        """Give up what is open."""
        self._opened.close()

    def _conversations(self) -> Iterator[tuple[int | str, Conversation | Fault]]:
        """Give each conversation, and where it stands."""
        for number, value in enumerate(self._values(), 1):
            yield self._place(number, value), self._understood(value)

    def _values(self) -> Iterator[Any]:
        """Give each element of a JSON array, or each of several values, or a `Fault`."""
        for raw in self._elements():
            yield parse(raw)

    def _elements(self) -> Iterator[bytes]:
        stream = self._opened.enter_context(self._source.open_bytes())
        return array_elements(stream, self._source.limits, self._source.name)

    def _check_gathered(self, size: int, what: str) -> None:
        """Refuse to hold more in memory together than a record may have."""
        if size > self._source.limits.max_record_bytes:
            raise limit_error(self._source.limits, "max_record_bytes", self._source.name, what)

    def _understood(self, value: Any) -> Conversation | Fault:
        if isinstance(value, Fault):
            return value
        try:
            return self._understand(value)
        except NotUnderstoodError as error:
            return Fault(str(error))
        except RecursionError:
            return Fault(_TOO_DEEP)

    @abstractmethod
    def _understand(self, value: Any) -> Conversation:
        """Read a conversation.

        Raises:
            NotUnderstoodError: it has not the form of this format.

        """

    def _title(self, value: Any) -> Any:
        """Return the title of what may be a conversation, for people to find it by."""
        return value.get("title") if isinstance(value, dict) else None

    def _place(self, number: int, value: Any) -> int | str:
        title = self._title(value)
        if not isinstance(title, str) or not title.strip():
            return number
        shown = " ".join(title[: 2 * _SHOWN_TITLE].split())
        if len(shown) > _SHOWN_TITLE:
            shown = shown[: _SHOWN_TITLE - 1].rstrip() + "…"
        return f'{self.place_name} {number} ("{shown}")'

    def _exchanges(self, place: str, conversation: Conversation) -> Iterator[Found]:
        """Pair a conversation, and give its exchanges."""
        try:
            conversation_id = self._conversation_id(conversation)
        except RecursionError:
            yield place, Fault(_TOO_DEEP)
            return
        turns, parents = conversation.turns, conversation.parents
        pairing = Pairing(turns, parents, joins_replies=self.joins_replies)
        self._check_gathered(pairing.repeated_size, f"what exchanges of {place} have in common")
        told = _Told(
            conversation,
            conversation_id,
            fill_moments([turn.moment for turn in turns], parents, read_moment(conversation.created)),
            _current_thread(conversation),
            pairing.branches,
            [False] * len(turns),
            self._count + 1,
        )
        exchanges: Any = pairing if turns else [None]
        for number, exchange in enumerate(exchanges):
            self._count += 1
            where = f"{place}, exchange {number + 1}" if number else place
            yield where, self._values_of(where, told, number, exchange)

    def _values_of(self, where: str, told: _Told, number: int, exchange: Exchange | None) -> dict[str, Any]:
        """Build the fields of one exchange; of `None`, those of a conversation without messages."""
        numbers = exchange.numbers if exchange else []
        follows = exchange.follows if exchange and told.branches else None
        turns = [told.conversation.turns[each] for each in numbers]
        user_input = join_texts(turn.text for turn in turns if turn.speaker is Speaker.USER)
        agent_response = join_texts(turn.text for turn in turns if turn.speaker is Speaker.AGENT)
        self._check_texts(where, user_input, agent_response)
        source: dict[str, Any] = {"format": self.format.value}
        metadata: dict[str, Any] = {"source": source}
        if not number:
            source["conversation"] = told.conversation.rest
            title = told.conversation.title
            if isinstance(title, str) and title:
                metadata["title"] = title
        source.update(_kept(told, numbers, turns))
        if told.branches and told.current:
            source["is_current"] = numbers[-1] in told.current
        return {
            "message_id": told.first_id + number,
            "conversation_id": told.id,
            "timestamp": _moment(told, numbers, turns) or seconds_after_epoch(number),
            "user_input": user_input,
            "agent_response": agent_response,
            "response_time_ms": _duration(turns),
            "parent_id": None if follows is None else told.first_id + follows,
            "metadata": metadata,
        }

    def _conversation_id(self, conversation: Conversation) -> str:
        """Return the source's own id, or one that is made of the content."""
        given = conversation.id
        if isinstance(given, int) and not isinstance(given, bool) and given.bit_length() <= 64:
            return str(given)
        if isinstance(given, str) and 0 < len(given) <= MAX_ID_LENGTH:
            return given
        return f"{self.format.value}-{digest(conversation.content)}"

    def _check_texts(self, where: str, *texts: str) -> None:
        if any(len(text) > self._source.limits.max_field_characters for text in texts):
            raise limit_error(self._source.limits, "max_field_characters", self._source.name, where)


def _kept(told: _Told, numbers: list[int], turns: list[Turn]) -> dict[str, Any]:
    """Return the messages of an exchange for its metadata, and which of them texts were taken out of."""
    replies = sum(turn.speaker is Speaker.AGENT and bool(turn.text) for turn in turns)
    messages: list[Any] = []
    taken: dict[str, int] = {}
    for number, turn in zip(numbers, turns, strict=True):
        if turn.whole is IN_TURN_BEFORE:
            continue
        if told.is_kept[number]:
            messages.append({"id": turn.id, "is_repeated": True})
            continue
        told.is_kept[number] = True
        is_user = turn.speaker is Speaker.USER
        if turn.text and turn.bare is not None and (is_user or replies == 1):
            taken["user_input" if is_user else "agent_response"] = len(messages)
            messages.append(turn.bare)
        else:
            messages.append(turn.whole)
    return {"messages": messages, "text_taken_from": taken} if taken else {"messages": messages}


def _moment(told: _Told, numbers: list[int], turns: list[Turn]) -> datetime | None:
    """Return when somebody spoke first in an exchange; else when its first message is taken to have come."""
    spoken = [pair for pair in zip(numbers, turns, strict=True) if pair[1].speaker is not Speaker.OTHER]
    for _, turn in spoken:
        if turn.moment is not None:
            return turn.moment
    if spoken:
        return told.moments[spoken[0][0]]
    return told.moments[numbers[0]] if numbers else read_moment(told.conversation.created)


def _duration(turns: list[Turn]) -> float:
    took = sum((turn.took_ms for turn in turns if turn.speaker is not Speaker.USER), 0.0)
    return took if 0.0 <= took <= MAX_MILLISECONDS else 0.0


def _current_thread(conversation: Conversation) -> set[int]:
    """Return the numbers of the turns on the thread that the program shows, on to its end."""
    if conversation.current is None:
        return set()
    thread = {conversation.current}
    number = conversation.parents[conversation.current]
    while number is not None:
        thread.add(number)
        number = conversation.parents[number]
    last = conversation.current
    for number in range(last + 1, len(conversation.parents)):
        if conversation.parents[number] == last:
            thread.add(number)
            last = number
    return thread
