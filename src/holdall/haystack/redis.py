"""`RedisAdapter`: entities and histories on a Redis or Valkey server."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from holdall.core.errors import InvalidConfig
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.kept import CACHE_BYTES
from holdall.haystack.stores.redis.entities import RedisEntities
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.haystack.stores.redis.server import RedisPlace
from holdall.haystack.stores.redis.settings import PREFIX, RedisHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

URL_VARIABLE: Final = "REDIS_URL"
_ENCODED: Final = "in a password '/', '?' and '#' are percent-encoded: %2F, %3F and %23"
_TEXTS: Final = ("prefix", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class RedisAdapter(HaystackAdapter):
    """Keeps entities, histories, watches and priority arrays on a Redis or Valkey server.

    Any number of processes may use them at once. What the server keeps of it when it ends is the
    server's business: with `appendonly yes` and `appendfsync always` all that was answered, with
    `save` alone what it saved last, and with neither nothing. A warning in the log tells of
    `appendonly no`.

    Args:
        redis_url: `redis://[user:password@]host[:port][/database]`; `rediss://` speaks TLS. None
            is what the environment variable REDIS_URL holds.
        prefix: What stands, in braces, before every key. Other keys are left alone.
        search: Whether to use the module Search, where the server has it, for what is new there.
        timeseries: Whether to use the module TimeSeries, where the server has it.
        timeout: For how many seconds the server may be silent.
        cache: Of how many bytes of JSON the entities that were read are kept ready in memory,
            where they take about five times as many.

    Raises:
        InvalidConfig: There is no address, or it is none, or the driver is not installed.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        prefix: str | None = None,
        search: bool | None = None,
        timeseries: bool | None = None,
        timeout: float = 30.0,
        cache: int = CACHE_BYTES,
    ) -> None:
        url = os.environ.get(URL_VARIABLE) if redis_url is None else redis_url
        if not url:
            raise InvalidConfig(f"no address: give redis_url, or set {URL_VARIABLE}")
        given = {"prefix": prefix, "search": search, "timeseries": timeseries}
        found = {"prefix": PREFIX, **settings_of(url)}
        found |= {name: value for name, value in given.items() if value is not None}
        seconds = timedelta(seconds=timeout)
        settings = RedisHaystackSettings(**found, timeout=seconds, cache=cache)
        runtime = LoopRuntime()
        place = RedisPlace(settings, runtime)
        super().__init__(
            RedisEntities(settings, runtime, place), RedisHistories(settings, runtime, place)
        )


def open_redis(url: str) -> RedisAdapter:
    """Open `redis://host`, `redis://host:6379/2` (a database), or `rediss://…` with TLS.

    Raises:
        InvalidConfig: The address is none.
    """
    return RedisAdapter(url)


def settings_of(url: str) -> Mapping[str, Any]:
    """The settings that an address stands for.

    Its query may hold `prefix`, `search`, `timeseries`, `db`, `ssl_ca_certs`, `ssl_certfile` and
    `ssl_keyfile`.

    Raises:
        InvalidConfig: It is none. The message does not show it, because it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidConfig(
            f"the address of the Redis server has no port from 1 to 65535; {_ENCODED}"
        ) from None
    if parts.scheme not in ("redis", "rediss"):
        raise InvalidConfig("the address of a Redis server begins with redis:// or rediss://")
    database = parts.path.strip("/")
    if "@" in database or ("@" in parts.query and not _known_query(parts.query)):
        # What is shown otherwise may be the end of a password.
        raise InvalidConfig(f"the address of the Redis server has an @ behind its host; {_ENCODED}")
    if database and not (database.isascii() and database.isdigit()):
        raise InvalidConfig(
            f"the address of the Redis server ends with {database!r}: what stands there is the "
            "number of a database"
        )
    found: dict[str, Any] = {"host": parts.hostname or "localhost", "ssl": parts.scheme == "rediss"}
    if ":" in found["host"]:
        found["host"] = f"[{found['host']}]"
    if port is not None:
        found["port"] = port
    if database:
        found["db"] = int(database)
    if parts.username:
        found["username"] = unquote(parts.username)
    if parts.password:
        found["password"] = Secret(unquote(parts.password))
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        found[name] = _setting(name, text)
    return found


def _known_query(query: str) -> bool:
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    return names <= {*_TEXTS, "db", "search", "timeseries"}


def _setting(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name == "db" and text.isascii() and text.isdigit():
        return int(text)
    if name in ("search", "timeseries") and text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    raise InvalidConfig(
        f"the query of the address of the Redis server has {name!r}: it may hold prefix, search, "
        "timeseries (true or false), db, ssl_ca_certs, ssl_certfile and ssl_keyfile"
    )
