"""`DataUnitConfig` and `create_data_unit`: what is taken, and what is refused by name."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from library.infrastructure.data import (
    DataUnitBase,
    DataUnitConfig,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    DataUnitType,
    InvalidOptionError,
    create_data_unit,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        ("memory", DataUnitMemory),
        ("file", DataUnitFile),
        ("stream", DataUnitStream),
        ("string", DataUnitString),
    ],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_each_type_has_its_class(
    data_type: Any, expected: type[DataUnitBase], as_text: bool, tmp_path: Path
) -> None:
    """`create_data_unit` builds the unit for the config, whose type may be written as text."""
    options = {"file_path": str(tmp_path / "data")} if data_type == "file" else {}
    kind = data_type if as_text else DataUnitType(data_type)

    unit = create_data_unit(DataUnitConfig(data_type=kind, name="the name", **options))

    assert expected is type(unit)
    assert "the name" == unit.name
    assert not unit.is_open
    assert DataUnitType(data_type) is unit.config.data_type


def test_every_type_is_built(tmp_path: Path) -> None:
    """A type that is added has a class in the registry."""
    for kind in DataUnitType:
        options: dict[str, Any] = {"file_path": tmp_path / "data"} if kind is DataUnitType.FILE else {}
        assert kind == create_data_unit(DataUnitConfig(data_type=kind, **options)).data_type


@pytest.mark.parametrize("config", [None, {}, {"data_type": "memory"}, "memory", DataUnitConfig])
def test_what_is_no_config_is_refused(config: Any) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidOptionError, match="DataUnitConfig") as caught:
        create_data_unit(config)

    assert "config" == caught.value.option


def test_a_file_unit_needs_a_path() -> None:
    """The error names the option and says where to give it."""
    with pytest.raises(InvalidOptionError, match="file_path") as caught:
        create_data_unit(DataUnitConfig(data_type="file"))

    assert "file_path" == caught.value.option


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("data_type", {}),
        ("data_type", {"data_type": "database"}),
        ("data_type", {"data_type": None}),
        ("data_type", {"data_type": 1}),
        ("cachesize", {"data_type": "memory", "cachesize": 1}),
        ("cache_size", {"data_type": "memory", "cache_size": 0}),
        ("cache_size", {"data_type": "memory", "cache_size": -1}),
        ("cache_size", {"data_type": "memory", "cache_size": "10"}),
        ("cache_size", {"data_type": "memory", "cache_size": 1.0}),
        ("cache_size", {"data_type": "memory", "cache_size": True}),
        ("cache_size", {"data_type": "memory", "cache_size": None}),
        ("cache_size", {"data_type": "memory", "cache_size": 2**64}),
        ("name", {"data_type": "memory", "name": 1}),
        ("name", {"data_type": "memory", "name": "x" * 1001}),
        ("persistent", {"data_type": "memory", "persistent": "yes"}),
        ("persistent", {"data_type": "memory", "persistent": 1}),
        ("persistent", {"data_type": "memory", "persistent": True}),
        ("persistent", {"data_type": "stream", "persistent": True}),
        ("persistent", {"data_type": "string", "persistent": True}),
        ("file_path", {"data_type": "file", "file_path": ""}),
        ("file_path", {"data_type": "file", "file_path": "a\0b"}),
        ("file_path", {"data_type": "file", "file_path": 1}),
        ("file_path", {"data_type": "file", "file_path": b"data"}),
        ("file_path", {"data_type": "memory", "file_path": "data"}),
        ("file_path", {"data_type": "stream", "file_path": "data"}),
        ("file_path", {"data_type": "string", "file_path": "data"}),
        ("encoding", {"data_type": "file", "encoding": "latin-9000"}),
        ("encoding", {"data_type": "file", "encoding": "base64"}),
        ("encoding", {"data_type": "file", "encoding": ""}),
        ("encoding", {"data_type": "file", "encoding": "utf\0"}),
        ("encoding", {"data_type": "string", "encoding": "utf-16"}),
        ("encoding", {"data_type": "stream", "encoding": "latin-1"}),
        ("initial_value", {"data_type": "string", "initial_value": 1}),
        ("initial_value", {"data_type": "string", "initial_value": b"text"}),
        ("isolation", {"data_type": "memory", "isolation": "copy"}),
        ("isolation", {"data_type": "string", "isolation": "share"}),
        ("backups", {"data_type": "file", "backups": -1}),
        ("backups", {"data_type": "memory", "backups": 5}),
        ("backups", {"data_type": "stream", "persistent": True, "file_path": "data", "backups": 5}),
        ("durability", {"data_type": "file", "durability": "none"}),
        ("durability", {"data_type": "memory", "durability": "os"}),
        ("lock_timeout_s", {"data_type": "file", "lock_timeout_s": -1.0}),
        ("lock_timeout_s", {"data_type": "file", "lock_timeout_s": float("inf")}),
        ("lock_timeout_s", {"data_type": "file", "lock_timeout_s": float("nan")}),
        ("lock_timeout_s", {"data_type": "memory", "lock_timeout_s": 1.0}),
        ("max_subscribers", {"data_type": "stream", "max_subscribers": 0}),
        ("max_subscribers", {"data_type": "memory", "max_subscribers": 1}),
        ("publish_timeout_s", {"data_type": "stream", "publish_timeout_s": -1.0}),
        ("publish_timeout_s", {"data_type": "file", "publish_timeout_s": 1.0}),
    ],
)
def test_a_bad_option_is_refused(option: str, options: dict[str, Any]) -> None:
    """`pydantic.ValidationError` names the option, whether it is wrong in itself or beside the others."""
    with pytest.raises(ValidationError, match=option):
        DataUnitConfig(**options)


def test_all_bad_options_are_named_at_once() -> None:
    """Whoever made two mistakes hears of both."""
    with pytest.raises(ValidationError) as caught:
        DataUnitConfig(data_type="memory", cache_size=0, isolation="copy", colour="red")  # type: ignore[call-arg, arg-type]

    assert {"cache_size", "isolation", "colour"} == {error["loc"][0] for error in caught.value.errors()}


def test_a_path_object_is_taken(tmp_path: Path) -> None:
    """It becomes text."""
    config = DataUnitConfig(data_type="file", file_path=tmp_path / "data")  # type: ignore[arg-type]  # it is taken

    assert str(tmp_path / "data") == config.file_path


def test_a_config_is_frozen() -> None:
    """What a unit was built with stays."""
    config = DataUnitConfig(data_type="memory")

    with pytest.raises(ValidationError, match="frozen"):
        config.cache_size = 5  # type: ignore[misc]  # that is the test


def test_a_config_survives_pickling_and_json() -> None:
    """Configs cross process borders, and may be kept as JSON."""
    config = DataUnitConfig(data_type="stream", cache_size=5, initial_value={"a": [1]}, max_subscribers=3)

    assert config == pickle.loads(pickle.dumps(config))
    assert config == DataUnitConfig.model_validate_json(config.model_dump_json())


def test_two_paths_for_one_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file unit takes one path, given in either place or the same in both."""
    monkeypatch.chdir(tmp_path)
    config = DataUnitConfig(data_type="file", file_path="data.json")

    assert (
        DataUnitFile("data.json", config).file_path == DataUnitFile(tmp_path / "data.json", config).file_path
    )
    with pytest.raises(InvalidOptionError, match="two different") as caught:
        DataUnitFile("other.json", config)
    assert "file_path" == caught.value.option


def test_two_initial_texts_are_refused() -> None:
    """A string unit takes one initial text, given in either place or the same in both."""
    config = DataUnitConfig(data_type="string", initial_value="a")

    DataUnitString("a", config)
    with pytest.raises(InvalidOptionError, match="two different") as caught:
        DataUnitString("b", config)
    assert "initial_value" == caught.value.option
    with pytest.raises(InvalidOptionError) as caught:
        DataUnitString(1)  # type: ignore[arg-type]  # that is the test
    assert "initial" == caught.value.option
