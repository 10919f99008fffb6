"""What a file unit can hold, and how it refuses what it cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import uuid
from collections import OrderedDict, namedtuple
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import DataUnitConfig, DataUnitFile, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAN = float("nan")
TEXT = 'ä€😀 日本語 \0\n\r\t\x7f "\\/" \u2028 \ufeff é'


@pytest.fixture
async def unit(tmp_path: Path) -> AsyncIterator[DataUnitFile]:
    """An open unit on a new file, `value.json`."""
    async with DataUnitFile(tmp_path / "value.json") as unit:
        yield unit


async def round_trip(unit: DataUnitFile, value: Any) -> Any:
    """Set a value; return what another unit reads from the file."""
    await unit.set(value)
    async with DataUnitFile(unit.file_path, unit.config) as other:
        found = await other.get()
    assert repr(found) == repr(await unit.get())
    return found


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
        -(2**63),
        -(2**63) - 1,
        10**300,
        -(10**40),
        0.1,
        -0.0,
        1.0,
        1e308,
        5e-324,
        1.7976931348623157e308,
        0.30000000000000004,
        1e22,
        1e-7,
        12345678901234567890.0,
        "",
        TEXT,
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "1" * 100,
        [],
        {},
        [[]],
        {"": {}},
        {"a": [1, 2.0, "3", None, True, {"b": []}]},
        [10**30, 0.1, "10000000000000000000000"],
        {"10000000000000000000000": 2**70},
        {TEXT: [TEXT]},
    ],
    ids=repr,
)
async def test_values_come_back_exactly(value: Any, unit: DataUnitFile) -> None:
    """Text bit for bit, integers of any size, floats to the last digit, with their types."""
    assert repr(value) == repr(await round_trip(unit, value))


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the old form is in use, too


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Pair(1, [2]), [1, [2]]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Colour.RED, "red"),
        ({"level": Level.HIGH}, {"level": 3}),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
    ids=repr,
)
async def test_values_come_back_as_json_has_them(value: Any, expected: Any, unit: DataUnitFile) -> None:
    """Tuples come back as lists, members of enumerations and UUIDs as what JSON has for them."""
    assert expected == await round_trip(unit, value)


@pytest.mark.parametrize(("other", "expected"), [(2**70, 2**70), (Pair(1, 2), [1, 2])], ids=["int", "tuple"])
async def test_all_that_is_held_alone_is_held_together(other: Any, expected: Any, unit: DataUnitFile) -> None:
    """What can be held is not a matter of what stands beside it."""
    assert ["red", expected] == await round_trip(unit, [Colour.RED, other])


@dataclasses.dataclass
class Record:
    """An object of the user's own."""

    name: str = "x"


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        (NAN, "$", "nan"),
        (float("inf"), "$", "inf"),
        ({"b": -float("inf")}, "$['b']", "-inf"),
        ({"a": {1, 2}}, "$['a']", "set"),
        ([b"bytes"], "$[0]", "bytes"),
        ([1, (2, object())], "$[1][1]", "object"),
        ({"when": datetime(2026, 1, 1)}, "$['when']", "datetime"),
        ({"day": date(2026, 1, 1)}, "$['day']", "date"),
        ({"price": Decimal("1.1")}, "$['price']", "Decimal"),
        ({"record": Record()}, "$['record']", "Record"),
        ([1j], "$[0]", "complex"),
        ({"text": "a\ud800"}, "$['text']", "surrogate"),
        ({"\udfff": 1}, "$", "\\udfff"),
        ({"a": {1: 2}}, "$['a']", "1"),
        ({(1, 2): 2}, "$", "(1, 2)"),
        ({"a": [{True: 2}]}, "$['a'][0]", "True"),
        ([2**70, NAN], "$[1]", "nan"),
        ([None, NAN], "$[1]", "nan"),
        ({"big": [*range(1000), {"x": {1}}]}, "$['big'][1000]['x']", "set"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_json_cannot_hold(value: Any, place: str, what: str, unit: DataUnitFile) -> None:
    """It is refused by an error that names the place and the object; the former value stays."""
    await unit.set("former")
    with pytest.raises(InvalidValueError) as caught:
        await unit.set(value)

    assert what in str(caught.value)
    assert place in str(caught.value)
    assert (await unit.entry())[:2] == ("former", 1)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {"b": NAN}]}, "$['a'][1]['b']"),
        ([*range(50_000), NAN], "$[50000]"),
        ({"big": [*range(1000), {"x": NAN}]}, "$['big'][1000]['x']"),
    ],
    ids=["members", "slices", "both"],
)
async def test_the_place_of_nan(value: Any, place: str, unit: DataUnitFile) -> None:
    """The place that an error names is the one in the value as it was given."""
    with pytest.raises(InvalidValueError) as caught:
        await unit.set(value)

    assert place in str(caught.value)


async def test_none_is_no_key(unit: DataUnitFile) -> None:
    """JSON has no key `null`: it is refused like any other key that is not text."""
    with pytest.raises(InvalidValueError):
        await unit.set({None: 2})


async def test_nan_in_disguise(unit: DataUnitFile) -> None:
    """A member of an enumeration that stands for NaN is refused like NaN itself."""
    with pytest.raises(InvalidValueError):
        await unit.set(enum.Enum("Odd", {"NOTHING": NAN}).NOTHING)


def nested(depth: int, *, in_dicts: bool = False) -> Any:
    """Build containers of which each holds the next."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if in_dicts else [value]
    return value


@pytest.mark.parametrize("in_dicts", [True, False])
@pytest.mark.parametrize("depth", [1, 50, 200, 250])
async def test_nesting(depth: int, in_dicts: bool, unit: DataUnitFile) -> None:
    """Two hundred and fifty levels deep is fine, and what can be written can be read."""
    for value in (nested(depth, in_dicts=in_dicts), [nested(depth, in_dicts=in_dicts), 2**70]):
        assert value == await round_trip(unit, value)


@pytest.mark.parametrize("depth", range(251, 262))
async def test_at_the_limit_of_nesting(depth: int, unit: DataUnitFile) -> None:
    """What is written can be read; what would not be is refused."""
    for value in (nested(depth), [2**70, nested(depth)], [None, nested(depth)]):
        try:
            await unit.set(value)
        except InvalidValueError:
            continue
        assert value == await round_trip(unit, value)


@pytest.mark.parametrize("depth", [300, 2_000, 100_000])
@pytest.mark.parametrize("in_dicts", [True, False])
async def test_nesting_without_end(depth: int, in_dicts: bool, unit: DataUnitFile) -> None:
    """What is nested too deeply is refused, and so is what holds itself."""
    itself: list[Any] = []
    itself.append({"itself": itself})
    for value in (nested(depth, in_dicts=in_dicts), [2**70, nested(depth, in_dicts=in_dicts)], itself):
        with pytest.raises(InvalidValueError, match="nested"):
            await unit.set(value)
    assert not await unit.exists()


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-32",
        "utf-7",
        "latin-1",
        "ascii",
        "cp1252",
        "koi8-r",
        "gb18030",
        "euc-kr",
        "big5",
        "iso2022_jp",
        "cp037",
    ],
)
async def test_encodings(encoding: str, tmp_path: Path) -> None:
    """Any text is kept in any encoding: what it lacks is written as JSON escapes."""
    path = tmp_path / "value.json"
    value = {TEXT: [TEXT, 10**30, "~\\", {"é": "Привет"}], "large": ["ä€" * 10] * 20_000}
    async with DataUnitFile(path, DataUnitConfig(data_type="file", encoding=encoding)) as unit:
        for _ in range(2):
            assert value == await round_trip(unit, value)

    assert value == json.loads(path.read_bytes().decode(encoding))


@pytest.mark.parametrize(
    "encoding",
    [
        "idna",
        "punycode",
        "utf_16_be",
        "unicode_escape",
        "raw_unicode_escape",
        "shift_jis",
        "cp950",
    ],
)
async def test_odd_encodings(encoding: str, tmp_path: Path) -> None:
    """What a codec would not bring back as it was is written as escapes, or refused before it is written."""
    path = tmp_path / "value.json"
    try:
        config = DataUnitConfig(data_type="file", encoding=encoding)
    except ValueError:
        return
    async with DataUnitFile(path, config) as unit:
        for value in ("ABC", {"a": "ÄB", "C": [1, 2, 3]}, TEXT, ["\\u00e9", "\\"], "¥", "‾¥\\", "¢£•ㅤ"):
            try:
                await unit.set(value)
            except InvalidValueError:
                continue
            assert value == await unit.get()


async def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    """A file that another program wrote in the encoding of the config is read."""
    path = tmp_path / "value.json"
    path.write_text('{"name": "Zoë"}', encoding="latin-1")
    async with DataUnitFile(path, DataUnitConfig(data_type="file", encoding="latin-1")) as unit:
        assert await unit.get() == {"name": "Zoë"}
        await unit.set({"name": "Zoë €"})
    assert json.loads(path.read_text(encoding="latin-1")) == {"name": "Zoë €"}


async def test_a_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark, as some editors leave it, is passed over."""
    path = tmp_path / "value.json"
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    async with DataUnitFile(path) as unit:
        assert await unit.get() == {"a": 1}


@pytest.mark.parametrize("size", [10, 100_000])
async def test_changing_a_value_while_it_is_written(size: int, unit: DataUnitFile) -> None:
    """Whatever a caller does to a dict that it gave to `set`, the `set` of somebody else does not fail."""
    given = {str(number): number for number in range(size)}
    for _ in range(5):
        mine = asyncio.create_task(unit.set(given))
        theirs = asyncio.create_task(unit.set("theirs"))
        extra = 0
        while not theirs.done():
            await asyncio.sleep(0)
            extra += 1
            given[f"extra {extra}"] = extra
        answers = await asyncio.gather(mine, theirs, return_exceptions=True)

        assert isinstance(answers[1], int)
        assert isinstance(answers[0], int | InvalidValueError)
        for number in range(1, extra + 1):
            del given[f"extra {number}"]
