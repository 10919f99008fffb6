"""From whatever ends a command to an exit code, with one line on standard error where that helps."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

import click

from library.infrastructure.interfaces.cli import exit_codes
from library.infrastructure.interfaces.cli.output.visible import visible
from library.infrastructure.interfaces.cli.wording import in_words_of_the_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.interfaces.cli.settings import Settings

COMPLETION_VARIABLE: Final = "_NANOBRAIN_DATA_COMPLETE"
"""Set by shells that want to complete a line; the name is click's."""
_PASSWORD: Final = re.compile(
    r"(://)[^\s'\"]*@|([?&][^=&\s]*(?:pass|secret|token|key)[^=&\s]*=)[^&\s'\"]*", re.IGNORECASE
)


def exit_code_of(command: Callable[[], Any], settings: Settings) -> int:
    """Run a command to its end, and return its exit code; nothing is raised but what ends the process."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the locale has no character for
    try:
        try:
            result = command()
        finally:
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # behind the ^C
        return exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a line
        if _is_closed_pipe(error):
            return _end_at_closed_pipe()
        if COMPLETION_VARIABLE in os.environ:
            return exit_codes.SUCCESS  # the shell waits for a list, and nobody for an error
        return _report(error, settings)
    return result if isinstance(result, int) else exit_codes.SUCCESS


def masked(text: str) -> str:
    """Return a text without the passwords of the URLs in it."""
    return _PASSWORD.sub(lambda found: f"{found[1]}…@" if found[1] else f"{found[2]}…", text)


def _report(error: Exception, settings: Settings) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return exit_codes.USAGE
    code, message = _explain(error)
    if settings.is_debugging and not isinstance(error, click.UsageError):
        format_exception = import_module("traceback").format_exception
        trace = masked("".join(format_exception(error)))
        sys.stderr.write("".join(f"{visible(line)}\n" for line in trace.splitlines()))
    words = in_words_of_the_command(message)
    line = " ".join(masked(visible(words, keeps_lines=True)).split())
    is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    label = click.style("error:", fg="red", bold=True) if is_coloured else "error:"
    sys.stderr.write(f"{label} {line}\n")
    return code


def _explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the text of an error."""
    if isinstance(error, click.UsageError):
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return exit_codes.USAGE, error.format_message().rstrip(".") + hint
    if isinstance(error, click.ClickException):
        return error.exit_code, error.format_message()
    # Whatever else it is, the library was imported when it was raised.
    errors = import_module("library.infrastructure.data.errors")
    if isinstance(error, errors.InvalidOptionError | errors.InvalidValueError):
        return exit_codes.USAGE, str(error)
    if isinstance(
        error, errors.MissingRecordsError | errors.MessageNotFoundError | errors.SessionNotFoundError
    ):
        return exit_codes.NOT_FOUND, str(error)
    if isinstance(error, errors.DataUnitError):
        return exit_codes.FAILURE, str(error)
    if isinstance(error, OSError):
        return exit_codes.FAILURE, f"{error.filename or 'standard output'}: {error.strerror or error}"
    kind = type(error).__name__
    return exit_codes.FAILURE, f"unexpected {kind}: {error} (a bug: --debug shows where; please report it)"


def _is_closed_pipe(error: BaseException | None) -> bool:
    """Tell whether an error comes from writing to what nobody reads any more."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        error = error.__cause__
    return False


def _end_at_closed_pipe() -> int:
    """See to it that what is still buffered is not tried again when the process ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except OSError:
        pass
    finally:
        os.close(nothing)
    return exit_codes.PIPE_CLOSED
