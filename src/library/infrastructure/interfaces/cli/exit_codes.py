"""How commands end: the exit codes, and the errors that choose them."""

from __future__ import annotations

from typing import ClassVar, Final

import click

SUCCESS: Final = 0
"""Also of a search that finds nothing."""
FAILURE: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
INTERRUPTED: Final = 130
"""Ctrl-C, as shells have it: 128 and the number of the signal."""
PIPE_CLOSED: Final = 141
"""Nobody reads the output any more, as with `| head`."""


class Failure(click.ClickException):
    """A command could not do what it was asked to do."""

    exit_code: ClassVar[int] = FAILURE


class NotFound(Failure):
    """What was asked for is not there."""

    exit_code: ClassVar[int] = NOT_FOUND
