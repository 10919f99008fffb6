"""Reading bytes in a format, as an import does, and finding again what they told."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from library.infrastructure.data import ExportFormat, ImportLimits
from library.infrastructure.data.formats.record_format import Fault, Found, ReadOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES
from library.infrastructure.data.formats.registry import reader_class
from library.infrastructure.data.formats.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator


class ForeignFiles:
    """Reads files of other programs, given as bytes, as text, or as what they are to hold as JSON."""

    def found(self, name: str, content: Any, **limits: int) -> list[Found]:
        """Return all that a reader gives."""
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        with closing(Source(io.BytesIO(content), ImportLimits(**limits))) as source:
            return self.found_in(name, source)

    def found_in(self, name: str, source: Source) -> list[Found]:
        """Return all that a reader gives of a source."""
        kind = reader_class(ExportFormat(name), EXCHANGES.name)
        with closing(kind(source, EXCHANGES, ReadOptions())) as reader:
            return list(reader)

    def exchanges(self, name: str, content: Any, **limits: int) -> list[dict[str, Any]]:
        """Return the values of all exchanges of a file in which nothing is wrong."""
        found = [values for _, values in self.found(name, content, **limits)]
        faults = [each for each in found if isinstance(each, Fault)]
        assert [] == faults
        return [values for values in found if isinstance(values, dict)]

    def texts(self, name: str, content: Any) -> list[tuple[str, str]]:
        """Return what user and agent said in each exchange."""
        return [(each["user_input"], each["agent_response"]) for each in self.exchanges(name, content)]

    def missing(self, content: Any, exchanges: list[dict[str, Any]]) -> list[Any]:
        """Return the values of a JSON document that occur in no exchange."""
        told = {_plain(leaf) for leaf in _leaves(exchanges)}
        return [leaf for leaf in _leaves(content) if _plain(leaf) not in told]


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value


def _plain(leaf: Any) -> tuple[str, Any]:
    """Tell `True` and 1 apart, which are equal."""
    return type(leaf).__name__, leaf


@pytest.fixture(scope="session")
def foreign() -> ForeignFiles:
    """Read files of other programs."""
    return ForeignFiles()
