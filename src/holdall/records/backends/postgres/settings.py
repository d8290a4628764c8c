"""What a database in PostgreSQL is opened with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret

MAX_NAME_BYTES = 63
"""How long a name may be; PostgreSQL cuts off the rest without a word."""

_NAMED = ("host", "port", "database", "user", "password")


class PostgresSettings(Struct, frozen=True, kw_only=True):
    """Settings of a database in PostgreSQL.

    What is not given is what libpq finds: `PGHOST`, `PGUSER`, `PGPASSWORD`, a password file.

    Args:
        dsn: All of the connection in one, as a URL (`postgresql://user:password@host/database`)
            or as `host=… dbname=…`; then nothing of the next five is given.
        host: Name or address of the server, or the folder of its socket.
        port: Where it listens.
        database: The name of the database.
        user: Who to be.
        password: That user's password.
        sslmode: How to use TLS, in the words of libpq: `disable`, `prefer`, `require`,
            `verify-ca`, `verify-full`.
        schema: Where the table is; it must be there.
        table: The name of the table, which is made when it is not there.
        connections: How many connections there are at most.
        timeout: How long a statement may take, and how long to wait for a connection when
            all are in use; not limited when None.
        connect_timeout: How long a connection may take to be made; a whole number of seconds.
    """

    dsn: Secret | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: Secret | None = None
    sslmode: str | None = None
    schema: str = "public"
    table: str = "records"
    connections: int = 10
    timeout: timedelta | None = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)


def check(settings: PostgresSettings) -> None:
    """Refuse settings that cannot be.

    Raises:
        InvalidConfig: Says which, and why.
    """
    if settings.dsn is not None:
        for name in _NAMED:
            if getattr(settings, name) is not None:
                raise InvalidConfig(f"the settings 'dsn' and {name!r} are both given: take one")
    if settings.port is not None and not 0 < settings.port < 65536:
        raise InvalidConfig(f"the setting 'port' is {settings.port}: a port is 1 to 65535")
    for name in ("schema", "table"):
        check_name(name, getattr(settings, name))
    if settings.connections < 1:
        raise InvalidConfig(f"the setting 'connections' is {settings.connections}: below 1")
    if settings.timeout is not None and settings.timeout < timedelta(milliseconds=1):
        raise InvalidConfig(f"the setting 'timeout' is {settings.timeout}: below 1 ms")
    if settings.connect_timeout < timedelta(seconds=1):
        raise InvalidConfig(
            f"the setting 'connect_timeout' is {settings.connect_timeout}: below 1 s"
        )


def settings_of(url: str) -> dict[str, Any]:
    """The settings that an address stands for: `postgresql://user:password@host:port/database`.

    Raises:
        InvalidConfig: Its port is none.
    """
    parts = urlsplit(url)
    if "," in parts.netloc:  # several servers, which libpq tries in turn
        return {"dsn": url}
    try:
        port = parts.port
    except ValueError:
        # The whole is not shown: it may hold a password.
        raise InvalidConfig("the port in the address is no number from 1 to 65535") from None
    _, _, place = parts.netloc.rpartition("@")
    bare, _, _ = place.partition("]") if place.startswith("[") else place.partition(":")
    texts = {
        "host": bare.removeprefix("["),
        "database": parts.path.removeprefix("/"),
        "user": parts.username or "",
        "password": parts.password or "",
    }
    found: dict[str, Any] = {name: unquote(text) for name, text in texts.items() if text}
    return found if port is None else found | {"port": port}


def check_name(setting: str, name: str) -> None:
    """Refuse a name that PostgreSQL does not take as it is.

    Raises:
        InvalidConfig: It is empty, too long, or holds a NUL or what UTF-8 cannot write.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidConfig(f"the setting {setting!r} holds a lone surrogate") from error
    if not name or "\0" in name:
        raise InvalidConfig(f"the setting {setting!r} is {name!r}, which names nothing")
    if size > MAX_NAME_BYTES:
        raise InvalidConfig(
            f"the setting {setting!r} is {name!r}, which has {size} bytes: PostgreSQL takes "
            f"{MAX_NAME_BYTES}"
        )


def arguments(settings: PostgresSettings) -> dict[str, Any]:
    """What a connection is made of, with secrets looked up anew; may read files.

    Raises:
        InvalidConfig: A secret is not where it should be, or the dsn is none.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    found: dict[str, Any] = {}
    if settings.dsn is not None:
        try:
            found = dict(conninfo_to_dict(settings.dsn.reveal()))
        except ProgrammingError:
            # Its message would repeat a part of the dsn, which may be the password.
            raise InvalidConfig(
                "the setting 'dsn' is no address of a database: write "
                "postgresql://user:password@host:port/database"
            ) from None
    else:
        named = {
            "host": settings.host,
            "port": settings.port,
            "dbname": settings.database,
            "user": settings.user,
            "password": None if settings.password is None else settings.password.reveal(),
        }
        found = {name: value for name, value in named.items() if value is not None}
    if settings.sslmode is not None:
        found["sslmode"] = settings.sslmode
    found["connect_timeout"] = int(settings.connect_timeout.total_seconds())
    found["client_encoding"] = "UTF8"
    found.setdefault("application_name", "holdall")
    # Compiling a statement takes longer than it runs.
    options = [found.get("options"), "-c jit=off"]
    if settings.timeout is not None:
        milliseconds = max(1, int(settings.timeout.total_seconds() * 1000))
        # A server that fell silent is noticed in the same time.
        found["tcp_user_timeout"] = milliseconds
        options.append(f"-c statement_timeout={milliseconds}")
    found["options"] = " ".join(filter(None, options))
    return found
