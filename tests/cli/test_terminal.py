"""What people see on a terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Run, Shown, Terminal

pytestmark = pytest.mark.usefixtures("database")

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def without_colours(text: str) -> str:
    return COLOURS.sub("", text)


def test_tables_and_colours(show: Callable[..., Shown]) -> None:
    """A table with a heading, after a line that says which database this is; texts cannot do anything."""
    shown = show("list")
    text = without_colours(shown.text)

    assert shown.exit_code == 0
    assert shown.text != text
    assert re.match(
        r"database sqlite:///.*/conversations.db\nconversation +exchanges +last +first words", text
    )
    assert re.search(r"order-7 +3 +\S+ \S+ 09:40 +Can I get a mocha\?", text)
    assert "␛]0;owned␇" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize("arguments", [["list"], ["show", "trip"], ["stats"]])
def test_no_line_is_wider_than_the_terminal(show: Callable[..., Shown], arguments: list[str]) -> None:
    """Tables, chats and charts fit."""
    lines = without_colours(show(*arguments, "--quiet", columns=40).text).splitlines()

    assert max(map(len, lines)) <= 40


def test_a_chat(show: Callable[..., Shown]) -> None:
    """Who said what, when, how long it took, and where it branches."""
    text = without_colours(show("show", "trip").text)

    assert "── Tue 24 Nov 2026" in text
    assert re.search(r"#4  user   Where to in May\?  10:00\n +1\.9 s  agent  To Lisbon\.", text)
    assert "↳ after #4, another answer" in text


def test_a_silence_in_a_chat(show: Callable[..., Shown]) -> None:
    """It is named."""
    assert "39 minutes later" in without_colours(show("show", "order-7").text)


def test_markup_and_escapes_are_shown(show: Callable[..., Shown]) -> None:
    """Everywhere a text is printed: nothing that was sent is obeyed."""
    for arguments in (
        ["search", "owned"],
        ["tail", "--json"],
        ["export", "--format", "csv"],
        ["sessions", "list"],
    ):
        text = show(*arguments).text
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert "\x07" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text
    assert "[bold red]markup[/bold red] :smile:" in without_colours(show("show", "#7").text)


def test_matches_in_colour_or_in_brackets(show: Callable[..., Shown]) -> None:
    """NO_COLOR leaves colours out."""
    assert "\x1b[1;33malmond\x1b[0m" in show("search", "almond").text
    plain = show("search", "almond", NO_COLOR="1").text
    assert "[almond] milk" in without_colours(plain)
    assert "\x1b[3" not in plain


def test_charts(show: Callable[..., Shown]) -> None:
    """Of how much was said, and of response times."""
    text = without_colours(show("stats").text)

    assert "exchanges a day" in text
    assert "4 ┤" in text
    assert "23 Nov 2026" in text


def test_charts_leave_out_what_tells_no_time(
    show: Callable[..., Shown], tmp_path: Path, database: Path
) -> None:
    """Exchanges that an import gave a time of 1970 do not squeeze the others into a corner."""
    untimed = tmp_path / "untimed.jsonl"
    untimed.write_text('{"user_input": "When?", "agent_response": "Who knows."}\n', encoding="utf-8")
    show("import", str(untimed))

    text = without_colours(show("stats").text)

    assert "exchanges a day" in text
    assert "without 1 of 1 January 1970, which tell no time" in text
    assert "1 Jan 1970" not in text


def test_facts(show: Callable[..., Shown]) -> None:
    """`info` and `sessions show` name what they print."""
    text = without_colours(show("info").text)

    assert re.search(r"exists +yes", text)
    assert re.search(r"conversations +conversations +\d +\d +3 +7", text)


def test_errors_are_one_line(show: Callable[..., Shown]) -> None:
    """With the word in red."""
    shown = show("show", "zebra", "--quiet")

    assert shown.exit_code == 3
    assert without_colours(shown.text).startswith("error: no conversation 'zebra'")
    assert shown.text.startswith("\x1b[31m")
    assert "\x1b" not in show("show", "zebra", NO_COLOR="1").text


def test_erasing_asks(start: Callable[..., Terminal], run: Run) -> None:
    """Only a yes is a yes."""
    for answer, code in (("\n", 1), ("y\n", 0)):
        terminal = start("delete", "order-7")
        terminal.until("This will erase 3 exchanges of 1 conversation for good. Go on? [y/N] ")
        terminal.type(answer)
        assert terminal.end().exit_code == code
    assert "order-7" not in run("list").stdout


def test_ctrl_c_at_a_question(start: Callable[..., Terminal], run: Run) -> None:
    """Ends at once, and nothing is erased."""
    terminal = start("delete", "order-7")
    terminal.until("[y/N] ")
    terminal.interrupt()

    assert terminal.end().exit_code == 130
    assert "order-7" in run("list").stdout


def test_follow_on_a_terminal(start: Callable[..., Terminal], run: Run, folder: Path) -> None:
    """The name of a conversation stands before what was said in it."""
    terminal = start("tail", "trip", "--follow", "--lines", "1")
    terminal.until("The Small.")
    (folder / "new.jsonl").write_text(
        '{"conversation_id": "trip", "user_input": "Book it.", "agent_response": "Done.", '
        '"timestamp": "2026-11-25T00:00:00Z"}\n'
    )
    assert run("import", "new.jsonl").exit_code == 0
    terminal.until("Book it.")
    terminal.interrupt()
    shown = terminal.end()

    assert shown.exit_code == 130
    assert without_colours(shown.text).count("── trip") == 1


def test_progress_appears_after_a_second(start: Callable[..., Terminal]) -> None:
    """It is drawn on the terminal, and taken away in the end; `--quiet` draws none."""
    for options, expected in (([], True), (["--quiet"], False)):
        terminal = start("import", "-", "--database", "new.db", *options)
        if expected:
            terminal.until("importing standard input")
        else:
            assert terminal.process.poll() is None
        line = (
            '{"conversation_id": "c", "user_input": "?", "agent_response": "!", "timestamp": "2026-11-23"}\n'
        )
        terminal.type(line + "\x04")
        shown = terminal.end()
        assert shown.exit_code == 0
        assert ("importing standard input" in shown.text) is expected
        assert ("1 written" in shown.text) is expected


def test_long_texts_are_wrapped_not_cut(show: Callable[..., Shown], run: Run, folder: Path) -> None:
    """All of a text is shown, wide characters included."""
    text = "北京烤鸭" * 60
    record = {
        "conversation_id": "long",
        "user_input": text,
        "agent_response": "§" * 300,
        "timestamp": "2026-11-23",
    }
    (folder / "long.jsonl").write_text(json.dumps(record), encoding="utf-8")
    run("import", "long.jsonl")
    shown = without_colours(show("show", "long", columns=60).text)

    assert shown.count("北京烤鸭"[0]) == 60
    assert shown.count("§") == 300


def import_ids(run: Run, folder: Path, ids: list[str]) -> None:
    record = {"user_input": "Hello?", "agent_response": "!", "timestamp": "2026-11-26"}
    lines = [json.dumps({"conversation_id": each, **record}) for each in ids]
    (folder / "ids.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run("import", "ids.jsonl").exit_code == 0


def test_long_ids_are_shortened_in_the_middle(show: Callable[..., Shown], run: Run, folder: Path) -> None:
    """To a third of the width, in lines of one row each; a pipe has them whole."""
    import_ids(run, folder, [f"begin{'x' * 890}end", f"北京{'烤' * 400}鸭"])
    lines = without_colours(show("list", "--limit", 2, "--quiet", columns=60).text).splitlines()

    assert len(lines) == 4
    assert re.match(r"北京烤+…烤+鸭 ", lines[2])
    assert re.match(r"beginx+…x+end ", lines[3])
    assert len(lines[3].split()[0]) == 20
    assert f"begin{'x' * 890}end" in run("list").stdout


def test_many_rows_are_lines(show: Callable[..., Shown], run: Run, folder: Path) -> None:
    """They look as others do, without colours, and fit."""
    import_ids(run, folder, [f"{'long-' * 20}{number}" for number in range(1_100)])
    text = show("list", "--limit", 2_000, "--quiet", columns=60).text
    lines = text.splitlines()

    assert "\x1b[" not in text
    assert len(lines) == 2 + 1_103
    assert max(map(len, lines)) <= 60
    assert re.match(r"conversation +exchanges +last first words", lines[0])
    assert re.match(r"long-long-…long-1099 +1 +\S.* Hello\?", lines[2])


def test_facts_fit_into_a_narrow_terminal(show: Callable[..., Shown]) -> None:
    """Tables that do not are folded into lines."""
    text = without_colours(show("info", "--quiet", columns=60).text)

    assert max(map(len, text.splitlines())) <= 60
    assert re.search(r"name +conversations *\nkeeps +conversations *\n", text)
    assert re.search(r"conversations +3 *\nexchanges +7 *\n", text)
    assert "conver…" not in text
