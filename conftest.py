"""Runs the Python in README.md and docs/ as tests.

Sybil finds the code blocks; what runs them is ours, because these pages await at top level.
The blocks of one page are one program: they share their names, an event loop and an empty working directory.
Blocks in other languages are only read. What all tests need of the process is here, too.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sybil import Sybil
from sybil.integration.pytest import SybilFile, SybilItem
from sybil.parsers.markdown import CodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from sybil import Example

ROOT = Path(__file__).resolve().parent
PAGE = "<page>"  # no identifier, so that it cannot meet a name of the page's own


def pytest_configure() -> None:
    """Let processes be interrupted, also where a script runs the tests in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Page:
    """The loop and the directory that the blocks of one page share."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="page-")
        self._runner = asyncio.Runner()

    def run(self, source: str, path: str, namespace: dict[str, Any]) -> None:
        """Run one block; it may await at top level, and may call `asyncio.run` when it does not."""
        code = compile(source, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.chdir(self._directory.name):
            awaitable = eval(code, namespace)  # noqa: S307 - the code is our own documentation
            if inspect.iscoroutine(awaitable):
                self._runner.run(awaitable)

    def close(self) -> None:
        """Cancel what the page left running, close its loop and remove its files."""
        with self._directory, contextlib.chdir(self._directory.name):
            self._runner.close()


class PythonBlocks(CodeBlockParser):
    """Finds the blocks marked `python`, and runs them with their line numbers in the page."""

    language = "python"

    def evaluate(self, example: Example) -> None:
        """Run one block on its page."""
        lines_before = example.line + example.parsed.line_offset
        page: Page = example.namespace[PAGE]
        page.run("\n" * lines_before + example.parsed, str(example.path), example.namespace)


def _open_page(namespace: dict[str, Any]) -> None:
    namespace["__name__"] = "__main__"
    namespace[PAGE] = Page()


def _close_page(namespace: dict[str, Any]) -> None:
    namespace.pop(PAGE).close()


_collect_blocks: Callable[[Path, pytest.Collector], SybilFile | None] = Sybil(
    parsers=[PythonBlocks()],
    pattern="*.md",
    setup=_open_page,
    teardown=_close_page,
).pytest()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SybilFile | None:
    """Take README.md and every page below docs/; other Markdown files are no tests."""
    if file_path == ROOT / "README.md" or ROOT / "docs" in file_path.parents:
        return _collect_blocks(file_path, parent)
    return None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Show a failure from the page's line on; Sybil's own filter fails on warnings raised after a block."""
    if isinstance(item, SybilItem):
        page = item.path
        item._traceback_filter = lambda excinfo: excinfo.traceback.cut(path=__file__).cut(path=page)  # type: ignore[method-assign]
