"""What a Redis store is opened with."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.core.reference import Reference, check_key
from holdall.core.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORD_VARIABLE = "HOLDALL_REDIS_PASSWORD"  # noqa: S105 - its name, not the password


class RedisSettings(Struct, frozen=True, kw_only=True):
    """Settings of `redis://`.

    Args:
        host: Name or address of the server.
        port: Where it listens; 6379 when None.
        db: The number of the database.
        prefix: Opens the folder of this name inside the database.
        username: Who to be; the server's default user when None.
        password: That user's password. When None it is what the environment variable
            HOLDALL_REDIS_PASSWORD holds, if there is one.
        ssl: Whether to speak TLS; an address `rediss://…` says so.
        ssl_ca_certs: The file of the authorities to trust; the system's own when None.
        ssl_certfile: The file of the certificate that says who we are, for a server that wants
            one; its key may be in the same file.
        ssl_keyfile: The file of that certificate's key.
        ttl: How long an object lives after it was written; for ever when None.
        timeout: How long the server may take to take or to give what one request moves.
        connect_timeout: How long a connection may take to be made.
        connections: On an event loop: how many connections there are at most. Without one
            each thread that waits has one.
        check: Whether the first request looks first what server it is: its version, and
            whether it may throw objects away.
    """

    host: str = "localhost"
    port: int | None = None
    db: int = 0
    prefix: str = ""
    username: str | None = None
    password: Secret | None = None
    ssl: bool = False
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ttl: timedelta | None = None
    timeout: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)
    connections: int = 64
    check: bool = True


def checked(settings: RedisSettings) -> Reference:
    """Refuse settings that cannot be; answer the address that they stand for."""
    if not settings.host or any(character in settings.host for character in "/@ "):
        # It is not shown: what stands before an '@' may be a secret.
        raise InvalidConfig("the setting 'host' names no host")
    if settings.port is not None and not 0 < settings.port < 65536:
        raise InvalidConfig(f"the setting 'port' is {settings.port}: a port is 1 to 65535")
    if settings.db < 0:
        raise InvalidConfig(f"the setting 'db' is {settings.db}: databases are counted from 0")
    if settings.connections < 1:
        raise InvalidConfig(f"the setting 'connections' is {settings.connections}: below 1")
    if settings.ssl_keyfile is not None and settings.ssl_certfile is None:
        raise InvalidConfig("the setting 'ssl_keyfile' is the key of 'ssl_certfile': set both")
    for name in ("timeout", "connect_timeout", "ttl"):
        value = getattr(settings, name)
        if value is not None and value < timedelta(milliseconds=1):
            raise InvalidConfig(f"the setting {name!r} is {value}: it must be at least 1 ms")
    if settings.prefix:
        check_key(settings.prefix)
    container = settings.host if settings.port is None else f"{settings.host}:{settings.port}"
    return Reference("rediss" if settings.ssl else "redis", container, settings.prefix)


def settings_of(reference: Reference) -> Mapping[str, Any]:
    """The settings that an address stands for."""
    host, _, port = reference.container.rpartition(":")
    if not host or port.endswith("]"):
        host, port = reference.container, ""
    found: dict[str, Any] = {"host": host, "prefix": reference.key}
    if port:
        found["port"] = int(port)
    if reference.scheme == "rediss":
        found["ssl"] = True
    if reference.userinfo is not None:
        username, _, password = reference.userinfo.reveal().partition(":")
        found |= {"username": username, "password": password}
    return found


def credentials(settings: RedisSettings) -> tuple[str, ...]:
    """User and password as the server wants them, looked up anew; empty when there are none."""
    password = None
    if settings.password is not None:
        password = settings.password.reveal()
    elif PASSWORD_VARIABLE in os.environ:
        password = Secret({"env": PASSWORD_VARIABLE}).reveal()
    if settings.username:
        return (settings.username, password or "")  # a user may need none
    return () if password is None else (password,)
