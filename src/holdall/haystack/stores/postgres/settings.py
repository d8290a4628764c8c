"""The settings of entities and histories in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret
from holdall.haystack.stores.kept import CACHE_BYTES
from holdall.records.backends.postgres.settings import PostgresSettings, check


class PostgresHaystackSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of entities and histories in PostgreSQL, with TimescaleDB or without it.

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
        schema: Where the tables are; it must be there. They are `entities`, `history`, and others
            whose names begin with `hs_`.
        connections: How many connections there are at most, for entities and histories together.
        timeout: How long a statement may take, and how long to wait for a connection when all are
            in use; not limited when None.
        connect_timeout: How long a connection may take to be made; a whole number of seconds.
        cache: Of how many bytes of JSON the entities that were read are kept ready in memory,
            where they take about five times as many.
        chunk: How much time a chunk of the hypertable holds, when that is made.
        compress_after: How old a chunk is when TimescaleDB compresses it. None leaves what is set
            there, which is never unless somebody said so.
        keep: How old a chunk is when TimescaleDB drops it, samples and all. None leaves what is
            set there, which is never unless somebody said so.
    """

    dsn: Secret | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: Secret | None = None
    sslmode: str | None = None
    schema: str = "public"
    connections: int = 10
    timeout: timedelta | None = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)
    cache: int = CACHE_BYTES
    chunk: timedelta = timedelta(days=7)
    compress_after: timedelta | None = None
    keep: timedelta | None = None


def connection_settings(settings: PostgresHaystackSettings) -> PostgresSettings:
    """What connections are opened with.

    Raises:
        InvalidConfig: A setting cannot be; says which, and why.
    """
    made = PostgresSettings(
        dsn=settings.dsn,
        host=settings.host,
        port=settings.port,
        database=settings.database,
        user=settings.user,
        password=settings.password,
        sslmode=settings.sslmode,
        schema=settings.schema,
        table="entities",
        connections=settings.connections,
        timeout=settings.timeout,
        connect_timeout=settings.connect_timeout,
    )
    check(made)
    if settings.cache < 0:
        raise InvalidConfig(f"the setting 'cache' is {settings.cache}: write bytes from 0 on")
    for name in ("chunk", "compress_after", "keep"):
        span = getattr(settings, name)
        if span is not None and span < timedelta(minutes=1):
            raise InvalidConfig(f"the setting {name!r} is {span}: below a minute")
    return made
