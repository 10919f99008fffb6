"""What `PostgreSQLAdapter` is given: options, DSN and URL; what of it is shown, and what refused."""

from __future__ import annotations

import logging
import os
import pickle
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from postgresql_server import PASSWORD

from library.infrastructure.data import (
    ConversationHistoryUnit,
    InvalidOptionError,
    MissingExtraError,
    StorageError,
)
from library.infrastructure.data.storage import URL_VARIABLE, default_adapter
from library.infrastructure.interfaces.database import PostgreSQLAdapter, open_adapter

if TYPE_CHECKING:
    from postgresql_server import PostgreSQLServer

SECRET = "s3cr3t:/@#[]%"


def settings_of(adapter: PostgreSQLAdapter) -> Any:
    return adapter._settings


def test_the_constructor_of_the_specification() -> None:
    """As the specification writes it."""
    db_adapter = PostgreSQLAdapter(
        host="localhost", database="nanobrain", user="app_user", password="secure_password"
    )

    history_unit = ConversationHistoryUnit(database_adapter=db_adapter, table_name="conversations")

    assert history_unit is not None
    assert db_adapter.url == "postgresql://app_user@localhost/nanobrain"


async def test_it_works_with_host_database_user_and_password(server: PostgreSQLServer, database: str) -> None:
    """A real server takes them, and checks the password."""
    await server.execute(f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    try:
        adapter = PostgreSQLAdapter(
            host=server.host, port=server.port, database=database, user="guarded", password=PASSWORD
        )
        async with adapter:
            assert [["guarded"]] == [
                list(row) for row in await adapter.engine.fetch("ask", "SELECT user::text")
            ]
    finally:
        await server.execute("DROP ROLE guarded")


async def test_a_password_may_be_asked_for(server: PostgreSQLServer, database: str) -> None:
    """Clouds give passwords that last for minutes: a function gives one for each connection."""
    await server.execute(f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    asked = []

    async def password() -> str:
        asked.append(1)
        return PASSWORD

    try:
        adapter = PostgreSQLAdapter(server.url(database, "guarded"), password=password)
        async with adapter:
            assert asked
    finally:
        await server.execute("DROP ROLE guarded")


def test_a_dsn_is_taken_apart() -> None:
    """Percent-encoded parts, a port, options."""
    adapter = PostgreSQLAdapter(
        "postgres://some%20one:p%40ss%2Fword@db.example:6432/my%20data?schema=chat&max_size=3&connect_timeout=2.5"
        "&sslmode=require"
    )

    settings = settings_of(adapter)
    assert ("db.example",) == settings.hosts
    assert (6432,) == settings.ports
    assert "p@ss/word" == settings.password
    assert (3, 2.5, "chat") == (settings.max_size, settings.connect_timeout_s, settings.schema)
    assert (("sslmode", "require"),) == settings.tls_options
    assert "postgresql://some%20one@db.example:6432/my%20data?schema=chat" == adapter.url


def test_its_url_opens_the_same() -> None:
    """But for the password, which no URL tells."""
    adapter = PostgreSQLAdapter(host="::1", port=6000, database="a/b", user="u@v", schema="s")

    assert adapter.url == open_adapter(adapter.url).url


def test_several_hosts_are_tried_in_turn() -> None:
    """One that may be written is looked for."""
    settings = settings_of(PostgreSQLAdapter("postgresql://u@one:1,two:2/d"))

    assert ("one", "two") == settings.hosts
    assert "read-write" == settings.driver_options()["target_session_attrs"]


def test_what_is_given_by_name_counts_more() -> None:
    """A DSN from the environment, and one thing of it otherwise."""
    adapter = PostgreSQLAdapter("postgresql://u:p@h/d?max_size=3", host="other", database="e", max_size=4)

    assert "postgresql://u@other/e" == adapter.url
    assert 4 == settings_of(adapter).max_size
    assert "p" == settings_of(adapter).password


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, ssl.CERT_REQUIRED), ("require", "require"), (False, "disable"), ("verify-full", "verify-full")],
)
def test_tls(given: Any, expected: Any) -> None:
    """A mode of PostgreSQL, or yes and no."""
    settings = settings_of(PostgreSQLAdapter(host="h", ssl=given))

    if isinstance(expected, str):
        assert (("sslmode", expected),) == settings.tls_options
    else:
        assert expected == settings.tls.verify_mode


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("host", 7),
        ("host", ""),
        ("port", 0),
        ("port", "5432"),
        ("port", True),
        ("database", ""),
        ("user", b"x"),
        ("password", 7),
        ("schema", 'x"y'),
        ("schema", "pg_own"),
        ("min_size", 11),
        ("max_size", 0),
        ("max_size", 2.5),
        ("connect_timeout_s", 0),
        ("command_timeout_s", "1"),
        ("ssl", "sometimes"),
        ("statement_cache_size", -1),
        ("application_name", ""),
        ("replicas", "one,two"),
        ("replicas", [""]),
        ("replicas", ["postgresql:///nowhere"]),
        ("replicas", 7),
        ("dsn", "mysql://h/d"),
        ("dsn", 7),
        ("dsn", f"postgresql://u:{SECRET}@h/d"),
        ("dsn", "postgresql://u@h:port/d"),
    ],
)
def test_options_are_refused_by_name(option: str, value: Any) -> None:
    """Before anything is opened, and no secret is told."""
    with pytest.raises(InvalidOptionError) as caught:
        PostgreSQLAdapter(**{option: value})

    assert option == caught.value.option
    assert option in str(caught.value)
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("query", "option"),
    [("max_sise=3", "max_sise"), ("max_size=three", "max_size"), ("sslmode=never", "sslmode")],
)
def test_options_of_a_dsn_are_refused_by_name(query: str, option: str) -> None:
    """A slip of the pen is no option."""
    with pytest.raises(InvalidOptionError) as caught:
        PostgreSQLAdapter(f"postgresql://u:{SECRET[:6]}@h/d?{query}")

    assert option == caught.value.option
    assert "s3cr3t" not in str(caught.value)


async def test_a_password_is_told_nowhere(
    server: PostgreSQLServer, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by `repr`, the URL, the log, the statistics, nor by the error when it is wrong."""
    caplog.set_level(logging.DEBUG)
    await server.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    adapter = PostgreSQLAdapter(
        host=server.host, port=server.port, database=database, user="guarded", password="s3cr3t"
    )
    try:
        with pytest.raises(StorageError) as caught:
            await adapter.initialize()
    finally:
        await server.execute("DROP ROLE guarded")

    told = [repr(adapter), adapter.url, repr(settings_of(adapter)), caplog.text, repr(caught.value)]
    error: BaseException | None = caught.value
    while error is not None:
        told += [str(error), repr(error.__dict__)]
        error = error.__cause__ or error.__context__
    assert [] == [each for each in told if "s3cr3t" in each]
    assert "check both" in str(caught.value)
    assert "s3cr3t" not in str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_names_it(scheme: str) -> None:
    """Both schemes that PostgreSQL knows."""
    adapter = open_adapter(f"{scheme}://u:p@h/d")

    assert isinstance(adapter, PostgreSQLAdapter)


async def test_the_environment_may_name_the_default_database(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """`NANOBRAIN_DATABASE_URL=postgresql://…`: one adapter for all who ask."""
    monkeypatch.setenv(URL_VARIABLE, url)

    adapter = default_adapter()

    assert adapter is default_adapter()
    async with adapter:
        assert url == (await adapter.stats())["url"]


def test_the_driver_is_needed_only_for_postgresql() -> None:
    """Without it, SQLite works, and the error says what to install."""
    program = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from library.infrastructure.interfaces.database import SQLiteAdapter, open_adapter\n"
        "from library.infrastructure.data import MissingExtraError\n"
        "try:\n    open_adapter('postgresql://h/d')\n"
        "except MissingExtraError as error:\n    print(error, error.extra)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )

    assert "PostgreSQL needs asyncpg: pip install 'nanobrain-data[postgresql]' postgresql\n" == done.stdout
    assert MissingExtraError.__name__ not in done.stderr


async def test_backup_says_what_to_use_instead(url: str, tmp_path: Any) -> None:
    """A server is backed up by its own means."""
    async with PostgreSQLAdapter(url) as adapter:
        with pytest.raises(InvalidOptionError, match="pg_dump"):
            await adapter.backup(tmp_path / "copy")


async def test_a_table_name_is_checked(url: str) -> None:
    """As on every database."""
    adapter = PostgreSQLAdapter(url)

    for name in ("", "1x", "pg_x", 'a"b', "x" * 49):
        with pytest.raises(InvalidOptionError, match="table_name"):
            adapter.conversations(name)
        with pytest.raises(InvalidOptionError, match="table_name"):
            adapter.sessions(name)
