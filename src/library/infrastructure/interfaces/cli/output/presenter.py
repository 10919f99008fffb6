"""The contract of what shows results: one method for each kind of result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from library.infrastructure.data import (
        ConversationMessage,
        ConversationSummary,
        PerformanceMetrics,
        SearchResult,
        SessionData,
    )
    from library.infrastructure.interfaces.cli.job import Job

MARKS = ("\ue000", "\ue001")
"""What stands around matches until they are shown; no text uses these, since they are private."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session, and how its id is shown."""

    session: SessionData
    shown_id: str


class Presenter(ABC):
    """Shows results on standard output; what is no result goes through `Job.say`.

    Texts that come from a database are shown so that a terminal obeys nothing in them.
    """

    is_for_people: ClassVar[bool] = True
    """Whether a sentence says what became of a command; else its outcome is data."""

    def __init__(self, job: Job) -> None:
        """Begin."""
        self.job = job

    @abstractmethod
    def found(self, results: Sequence[SearchResult]) -> None:
        """Show what a search found, best first, with `MARKS` in the snippets."""

    @abstractmethod
    def conversations(self, summaries: Sequence[ConversationSummary]) -> None:
        """Show a list of conversations."""

    @abstractmethod
    def exchanges(self, messages: Sequence[ConversationMessage]) -> None:
        """Show exchanges of one conversation, in their order."""

    @abstractmethod
    def log(self, messages: Sequence[ConversationMessage]) -> None:
        """Show exchanges of any conversations; called again for those that follow."""

    @abstractmethod
    def metrics(self, metrics: PerformanceMetrics) -> None:
        """Show how long responses took, and how many there were, day by day."""

    @abstractmethod
    def visits(self, visits: Sequence[Visit]) -> None:
        """Show a list of sessions."""

    @abstractmethod
    def visit(self, visit: Visit, conversations: Sequence[ConversationSummary]) -> None:
        """Show a session with all that is kept of it, and the conversations in it."""

    @abstractmethod
    def facts(self, facts: Mapping[str, Any]) -> None:
        """Show facts by name; values are plain ones, or lists of dicts."""

    @abstractmethod
    def problems(self, problems: Sequence[str]) -> None:
        """Show what a check found."""

    def outcome(self, sentence: str, facts: Mapping[str, Any]) -> None:
        """Say what a command did; where data are asked for, print the facts instead."""
        if self.is_for_people:
            self.job.say(sentence)
        else:
            self.facts(facts)

    def outcomes(self, outcomes: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Say what a command did with each of several things, as `outcome` does."""
        for sentence, _ in outcomes:
            self.job.say(sentence)
