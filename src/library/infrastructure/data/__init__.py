"""Data units: named, versioned cells of state that carry data between the steps of a workflow."""

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.data_unit_base import DataUnitBase
from library.infrastructure.data.entry import EMPTY, Entry, UnitStats
from library.infrastructure.data.errors import (
    CorruptDataError,
    DataUnitError,
    HistoryGapError,
    InvalidOptionError,
    InvalidValueError,
    LifecycleError,
    LockTimeoutError,
    NoMessageError,
    NotInitializedError,
    ReentrantUpdateError,
    SlowSubscriberError,
    StorageError,
    StreamClosedError,
    StreamError,
    SubscriberLaggedError,
    SubscriberLimitError,
    UnitClosedError,
    VersionConflictError,
)
from library.infrastructure.data.file_data_unit import DataUnitFile
from library.infrastructure.data.item_cache import CacheInfo
from library.infrastructure.data.memory_data_unit import DataUnitMemory
from library.infrastructure.data.registry import create_data_unit
from library.infrastructure.data.stream_data_unit import DataUnitStream
from library.infrastructure.data.string_data_unit import DataUnitString, TextPart
from library.infrastructure.data.subscription import Subscription
from library.infrastructure.data.versioned_file import FileVersion

__all__ = [
    "EMPTY",
    "CacheInfo",
    "CorruptDataError",
    "DataUnitBase",
    "DataUnitConfig",
    "DataUnitError",
    "DataUnitFile",
    "DataUnitMemory",
    "DataUnitStream",
    "DataUnitString",
    "DataUnitType",
    "Entry",
    "FileVersion",
    "HistoryGapError",
    "InvalidOptionError",
    "InvalidValueError",
    "LifecycleError",
    "LockTimeoutError",
    "NoMessageError",
    "NotInitializedError",
    "ReentrantUpdateError",
    "SlowSubscriberError",
    "StorageError",
    "StreamClosedError",
    "StreamError",
    "SubscriberLaggedError",
    "SubscriberLimitError",
    "Subscription",
    "TextPart",
    "UnitClosedError",
    "UnitStats",
    "VersionConflictError",
    "create_data_unit",
]

for _name in __all__:
    if _name != "EMPTY":  # an enumeration member, which has its class's module
        globals()[_name].__module__ = __name__
del _name
