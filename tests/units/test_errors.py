"""The errors: one tree, with texts that help, whole on either side of a process border."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from library.infrastructure import data
from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    Entry,
    InvalidOptionError,
    VersionConflictError,
    errors,
)

ALL = [value for value in vars(data).values() if inspect.isclass(value) and issubclass(value, BaseException)]


def test_there_is_one_tree() -> None:
    """Every public error is a `DataUnitError`, and every error of the module is public."""
    assert len(ALL) > 10
    assert [] == [error for error in ALL if not issubclass(error, DataUnitError)]
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and name.endswith("Error")
    }
    assert {error.__name__ for error in ALL} == defined


def test_the_tree_is_drawn() -> None:
    """The module's text shows each error below its parent."""
    parents: dict[int, str] = {}
    drawn: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"(    )([ │├└─]*)(\w+Error)\b", line):
            depth = len(match[2])
            parents[depth] = match[3]
            drawn[match[3]] = parents.get(depth - 4, "Exception")

    expected = {error.__name__: error.__mro__[1].__name__ for error in ALL}
    assert expected == drawn


@pytest.mark.parametrize("error", ALL)
def test_the_docstring_is_the_default_message(error: type[DataUnitError]) -> None:
    """An error that is raised without a message has a sentence to say."""
    message = str(error())

    assert inspect.getdoc(error) == message
    assert re.match(r"[A-Z].{20,}\.$", message, re.DOTALL)


@pytest.mark.parametrize("error", ALL)
def test_each_survives_pickling(error: type[DataUnitError]) -> None:
    """Type, message and details arrive; a message of one's own and the default alike."""
    entry = Entry({"a": 1}, 3, datetime.now(UTC))
    for original in (error(), error("it failed: retry", path="/tmp/x", current=entry, missed=3)):
        copy = pickle.loads(pickle.dumps(original))

        assert type(original) is type(copy)
        assert str(original) == str(copy)
        assert vars(original) == vars(copy)


def test_what_units_raise_survives_pickling() -> None:
    """Errors as units raise them, with their details, among them those of nested updates."""

    async def collect() -> list[DataUnitError]:
        unit = DataUnitMemory()
        found = [await raised(unit.get())]
        async with unit, DataUnitStream() as stream:
            found += [
                await raised(unit.set(1, if_version=7)),
                await raised(unit.set(data.EMPTY)),
                await raised(unit.update(lambda _: unit.get())),
                await raised(unit.get_item([])),  # type: ignore[arg-type]  # that is the test
                await raised(stream.subscribe(since=5)),
            ]
            subscription = await stream.subscribe(queue_size=1)
            await stream.publish_many([1, 2, 3])
            found.append(await raised(subscription.get()))
        found.append(await raised(unit.get()))
        return found

    for original in asyncio.run(collect()):
        copy = pickle.loads(pickle.dumps(original))

        assert (type(original), str(original), vars(original)) == (type(copy), str(copy), vars(copy))


async def raised(call: Any) -> DataUnitError:
    with pytest.raises(DataUnitError) as caught:
        await call
    return caught.value


def test_a_conflict_says_all() -> None:
    """The message names the unit and both versions, and says what to do; the entry is at hand."""
    entry = Entry("value", 3, datetime.now(UTC))

    error = VersionConflictError.between("cart", 2, entry)

    assert (2, entry) == (error.expected, error.current)
    assert re.search(r"cart.*\b3\b.*\b2\b.*retry", str(error))


@pytest.mark.parametrize("unit", [DataUnitMemory, DataUnitStream, DataUnitString, DataUnitFile])
def test_a_config_of_another_type_is_refused(unit: Any) -> None:
    """The error names the option."""
    other = "stream" if unit is DataUnitMemory else "memory"

    with pytest.raises(InvalidOptionError, match="data_type") as caught:
        unit(config=DataUnitConfig(data_type=other))
    assert "data_type" == caught.value.option

    with pytest.raises(InvalidOptionError, match="DataUnitConfig") as caught:
        unit(config={"data_type": "memory"})
    assert "config" == caught.value.option
