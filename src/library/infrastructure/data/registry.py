"""The kinds of data unit, by type: a new kind is one more file, and one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.conversation_history import ConversationHistoryUnit
from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.file_data_unit import DataUnitFile
from library.infrastructure.data.memory_data_unit import DataUnitMemory
from library.infrastructure.data.stream_data_unit import DataUnitStream
from library.infrastructure.data.string_data_unit import DataUnitString

if TYPE_CHECKING:
    from collections.abc import Callable

    from library.infrastructure.data.data_unit_base import DataUnitBase

_BUILDERS: Final[dict[DataUnitType, Callable[[DataUnitConfig], DataUnitBase]]] = {
    DataUnitType.MEMORY: DataUnitMemory,
    DataUnitType.FILE: lambda config: DataUnitFile(None, config),
    DataUnitType.STREAM: DataUnitStream,
    DataUnitType.STRING: lambda config: DataUnitString(None, config),
    DataUnitType.CONVERSATIONS: lambda config: ConversationHistoryUnit(None, config.name or "conversations"),
}


def create_data_unit(config: DataUnitConfig) -> DataUnitBase:
    """Build the data unit that a config describes; it is not opened yet.

    Raises:
        InvalidOptionError: `config` is not a `DataUnitConfig`, or is one of a file unit without a
            `file_path`.

    """
    if not isinstance(config, DataUnitConfig):
        message = f"config must be a DataUnitConfig, not {type(config).__name__}"
        raise InvalidOptionError(message, option="config")
    return _BUILDERS[DataUnitType(config.data_type)](config)
