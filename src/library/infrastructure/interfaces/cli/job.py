"""`Job`: what every action is given: the settings, a way to run coroutines, to say and to ask something."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from library.infrastructure.interfaces.cli.ending import masked
from library.infrastructure.interfaces.cli.exit_codes import Failure
from library.infrastructure.interfaces.cli.loading import load
from library.infrastructure.interfaces.cli.output.visible import visible
from library.infrastructure.interfaces.cli.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from library.infrastructure.interfaces.cli.output.presenter import Presenter
    from library.infrastructure.interfaces.cli.settings import Settings

T = TypeVar("T")


class Job:
    """One run of one command.

    Actions are plain functions that run coroutines, ask, and print in between: within an event loop, Ctrl-C
    would not end a question.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin."""
        self.settings = settings

    @cached_property
    def presenter(self) -> Presenter:
        """What shows results, as the settings and standard output ask for."""
        presenter: Presenter
        if self.settings.output is not None:
            presenter = load("output.as_json:JsonPresenter")(self, in_lines=self.settings.output == "jsonl")
        elif sys.stdout.isatty():
            presenter = load("output.terminal:TerminalPresenter")(self)  # imports rich
        else:
            presenter = load("output.plain:PlainPresenter")(self)
        return presenter

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; Ctrl-C cancels it, and waits until it has cleaned up."""
        narrator = _Narrator(self)
        logger = logging.getLogger("library")
        logger.addHandler(narrator)
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()  # which does something only if Ctrl-C came before it began
            logger.removeHandler(narrator)

    def say(self, text: str) -> None:
        """Tell people something that is no data."""
        if not self.settings.is_quiet:
            sys.stdout.flush()
            sys.stderr.write(f"{masked(visible(text))}\n")
            sys.stderr.flush()

    def confirm(self, what: str, *, is_agreed: bool) -> None:
        """Go on only if somebody agrees.

        Args:
            what: what is about to happen: "erase 2 exchanges".
            is_agreed: whether they did so beforehand.

        Raises:
            click.UsageError: there is nobody to ask.
            Failure: they do not agree.

        """
        if is_agreed:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"this would {what}: agree with --yes, since nobody can be asked here")
        sys.stderr.write(f"This will {visible(what)}. Go on? [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            sys.stderr.write("\n")
        if answer.strip().lower() not in {"y", "yes"}:
            raise Failure("nothing was done")

    def waiting(self, what: str) -> Waiting:
        """Show that something takes its time, where it does, and where somebody looks on."""
        return Waiting(what, is_seen=sys.stderr.isatty() and not self.settings.is_quiet)


class _Narrator(logging.Handler):
    """Passes the warnings of the library on to people."""

    def __init__(self, job: Job) -> None:
        super().__init__(logging.WARNING)
        self._job = job

    def emit(self, record: logging.LogRecord) -> None:
        self._job.say(f"warning: {record.getMessage()}")
