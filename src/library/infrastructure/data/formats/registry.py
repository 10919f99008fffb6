"""From formats to what writes and reads them: a new format is one file, and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.export_format import ExportFormat

if TYPE_CHECKING:
    from library.infrastructure.data.formats.record_format import RecordReader, RecordWriter


class _Entry(NamedTuple):
    """Where a format lives, and what it can do; modules are imported when they are needed."""

    module: str
    reader: str
    writer: str | None = None
    suffixes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("conversations",)


_OWN: Final = ("conversations", "sessions")

_ENTRIES: Final[dict[ExportFormat, _Entry]] = {
    ExportFormat.JSON: _Entry("json_array", "JsonArrayReader", "JsonArrayWriter", (".json",), _OWN),
    ExportFormat.JSONL: _Entry(
        "json_lines", "JsonLinesReader", "JsonLinesWriter", (".jsonl", ".ndjson"), _OWN
    ),
    ExportFormat.CSV: _Entry("csv_table", "CsvReader", "CsvWriter", (".csv",), _OWN),
    ExportFormat.XML: _Entry("xml_document", "XmlReader", "XmlWriter", (".xml",), _OWN),
    ExportFormat.PARQUET: _Entry("parquet_file", "ParquetReader", "ParquetWriter", (".parquet",), _OWN),
    ExportFormat.OPENAI: _Entry("openai_finetuning", "OpenAIReader", "OpenAIWriter"),
    ExportFormat.CHATGPT: _Entry("chatgpt", "ChatGPTReader"),
    ExportFormat.CLAUDE: _Entry("claude", "ClaudeReader"),
    ExportFormat.SHAREGPT: _Entry("sharegpt", "ShareGPTReader"),
    ExportFormat.OASST: _Entry("oasst", "OasstReader"),
    ExportFormat.OPEN_WEBUI: _Entry("open_webui", "OpenWebUIReader"),
    ExportFormat.LLM: _Entry("llm_logs", "LlmReader"),
    ExportFormat.LANGCHAIN: _Entry("langchain", "LangChainReader"),
}
COMPRESSED_SUFFIXES: Final = (".gz", ".zst")


def to_format(value: ExportFormat | str) -> ExportFormat:
    """Return the format that `value` names.

    Raises:
        InvalidOptionError: there is no such format.

    """
    try:
        return ExportFormat(value)
    except ValueError as error:
        known = ", ".join(each.value for each in ExportFormat)
        raise InvalidOptionError(f"format must be one of {known}, not {value!r}", option="format") from error


def format_of_name(name: str) -> ExportFormat | None:
    """Return the format that the suffix of a file name tells, that of compression left aside."""
    name = name.lower()
    for compressed in COMPRESSED_SUFFIXES:
        name = name.removesuffix(compressed)
    for each, entry in _ENTRIES.items():
        if entry.suffixes and name.endswith(entry.suffixes):
            return each
    return None


def writer_class(format: ExportFormat, kind: str) -> type[RecordWriter]:  # noqa: A002 - the word of the API
    """Return what writes a format.

    Raises:
        InvalidOptionError: it can only be read, or holds no records of this kind.
        MissingExtraError: the library that it needs is not installed.

    """
    entry = _entry(format, kind)
    if entry.writer is None:
        writable = [each for each, other in _ENTRIES.items() if other.writer and kind in other.kinds]
        known = ", ".join(each.value for each in writable)
        raise InvalidOptionError(
            f"the format {format.value} can be imported, but not exported: choose one of {known}",
            option="format",
        )
    found: type[RecordWriter] = getattr(_module(entry), entry.writer)
    return found


def reader_class(format: ExportFormat, kind: str) -> type[RecordReader]:  # noqa: A002 - as above
    """Return what reads a format.

    Raises:
        InvalidOptionError: it holds no records of this kind.
        MissingExtraError: the library that it needs is not installed.

    """
    entry = _entry(format, kind)
    found: type[RecordReader] = getattr(_module(entry), entry.reader)
    return found


def _entry(format: ExportFormat, kind: str) -> _Entry:  # noqa: A002 - as above
    entry = _ENTRIES[format]
    if kind not in entry.kinds:
        raise InvalidOptionError(f"the format {format.value} holds no {kind}", option="format")
    return entry


def _module(entry: _Entry) -> object:
    return import_module(f"{__package__}.{entry.module}")
