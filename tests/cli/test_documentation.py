"""Help and guide: every command and every option is in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from library.infrastructure.interfaces.cli.grammar.data_command import CommonOption, DataCommand, DataGroup
from library.infrastructure.interfaces.cli.grammar.root import ROOT
from library.infrastructure.interfaces.cli.loading import load
from library.infrastructure.interfaces.cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Run

GUIDE = Path(__file__).parents[2] / "docs" / "cli.md"


def all_commands(group: DataGroup = ROOT, *names: str) -> Iterator[tuple[str, DataCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, DataGroup):
            yield from all_commands(command, *names, name)
        else:
            assert isinstance(command, DataCommand)
            yield " ".join([*names, name]), command


COMMANDS = dict(all_commands())
each_command = pytest.mark.parametrize("name", COMMANDS)


def test_commands_of_the_specification() -> None:
    """All of them are there."""
    reading = {"search", "show", "list", "tail", "stats", "info", "check"}
    changing = {"import", "export", "delete", "purge", "backup", "migrate", "demo"}

    assert {*reading, *changing, *(f"sessions {each}" for each in ("list", "show", "end", "cleanup"))} <= set(
        COMMANDS
    )


@each_command
def test_the_guide_names_every_command_and_option(name: str) -> None:
    """In code."""
    guide = GUIDE.read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`([^`\n]+)`", guide))

    assert re.search(rf"(^|\s){re.escape(name)}(\s|$)", code, re.MULTILINE)
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.opts[0] in code, option.opts[0]


def test_the_guide_names_no_option_that_there_is_not() -> None:
    """What it shows can be typed."""
    known = {name for command in COMMANDS.values() for each in command.params for name in each.opts}
    known |= {"--help", "--version"}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE.read_text(encoding="utf-8"))) <= known


def typed_lines() -> list[str]:
    """Collect what the help and the guide show to type."""
    lines = [line for command in COMMANDS.values() for line in command.examples]
    lines += [line for group in (ROOT, ROOT.commands["sessions"]) for line in group.examples]  # type: ignore[attr-defined]
    guide = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", guide, re.DOTALL)
    lines += [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]
    parts = [part for line in lines for part in re.split(r"&& | \| |\$\(|\)\"", line)]
    return [part for part in parts if part.startswith("nanobrain-data")]


@pytest.mark.parametrize("line", typed_lines())
def test_examples_can_be_typed(line: str) -> None:
    """They are parsed without an error, down to the last option."""
    words = shlex.split(line, comments=True)
    context = ROOT.make_context("nanobrain-data", words[1:], obj=Settings())
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None
        context = command.make_context(name, rest, parent=context)


@each_command
def test_help_has_examples_and_describes_options(run: Run, name: str) -> None:
    """Each option says what it does, and fits into 80 columns."""
    result = run(*name.split(), "--help")

    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert "Options of every command:" in result.stdout
    assert COMMANDS[name].examples
    for option in COMMANDS[name].params:
        assert not isinstance(option, click.Option) or option.help, option.opts


@each_command
def test_every_command_leads_to_what_it_does(name: str) -> None:
    """It is found, and takes the parameters of the command by name."""
    action = load(COMMANDS[name].runs)
    given = {each.name for each in COMMANDS[name].params if not isinstance(each, CommonOption)}

    assert set(action.__code__.co_varnames[1 : action.__code__.co_argcount]) == given


def test_examples_find_something_in_the_demo(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the guide that read what `demo` makes."""
    lines = re.findall(
        r"^\$ (nanobrain-data (?:search|show|stats|list)\b[^|\n]*)", GUIDE.read_text("utf-8"), re.MULTILINE
    )
    run("demo")
    monkeypatch.setenv("NANOBRAIN_DATABASE_URL", "nanobrain-demo.db")

    assert len(lines) > 4
    for line in lines:
        result = run(*shlex.split(line)[1:])
        assert result.exit_code == 0, line
        assert result.stdout not in {"", "[]\n"}, line
