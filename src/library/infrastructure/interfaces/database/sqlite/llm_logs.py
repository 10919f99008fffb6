"""Reads the log database of `llm`: its rows, with all that other tables say of them.

Up to version 0.35 or so, `llm` kept prompts and responses in the table `responses`. Later ones keep a tree of
messages that conversations share, and in `turns` between which messages a response was made; old rows stay
where they are. Nothing in the file is trusted or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import apsw

from library.infrastructure.data.errors import FormatError, TransferLimitError
from library.infrastructure.interfaces.database.sqlite.failures import translate
from library.infrastructure.interfaces.database.sqlite.llm_messages import MessageChains
from library.infrastructure.interfaces.database.sqlite.related_rows import RelatedRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from library.infrastructure.interfaces.database.sqlite.related_rows import Values

_CONVERSATIONS: Final = {"responses": ("conversations", "conversation_id"), "turns": ("threads", "thread_id")}
"""Tables of rows, where conversations are described, and the column that names one."""
_PATIENCE_MS: Final = 5_000


def read_rows(path: str, name: str, max_bytes: int) -> Iterator[tuple[Values, Values]]:
    """Give the rows of a log database, those of a conversation together and in order.

    Args:
        path: the database; it is opened for reading only.
        name: what errors call it.
        max_bytes: the largest value that is read.

    Yields:
        What the database says of the conversation (nothing, where the row belongs to none), and the row, with
        its `prompt` and its `response`, and with lists of what other tables say of it under their names.

    Raises:
        FormatError: it is damaged, or no database of `llm`.
        TransferLimitError: a value has more than `max_bytes`.
        StorageError: it cannot be read.

    """
    try:
        connection = _open(path, max_bytes)
        try:
            with connection:  # one transaction: `llm` may be writing
                yield from _Logs(connection, name).rows()
        finally:
            connection.close()
    except (apsw.NotADBError, apsw.CorruptError) as error:
        message = f"{name} is a damaged SQLite database ({error}): get a good copy of it, and import that"
        raise FormatError(message, path=name) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{name} holds text that is not UTF-8 ({error})", path=name) from error
    except apsw.TooBigError as error:
        message = f"{name} holds a value of more than {max_bytes:,} bytes (max_record_bytes)"
        raise TransferLimitError(message, path=name, limit="max_record_bytes") from error
    except apsw.Error as error:
        raise translate(error, "read", name) from error


def _open(path: str, max_bytes: int) -> apsw.Connection:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(_PATIENCE_MS)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, max_bytes)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute("PRAGMA temp_store = FILE")
    except BaseException:
        connection.close()
        raise
    return connection


class _Logs:
    """An open log database."""

    def __init__(self, connection: apsw.Connection, name: str) -> None:
        self._connection = connection
        self._related = RelatedRows(
            connection, own={"responses", "turns", "conversations", "threads", "messages", "turn_search"}
        )
        tables = self._related.columns
        self._tables = [
            table for table, (_, key) in _CONVERSATIONS.items() if {"id", key} <= set(tables.get(table, ()))
        ]
        if not self._tables:
            message = (
                f"{name} is an SQLite database, but not one of `llm`: it has neither a table `responses` nor "
                "a table `turns`"
            )
            raise FormatError(message, path=name)
        self._chains = MessageChains(self._related) if "turns" in self._tables else None

    def rows(self) -> Iterator[tuple[Values, Values]]:
        """Give all rows; see `read_rows`."""
        for table, number in self._order():
            row = next(self._related.select(table, "rowid", number))
            described_in, key = _CONVERSATIONS[table]
            conversation = next(self._related.select(described_in, "id", row.get(key)), {})
            row.update(self._related.of(table, row))
            if table == "turns" and self._chains is not None:
                self._chains.add_to(row)
            if row.get(key) is not None:
                conversation.setdefault("id", row[key])
            yield conversation, row

    def _order(self) -> Iterator[tuple[str, int]]:
        """Give the rows of all tables in the order of conversations' first rows; only keys are sorted."""
        parts = [
            f"SELECT {rank} AS rank, rowid AS row, id, {key} AS conversation FROM main.{table}"  # noqa: S608
            for rank, table in enumerate(self._tables)
            for _, key in [_CONVERSATIONS[table]]
        ]
        query = f"""
            SELECT rank, row FROM (
                SELECT rank, row, min(rank << 48 | row) OVER (
                    PARTITION BY coalesce(conversation, char(0) || id)
                ) AS first
                FROM ({" UNION ALL ".join(parts)})
            )
            ORDER BY first, rank, row
        """  # noqa: S608 - names of our own
        for rank, row in self._connection.execute(query):
            yield self._tables[rank], row
