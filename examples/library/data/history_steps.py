"""The steps that fill a conversation history, and that answer questions from it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_steps import BATCH, InputError

from core.step import Step, StepConfig
from library.infrastructure.data import ConversationMessage, ConversationQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_steps import Exchange

    from library.infrastructure.data import ConversationHistoryUnit, SearchResult, Subscription

NO_ANSWER = "I found nothing on that."


class SaveExchanges(Step):
    """A reader of the stream: saves what it brings, a batch in one transaction."""

    def __init__(self, history: ConversationHistoryUnit) -> None:
        super().__init__(StepConfig(name="save", description="Saves exchanges in the history."))
        self.history = history
        self.transactions = 0

    async def process(self, inputs: Subscription) -> None:
        """Save what a subscription brings, until the stream ends."""
        version = (await self.history.entry()).version
        async for batch in inputs.batches(BATCH):
            # Only if nobody else saved meanwhile: two runs at once would save everything twice.
            version = await self.history.set([as_message(each) for each in batch], if_version=version)
            self.transactions += 1


def as_message(exchange: Exchange) -> ConversationMessage:
    """Build what is saved of an exchange of the sample."""
    return ConversationMessage(
        conversation_id=exchange.conversation_id,
        user_input=exchange.user_input,
        agent_response=exchange.agent_response,
        # Most of the originals say nothing of time: then it is the moment at which the exchange was read.
        timestamp=exchange.timestamp or datetime.now(UTC),
        # None of them says how long its agents took. The field needs a number; the metadata tell the truth.
        response_time_ms=0.0,
        metadata={
            "number": exchange.number,
            "source": exchange.source,
            "language": exchange.language,
            "response_time": "not recorded",
        },
    )


async def count_saved(history: ConversationHistoryUnit, exchanges: Sequence[Exchange]) -> int:
    """Return how many of the exchanges, from the first on, earlier runs saved.

    Raises:
        InputError: they saved something else.

    """
    newest_first = ConversationQuery().order_by("message_id", descending=True).limit(1)
    for last in await history.query_conversations(newest_first):
        number: Any = last.metadata.get("number")
        is_known = isinstance(number, int) and 0 < number <= len(exchanges)
        if not is_known or exchanges[number - 1].user_input != last.user_input:
            raise InputError(
                f"{history.database_adapter.url} holds other conversations, or more of them: "
                "choose another --database"
            )
        return int(number)
    return 0


class Question(NamedTuple):
    """What a user asks, and where in a conversation."""

    conversation_id: str
    text: str
    parent_id: int | None = None
    """The exchange that it follows."""
    attempt: int = 1
    """How often the user has asked for an answer to it: each attempt takes the next best one."""
    session_id: str | None = None
    """The session in which the user asks."""


class AnswerFromHistory(Step):
    """An agent without a model: it answers with what was answered before to the question most like this one.

    What it says is second-hand, but how long it took is measured, here and now.
    """

    def __init__(self, history: ConversationHistoryUnit, answers: ConversationHistoryUnit) -> None:
        super().__init__(StepConfig(name="answer", description="Answers questions from the history."))
        self.history = history
        self.answers = answers

    async def process(self, inputs: Question) -> ConversationMessage:
        """Answer a question, and save both."""
        asked_at, started = datetime.now(UTC), time.perf_counter()
        found = await self._best(inputs)
        took_ms = (time.perf_counter() - started) * 1000
        metadata: dict[str, object] = {}
        if found:
            metadata["found_in"] = found.conversation_id
        if inputs.attempt > 1:
            metadata["regenerated"] = True
        if inputs.session_id is not None:
            metadata["session_id"] = inputs.session_id
        answer = ConversationMessage(
            conversation_id=inputs.conversation_id,
            user_input=inputs.text,
            agent_response=found.agent_response if found else NO_ANSWER,
            timestamp=asked_at,
            response_time_ms=took_ms,
            metadata=metadata,
            parent_id=inputs.parent_id,
        )
        answer.message_id = await self.answers.save_message(answer)
        return answer

    async def _best(self, question: Question) -> SearchResult | None:
        """Find the best answer that was not given yet."""
        # The same answer is often found many times over: so more are looked at than there are attempts.
        limit = 1 if question.attempt == 1 else 20
        results = await self.history.search_conversations(question.text, limit=limit)
        best_first: dict[str, SearchResult] = {}
        for result in results:
            best_first.setdefault(result.agent_response, result)
        return next(islice(best_first.values(), question.attempt - 1, None), None)
