"""The old path of the data units, kept so that code written for it runs on: import
`library.infrastructure.data`."""

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
