"""From what a store refuses to what HTTP calls it.

A store's own messages name where it is, which is nobody's business out there: the client is told of
the key, and the log has the rest.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    InvalidKey,
    KeyConflict,
    LimitExceeded,
    NotFound,
    PreconditionFailed,
    Unsupported,
)
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY: Final = 5.0
_REFUSED: Final[tuple[tuple[type[HoldallError], int, str], ...]] = (
    (NotFound, 404, "there is no object {key!r}"),
    (AlreadyExists, 412, "there is an object {key!r} already"),
    (PreconditionFailed, 412, "{key!r} is another object by now: read it and decide again"),
    (
        KeyConflict,
        409,
        "{key!r} would be a file where the store has a folder, or the other way round",
    ),
    (InvalidKey, 400, "the store takes no key such as {key!r}"),
    (LimitExceeded, 413, "{key!r} is larger, or has more metadata, than the store takes"),
    (Unsupported, 400, "the store cannot do this with {key!r}"),
)


@contextmanager
def told(key: str) -> Iterator[None]:
    """Tell what a store refuses within the block as HTTP does.

    Args:
        key: What it is about.

    Raises:
        HttpFault: The store refused.
    """
    try:
        yield
    except HoldallError as error:
        raise _fault_of(error, key) from error


def _fault_of(error: HoldallError, key: str) -> HttpFault:
    for kind, status, text in _REFUSED:
        if isinstance(error, kind):
            return HttpFault(status, text.format(key=key))
    number = request_id.get()
    LOG.error("the store of objects failed", extra={"request": number}, exc_info=error)
    doubt = "; what was asked may be done all the same: look first" if error.uncertain else ""
    if error.transient:
        wait = _RETRY if error.retry_after is None else error.retry_after
        return HttpFault(
            503,
            f"the store does not answer now{doubt}; the log has more under {number}",
            {"Retry-After": str(max(1, math.ceil(wait)))},
        )
    return HttpFault(502, f"the store failed{doubt}; the log has more under {number}")
