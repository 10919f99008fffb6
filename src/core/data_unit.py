"""The old path of the data units, kept for code written for it.

Import `library.infrastructure.data` instead.
"""

from __future__ import annotations

import warnings

from library.infrastructure.data import (
    DataUnitBase,
    DataUnitConfig,
    DataUnitError,
    DataUnitFile,
    DataUnitMemory,
    DataUnitStream,
    DataUnitString,
    DataUnitType,
    create_data_unit,
)

__all__ = [
    "DataUnitBase",
    "DataUnitConfig",
    "DataUnitError",
    "DataUnitFile",
    "DataUnitMemory",
    "DataUnitStream",
    "DataUnitString",
    "DataUnitType",
    "create_data_unit",
]

warnings.warn(
    "core.data_unit has moved: import from library.infrastructure.data instead",
    DeprecationWarning,
    stacklevel=2,
)
