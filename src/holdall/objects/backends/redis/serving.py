"""What kind of server it is that one has connected to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from holdall.core.errors import Unsupported

if TYPE_CHECKING:
    from holdall.core.reference import Reference

_OLDEST = (6, 2)
_log = logging.getLogger(__name__)


def judge(info: bytes, ref: Reference) -> None:
    """Look at what a server says of itself.

    Warns in the log of a server that may throw objects away when its memory is full.

    Raises:
        Unsupported: It is older than Redis 6.2, or a part of a cluster.
    """
    said = dict(
        line.split(":", 1) for line in info.decode("utf-8", "replace").splitlines() if ":" in line
    )
    version = said.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST:
        raise Unsupported(
            f"{ref.root}: the server is Redis {version}, and a store needs 6.2 or later",
            reference=ref.root,
        )
    if said.get("cluster_enabled") == "1":
        raise Unsupported(
            f"{ref.root}: the server is part of a cluster, and a store needs a server that has "
            "all the keys",
            reference=ref.root,
        )
    policy = said.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and said.get("maxmemory", "0") != "0":
        _log.warning(
            "%s: the server throws keys away when its memory is full (maxmemory-policy %s). "
            "Objects that must stay need 'noeviction'",
            ref.root,
            policy,
        )
