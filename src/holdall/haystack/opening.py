"""From an address to an adapter."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from holdall.haystack.adapter.face import HaystackAdapter

_OPENERS: Final = {
    "memory": "holdall.haystack.memory:open_memory",
    "postgres": "holdall.haystack.postgres:open_postgres",
    "postgresql": "holdall.haystack.postgres:open_postgres",
    "redis": "holdall.haystack.redis:open_redis",
    "rediss": "holdall.haystack.redis:open_redis",
    "sqlite": "holdall.haystack.sqlite:open_sqlite",
    "timescale": "holdall.haystack.postgres:open_postgres",
}


def open_adapter(url: str) -> HaystackAdapter:
    """Open entities and histories; nothing is connected before the first call.

    Args:
        url: `memory://` (new at each opening; `memory://name` is shared in this process),
            `sqlite:///plant.db` (`sqlite:////srv/plant.db` is an absolute path),
            `redis://host:6379/0` (`rediss://` speaks TLS; the number is the database),
            `postgresql://user:password@host:5432/database` (`postgres://` and `timescale://` are
            the same).

    Raises:
        InvalidConfig: There is no such backend, or the address is none of its own.
    """
    if not isinstance(url, str):
        raise InvalidConfig(f"{type(url).__name__} is no address of an adapter: it takes a text")
    scheme, found, _ = url.partition("://")
    opener = _OPENERS.get(scheme.lower()) if found else None
    if opener is None:
        known = ", ".join(f"{name}://" for name in _OPENERS)
        # What stands behind the scheme may hold a password.
        shown = f"{scheme}://…" if found else "this"
        raise InvalidConfig(f"{shown} is no address of an adapter: there are {known}")
    module, _, name = opener.partition(":")
    adapter: HaystackAdapter = getattr(import_module(module), name)(url)
    return adapter
