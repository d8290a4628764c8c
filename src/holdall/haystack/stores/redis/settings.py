"""The settings of entities and histories on a Redis server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret
from holdall.haystack.stores.kept import CACHE_BYTES
from holdall.objects.backends.redis.settings import RedisSettings, checked

if TYPE_CHECKING:
    from holdall.core.reference import Reference

PREFIX: Final = "holdall:hs"
_LONGEST: Final = 100


class RedisHaystackSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of entities and histories on a Redis or Valkey server.

    Args:
        host: Name or address of the server.
        port: Where it listens; 6379 when None.
        db: The number of the database. The module Search knows database 0 alone.
        prefix: What stands, in braces, before every key: `{holdall:hs}:…`. Other keys of the
            database are left alone. The braces put all keys of one prefix in one hash slot.
        username: Who to be; the server's default user when None.
        password: That user's password. When None it is what the environment variable
            HOLDALL_REDIS_PASSWORD holds, if there is one.
        ssl: Whether to speak TLS; an address `rediss://…` says so.
        ssl_ca_certs: The file of the authorities to trust; the system's own when None.
        ssl_certfile: The file of the certificate that says who we are, for a server that wants
            one; its key may be in the same file.
        ssl_keyfile: The file of that certificate's key.
        timeout: How long the server may take to take or to give what one request moves.
        connect_timeout: How long a connection may take to be made.
        connections: On an event loop: how many connections there are at most. Without one
            each thread that waits has one.
        check: Whether the first request looks first what server it is: its version, whether it
            may throw keys away, and whether it keeps anything on disk.
        search: Whether to use the module Search, where the server has it, for what is new there.
        timeseries: Whether to use the module TimeSeries, where the server has it.
        cache: Of how many bytes of JSON the entities that were read are kept ready in memory,
            where they take about five times as many.
    """

    host: str = "localhost"
    port: int | None = None
    db: int = 0
    prefix: str = PREFIX
    username: str | None = None
    password: Secret | None = None
    ssl: bool = False
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    timeout: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)
    connections: int = 64
    check: bool = True
    search: bool = True
    timeseries: bool = True
    cache: int = CACHE_BYTES

    @property
    def address(self) -> str:
        """The server and the database, as text for messages, without secrets."""
        scheme = "rediss" if self.ssl else "redis"
        return f"{scheme}://{self.host}:{self.port or 6379}/{self.db}"


def server_settings(settings: RedisHaystackSettings) -> tuple[RedisSettings, Reference]:
    """What connections are opened with, and what their errors are about.

    Raises:
        InvalidConfig: A setting is none that can be.
    """
    prefix = settings.prefix
    if not prefix or len(prefix.encode("utf-8", "replace")) > _LONGEST:
        raise InvalidConfig(f"the setting 'prefix' has 1 to {_LONGEST} bytes")
    if not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{} ,|"):
        raise InvalidConfig(
            f"the setting 'prefix' is {prefix!r}: it holds printable ASCII without blanks, commas, "
            "braces and '|'"
        )
    if settings.cache < 0:
        raise InvalidConfig(f"the setting 'cache' is {settings.cache}: write bytes from 0 on")
    made = RedisSettings(
        host=settings.host,
        port=settings.port,
        db=settings.db,
        username=settings.username,
        password=settings.password,
        ssl=settings.ssl,
        ssl_ca_certs=settings.ssl_ca_certs,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        timeout=settings.timeout,
        connect_timeout=settings.connect_timeout,
        connections=settings.connections,
        check=settings.check,
    )
    return made, checked(made)
