"""`Step`: running, counting, failing, and the data units that a step opens."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core.step import Step, StepConfig, StepError, StepStats
from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    InvalidOptionError,
    StorageError,
    UnitClosedError,
)

if TYPE_CHECKING:
    from pathlib import Path


class Reverse(Step):
    """Reads a text, transforms it, and writes it."""

    def __init__(self, config: StepConfig, source: Any = None, target: Any = None) -> None:
        super().__init__(config)
        self.source = source
        self.target = target

    async def process(self, inputs: Any) -> Any:
        if isinstance(inputs, BaseException):
            raise inputs
        if inputs == "wait":
            await asyncio.Event().wait()
        if self.source is None:
            return inputs
        result = self.transform(await self.source.get())
        await self.target.set(result)
        return result

    def transform(self, data: Any) -> Any:
        return data[::-1]


class Plain(Step):
    """Uses the hook as it is."""

    async def process(self, inputs: Any) -> Any:
        return self.transform(inputs)


def config(**options: Any) -> StepConfig:
    """Build a config."""
    return StepConfig(name="reverse", **options)


async def test_a_step_reads_transforms_and_writes() -> None:
    """`execute` returns what `process` returned, which went through the hook."""
    async with DataUnitMemory() as source, DataUnitMemory() as target:
        await source.set([1, 2, 3])

        assert await Reverse(config(), source, target).execute() == [3, 2, 1]
        assert await target.get() == [3, 2, 1]


async def test_the_hook_as_it_is() -> None:
    """Without a hook of its own a step passes the data on."""
    data = [1]

    assert await Plain(config()).execute(data) is data


async def test_what_is_counted() -> None:
    """Executions, failures and times are counted; what was handed out before does not change."""
    step = Reverse(config())
    before = step.stats
    for number in range(3):
        assert number == await step.execute(number)
    with pytest.raises(StepError):
        await step.execute(ValueError("no"))

    assert StepStats(executions=0, failures=0, total_ms=0.0, last_ms=0.0) == before
    after = step.stats
    assert (4, 1) == (after.executions, after.failures)
    assert 0 < after.last_ms < after.total_ms


async def test_concurrent_executions() -> None:
    """A step may run several times at once; each is counted."""
    step = Reverse(config())

    assert list(range(50)) == await asyncio.gather(*(step.execute(number) for number in range(50)))
    assert step.stats.executions == 50


async def test_an_error_names_the_step() -> None:
    """What `process` raises is the cause of an error that names the step and tells how long it took."""
    step = Reverse(config())
    cause = ValueError("no such thing")
    with pytest.raises(StepError) as caught:
        await step.execute(cause)

    error = caught.value
    assert isinstance(error, DataUnitError)
    assert error.__cause__ is cause
    assert error.step_name == "reverse"
    assert 0 <= error.duration_ms <= step.stats.last_ms + 1
    for part in ("'reverse'", "ValueError", "no such thing"):
        assert part in str(error)


async def test_steps_within_steps() -> None:
    """The error of an inner step is the cause of the outer one's."""
    inner = Reverse(config())

    class Outer(Step):
        async def process(self, inputs: Any) -> Any:
            return await inner.execute(inputs)

    with pytest.raises(StepError) as caught:
        await Outer(StepConfig(name="outer")).execute(KeyError("x"))
    assert isinstance(caught.value.__cause__, StepError)
    assert isinstance(caught.value.__cause__.__cause__, KeyError)
    assert "outer" in str(caught.value)


async def test_a_step_that_takes_too_long() -> None:
    """After `timeout_s` the step is stopped, and fails with a `TimeoutError` as the cause."""
    step = Reverse(config(timeout_s=0.02))
    with pytest.raises(StepError) as caught:
        await step.execute("wait")

    assert isinstance(caught.value.__cause__, TimeoutError)
    assert caught.value.duration_ms >= 20
    assert (1, 1) == (step.stats.executions, step.stats.failures)
    assert await step.execute("quick") == "quick"


async def test_a_cancelled_step() -> None:
    """A cancellation passes through as what it is, and is not counted."""
    step = Reverse(config(timeout_s=60))
    task = asyncio.create_task(step.execute("wait"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (0, 0) == (step.stats.executions, step.stats.failures)


async def test_what_is_no_error_of_the_step() -> None:
    """`SystemExit` and its like pass through."""

    class Interrupted(BaseException):
        pass

    with pytest.raises(Interrupted):
        await Reverse(config()).execute(Interrupted())


async def test_a_step_opens_what_is_closed() -> None:
    """`async with step` opens its closed units and shuts down those only."""
    mine, theirs = DataUnitMemory(), DataUnitMemory()
    async with theirs:
        async with Reverse(config(), mine, theirs) as step:
            assert mine.is_open
            await mine.set("abc")
            assert await step.execute() == "cba"
        assert not mine.is_open
        assert theirs.is_open
        assert await theirs.get() == "cba"


async def test_one_unit_under_two_names() -> None:
    """A unit that is both source and target is opened once, and shut down once."""
    unit = DataUnitString("abc")
    async with Reverse(config(), unit, unit) as step:
        assert await step.execute() == "cba"
    with pytest.raises(UnitClosedError):
        await unit.get()


async def test_opening_twice() -> None:
    """`initialize` and `shutdown` may be called twice, and again."""
    unit = DataUnitStream()
    step = Reverse(config(), unit, unit)
    for _ in range(2):
        await step.initialize()
        await step.initialize()
        assert unit.is_open
        await step.shutdown()
        await step.shutdown()
        assert not unit.is_open


async def test_a_unit_that_comes_later() -> None:
    """A unit put into the step after it was opened is opened by the next `initialize`."""
    step = Reverse(config(), DataUnitMemory())
    async with step:
        step.target = DataUnitMemory()
        await step.initialize()
        assert step.target.is_open
    assert not step.source.is_open
    assert not step.target.is_open


async def test_a_unit_that_cannot_be_opened(tmp_path: Path) -> None:
    """The units that were opened before it are shut down again, and the error is the unit's."""
    good = DataUnitMemory()
    bad = DataUnitFile(tmp_path / "missing" / "value.json")
    step = Reverse(config(), good, bad)
    with pytest.raises(StorageError):
        await step.initialize()

    assert not good.is_open
    (tmp_path / "missing").mkdir()
    async with step:
        assert good.is_open
        assert bad.is_open


async def test_an_error_within_the_block() -> None:
    """The units are shut down when the block raises."""
    unit = DataUnitMemory()
    with pytest.raises(ZeroDivisionError):
        async with Reverse(config(), unit):
            raise ZeroDivisionError
    assert not unit.is_open


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": ""},
        {"name": 17},
        {"name": "x", "timeout_s": 0},
        {"name": "x", "timeout_s": -1},
        {"name": "x", "timeout_s": float("nan")},
        {"name": "x", "timeout_s": float("inf")},
        {"name": "x", "retries": 3},
    ],
    ids=str,
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    """A config with a wrong or unknown option cannot be built."""
    with pytest.raises(ValidationError):
        StepConfig(**options)


@pytest.mark.parametrize("wrong", [None, {"name": "x"}, "x", DataUnitConfig(data_type="memory")], ids=str)
def test_something_else_than_a_config(wrong: Any) -> None:
    """A step takes a `StepConfig`, and says so."""
    with pytest.raises(InvalidOptionError) as caught:
        Reverse(wrong)
    assert caught.value.option == "config"


def test_a_config_is_frozen() -> None:
    """What a step was built with does not change."""
    with pytest.raises(ValidationError):
        config().name = "other"  # type: ignore[misc]


async def test_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Each execution is logged for who looks for it, without what it worked on."""
    caplog.set_level(logging.DEBUG, logger="core.step")
    await Reverse(config()).execute("secret")

    assert len(caplog.records) == 2
    assert all("reverse" in message and "secret" not in message for message in caplog.messages)
    assert caplog.records[-1].duration_ms > 0
