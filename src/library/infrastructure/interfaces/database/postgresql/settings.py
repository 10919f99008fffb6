"""Where the database is and how to talk to it: from the options of the adapter, or a DSN, to the driver's."""

from __future__ import annotations

import ssl as tls
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from library.infrastructure.data.errors import InvalidOptionError
from library.infrastructure.data.option_checks import check_whole_number
from library.infrastructure.interfaces.database.postgresql.named_sql import is_schema_name

Password = str | Callable[[], str | Awaitable[str]]
"""A password, or what gives one for each connection, as clouds want it."""

_SCHEMES: Final = ("postgresql", "postgres")
_TLS_OPTIONS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl")
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WHOLE_NUMBERS: Final = ("min_size", "max_size", "statement_cache_size")
_SECONDS: Final = ("connect_timeout_s", "command_timeout_s")
_OWN_OPTIONS: Final = ("schema", "application_name", *_WHOLE_NUMBERS, *_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that it takes to connect, checked."""

    hosts: tuple[str, ...] = ()
    """None: what the variables PGHOST and PGPORT say, else this machine."""
    ports: tuple[int, ...] = ()
    database: str | None = None
    user: str | None = None
    password: Password | None = field(default=None, repr=False)
    tls: tls.SSLContext | None = field(default=None, repr=False)
    tls_options: tuple[tuple[str, str], ...] = ()
    schema: str = "public"
    min_size: int = 0
    max_size: int = 10
    connect_timeout_s: float = 10.0
    command_timeout_s: float = 60.0
    statement_cache_size: int = 100
    application_name: str = "nanobrain-data"

    @property
    def url(self) -> str:
        """The URL, without the password."""
        hosts = ",".join(
            f"{_bracketed(host)}:{port}" if port != 5432 else _bracketed(host)
            for host, port in zip(self.hosts, self.ports, strict=True)
        )
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        schema = f"?schema={self.schema}" if self.schema != "public" else ""
        return f"postgresql://{user}{hosts}/{quote(self.database or '', safe='')}{schema}"

    def driver_options(self) -> dict[str, Any]:
        """Return the arguments for `asyncpg.connect`."""
        options: dict[str, Any] = {
            "database": self.database,
            "user": self.user,
            "password": self.password,
            "timeout": self.connect_timeout_s,
            "command_timeout": self.command_timeout_s,
            "statement_cache_size": self.statement_cache_size,
            "server_settings": {"application_name": self.application_name},
        }
        if self.hosts:
            options["host"] = list(self.hosts)
            options["port"] = list(self.ports)
        if len(self.hosts) > 1:
            options["target_session_attrs"] = "read-write"
        if self.tls is not None:
            options["ssl"] = self.tls
        elif self.tls_options:
            options["dsn"] = f"postgresql:///?{urlencode(self.tls_options)}"
        return options

    def at(self, replica: str) -> Settings:
        """Return the settings for a replica: what it does not say is as for the primary."""
        if "://" in replica:
            found = parse_dsn(replica)
            if "schema" in found:
                raise InvalidOptionError(
                    "a replica has the schema of the primary: leave it out", option="replicas"
                )
        else:
            hosts, ports = _hosts(replica, "replicas")
            found = {"hosts": hosts, "ports": ports}
        if not found.get("hosts"):
            raise InvalidOptionError("a replica of replicas names no host", option="replicas")
        return replace(self, **found)


def parse_settings(dsn: str | None, options: dict[str, Any]) -> Settings:
    """Check what an adapter is given; what is given by name counts more than what the DSN says.

    Raises:
        InvalidOptionError: one of these has a value that it cannot take; no value of a DSN is shown.

    """
    found = {} if dsn is None else parse_dsn(dsn)
    given = {name: value for name, value in options.items() if value is not None}
    host, port, tls_given = given.pop("host", None), given.pop("port", None), given.pop("ssl", None)
    for name in ("database", "user", "application_name"):
        _check_text(name, given.get(name))
    if host is not None:
        _check_text("host", host)
        found["hosts"], found["ports"] = _hosts(host, "host")
    if port is not None:
        check_whole_number("port", port, 1, 65535)
        found["hosts"] = found.get("hosts") or ("localhost",)
        found["ports"] = (port,) * len(found["hosts"])
    password = given.get("password")
    if password is not None and not isinstance(password, str) and not callable(password):
        raise InvalidOptionError("password must be text, or a function that gives it", option="password")
    if tls_given is not None:
        found |= _tls(tls_given)
    return _checked(Settings(**{**found, **given}))


def parse_dsn(dsn: str) -> dict[str, Any]:
    """Take a DSN apart: `postgresql://user:password@host:port/database?option=value`.

    Raises:
        InvalidOptionError: it cannot be taken apart, or has an option that is not known.

    """
    if not isinstance(dsn, str) or dsn.partition("://")[0] not in _SCHEMES:
        raise InvalidOptionError(
            "dsn must be like postgresql://user:password@host:5432/database; "
            "it is not shown, for it may hold a password",
            option="dsn",
        )
    try:
        parts = urlsplit(dsn)
    except ValueError:
        message = "dsn cannot be read: percent-encode special characters in the password (`[` is %5B)"
        raise InvalidOptionError(message, option="dsn") from None
    if parts.fragment or "#" in dsn:
        raise InvalidOptionError("dsn has a `#` in it: write %23 for it", option="dsn")
    found: dict[str, Any] = {}
    credentials, _, place = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    if user:
        found["user"] = unquote(user)
    if password:
        found["password"] = unquote(password)
    if place:
        found["hosts"], found["ports"] = _hosts(place, "dsn")
    if parts.path[1:]:
        found["database"] = unquote(parts.path[1:])
    found |= _dsn_options(parts.query)
    return found


def _dsn_options(query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tls_options: list[tuple[str, str]] = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _TLS_OPTIONS:
            tls_options.append((name, value))
        elif name in _WHOLE_NUMBERS or name in _SECONDS or name == "connect_timeout":
            known = "connect_timeout_s" if name == "connect_timeout" else name
            try:
                found[known] = int(value) if name in _WHOLE_NUMBERS else float(value)
            except ValueError:
                raise InvalidOptionError(f"{name} must be a number, not {value!r}", option=name) from None
        elif name in _OWN_OPTIONS:
            found[name] = value
        else:
            known = ", ".join((*_OWN_OPTIONS, *_TLS_OPTIONS))
            raise InvalidOptionError(
                f"dsn has an option {name!r} that is not known: it is one of {known}", option=name
            )
    mode = dict(tls_options).get("sslmode")
    if mode is not None and mode not in _TLS_MODES:
        raise InvalidOptionError(
            f"sslmode must be one of {', '.join(_TLS_MODES)}, not {mode!r}", option="sslmode"
        )
    if tls_options:
        found["tls_options"] = tuple(tls_options)
    return found


def _hosts(text: str, option: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read `host`, `host:port`, `[::1]:port`, `/folder/of/socket`, or several with commas between them."""
    hosts: list[str] = []
    ports: list[int] = []
    for each in text.split(","):
        host, colon, port = each.rpartition(":")
        if not colon or each.startswith("/") or (":" in host and not host.endswith("]")):
            host, port = each, "5432"
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise InvalidOptionError(
                f"{option} has a port that is none: it is from 1 to 65535", option=option
            )
        host = unquote(host.removeprefix("[").removesuffix("]"))
        hosts.append(host or "localhost")
        ports.append(int(port))
    return tuple(hosts), tuple(ports)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


def _tls(given: Any) -> dict[str, Any]:
    if isinstance(given, tls.SSLContext):
        return {"tls": given, "tls_options": ()}
    if given is True:
        return {"tls": tls.create_default_context(), "tls_options": ()}
    if given is False:
        return {"tls_options": (("sslmode", "disable"),)}
    if given in _TLS_MODES:
        return {"tls_options": (("sslmode", given),)}
    raise InvalidOptionError(
        f"ssl must be True, False, an ssl.SSLContext or one of {', '.join(_TLS_MODES)}, not {given!r}",
        option="ssl",
    )


def _check_text(option: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise InvalidOptionError(f"{option} must be text, not {value!r}", option=option)


def _checked(settings: Settings) -> Settings:
    """Return the settings, numbers and schema checked."""
    check_whole_number("max_size", settings.max_size, 1, 1000)
    check_whole_number("min_size", settings.min_size, 0, settings.max_size)
    check_whole_number("statement_cache_size", settings.statement_cache_size, 0)
    for option in _SECONDS:
        value = getattr(settings, option)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6:
            raise InvalidOptionError(
                f"{option} must be a number of seconds above 0, not {value!r}", option=option
            )
    if not is_schema_name(settings.schema):
        message = (
            f"schema {settings.schema!r} cannot be used: take a letter, then letters, digits and "
            "underscores, at most 63, and not the prefix pg_"
        )
        raise InvalidOptionError(message, option="schema")
    return settings


def check_replicas(replicas: Any) -> tuple[str, ...]:
    """Return the replicas, if they are a sequence of texts."""
    if not isinstance(replicas, list | tuple) or not all(isinstance(each, str) and each for each in replicas):
        raise InvalidOptionError(
            "replicas must be a list of DSNs, or of texts like host or host:port", option="replicas"
        )
    return tuple(replicas)
