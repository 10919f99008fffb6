"""`DataUnitConfig`: how a data unit behaves; a wrong option is refused when the config is built."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class DataUnitType(StrEnum):
    """The kinds of data unit."""

    MEMORY = "memory"
    """A value and a keyed cache in memory."""
    FILE = "file"
    """A JSON document on disk."""
    STREAM = "stream"
    """Messages, published to subscribers."""
    STRING = "string"
    """Text that grows by appending."""
    CONVERSATIONS = "conversations"
    """Conversations in a database."""


_EVERY_TYPE: Final = frozenset(DataUnitType) - {DataUnitType.CONVERSATIONS}
_NEEDS: Final[dict[str, frozenset[DataUnitType]]] = {
    "cache_size": frozenset({DataUnitType.MEMORY, DataUnitType.STREAM}),
    "isolation": frozenset({DataUnitType.MEMORY, DataUnitType.FILE, DataUnitType.STREAM}),
    "max_subscribers": frozenset({DataUnitType.STREAM}),
    "publish_timeout_s": frozenset({DataUnitType.STREAM}),
}
"""Options that only some types know, beside those of `_NEEDS_FILE`."""
_NEEDS_FILE: Final[dict[str, frozenset[DataUnitType]]] = {
    "file_path": _EVERY_TYPE,
    "durability": _EVERY_TYPE,
    "encoding": _EVERY_TYPE,
    "lock_timeout_s": _EVERY_TYPE,
    "backups": frozenset({DataUnitType.FILE, DataUnitType.MEMORY}),
}
"""Options that mean something only where there is a file."""


class DataUnitConfig(BaseModel):
    """The options of a data unit: frozen, unknown options refused, contradictions refused by name.

    Raises:
        pydantic.ValidationError: an option is unknown, has the wrong type or range, or contradicts another.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=False)

    data_type: DataUnitType | Literal["memory", "file", "stream", "string", "conversations"]
    """The type of unit; always a `DataUnitType` once the config is built."""
    name: str = Field(default="", max_length=1000)
    """What the unit is called in errors and logs; empty: its type or its file."""
    persistent: bool = False
    """Whether memory, stream and string units keep their data in `file_path`; file units always do."""
    cache_size: int = Field(default=1000, ge=1, le=1 << 31)
    """Memory: the most items of the keyed cache. Stream: how many messages are kept for slow and late
    readers."""
    file_path: str | os.PathLike[str] | None = None
    """Where the data is kept; always text, or `None`, once the config is built."""
    encoding: str = "utf-8"
    """Character encoding of the file; stream and string files are UTF-8 always."""
    initial_value: Any = None
    """The value of a unit that is opened for the first time; `None`: it starts empty."""
    isolation: Literal["auto", "share"] = "auto"
    """`auto`: changing what was given to `set` or returned by `get` never changes the unit. `share`: the very
    object is handed out, which is faster; nobody may change it."""
    backups: int = Field(default=3, ge=0, le=10_000)
    """How many earlier versions of a file are kept beside it."""
    durability: Literal["full", "os"] = "full"
    """`full`: a write that returned survives power loss (fsync). `os`: it survives `kill -9`, but not power
    loss."""
    lock_timeout_s: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Seconds to wait for another process that has the file locked."""
    max_subscribers: int | None = Field(default=None, ge=1)
    """The most subscribers of a stream at one time; `None`: no limit."""
    publish_timeout_s: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    """Seconds that a publisher waits for a subscriber with `overflow="block"`."""

    @field_validator("data_type", mode="before")
    @classmethod
    def _data_type_from_text(cls, value: object) -> object:
        """Turn the text of a type into the type."""
        if isinstance(value, str) and not isinstance(value, DataUnitType):
            try:
                return DataUnitType(value)
            except ValueError:
                known = ", ".join(repr(str(each)) for each in DataUnitType)
                message = f"data_type {value!r} is unknown: it is one of {known}"
                raise ValueError(message) from None
        return value

    @field_validator("file_path", mode="before")
    @classmethod
    def _file_path_from_path(cls, value: object) -> object:
        """Take path-like objects, refuse what no file system can hold."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, str):
            check_path_text(value)
        return value

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str) -> str:
        """Refuse codecs that Python does not know, and those that do not turn text into bytes."""
        try:
            "{}".encode(value)
        except (LookupError, ValueError) as error:
            message = f"encoding {value!r} is not a text encoding that Python knows ({error})"
            raise ValueError(message) from None
        return value

    @model_validator(mode="after")
    def _options_agree(self) -> DataUnitConfig:
        """Refuse options that contradict each other or that the type would ignore."""
        kind = DataUnitType(self.data_type)
        on_disk = self.persistent or kind is DataUnitType.FILE
        if on_disk and kind is not DataUnitType.FILE and self.file_path is None:
            message = f"persistent=True needs a file_path: where shall the {kind} unit keep its data?"
            raise ValueError(message)
        for option, kinds in _NEEDS.items():
            if self._is_set(option) and kind not in kinds:
                message = f"{option} means nothing to a {kind} unit: leave it out"
                raise ValueError(message)
        for option, kinds in _NEEDS_FILE.items():
            if self._is_set(option) and not (on_disk and kind in kinds):
                message = f"{option} means nothing to a {kind} unit"
                if kind in kinds:
                    message += " that is not persistent: leave it out, or set persistent=True"
                raise ValueError(message)
        utf8 = "".encode(self.encoding) == b"" and "é€".encode(self.encoding, "replace") == "é€".encode()
        if kind in (DataUnitType.STREAM, DataUnitType.STRING) and not utf8:
            message = f"encoding {self.encoding!r} cannot be used by a {kind} unit: its files are UTF-8"
            raise ValueError(message)
        if kind is DataUnitType.STRING and not isinstance(self.initial_value, str | None):
            message = f"initial_value of a string unit is text, not {type(self.initial_value).__name__}"
            raise ValueError(message)
        return self

    def _is_set(self, option: str) -> bool:
        """Tell whether an option differs from its default."""
        return bool(getattr(self, option) != type(self).model_fields[option].default)


def check_path_text(path: str) -> None:
    """Refuse a path that no file can have.

    Raises:
        ValueError: the path is empty, or holds a NUL character.

    """
    if not path:
        message = "file_path is empty"
        raise ValueError(message)
    if "\0" in path:
        message = "file_path holds a NUL character"
        raise ValueError(message)
