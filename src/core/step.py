"""`Step`: one step of a workflow, which reads data units, processes, and writes data units."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from library.infrastructure.data import DataUnitBase, DataUnitError, InvalidOptionError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Step", "StepConfig", "StepError", "StepStats"]

logger = logging.getLogger(__name__)


class StepConfig(BaseModel):
    """The options of a step: frozen, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=1000)
    """What the step is called in logs and errors."""
    description: str = ""
    """What it does, for people."""
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How long one execution may take, in seconds; `None`: as long as it likes."""


class StepError(DataUnitError):
    """A step failed; the cause is chained."""

    step_name: str
    """The name of the step."""
    duration_ms: float
    """How long the step had run, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStats:
    """What a step has counted since it was made."""

    executions: int
    """Executions that ended, failed ones included, but not those that were cancelled."""
    failures: int
    """Those that raised."""
    total_ms: float
    """Time spent in all of them, in milliseconds."""
    last_ms: float
    """Time spent in the last one, in milliseconds."""


class Step(ABC):
    """One step of a workflow: write `process`, call `execute`.

    `async with step:` opens those of the data units among the step's attributes that are not open yet, and
    shuts these down at the end; units that were open stay open.

    """

    def __init__(self, config: StepConfig) -> None:
        """Take the options.

        Raises:
            InvalidOptionError: `config` is not a `StepConfig`.

        """
        if not isinstance(config, StepConfig):
            message = f"config of {type(self).__name__} must be a StepConfig, not {type(config).__name__}"
            raise InvalidOptionError(message, option="config")
        self.config = config
        self._opened = AsyncExitStack()
        self._stats = StepStats(executions=0, failures=0, total_ms=0.0, last_ms=0.0)

    @property
    def name(self) -> str:
        """What the step is called in logs and errors."""
        return self.config.name

    @property
    def stats(self) -> StepStats:
        """What the step has counted."""
        return self._stats

    @abstractmethod
    async def process(self, inputs: Any) -> Any:
        """Do the work of the step; called by `execute`, with its `inputs`."""

    def transform(self, data: Any) -> Any:
        """Turn what was read into what is written; as it is, returns `data`.

        A hook for steps whose `process` only reads, transforms and writes.
        """
        return data

    async def execute(self, inputs: Any = None) -> Any:
        """Run `process` once.

        Args:
            inputs: handed to `process`.

        Returns:
            What `process` returned.

        Raises:
            StepError: `process` raised, or took longer than `timeout_s`; names the step, and has the cause.

        """
        logger.debug("step %s begins", self.name)
        started = time.perf_counter()
        limit = asyncio.timeout(self.config.timeout_s)
        try:
            async with limit:
                result = await self.process(inputs)
        except Exception as error:
            elapsed_ms = (time.perf_counter() - started) * 1000
            self._count(elapsed_ms, failed=True)
            reason = f"{type(error).__name__}: {error}"
            if limit.expired():
                reason = f"it takes longer than timeout_s, {self.config.timeout_s:g} s"
            message = f"step {self.name!r} failed after {elapsed_ms:.0f} ms: {reason}"
            raise StepError(message, step_name=self.name, duration_ms=elapsed_ms) from error
        elapsed_ms = (time.perf_counter() - started) * 1000
        self._count(elapsed_ms, failed=False)
        logger.debug("step %s took %.1f ms", self.name, elapsed_ms, extra={"duration_ms": elapsed_ms})
        return result

    def _count(self, elapsed_ms: float, *, failed: bool) -> None:
        former = self._stats
        self._stats = StepStats(
            executions=former.executions + 1,
            failures=former.failures + failed,
            total_ms=former.total_ms + elapsed_ms,
            last_ms=elapsed_ms,
        )

    async def initialize(self) -> None:
        """Open the data units among the step's attributes that are not open.

        Raises:
            DataUnitError: a unit could not be opened; those that this call opened are closed again.

        """
        async with AsyncExitStack() as opened:
            for unit in vars(self).values():
                if isinstance(unit, DataUnitBase) and not unit.is_open:
                    await opened.enter_async_context(unit)
            opened.push_async_exit(self._opened.pop_all())
            self._opened = opened.pop_all()

    async def shutdown(self) -> None:
        """Shut down the data units that `initialize` opened, the last one first."""
        await self._opened.pop_all().aclose()

    async def __aenter__(self) -> Self:
        """Open the step."""
        await self.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut the step down."""
        await self.shutdown()
