"""pyarrow, which comes with an extra: imported only here, so that its absence is explained once."""

from __future__ import annotations

from library.infrastructure.data.errors import MissingExtraError

try:
    import pyarrow as pa
    from pyarrow import compute as pc
    from pyarrow import parquet as pq
except ImportError as error:
    message = "Parquet needs pyarrow, which is not installed: pip install 'nanobrain-data[parquet]'"
    raise MissingExtraError(message, extra="parquet") from error

__all__ = ["pa", "pc", "pq"]
