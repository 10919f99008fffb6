"""Any JSON document, small or large, of this unit or of another program, is read as it was written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.data import DataUnitConfig, DataUnitFile

SLICED_BYTES = 300_000
"""Documents above this size are written and read in slices."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.text(alphabet='[]{},:"\n\\0', max_size=8)
)
keys = st.text(max_size=10) | st.text(alphabet='[]{},:"\n\\0', max_size=4)
documents = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=20) | st.dictionaries(keys, children, max_size=20),
    max_leaves=60,
)
few = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=80)


async def round_trip(value: Any, encoding: str = "utf-8") -> Any:
    """Return what a unit reads from the file to which another one has written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "value.json"
        config = DataUnitConfig(data_type="file", durability="os", encoding=encoding)
        async with DataUnitFile(path, config) as unit:
            await unit.set(value)
        assert repr(value) == repr(json.loads(path.read_text(encoding=encoding)))
        async with DataUnitFile(path, config) as unit:
            return await unit.get()


async def read(text: str) -> Any:
    """Return what a unit reads from a file that another program wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "value.json"
        path.write_text(text, encoding="utf-8", newline="")
        async with DataUnitFile(path) as unit:
            return await unit.get()


def enlarge(value: Any, shape: str) -> Any:
    """Build a large document out of a small one."""
    count = SLICED_BYTES // len(json.dumps(value)) + 2
    match shape:
        case "list":
            return [value] * count
        case "dict":
            return {f"{number}{'['}": value for number in range(count)}
        case "deep":
            return {"a": {"b": [{"c": [value] * count}, value]}, "d": [[value] * count]}
        case "list of lists":
            return [[value] * 30 for _ in range(count // 30 + 1)]
        case "text":
            return {"a": [value, "x" * SLICED_BYTES, value]}
        case "small beside large":
            return [value, {"large": [value] * count, "empty": {}, "none": []}, [], value]
        case _:
            raise AssertionError(shape)


SHAPES = ["list", "dict", "deep", "list of lists", "text", "small beside large"]


@many
@given(value=documents)
async def test_any_document(value: Any) -> None:
    """What was set is what is read, type for type, in order, to the last digit."""
    assert repr(value) == repr(await round_trip(value))


@few
@given(value=documents, encoding=st.sampled_from(["utf-16", "latin-1", "ascii", "gb18030"]))
async def test_any_document_in_any_encoding(value: Any, encoding: str) -> None:
    """The same holds in encodings that lack some of the characters."""
    assert repr(value) == repr(await round_trip(value, encoding))


@pytest.mark.slow
@few
@given(value=documents, shape=st.sampled_from(SHAPES))
async def test_any_large_document(value: Any, shape: str) -> None:
    """The same holds for documents that are written and read in slices."""
    large = enlarge(value, shape)

    assert large == await round_trip(large)


@many
@given(value=documents, indent=st.sampled_from([None, 0, 1, 2, "\t"]), ascii_only=st.booleans())
async def test_any_document_of_another_program(
    value: Any, indent: int | str | None, ascii_only: bool
) -> None:
    """However another program lays a document out, it is read as it is."""
    assert repr(value) == repr(await read(json.dumps(value, indent=indent, ensure_ascii=ascii_only)))


@pytest.mark.slow
@few
@given(value=documents, shape=st.sampled_from(SHAPES), indent=st.sampled_from([None, 0, 2, "\t"]))
async def test_any_large_document_of_another_program(
    value: Any, shape: str, indent: int | str | None
) -> None:
    """The same holds for large ones, whose lines may look like those of this unit."""
    large = enlarge(value, shape)

    assert large == await read(json.dumps(large, indent=indent))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n", "\n \t"])
@pytest.mark.parametrize("items", [1, 40_000])
async def test_documents_laid_out_by_hand(line_end: str, items: int) -> None:
    """Lines may be broken wherever JSON allows white space."""
    rows = [f'{{{line_end}"number"{line_end}:{line_end}{number}}}' for number in range(items)]
    text = f"{line_end}[{line_end}" + f"{line_end},{line_end}".join(rows) + f"{line_end}]{line_end}"

    assert [{"number": number} for number in range(items)] == await read(text)


async def test_a_key_that_comes_twice() -> None:
    """Of a key that another program wrote twice the last value counts, in large documents too."""
    members = ",\n".join(f'"{number % 30_000}": {number}' for number in range(60_000))

    assert {str(number): number + 30_000 for number in range(30_000)} == await read(f"{{\n{members}\n}}")


@pytest.mark.parametrize("cut", [1, 2, 3, 100, 100_000, 299_999])
async def test_a_large_document_that_is_torn(cut: int, tmp_path: Path) -> None:
    """A large document of which the end is missing is never taken for a smaller one."""
    path = tmp_path / "value.json"
    async with DataUnitFile(path) as unit:
        await unit.set("small")
        await unit.set([{"number": number} for number in range(30_000)])
    content = path.read_bytes()
    assert len(content) > SLICED_BYTES
    path.write_bytes(content[:-cut])

    async with DataUnitFile(path) as unit:
        assert await unit.get() == "small"


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_large_document_of_which_a_line_is_missing(shape: str, tmp_path: Path) -> None:
    """Whichever single line is lost, what is left is refused, or is a document by the rules of JSON."""
    path = tmp_path / "value.json"
    value = enlarge([{"a": 1}], shape)
    async with DataUnitFile(path, DataUnitConfig(data_type="file", durability="os")) as unit:
        await unit.set("small")
        await unit.set(value)
        lines = path.read_bytes().splitlines(keepends=True)
        for missing in sorted(
            {0, 1, len(lines) // 2, len(lines) - 2, len(lines) - 1} & set(range(len(lines)))
        ):
            content = b"".join(lines[:missing] + lines[missing + 1 :])
            path.with_name("other").write_bytes(content)
            path.with_name("other").replace(path)
            try:
                expected = json.loads(content)
            except ValueError:
                expected = value
            assert await unit.get() in (expected, value)
            await unit.set(value)
