"""The parts of which output is made."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from library.infrastructure.data import ConversationMessage, DailyResponseTimes
from library.infrastructure.interfaces.cli.output.chart import bars, columns_of
from library.infrastructure.interfaces.cli.output.chat_notes import noted
from library.infrastructure.interfaces.cli.output.local_time import duration_ms, short_time, size, span
from library.infrastructure.interfaces.cli.output.safe_stream import SafeStream
from library.infrastructure.interfaces.cli.output.visible import escaped_in_json, one_line, visible

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 北京, 👩\u200d👩", "plain, é, 北京, 👩\u200d👩"),
        ("\x1b[31m", "␛[31m"),
        ("a\x00b\x07\x7f", "a␀b␇␡"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\ufeff\u200b", "\\ufeff\\u200b"),
        ("\U000e0041", "\\U000e0041"),
        ("a\tb", "a    b"),
        ("a\nb\rc", "a␊b␍c"),
        ("\ud800", "\\ud800"),
    ],
)
def test_controls_are_seen(text: str, shown: str) -> None:
    """Whatever a terminal would obey, and what hides or turns text."""
    assert visible(text) == shown


def test_lines_are_kept_where_they_may_be() -> None:
    """Every kind of line end ends a line; a carriage return alone is shown."""
    assert visible("a\r\nb\nc\u2028d\re", keeps_lines=True) == "a\nb\nc\nd␍e"
    assert one_line(" a\r\n\tb \u3000 c ") == "a b c"


def test_all_characters_of_unicode_are_harmless() -> None:
    """No control character is left, and JSON stays what it is."""
    everything = "".join(map(chr, range(0x110000)))
    text = everything.replace("".join(map(chr, range(0xD800, 0xE000))), "")
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]

    shown = visible(everything)
    assert not [each for each in controls if each in shown]
    assert shown.isprintable() or not [each for each in shown if each in controls]
    encoded = escaped_in_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(encoded) == text
    assert not [each for each in controls if each in encoded]


def test_a_stream_to_a_terminal() -> None:
    """Characters that are cut between two writes come whole, and what is no UTF-8 is replaced."""
    terminal = io.BytesIO()
    with SafeStream(terminal) as stream:
        for byte in "é\x1b[0m\r\n北".encode():
            stream.write(bytes([byte]))
        stream.write(b"\xff\xc3")

    assert terminal.getvalue().decode() in {"é␛[0m\n北\ufffd\ufffd", "é␛[0m␍\n北\ufffd\ufffd"}


def test_bars() -> None:
    """The greatest value fills all lines, nothing is nothing, and little is seen."""
    assert bars([0, 8, 16, 0.01], 2) == ["  █ ", " ██▁"]
    assert bars([], 2) == ["", ""]
    assert bars([0, 0], 1) == ["  "]
    assert bars([4, 4], 2, [8, 4]) == ["░ ", "██"]


def day(number: int, count: int = 1, p95: float = 10.0) -> DailyResponseTimes:
    return DailyResponseTimes(
        day=date(2026, 1, 1) + timedelta(days=number), count=count, p50_ms=p95 / 2, p95_ms=p95
    )


def test_columns_of_days() -> None:
    """Days without exchanges have a column, too."""
    columns, width = columns_of([day(0), day(3, 5)], 10)

    assert (width, [each.count for each in columns]) == (1, [1, 0, 0, 5])
    assert columns_of([], 10) == ([], 1)


def test_columns_of_many_days() -> None:
    """Counts are added up, and response times are those of the slowest day."""
    columns, width = columns_of([day(number, 1, float(number)) for number in range(365)], 100)

    assert (width, len(columns), sum(each.count for each in columns)) == (4, 92, 365)
    assert columns[0].p95_ms == 3.0


def test_times_for_people() -> None:
    """As short as it can be understood."""
    assert short_time(NOON, NOON + timedelta(hours=1)) == f"{NOON.astimezone():%H:%M}"
    assert short_time(NOON, NOON + timedelta(days=400)) == "23 Nov 2026"
    assert short_time(NOON, NOON + timedelta(days=4)).startswith("23 Nov ")
    assert [duration_ms(each) for each in (None, 3, 999.4, 1250, 150_000)] == [
        "-",
        "3 ms",
        "999 ms",
        "1.2 s",
        "2.5 min",
    ]
    assert [span(each) for each in (59, 60, 7200, 86_400)] == ["59 seconds", "1 minute", "2 hours", "1 day"]
    assert [size(each) for each in (999, 1500, 2_500_000, 10**13)] == [
        "999 bytes",
        "1.5 kB",
        "2.5 MB",
        "10.0 TB",
    ]


@pytest.mark.parametrize("year", [1, 9999])
def test_times_at_the_ends_of_the_calendar(year: int) -> None:
    """They are shown, whatever the time zone is."""
    assert short_time(datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, tzinfo=UTC), NOON)


def exchange(number: int, minutes: float, asked: str = "?", parent: int | None = None) -> ConversationMessage:
    return ConversationMessage(
        "c", asked, "!", NOON + timedelta(minutes=minutes), 1.0, number, parent_id=parent
    )


def test_notes_of_a_chat() -> None:
    """A new day, a silence, and branches, where they are."""
    notes = list(
        noted(
            [
                exchange(1, 0),
                exchange(2, 4, parent=1),
                exchange(3, 5, parent=1),
                exchange(4, 60 * 24, "!?", 1),
            ]
        )
    )

    assert [bool(each.day) for each in notes] == [True, False, False, True]
    assert [each.silence for each in notes] == ["", "", "", "23 hours later"]
    assert [each.branch for each in notes] == [
        "",
        "",
        "after #1, another answer",
        "after #1, asked differently",
    ]
    assert [each.branch for each in noted([exchange(9, 0, parent=2)])] == ["after #2"]
