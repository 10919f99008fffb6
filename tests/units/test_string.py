"""String units in memory: appending, and reading the whole text or parts of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library.infrastructure.data import (
    EMPTY,
    DataUnitConfig,
    DataUnitString,
    HistoryGapError,
    InvalidOptionError,
    InvalidValueError,
    TextPart,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Future

texts = st.lists(st.text(max_size=12) | st.text(alphabet="aé€😀\n", max_size=12), max_size=30)


@pytest.fixture
async def unit() -> AsyncIterator[DataUnitString]:
    """An open, empty unit."""
    async with DataUnitString() as unit:
        yield unit


@settings(deadline=None)
@given(parts=texts)
async def test_what_was_appended_is_there(parts: list[str]) -> None:
    """The text is all pieces in a row, each a version; `since` has brought each of them."""
    async with DataUnitString() as unit:
        offset = 0
        for version, part in enumerate(parts, 1):
            assert version == await unit.append(part)
            text, offset = await unit.since(offset)
            assert part == text or (offset == 0 and text == "")

        assert "".join(parts) == await unit.get("")
        assert len("".join(parts).encode()) == offset == (await unit.stats()).bytes


@settings(deadline=None)
@given(parts=texts, lines=st.integers(0, 12))
async def test_the_last_lines(parts: list[str], lines: int) -> None:
    """`tail(n)` is the last n lines with their ends; only a line feed ends a line."""
    async with DataUnitString() as unit:
        for part in parts:
            await unit.append(part)

        text = "".join(parts)
        split = [f"{line}\n" for line in text.split("\n")]
        split[-1] = split[-1][:-1]
        whole = split if split[-1] else split[:-1]
        assert "".join(whole[len(whole) - min(lines, len(whole)) :]) == await unit.tail(lines)


change_names = st.sampled_from(["append", "set", "clear"])


@settings(deadline=None)
@given(changes=st.lists(st.tuples(change_names, st.text(max_size=5)), max_size=20))
async def test_following_a_text(changes: list[tuple[str, str]]) -> None:
    """Whoever follows with `since` and heeds the gaps has the text as it is, whatever was done to it."""
    async with DataUnitString() as unit:
        mine, offset = "", 0
        for change, text in changes:
            match change:
                case "append":
                    await unit.append(text)
                case "set":
                    await unit.set(text)
                case _:
                    await unit.clear()
            try:
                part = await unit.since(offset)
                mine = part.text if offset == 0 else mine + part.text
            except HistoryGapError as gap:
                part = await unit.since(gap.oldest)
                mine = part.text
            offset = part.offset
            assert await unit.get("") == mine


async def test_offsets_count_bytes(unit: DataUnitString) -> None:
    """An offset that no `since` returned is refused; those it returned are the ends of what was there."""
    await unit.append("aé€😀")
    assert TextPart("aé€😀", 10) == await unit.since(0)
    assert TextPart("", 10) == await unit.since(10)
    for within in (2, 4, 5, 7, 8, 9, 11, -1, True):
        with pytest.raises(InvalidOptionError) as caught:
            await unit.since(within)  # type: ignore[arg-type]
        assert caught.value.option == "offset"
    await unit.append("x")
    assert TextPart("x", 11) == await unit.since(10)


@pytest.mark.parametrize("offset", ["1", None, [], 1j])
async def test_an_offset_that_is_no_number(offset: Any, unit: DataUnitString) -> None:
    """What is no number at all is refused in the same way."""
    with pytest.raises(InvalidOptionError):
        await unit.since(offset)


@pytest.mark.parametrize("change", ["set", "update", "clear"])
async def test_a_gap_after_a_replacement(change: str, unit: DataUnitString) -> None:
    """After the text was replaced, an offset into the former one is a gap that tells where to go on."""
    await unit.append("former ")
    await unit.append("text")
    match change:
        case "set":
            await unit.set("new")
        case "update":
            await unit.update(lambda _: "new")
        case _:
            await unit.clear()
            await unit.append("new")

    for since in (1, 7):
        with pytest.raises(HistoryGapError) as caught:
            await unit.since(since)
        assert since == caught.value.since
    part = await unit.since(caught.value.oldest)
    assert part.text == "new"
    assert part == await unit.since(0)
    assert TextPart("", part.offset) == await unit.since(part.offset)


@pytest.mark.parametrize("change", ["set", "update", "clear"])
async def test_a_gap_for_one_who_knew_all(change: str, unit: DataUnitString) -> None:
    """Whoever had read the whole former text is told, too, that another one has begun."""
    await unit.append("former text")
    _, offset = await unit.since(0)
    match change:
        case "set":
            await unit.set("new")
        case "update":
            await unit.update(lambda _: "new")
        case _:
            await unit.clear()

    with pytest.raises(HistoryGapError):
        await unit.since(offset)


async def test_an_empty_unit(unit: DataUnitString) -> None:
    """A unit without text has no lines and nothing new; an empty text is a value."""
    assert await unit.tail() == ""
    assert TextPart("", 0) == await unit.since(0)
    assert not await unit.exists()
    assert await unit.append("") == 1
    assert await unit.exists()
    assert await unit.get() == ""


@pytest.mark.parametrize("lines", [-1, True, 1.5, "1", None])
async def test_a_number_of_lines_that_is_none(lines: Any, unit: DataUnitString) -> None:
    """`tail` takes whole numbers from 0 up."""
    with pytest.raises(InvalidOptionError) as caught:
        await unit.tail(lines)
    assert caught.value.option == "lines"


@pytest.mark.parametrize("value", ["a\ud800b", "\udfff", b"bytes", None, 17, ["text"]])
async def test_what_is_no_text(value: Any, unit: DataUnitString) -> None:
    """Lone surrogates, and what is no text, are refused; the text stays."""
    await unit.append("text")
    for call in (unit.append(value), unit.set(value), unit.update(lambda _: value)):
        with pytest.raises(InvalidValueError):
            await call
    assert (await unit.entry())[:2] == ("text", 1)


@pytest.mark.parametrize("text", ["\0\x01\x7f", "\r\n\r", "é", "\u2028\ufeff\U0010ffff", "日本語 😀" * 1000])
async def test_any_text_comes_back(text: str, unit: DataUnitString) -> None:
    """Text comes back bit for bit: control characters, line ends, combining characters."""
    await unit.append(text)
    await unit.append(text)
    assert text + text == await unit.get()
    await unit.set(text)
    assert text == await unit.get()


async def test_update(unit: DataUnitString) -> None:
    """`update` takes the text, or `None`, and returns the new one."""
    assert await unit.update(lambda text: f"{text} first") == "None first"
    assert await unit.update(str.upper) == "NONE FIRST"
    await unit.append("!")
    assert (await unit.entry())[:2] == ("NONE FIRST!", 3)


async def test_appends_wait_for_an_update(unit: DataUnitString) -> None:
    """What is appended while an update is at work comes after it."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly(_: str | None) -> str:
        begun.set()
        await go.wait()
        return "updated"

    update = asyncio.create_task(unit.update(slowly))
    await begun.wait()
    appends = [asyncio.create_task(unit.append(str(number))) for number in range(3)]
    await asyncio.sleep(0)
    go.set()

    assert await asyncio.gather(update, *appends) == ["updated", 2, 3, 4]
    assert await unit.get() == "updated012"


async def test_watch(unit: DataUnitString) -> None:
    """A watcher sees the newest text, and that there is none any more."""
    changes = unit.watch()
    await unit.append("a")
    assert (await anext(changes))[:2] == ("a", 1)
    await unit.append("b")
    await unit.append("c")
    assert (await anext(changes))[:2] == ("abc", 3)
    waiting = asyncio.create_task(anext(changes))
    await asyncio.sleep(0)
    await unit.clear()
    assert (await waiting)[:2] == (EMPTY, 4)
    await changes.aclose()


async def test_threads_append(unit: DataUnitString, in_thread: Callable[..., Future[Any]]) -> None:
    """Pieces that several threads append come whole, each thread's in its order."""

    async def append(thread: int) -> None:
        for number in range(500):
            await unit.append(f"{thread} {number} €\n")

    threads = [in_thread(lambda thread=thread: asyncio.run(append(thread))) for thread in range(4)]
    await asyncio.gather(*map(asyncio.wrap_future, threads))

    lines = (await unit.get()).splitlines()
    assert (await unit.entry()).version == len(lines) == 2000
    for thread in range(4):
        assert [f"{thread} {number} €" for number in range(500)] == [x for x in lines if x[0] == str(thread)]


async def test_the_initial_text() -> None:
    """It is given to the unit or to its config; an empty one leaves the choice to the config."""
    config = DataUnitConfig(data_type="string", initial_value="begin\n")
    for unit in (DataUnitString("begin\n"), DataUnitString("", config), DataUnitString("begin\n", config)):
        async with unit:
            assert (await unit.entry())[:2] == ("begin\n", 1)
    async with DataUnitString("") as unit:
        assert await unit.get() == ""
    for initial in ("other", 17, b"begin\n"):
        with pytest.raises(InvalidOptionError):
            DataUnitString(initial, config)  # type: ignore[arg-type]


async def test_an_initial_text_with_a_lone_surrogate() -> None:
    """It is refused when the unit is built."""
    with pytest.raises(InvalidValueError):
        DataUnitString("\ud800")


async def test_opened_again() -> None:
    """A unit in memory begins anew; its versions and offsets go on."""
    unit = DataUnitString("begin")
    async with unit:
        await unit.append(" and more")
        version = (await unit.entry()).version
    async with unit:
        assert await unit.get() == "begin"
        assert (await unit.entry()).version > version
        with pytest.raises(HistoryGapError) as caught:
            await unit.since(3)
        assert (await unit.since(caught.value.oldest)).text == "begin"
