"""The command and the group that all of `nanobrain-data` is made of.

The options that every command takes may stand before its name and behind it: people type them there. They
go into one `Settings`. What a command does is named, not imported; see `loading`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from library.infrastructure.interfaces.cli.ending import COMPLETION_VARIABLE, exit_code_of
from library.infrastructure.interfaces.cli.loading import load
from library.infrastructure.interfaces.cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "nanobrain-data"
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class CommonOption(click.Option):
    """An option of every command."""

    def __init__(self, declaration: str, field: str, help: str, **attributes: Any) -> None:  # noqa: A002 - click's
        """Describe an option that sets a field of the `Settings`.

        Args:
            declaration: how it is typed.
            field: which field of the `Settings` it sets.
            help: what the help says.
            attributes: see `click.Option`.

        """
        super().__init__([declaration], expose_value=False, help=help, callback=_keep_as(field), **attributes)


def _keep_as(field: str) -> Any:
    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:  # which one that is not given here does not take from what stands before the command
            setattr(context.ensure_object(Settings), field, value)

    return keep


def common_options() -> list[click.Parameter]:
    """Make the options that every command takes."""
    return [
        CommonOption(
            "--database",
            "database",
            "The database: a URL, or the path of a file. [default: $NANOBRAIN_DATABASE_URL, else "
            "sqlite:///conversations.db]",
            metavar="URL",
        ),
        CommonOption(
            "--table",
            "table",
            "The table in it. [default: conversations; for sessions: sessions]",
            metavar="NAME",
        ),
        CommonOption("--json", "output", "Print one JSON document.", flag_value="json", type=str),
        CommonOption("--jsonl", "output", "Print one JSON object a line.", flag_value="jsonl", type=str),
        CommonOption("--quiet", "is_quiet", "Print nothing but data and errors.", is_flag=True),
        CommonOption("--verbose", "is_verbose", "Say which database is used.", is_flag=True),
        CommonOption("--debug", "is_debugging", "Show the traceback of an error.", is_flag=True),
    ]


class _DataHelp(click.Command):
    """Help in which the options of every command stand apart, and examples keep their lines."""

    examples: Sequence[str] = ()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its own options, and then those of every command."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                shared = isinstance(parameter, CommonOption) or "--help" in parameter.opts
                (common if shared else own).append(record)
        if own:
            with formatter.section("Options"):
                formatter.write_dl(own)
        with formatter.section("Options of every command"):
            formatter.write_dl(common)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the examples, a line each."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


class DataCommand(_DataHelp):
    """A command, and the name of what it does."""

    def __init__(
        self,
        name: str,
        runs: str,
        help: str,  # noqa: A002 - click's word
        *,
        params: Sequence[click.Parameter] = (),
        examples: Sequence[str],
    ) -> None:
        """Describe a command.

        Args:
            name: how it is typed.
            runs: the function that does it, given a `Job` and the `params` by name; see `loading.load`.
            help: what its help says; the first sentence stands in lists.
            params: its arguments and options, besides those of every command.
            examples: lines to type.

        """
        super().__init__(
            name, help=help, params=[*params, *common_options()], context_settings=dict(_CONTEXT)
        )
        self.runs = runs
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Import what the command does, and do it."""
        job = load("job:Job")(ctx.ensure_object(Settings))
        return load(self.runs)(job, **ctx.params)


class DataGroup(_DataHelp, click.Group):
    """A group of commands, in the order and under the headings in which they are given."""

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 - click's word
        *,
        sections: dict[str, Sequence[click.Command]],
        params: Sequence[click.Parameter] = (),
        examples: Sequence[str],
    ) -> None:
        """Describe a group.

        Args:
            name: how it is typed.
            help: what its help says.
            sections: its commands, below headings.
            params: its options, besides those of every command.
            examples: lines to type.

        """
        super().__init__(
            name,
            help=help,
            params=[*params, *common_options()],
            context_settings=dict(_CONTEXT),
            commands=[command for commands in sections.values() for command in commands],
            no_args_is_help=True,
        )
        self.sections = sections
        self.examples = examples

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names in the order in which they were given."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and then the options."""
        longest = max(map(len, self.commands))
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                rows = [(f"{each.name:<{longest}}", each.get_short_help_str(80)) for each in commands]
                formatter.write_dl(rows)
        _DataHelp.format_options(self, ctx, formatter)


class Program(DataGroup):
    """The whole of `nanobrain-data`: whatever goes wrong becomes an exit code, and a line that says why."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - as click has it
        complete_var: str | None = None,  # noqa: ARG002 - as click has it
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - as click has it
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002, ARG002 - as click has it
        **extra: Any,
    ) -> Any:
        """Run, and end the process.

        This takes the place of `click.Command.main`, which has exit codes and words of its own for Ctrl-C
        and closed pipes.
        """
        settings = extra.setdefault("obj", Settings())
        arguments = list(sys.argv[1:] if args is None else args)
        code = exit_code_of(lambda: self._run(arguments, extra), settings)
        if not standalone_mode:
            return code
        sys.exit(code)

    def run(self, arguments: Sequence[str] | None) -> int:
        """Run, and return the exit code."""
        code: int = self.main(arguments, standalone_mode=False)
        return code

    def _run(self, arguments: list[str], extra: dict[str, Any]) -> Any:
        asked_by_shell = os.environ.get(COMPLETION_VARIABLE)
        if asked_by_shell:
            complete = import_module("click.shell_completion").shell_complete
            return complete(self, extra, PROGRAM, COMPLETION_VARIABLE, asked_by_shell)
        with self.make_context(PROGRAM, arguments, **extra) as context:
            return self.invoke(context)
