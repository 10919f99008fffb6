"""Files and folders that cannot be written, or are no files at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from library.infrastructure.data import (
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    InvalidOptionError,
    StorageError,
    create_data_unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

every_type = pytest.mark.parametrize("data_type", ["file", "memory", "string", "stream"])


def config_of(data_type: str, path: Path) -> DataUnitConfig:
    """Return the config of a unit that keeps its data in a file."""
    return DataUnitConfig(data_type=data_type, persistent=True, file_path=path)


async def fill(data_type: str, path: Path) -> None:
    """Write a first value, for everybody to read, and forbid changes."""
    async with create_data_unit(config_of(data_type, path)) as unit:
        await unit.set("former")
    for each in path.parent.iterdir():
        each.chmod(0o444)
    path.parent.chmod(0o555 if os.geteuid() else 0o755)


@pytest.mark.parametrize("data_type", ["file", "memory"])
async def test_a_document_that_may_only_be_read(
    data_type: str, open_folder: Path, run: Callable[..., Any]
) -> None:
    """Opening and reading work; every change is refused by an error that names the file."""
    path = open_folder / "value.json"
    await fill(data_type, path)
    content = path.read_bytes()

    finished = run("use_as_nobody", data_type, path)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    assert "open" not in report
    assert report["value"] == report["value after"] == "former"
    for change in ("set", "update", "clear"):
        assert report[change][0] == "StorageError"
        assert str(path) in report[change][1]
    assert content == path.read_bytes()


@pytest.mark.parametrize("data_type", ["string", "stream"])
async def test_a_log_that_may_only_be_read(
    data_type: str, open_folder: Path, run: Callable[..., Any]
) -> None:
    """A log is opened to be appended to, so that opening is refused by an error that names the file."""
    path = open_folder / "unit.log"
    await fill(data_type, path)
    content = path.read_bytes()

    finished = run("use_as_nobody", data_type, path)

    assert (0, "") == (finished.returncode, finished.stderr)
    error, message = json.loads(finished.stdout)["open"]
    assert error == "StorageError"
    assert str(path) in message
    assert content == path.read_bytes()


@pytest.mark.parametrize("data_type", ["file", "memory"])
async def test_a_damaged_document_that_may_only_be_read(
    data_type: str, open_folder: Path, run: Callable[..., Any]
) -> None:
    """What cannot be repaired is refused at once, not waited for."""
    path = open_folder / "value.json"
    path.write_bytes(b"")
    path.chmod(0o444)
    open_folder.chmod(0o555 if os.geteuid() else 0o755)

    finished = run("use_as_nobody", data_type, path)

    assert (0, "") == (finished.returncode, finished.stderr)
    error, message = json.loads(finished.stdout)["open"]
    assert error in {"StorageError", "CorruptDataError"}
    assert str(path) in message


@every_type
async def test_a_new_file_in_a_folder_that_may_only_be_read(
    data_type: str, open_folder: Path, run: Callable[..., Any]
) -> None:
    """A file that is absent and cannot be made is an empty document; a log cannot be opened."""
    path = open_folder / "unit.data"
    open_folder.chmod(0o555 if os.geteuid() else 0o755)

    finished = run("use_as_nobody", data_type, path)

    assert (0, "") == (finished.returncode, finished.stderr)
    report = json.loads(finished.stdout)
    error, message = report["set" if data_type in {"file", "memory"} else "open"]
    assert error == "StorageError"
    assert str(path) in message
    assert [] == list(open_folder.iterdir())


@every_type
async def test_a_file_that_may_not_be_read(
    data_type: str, open_folder: Path, run: Callable[..., Any]
) -> None:
    """A file without the right to read it is refused by an error that names it."""
    path = open_folder / "unit.data"
    async with create_data_unit(config_of(data_type, path)) as unit:
        await unit.set("secret")
    path.chmod(0)

    finished = run("use_as_nobody", data_type, path)

    assert (0, "") == (finished.returncode, finished.stderr)
    error, message = json.loads(finished.stdout)["open"]
    assert error == "StorageError"
    assert str(path) in message
    assert "secret" not in finished.stdout


def make_missing_folder(folder: Path) -> Path:
    return folder / "missing" / "unit.data"


def make_file_as_folder(folder: Path) -> Path:
    (folder / "file").write_bytes(b"")
    return folder / "file" / "unit.data"


def make_folder(folder: Path) -> Path:
    (folder / "unit.data").mkdir()
    return folder / "unit.data"


def make_device(folder: Path) -> Path:
    return Path("/dev/null")


def make_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "unit.data")
    return folder / "unit.data"


def make_loop(folder: Path) -> Path:
    (folder / "unit.data").symlink_to(folder / "unit.data")
    return folder / "unit.data"


def make_long_name(folder: Path) -> Path:
    return folder / ("x" * 300)


@every_type
@pytest.mark.parametrize(
    "make",
    [
        make_missing_folder,
        make_file_as_folder,
        make_folder,
        make_device,
        make_fifo,
        make_loop,
        make_long_name,
    ],
)
@pytest.mark.timeout(20)
async def test_a_place_where_no_file_can_be(
    make: Callable[[Path], Path], data_type: str, tmp_path: Path
) -> None:
    """What is no regular file, nor can become one, is refused when the unit is opened, by its name."""
    path = make(tmp_path)
    unit = create_data_unit(config_of(data_type, path))

    with pytest.raises(StorageError) as caught:
        await unit.initialize()

    assert str(path) in str(caught.value)
    assert str(path) == caught.value.path
    assert not unit.is_open


@pytest.mark.parametrize("path", ["", "nul\0within", b"bytes", 17])
def test_a_path_that_no_file_can_have(path: Any) -> None:
    """An impossible path is refused when the unit is built."""
    with pytest.raises(DataUnitError) as caught:
        DataUnitFile(path)

    assert isinstance(caught.value, InvalidOptionError)
    assert caught.value.option == "file_path"
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("path", ["", "nul\0within", b"bytes", 17])
def test_a_path_that_no_config_can_have(path: Any) -> None:
    """An impossible path is refused when the config is built."""
    with pytest.raises(ValidationError, match="file_path"):
        DataUnitConfig(data_type="file", file_path=path)


async def test_a_lone_surrogate_in_a_path(tmp_path: Path) -> None:
    """A path that the file system cannot encode is refused by a `DataUnitError`."""
    with pytest.raises(DataUnitError):
        async with DataUnitFile(f"{tmp_path}/\ud800.json") as unit:
            await unit.set(1)
