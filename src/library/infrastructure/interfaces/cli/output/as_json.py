"""Results as JSON: one document, or one object a line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from library.infrastructure.interfaces.cli.output.presenter import Presenter, Visit
from library.infrastructure.interfaces.cli.output.records import (
    exchange_record,
    session_record,
    summary_record,
    times_record,
)
from library.infrastructure.interfaces.cli.output.visible import escaped_in_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from library.infrastructure.data import (
        ConversationMessage,
        ConversationSummary,
        PerformanceMetrics,
        SearchResult,
    )
    from library.infrastructure.interfaces.cli.job import Job


class JsonPresenter(Presenter):
    """Prints JSON. Lists are arrays with an element a line, or one element a line and no array."""

    is_for_people: ClassVar[bool] = False

    def __init__(self, job: Job, *, in_lines: bool) -> None:
        """Begin.

        Args:
            job: the job.
            in_lines: one object a line.

        """
        super().__init__(job)
        self._in_lines = in_lines

    def found(self, results: Sequence[SearchResult]) -> None:
        """Print a list."""
        self._print_list(map(exchange_record, results))

    def conversations(self, summaries: Sequence[ConversationSummary]) -> None:
        """Print a list."""
        self._print_list(map(summary_record, summaries))

    def exchanges(self, messages: Sequence[ConversationMessage]) -> None:
        """Print a list."""
        self._print_list(map(exchange_record, messages))

    def log(self, messages: Sequence[ConversationMessage]) -> None:
        """Print a list, at once: somebody waits for it."""
        self._print_list(map(exchange_record, messages))
        sys.stdout.flush()

    def metrics(self, metrics: PerformanceMetrics) -> None:
        """Print an object; in lines, one for all, and one a day."""
        days = [{"day": each.day.isoformat(), **times_record(each)} for each in metrics.per_day]
        if self._in_lines:
            self._print_list([{"day": None, **times_record(metrics)}, *days])
        else:
            self._print({**times_record(metrics), "per_day": days})

    def visits(self, visits: Sequence[Visit]) -> None:
        """Print a list."""
        self._print_list(session_record(each.session, each.shown_id) for each in visits)

    def visit(self, visit: Visit, conversations: Sequence[ConversationSummary]) -> None:
        """Print an object."""
        found = [each.conversation_id for each in conversations]
        self._print({**session_record(visit.session, visit.shown_id), "conversations": found})

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Print an object."""
        self._print(facts)

    def problems(self, problems: Sequence[str]) -> None:
        """Print an object that says whether all is well, and what is not."""
        self._print({"is_ok": not problems, "problems": list(problems)})

    def outcomes(self, outcomes: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Print a list."""
        self._print_list(facts for _, facts in outcomes)

    def _print(self, value: Mapping[str, Any]) -> None:
        sys.stdout.write(_encoded(value, None if self._in_lines else 2) + "\n")

    def _print_list(self, values: Iterable[Mapping[str, Any]]) -> None:
        if self._in_lines:
            sys.stdout.writelines(f"{_encoded(each)}\n" for each in values)
            return
        before = "[\n"
        for each in values:
            sys.stdout.write(before + _encoded(each))
            before = ",\n"
        sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _encoded(value: Mapping[str, Any], indent: int | None = None) -> str:
    return escaped_in_json(json.dumps(value, ensure_ascii=False, indent=indent))
