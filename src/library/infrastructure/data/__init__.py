"""Data units: named, versioned cells of state that carry data between the steps of a workflow."""

from library.infrastructure.data.config import DataUnitConfig, DataUnitType
from library.infrastructure.data.conversation_history import ConversationHistoryUnit
from library.infrastructure.data.conversation_message import (
    ConversationMessage,
    ConversationSummary,
    SearchResult,
)
from library.infrastructure.data.conversation_query import ConversationQuery
from library.infrastructure.data.data_unit_base import DataUnitBase
from library.infrastructure.data.database_copy import CopyReport, copy_database
from library.infrastructure.data.entry import EMPTY, Entry, UnitStats
from library.infrastructure.data.errors import (
    CorruptDataError,
    DataUnitError,
    DuplicateMessageError,
    DuplicateSessionError,
    ForkedDatabaseError,
    FormatError,
    HistoryGapError,
    InvalidOptionError,
    InvalidRecordError,
    InvalidValueError,
    LifecycleError,
    LockTimeoutError,
    MessageNotFoundError,
    MissingExtraError,
    MissingRecordsError,
    NewerSchemaError,
    NoMessageError,
    NotInitializedError,
    ReadOnlyStorageError,
    RecordError,
    ReentrantUpdateError,
    SessionEndedError,
    SessionError,
    SessionExpiredError,
    SessionLimitError,
    SessionNotFoundError,
    SlowSubscriberError,
    StorageError,
    StorageFullError,
    StreamClosedError,
    StreamError,
    SubscriberLaggedError,
    SubscriberLimitError,
    TransferError,
    TransferLimitError,
    UnitClosedError,
    VersionConflictError,
)
from library.infrastructure.data.export_format import ExportFormat
from library.infrastructure.data.export_manager import ExportManager
from library.infrastructure.data.file_data_unit import DataUnitFile
from library.infrastructure.data.import_limits import ImportLimits
from library.infrastructure.data.import_manager import ImportManager
from library.infrastructure.data.item_cache import CacheInfo
from library.infrastructure.data.memory_data_unit import DataUnitMemory
from library.infrastructure.data.memory_session_store import MemorySessionStore
from library.infrastructure.data.performance_metrics import (
    DailyResponseTimes,
    PerformanceMetrics,
    ResponseTimes,
)
from library.infrastructure.data.registry import create_data_unit
from library.infrastructure.data.session_config import SessionConfig
from library.infrastructure.data.session_data import SessionData
from library.infrastructure.data.session_manager import SessionManager
from library.infrastructure.data.session_store import SessionStore
from library.infrastructure.data.storage import ConversationStore, DatabaseAdapter
from library.infrastructure.data.stream_data_unit import DataUnitStream
from library.infrastructure.data.string_data_unit import DataUnitString, TextPart
from library.infrastructure.data.subscription import Subscription
from library.infrastructure.data.transfer_report import ExportReport, ImportReport, TransferProgress
from library.infrastructure.data.versioned_file import FileVersion

__all__ = [
    "EMPTY",
    "CacheInfo",
    "ConversationHistoryUnit",
    "ConversationMessage",
    "ConversationQuery",
    "ConversationStore",
    "ConversationSummary",
    "CopyReport",
    "CorruptDataError",
    "DailyResponseTimes",
    "DataUnitBase",
    "DataUnitConfig",
    "DataUnitError",
    "DataUnitFile",
    "DataUnitMemory",
    "DataUnitStream",
    "DataUnitString",
    "DataUnitType",
    "DatabaseAdapter",
    "DuplicateMessageError",
    "DuplicateSessionError",
    "Entry",
    "ExportFormat",
    "ExportManager",
    "ExportReport",
    "FileVersion",
    "ForkedDatabaseError",
    "FormatError",
    "HistoryGapError",
    "ImportLimits",
    "ImportManager",
    "ImportReport",
    "InvalidOptionError",
    "InvalidRecordError",
    "InvalidValueError",
    "LifecycleError",
    "LockTimeoutError",
    "MemorySessionStore",
    "MessageNotFoundError",
    "MissingExtraError",
    "MissingRecordsError",
    "NewerSchemaError",
    "NoMessageError",
    "NotInitializedError",
    "PerformanceMetrics",
    "ReadOnlyStorageError",
    "RecordError",
    "ReentrantUpdateError",
    "ResponseTimes",
    "SearchResult",
    "SessionConfig",
    "SessionData",
    "SessionEndedError",
    "SessionError",
    "SessionExpiredError",
    "SessionLimitError",
    "SessionManager",
    "SessionNotFoundError",
    "SessionStore",
    "SlowSubscriberError",
    "StorageError",
    "StorageFullError",
    "StreamClosedError",
    "StreamError",
    "SubscriberLaggedError",
    "SubscriberLimitError",
    "Subscription",
    "TextPart",
    "TransferError",
    "TransferLimitError",
    "TransferProgress",
    "UnitClosedError",
    "UnitStats",
    "VersionConflictError",
    "copy_database",
    "create_data_unit",
]

for _name in __all__:
    if _name != "EMPTY":  # an enumeration member, which has its class's module
        globals()[_name].__module__ = __name__
del _name
