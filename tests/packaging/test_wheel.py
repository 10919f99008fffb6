"""The wheel, installed where only its declared dependencies are.

The dependencies are linked from the environment that runs the tests rather than downloaded:
the test is quick and needs no network,
and a dependency that `pyproject.toml` does not declare is missing all the same.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

IMPORTS = """
import sys
from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage, ConversationQuery
assert "apsw" not in sys.modules, "the data package alone loads a driver"
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.data import DataUnitBase, DataUnitConfig, DataUnitMemory, DataUnitFile
from library.infrastructure.data import DataUnitStream, DataUnitString, DataUnitType, DataUnitError
from library.infrastructure.data import create_data_unit
from core.step import Step, StepConfig
for name in ("core.step", "library.infrastructure.data"):
    assert sys.modules[name].__file__.startswith(sys.prefix), "imported from the checkout, not from the wheel"
assert "pytest" not in sys.modules and "sqlite3" not in sys.modules
"""

ADAPTER_FIRST = """
import asyncio
from datetime import datetime
from library.infrastructure.interfaces.database import SQLiteAdapter
from library.infrastructure.data import ConversationHistoryUnit, ConversationMessage


async def main():
    async with SQLiteAdapter("wheel.db") as adapter, ConversationHistoryUnit(adapter) as history:
        message = ConversationMessage("a", "Where is it?", "In the wheel.", datetime.now(), 1.0)
        await history.save_message(message)
        (found,) = await history.search_conversations("wheels")
        print(found.snippet)


asyncio.run(main())
"""

TYPED = """
import asyncio
from typing import Any

from core.step import Step, StepConfig
from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    DataUnitType,
)


class Doubling(Step):
    def __init__(self, config: StepConfig, source: DataUnitMemory) -> None:
        super().__init__(config)
        self.source = source

    async def process(self, inputs: Any) -> Any:
        return await self.source.get()


async def main() -> None:
    memory = DataUnitMemory(DataUnitConfig(data_type="memory", name="cache"))
    await memory.initialize()
    await memory.set({"user_id": "123", "preferences": {"theme": "dark"}})
    print(await memory.get())
    await Doubling(StepConfig(name="doubling"), memory).process({})
    await memory.shutdown()

    config = DataUnitConfig(data_type="file", file_path="user_data.json", encoding="utf-8")
    file = DataUnitFile("user_data.json", config)
    await file.initialize()
    try:
        await file.set({"conversations": [{"id": "conv_1", "messages": 5}]})
    except DataUnitError as error:
        print(error)
    await file.shutdown()

    stream = DataUnitStream(DataUnitConfig(data_type="stream", name="events"))
    await stream.initialize()
    queue = await stream.subscribe()
    await stream.set({"event": "user_login", "user_id": "123"})
    print(await queue.get())
    await stream.unsubscribe(queue)
    await stream.shutdown()

    log = DataUnitString("", DataUnitConfig(data_type="string", initial_value="Log started\\n"))
    await log.initialize()
    await log.append("User logged in\\n")
    print(await log.get())
    await log.shutdown()


DataUnitConfig(
    data_type=DataUnitType.MEMORY,
    persistent=False,
    cache_size=1000,
    file_path=None,
    encoding="utf-8",
    initial_value=None,
)
asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end, and give what it printed."""
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def link_dependencies(distribution: str, target: Path, done: set[str]) -> None:
    """Link what a distribution needs, and what that needs, into a site-packages folder."""
    for text in metadata.requires(distribution) or ():
        requirement = Requirement(text)
        name = requirement.name.lower()
        if name in done or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        done.add(name)
        needed = metadata.distribution(name)
        tops = {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}
        for top in sorted(tops):
            (target / top).symlink_to(Path(str(needed.locate_file(top))).resolve())
        link_dependencies(name, target, done)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    link_dependencies("nanobrain-data", Path(paths["purelib"]), set())
    interpreter = Path(paths["scripts"]) / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", interpreter]
    run(*pip, "install", *quiet, "--no-deps", "--no-index", wheel, cwd=folder)
    run(*pip, "check", "--disable-pip-version-check", cwd=folder)
    return interpreter


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    """Both namespaces are in, typed, without an __init__.py that would shut out the rest of the framework."""
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.partition("/")[0] for name in names} == {"core", "library", "nanobrain_data-0.1.0.dist-info"}
    assert {"core/py.typed", "library/py.typed", "library/infrastructure/data/__init__.py"} <= set(names)
    assert "nanobrain_data-0.1.0.dist-info/licenses/LICENSE" in names
    namespaces = ("core", "library", "library/infrastructure")
    assert not {f"{namespace}/__init__.py" for namespace in namespaces} & set(names)
    assert [] == [name for name in names if name.endswith((".pyc", ".orig", ".rej"))]


def test_the_public_names_are_imported_from_the_wheel(python: Path, tmp_path: Path) -> None:
    """Every name of the specification's imports is there, with the declared dependencies alone."""
    run(python, "-I", "-W", "error", "-c", IMPORTS, cwd=tmp_path)


def test_the_adapter_may_be_imported_first(python: Path, tmp_path: Path) -> None:
    """`SQLiteAdapter`, imported before anything else, saves and finds; its SQL files are in the wheel."""
    assert run(python, "-I", "-W", "error", "-c", ADAPTER_FIRST, cwd=tmp_path) == "In the [wheel].\n"


def test_the_specification_is_typed(python: Path, tmp_path: Path) -> None:
    """`mypy --strict` accepts the calls of the specification against the installed wheel; and they run."""
    program = tmp_path / "program.py"
    program.write_text(TYPED, encoding="utf-8")

    # The configuration is empty, so that the checkout's own has no say.
    mypy: list[str | Path] = [sys.executable, "-m", "mypy", "--strict", "--config-file", ""]
    mypy += ["--cache-dir", tmp_path / "cache", "--python-executable", python]
    run(*mypy, program, cwd=tmp_path)
    output = run(python, "-I", "-W", "error", program, cwd=tmp_path)

    assert output.endswith("Log started\nUser logged in\n\n")
