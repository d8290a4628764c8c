"""Conditions on their way to the server and back, and the largest object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import LimitExceeded
from holdall.objects.integrity import check_conditions

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.options import WriteOptions

MAX_OBJECT_BYTES = 512 * 1024 * 1024
"""What the server takes as one string."""


def match_of(etag: str | None) -> bytes:
    """An `if_match` as the scripts read it: empty where there is none."""
    # An empty text is a condition too, which no etag fulfils.
    return b"" if etag is None else etag.encode("utf-8", "replace") or b"?"


def none_match_of(condition: str | None) -> bytes:
    """An `if_none_match` as the scripts read it: empty where there is none."""
    return b"" if condition is None else b"*"


def refuse(reply: bytes, options: WriteOptions, ref: Reference) -> None:
    """Raise what a script says that refused to write: `!exists`, `!` and an etag, or `!` alone."""
    if reply == b"!exists":
        check_conditions("", None, options.if_none_match, ref)
    check_conditions(reply[1:].decode() or None, options.if_match, None, ref)


def check_size(size: int, ref: Reference) -> None:
    """Raise `LimitExceeded` for more bytes than an object may have."""
    if size > MAX_OBJECT_BYTES:
        raise LimitExceeded(
            f"{ref}: {size} bytes, and a value of Redis has at most {MAX_OBJECT_BYTES} "
            "(capabilities.max_object_bytes)",
            reference=ref,
        )
