"""`SQLiteAdapter`: one SQLite database, in a file or in memory."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import apsw

from library.infrastructure.data.durable_io import (
    check_place,
    explain_os_errors,
    remove_file,
    resolve_path,
    sync_file,
    sync_folder,
)
from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.data.storage import DatabaseAdapter
from library.infrastructure.data.worker import run_in_worker
from library.infrastructure.interfaces.database.sqlite.conversations import (
    KIND,
    SQLiteConversationStore,
)
from library.infrastructure.interfaces.database.sqlite.engine import MEMORY, Engine, open_engine
from library.infrastructure.interfaces.database.sqlite.erasing import rewrite
from library.infrastructure.interfaces.database.sqlite.failures import translate
from library.infrastructure.interfaces.database.sqlite.migrations import check_database, known_tables
from library.infrastructure.interfaces.database.sqlite.sessions import SQLiteSessionStore
from library.infrastructure.interfaces.database.sqlite.spool import is_in_use
from library.infrastructure.interfaces.database.table_names import check_table_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from library.infrastructure.data.storage import TableInfo


_TURN_S: Final = 0.05
"""How often a backup looks whether an import has ended."""


class SQLiteAdapter(DatabaseAdapter):
    """Keeps everything in one SQLite file, with no server, for any number of tasks, threads and processes.

    The driver is apsw, which carries a current SQLite of its own: do not open the file with another SQLite
    library (the standard library's `sqlite3`, DuckDB) within the same process, for POSIX locks are dropped
    behind the other's back. Other processes may use whatever they like.

    Saves that are asked for at the same time share one transaction and one fsync. Reads run beside them, on
    connections of their own. The file must be on a local disk: SQLite's write-ahead log needs shared memory.

    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "conversations.db",
        *,
        synchronous: Literal["full", "normal"] = "full",
        readers: int = 4,
        busy_timeout_s: float = 30.0,
    ) -> None:
        """Prepare; no file is touched yet.

        Args:
            path: the file, relative to the present working directory; it is made when it is not there.
                `":memory:"`: nothing is kept beyond the adapter's life.
            synchronous: `"full"`: what was acknowledged survives power loss. `"normal"`: it survives `kill
                -9`, but the last moments before a power loss may be lost; never damaged.
            readers: the most threads that read at the same time, 1 to 64.
            busy_timeout_s: seconds to wait for other processes that have the file locked.

        Raises:
            InvalidOptionError: one of these has a value that it cannot take.

        """
        super().__init__()
        self._engine: Engine | None = None
        self.path = MEMORY if str(path) == MEMORY else resolve_path(path)
        """The file: an absolute path, links followed; or `":memory:"`."""
        if synchronous not in ("full", "normal"):
            message = f"synchronous must be 'full' or 'normal', not {synchronous!r}"
            raise InvalidOptionError(message, option="synchronous")
        self._synchronous: Literal["full", "normal"] = synchronous
        self._readers = check_whole_number("readers", readers, 1, 64)
        if not isinstance(busy_timeout_s, int | float) or not 0 <= busy_timeout_s <= 1e6:
            message = f"busy_timeout_s must be a number of seconds from 0 up, not {busy_timeout_s!r}"
            raise InvalidOptionError(message, option="busy_timeout_s")
        self.busy_timeout_s = float(busy_timeout_s)
        """Seconds to wait for other processes that have the file locked."""
        self._stores: dict[str, SQLiteConversationStore] = {}
        self._session_stores: dict[str, SQLiteSessionStore] = {}

    @property
    def url(self) -> str:
        """The URL of the database, as `open_adapter` takes it."""
        return f"sqlite:///{self.path if self.path == MEMORY else quote(self.path)}"

    def conversations(self, table_name: str = "conversations") -> SQLiteConversationStore:
        """Return the store of one table; see `DatabaseAdapter.conversations`."""
        check_table_name(table_name)
        store = self._stores.get(table_name.lower())
        if store is None:
            store = self._stores.setdefault(table_name.lower(), SQLiteConversationStore(self, table_name))
        return store

    def sessions(self, table_name: str = "sessions") -> SQLiteSessionStore:
        """Return the store of one table; see `DatabaseAdapter.sessions`."""
        check_table_name(table_name)
        store = self._session_stores.get(table_name.lower())
        if store is None:
            store = self._session_stores.setdefault(table_name.lower(), SQLiteSessionStore(self, table_name))
        return store

    @property
    def engine(self) -> Engine:
        """What is open; for the stores.

        Raises:
            NotInitializedError, UnitClosedError: the adapter is not open.
            ForkedDatabaseError: it was opened before this process was forked.

        """
        engine = self._engine
        if engine is None:
            self.check_open()
            raise AssertionError
        engine.check_not_forked()
        return engine

    async def check(self) -> list[str]:
        """Look for damage, in the full-text index too; see `DatabaseAdapter.check`."""
        engine = self.engine
        if self.path == MEMORY:
            problems = await engine.read(_check_file)
        else:
            problems = await run_in_worker(self._check_afresh, engine)
        if not problems:
            problems += await engine.read(_interrupted, self.path)
            for table in await self.tables():
                if table.kind == KIND:
                    problems += await self.conversations(table.name).check_index()
                else:
                    problems += await self.sessions(table.name).check()
        return problems

    async def backup(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Copy the database while it is in use, without gaps; see `DatabaseAdapter.backup`."""
        engine = self.engine
        target = self._check_target(path, overwrite=overwrite)
        temporary = f"{target}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        while True:
            if self.path == MEMORY:
                is_whole = await engine.read(_copy_to, temporary, target, self.path)
            else:
                is_whole = await run_in_worker(self._back_up, engine, temporary, target)
            if is_whole:
                return
            await asyncio.sleep(_TURN_S)

    async def vacuum(self) -> None:
        """Rewrite the file without gaps; it needs as much free space again, and saves wait meanwhile."""
        await self.engine.write(_vacuum, None, "vacuum", in_transaction=False)

    async def tables(self) -> list[TableInfo]:
        """List the tables that this library made; see `DatabaseAdapter.tables`."""
        return await self.engine.read(known_tables)

    async def stats(self) -> Mapping[str, Any]:
        """Return what was counted since the adapter was opened.

        Returns:
            `commits`, `jobs`, `jobs_per_commit`, `largest_batch`, `queue_depth`, `writes` and `reads` (each
            with `count`, and of the last 1,024 `p50_ms`, `p95_ms` and `max_ms`), `log_bytes` (the write-ahead
            log), `file_bytes`.

        """
        engine = self.engine
        found: dict[str, Any] = {"url": self.url, "file_bytes": 0, "reads": {"count": 0}}
        if self.path != MEMORY:
            found["file_bytes"] = _size(self.path)
        if engine.readers is not None:
            found["reads"] = {"count": engine.readers.latencies.count, **engine.readers.latencies.summary()}
        writer = engine.writer
        if writer is not None:
            found |= {
                "commits": writer.commits,
                "jobs": writer.jobs,
                "jobs_per_commit": round(writer.jobs / writer.commits, 2) if writer.commits else 0.0,
                "largest_batch": writer.largest_batch,
                "queue_depth": writer.queue_depth,
                "log_bytes": writer.log_bytes,
                "writes": {"count": writer.latencies.count, **writer.latencies.summary()},
            }
        return found

    def _check_target(self, path: str | os.PathLike[str], *, overwrite: bool) -> str:
        """Return where a copy goes, if one may be put there."""
        target = resolve_path(path)
        if target == self.path:
            raise InvalidOptionError(f"{target} is the database itself: name another file", option="path")
        check_place(target)
        if os.path.exists(target) and not overwrite:
            raise InvalidOptionError(
                f"{target} exists: name another file, or set overwrite=True", option="path"
            )
        return target

    async def _open(self) -> None:
        if self.path != MEMORY:
            check_place(self.path)
        opened: list[Engine] = []
        try:
            await run_in_worker(self._open_engine, opened)
            await opened[0].read(check_database, self.path)
        except BaseException:
            for engine in opened:  # also where the caller was cancelled meanwhile
                engine.close()
            raise
        self._engine = opened[0]

    def _open_engine(self, opened: list[Engine]) -> None:
        opened.append(open_engine(self.path, self._synchronous, self.busy_timeout_s, self._readers))

    async def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await run_in_worker(_close, engine)

    def _abandon(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _check_afresh(self, engine: Engine) -> list[str]:
        """Check with a connection that remembers nothing: FTS5 takes what one remembers for damage."""
        try:
            connection = engine.connect_reader()
            try:
                return _check_file(connection)
            finally:
                connection.close()
        except apsw.Error as error:
            raise translate(error, "check", self.path) from error

    def _back_up(self, engine: Engine, temporary: str, target: str) -> bool:
        try:
            connection = engine.connect_reader()
            try:
                return _copy_to(connection, temporary, target, self.path)
            finally:
                connection.close()
        except apsw.Error as error:
            raise translate(error, "back up", self.path) from error


def _size(path: str) -> int:
    """Count the bytes of a database on the disk, its log included."""
    return sum(os.path.getsize(file) for file in (path, f"{path}-wal") if os.path.exists(file))


def _close(engine: Engine) -> None:
    engine.close()
    engine.join()


def _check_file(connection: apsw.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else [f"integrity_check: {problem}" for problem in found]


def _copy_to(connection: apsw.Connection, temporary: str, target: str, path: str) -> bool:
    """Copy to a temporary file, bring it to the disk, and give it its name.

    Returns:
        Whether that was possible: a copy with half of an import in it is none.

    """
    try:
        if _is_importing(connection):
            return False
        connection.execute("VACUUM INTO ?", (temporary,))
        copy = apsw.Connection(temporary, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            if _is_importing(copy):
                return False
        finally:
            copy.close()
        with explain_os_errors("back up to", target):
            descriptor = os.open(temporary, os.O_RDWR | os.O_CLOEXEC)
            try:
                sync_file(descriptor)
            finally:
                os.close(descriptor)
            for log in (f"{target}-wal", f"{target}-shm"):
                remove_file(log)  # of a former copy: SQLite would take it for one of this
            os.replace(temporary, target)
            sync_folder(os.path.dirname(target))
        return True
    except apsw.Error as error:
        raise translate(error, f"back up to {target} from", path) from error
    finally:
        remove_file(temporary)


def _interrupted(connection: apsw.Connection, path: str) -> list[str]:
    """Say which imports nobody is going to complete, while the database is not opened to be written."""
    if not _is_importing(connection):
        return []
    folder = os.path.dirname(path)
    rows: list[Any] = connection.execute("SELECT table_name, spool FROM nanobrain_loads").fetchall()
    return [
        f"table {table}: an import was interrupted, and is not complete"
        for table, spool in rows
        if not is_in_use(os.path.join(folder, spool))
    ]


def _is_importing(connection: apsw.Connection) -> bool:
    """Tell whether an import is under way, some of whose rows are in their table and some are not."""
    has_loads = "SELECT 1 FROM sqlite_schema WHERE name = 'nanobrain_loads'"
    if not connection.execute(has_loads).get:
        return False
    return bool(connection.execute("SELECT 1 FROM nanobrain_loads LIMIT 1").get)


def _vacuum(connection: apsw.Connection, payloads: Sequence[None]) -> Sequence[None]:
    rewrite(connection)
    return payloads
