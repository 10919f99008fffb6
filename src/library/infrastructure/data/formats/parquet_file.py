"""Parquet: a column for each field, in groups of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final, NoReturn

from library.infrastructure.data.durable_io import explain_os_errors
from library.infrastructure.data.errors import FormatError
from library.infrastructure.data.formats.arrow import pa, pq
from library.infrastructure.data.formats.exceeded_limits import limit_error
from library.infrastructure.data.formats.parquet_columns import FAILURES, levels, unpacked_bytes, values_of
from library.infrastructure.data.formats.record_format import Fault, RecordReader, RecordWriter
from library.infrastructure.data.formats.record_kind import FieldType
from library.infrastructure.data.formats.row_slices import TEXTUAL, row_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from library.infrastructure.data.formats.record_format import Found, ReadOptions, WriteOptions
    from library.infrastructure.data.formats.record_kind import Field, RecordKind, Row
    from library.infrastructure.data.formats.source import Source

_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 16 << 20
"""A group of rows is written when it has so many rows, or takes so much memory."""
_SLICE_ROWS: Final = 2_000
"""Rows that are converted in one piece."""
_REPEATED: Final = frozenset({"conversation_id", "user_id", "end_reason"})
"""Texts of which many are the same: they are kept once a group."""

_BATCH_ROWS: Final = 1_000
_BATCH_BYTES: Final = 1 << 20
"""Rows that are read in one piece, fewer if they are large."""
_BUFFER_BYTES: Final = 1 << 16
"""Bytes of a column that are read at once; all that a group of rows has of it, without this."""
_PART_BYTES: Final = 4 << 20
"""What rows that are converted in one piece may unpack to."""
_RATIO_FROM: Final = 16 << 20


class ParquetWriter(RecordWriter):
    """Writes groups of about 10,000 rows, compressed with Zstandard, with checksums.

    Texts and JSON are strings, numbers 64 bits wide, and moments timestamps of microseconds in UTC. The
    metadata of the file tell under `nanobrain.kind` what it holds, and under `nanobrain.version` that this is
    version 1.
    """

    def __init__(
        self, file: BinaryIO, kind: RecordKind, fields: Sequence[Field], options: WriteOptions
    ) -> None:
        """Prepare; see `RecordWriter`."""
        super().__init__(file, kind, fields, options)
        self._sink = _Sink(file)
        self._schema = pa.schema(
            [pa.field(field.name, _TYPES[field.type], nullable=field.is_optional) for field in self._fields],
            metadata={"nanobrain.kind": kind.name, "nanobrain.version": "1"},
        )
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def begin(self) -> None:
        """Write what marks a Parquet file."""
        repeated = [field.name for field in self._fields if field.name in _REPEATED]
        small = [field.name for field in self._fields if field.type not in TEXTUAL]
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            use_dictionary=repeated,
            write_statistics=small + repeated,  # the smallest and the largest of long texts tell nobody much
            write_page_checksum=True,
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows, and write them when they are enough for a group."""
        for part in row_slices(rows, self._fields, _SLICE_ROWS):
            arrays = [pa.array(*column) for column in zip(part.columns, self._schema.types, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            self._batches.append(batch)
            self._rows += batch.num_rows
            self._bytes += batch.nbytes
            if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self._write_group()

    def finish(self) -> None:
        """Write the rows that are left, and what tells where each group stands."""
        self._write_group()
        if self._writer is not None:
            self._writer.close()

    def _write_group(self) -> None:
        if self._batches and self._writer is not None:
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema))
        self._batches.clear()
        self._rows = self._bytes = 0

    def __del__(self) -> None:
        # A writer of pyarrow that was not closed closes itself now, but the file may have been closed before.
        self._sink.is_abandoned = True


class ParquetReader(RecordReader):
    """Reads files that `ParquetWriter` wrote, and others that have a row for each record.

    Values are as pyarrow gives them, structures as `dict`, lists as `list`; bytes are read as UTF-8.
    Timestamps are given in UTC; those without a time zone are taken for UTC, and of nanoseconds the
    microseconds are kept.
    """

    place_name: ClassVar[str] = "row"

    def __init__(self, source: Source, kind: RecordKind, options: ReadOptions) -> None:
        """Prepare; see `RecordReader`."""
        super().__init__(source, kind, options)
        self._name = source.name
        self._limits = source.limits
        self._file: pq.ParquetFile | None = None
        self._count = 0
        self._unpacked = 0

    def __iter__(self) -> Iterator[Found]:
        """Read the groups of rows one after the other, some rows at a time."""
        for part in self._parts():
            names = part.schema.names
            columns = list(map(values_of, names, part.columns))
            self._check_values(part, columns)
            is_whole = not any(Fault in map(type, column) for column in columns)
            for row in zip(*columns, strict=True):
                self._count += 1
                fault = None if is_whole else next((each for each in row if isinstance(each, Fault)), None)
                yield self._count, fault or dict(zip(names, row, strict=True))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _parts(self) -> Iterator[pa.RecordBatch]:
        """Read the file in parts whose values can be kept in memory."""
        path = self._source.local_path()
        expected = 0
        try:
            self._file = file = _open(path)
            self._check_schema(file.schema_arrow)
            self._check_metadata(file.metadata, Path(path).stat().st_size)
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                for batch in file.iter_batches(_batch_rows(group), row_groups=[number], use_threads=False):
                    yield from self._cut(batch)
                expected += group.num_rows
                self._check_count(expected)
            self._check_count(file.metadata.num_rows)
        except (*FAILURES, OSError) as error:
            self._refuse_file(error)

    def _check_schema(self, schema: pa.Schema) -> None:
        if len(set(schema.names)) < len(schema.names):
            twice = next(name for name in schema.names if schema.names.count(name) > 1)
            raise FormatError(f"{self._name} has two columns named {twice!r}", path=self._name)
        if any(levels(kind) > self._limits.max_depth for kind in schema.types):
            raise limit_error(self._limits, "max_depth", self._name)

    def _check_metadata(self, metadata: pq.FileMetaData, stored: int) -> None:
        """Check what the file says of itself, before anything is unpacked."""
        groups = list(map(metadata.row_group, range(metadata.num_row_groups)))
        size = sum(group.total_byte_size for group in groups)
        if size > self._limits.max_bytes:
            raise limit_error(self._limits, "max_bytes", self._name)
        if size > _RATIO_FROM and size > stored * self._limits.max_ratio:
            raise limit_error(self._limits, "max_ratio", self._name)

    def _check_count(self, expected: int) -> None:
        """Check that no rows are lost: in damaged files, a page may count as none."""
        if self._count != expected:
            message = (
                f"{self._name} is damaged: {self._count:,} rows can be read where {expected:,} are expected"
            )
            raise FormatError(message, path=self._name)

    def _cut(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Cut rows into parts of which none but a single row is large, going by what they unpack to."""
        limits = self._limits
        most = min(_PART_BYTES, limits.max_field_characters, limits.max_record_bytes)
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            size = sum(map(unpacked_bytes, part.columns))
            if size > most and part.num_rows > 1:
                middle = part.num_rows // 2
                waiting += (part.slice(middle), part.slice(0, middle))
                continue
            self._unpacked += size
            if self._unpacked > limits.max_bytes:
                raise limit_error(limits, "max_bytes", self._name)
            if size > limits.max_record_bytes:
                raise limit_error(limits, "max_record_bytes", self._name, self.describe(self._count + 1))
            yield part

    def _check_values(self, part: pa.RecordBatch, columns: Sequence[list[Any]]) -> None:
        """Check the values of a single row; where there are more, they are short together."""
        most = self._limits.max_field_characters
        if part.num_rows != 1:
            return
        for (value,), column in zip(columns, part.columns, strict=True):
            if (len(value) if isinstance(value, str) else unpacked_bytes(column)) > most:
                place = self.describe(self._count + 1)
                raise limit_error(self._limits, "max_field_characters", self._name, place)

    def _refuse_file(self, error: Exception) -> NoReturn:
        if isinstance(error, OSError) and error.errno is not None:
            with explain_os_errors("read", self._name):
                raise error
        message = f"{self._name} is no Parquet file, or is damaged: {str(error).rstrip('.')}"
        raise FormatError(message, path=self._name) from error


class _Sink:
    """A file as pyarrow wants it: it may be asked to close, and is not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_abandoned = False
        """Whether what is still written goes nowhere."""
        self.closed = False

    def write(self, data: bytes) -> int:
        if not self.is_abandoned:
            self._file.write(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


_TYPES: Final = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.NUMBER: pa.float64(),
    FieldType.MOMENT: pa.timestamp("us", tz="UTC"),
    FieldType.FLAG: pa.bool_(),
    FieldType.JSON: pa.string(),
}


def _open(path: str) -> pq.ParquetFile:
    """Open a file so that it is read in small parts, and a text is unpacked once for all rows that share it.

    What the metadata say of single columns is not asked for: where it is damaged, pyarrow ends the process.
    """
    options: dict[str, Any] = {
        "buffer_size": _BUFFER_BYTES,
        "pre_buffer": False,
        "page_checksum_verification": True,
        "coerce_int96_timestamp_unit": "us",
    }
    with pq.ParquetFile(path, **options) as file:
        columns = map(file.schema.column, range(file.metadata.num_columns))
        texts = [
            column.path
            for column in columns
            if column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "DECIMAL"
        ]
    return pq.ParquetFile(path, metadata=file.metadata, read_dictionary=texts, **options)


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    """Return how many rows of a group to read in one piece, going by their mean size."""
    mean: int = group.total_byte_size // max(group.num_rows, 1)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(mean, 1)))
