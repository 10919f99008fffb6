"""What `library.infrastructure.data` offers: sorted, documented, and under the path to import it from."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from library.infrastructure import data

ROOT = Path(__file__).resolve().parents[1]


# Constants and type aliases have neither a docstring nor a module of their own.
CLASSES_AND_FUNCTIONS = [
    name
    for name in data.__all__
    if inspect.isroutine(getattr(data, name)) or inspect.isclass(getattr(data, name))
]


def test_all_names_nothing_twice() -> None:
    """`__all__` names nothing twice; that it is in order is checked by ruff."""
    assert len(set(data.__all__)) == len(data.__all__)


def test_all_is_complete() -> None:
    """What the package holds is what it offers; its own modules aside."""
    public = {
        name
        for name, value in vars(data).items()
        if not name.startswith("_") and name != "annotations" and not isinstance(value, ModuleType)
    }

    assert sorted(public) == sorted(data.__all__)


@pytest.mark.parametrize("name", CLASSES_AND_FUNCTIONS)
def test_every_name_has_a_docstring(name: str) -> None:
    """The docstring was written by someone: it is not the signature that `dataclass` fills in."""
    docstring = getattr(data, name).__doc__

    assert docstring
    assert not docstring.startswith(f"{name}(")


@pytest.mark.parametrize("name", CLASSES_AND_FUNCTIONS)
def test_every_name_says_where_it_is_imported_from(name: str) -> None:
    """`__module__` is the public path, so that a traceback or `help()` shows what can be imported."""
    assert getattr(data, name).__module__ == "library.infrastructure.data"


@pytest.mark.parametrize("name", data.__all__)
def test_every_name_occurs_in_the_documentation(name: str) -> None:
    """README.md or a page of docs/ mentions the name."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]

    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in pages)
