"""Prefixes inside a container, as configurations write them."""

from __future__ import annotations

import re

from holdall.core.errors import InvalidConfig, InvalidKey
from holdall.core.reference import Reference, check_key

_CLEAN = re.compile(r"[A-Za-z0-9._/-]*\Z")


def sanitize_s3_prefix(prefix: str) -> str:
    """A prefix cleaned: no `/` at its start, one at its end; the empty one stays empty.

    Args:
        prefix: Letters, digits, `.`, `_`, `-` and `/`.

    Raises:
        InvalidConfig: It holds anything else, or a segment that no key may have. It is never
            taken for the empty prefix, which is the whole bucket.
    """
    if not _CLEAN.match(prefix):
        raise InvalidConfig(
            f"the prefix {prefix!r} holds other characters than letters, digits, '.', '_', '-' "
            "and '/'"
        )
    return f"{key_prefix(prefix)}/" if prefix else ""


def key_prefix(prefix: str) -> str:
    """A prefix as a key, without `/` at its ends.

    Raises:
        InvalidConfig: It is no key, or nothing but `/`, which is not taken for the empty one.
    """
    stripped = prefix.strip("/")
    if prefix and not stripped:
        raise InvalidConfig(f"the prefix {prefix!r} has no name: leave it out for the whole")
    if stripped:
        try:
            check_key(stripped)
        except InvalidKey as error:
            raise InvalidConfig(f"the setting 'prefix': {error}") from error
    return stripped


def root_of(scheme: str, container: str, prefix: str, host: str = "") -> Reference:
    """The address of a store.

    Args:
        scheme: Of the service.
        container: Bucket or container.
        prefix: As a configuration writes it.
        host: The account's host, for `abfs`.

    Raises:
        InvalidConfig: The container is no name, or the prefix is no key.
    """
    key = key_prefix(prefix)
    try:
        root = Reference.parse(
            f"{scheme}://{container}@{host}" if host else f"{scheme}://{container}"
        )
    except InvalidKey as error:
        raise InvalidConfig(f"{container!r} names no container: {error}") from error
    if root.key or root.userinfo is not None:
        raise InvalidConfig(
            f"{container!r} names no container: the setting 'prefix' takes the rest"
        )
    return root.child(key) if key else root
