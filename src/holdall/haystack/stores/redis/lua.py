"""What the server does: Lua scripts, each atomic and in one round trip."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from holdall.objects.backends.redis.lua import Script

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST: Final = "local call = redis.call\nlocal P = KEYS[1]\n"


def script(text: str, functions: Mapping[str, str]) -> Script:
    """A script of a text and those of the functions that it calls.

    `call` is `redis.call`, and `P` what every key begins with.

    Args:
        text: What it does.
        functions: By their names; one may call those above it.
    """
    needed: list[str] = []
    for name, function in reversed(list(functions.items())):
        if f"{name}(" in "".join([text, *needed]):
            needed.insert(0, function)
    source = "".join([_FIRST, *needed, text]).encode()
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(source, sha, 1)
