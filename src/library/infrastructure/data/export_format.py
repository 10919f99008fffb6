"""`ExportFormat`: the formats that files can have."""

from __future__ import annotations

from enum import Enum


class ExportFormat(Enum):
    """A file format. The first six are written and read, the others are read.

    Wherever a format is asked for, its value will do too: `format="csv"`.
    """

    JSON = "json"
    """One JSON array, with one record a line."""
    JSONL = "jsonl"
    """JSON Lines: one JSON object a line."""
    CSV = "csv"
    """Comma-separated values (RFC 4180), for analysis."""
    XML = "xml"
    """One XML 1.0 document."""
    PARQUET = "parquet"
    """Apache Parquet, columnar, for big data; needs `pip install 'nanobrain-data[parquet]'`."""
    OPENAI = "openai"
    """Fine-tuning data of OpenAI: JSON Lines, a conversation as `{"messages": [...]}` a line."""
    CHATGPT = "chatgpt"
    """The data export of ChatGPT: `conversations.json`, or the zip file that holds it."""
    CLAUDE = "claude"
    """The data export of Claude.ai: `conversations.json`, or the zip file that holds it."""
    SHAREGPT = "sharegpt"
    """ShareGPT and Vicuna: `[{"id", "conversations": [{"from", "value"}]}]`."""
    OASST = "oasst"
    """OpenAssistant: message trees, or messages, as JSON Lines."""
    OPEN_WEBUI = "open-webui"
    """The chat export of Open WebUI."""
    LLM = "llm"
    """The logs of `llm`: what `llm logs --json` prints, or its SQLite file."""
    LANGCHAIN = "langchain"
    """Messages of LangChain, as `messages_to_dict` or `dumpd` write them."""
