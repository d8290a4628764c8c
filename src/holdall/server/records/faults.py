"""What goes wrong in a database, by its HTTP status.

What the caller can mend is told; what they cannot, and what may tell how the database is reached,
is told to the log, and to the caller as the number under which it stands there.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import (
    AlreadyExists,
    CodecError,
    HoldallError,
    InvalidKey,
    InvalidQuery,
    InvalidValue,
    KeyConflict,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.records.drafts import UnfitRecord
from holdall.records.results import Undone
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_AFTER: Final = 5.0
# The more special classes first. The text is for an error that is the database's own, and may name
# the place where that is; where there is none, it is no fault of the request.
_TOLD: Final[tuple[tuple[type[HoldallError], int, str], ...]] = (
    (AlreadyExists, 409, "there is such a record already"),
    (KeyConflict, 409, "such a record cannot stand beside another one"),
    (PreconditionFailed, 412, "others write at the same time: do it again"),
    (NotFound, 404, ""),
    (LimitExceeded, 413, "this is more than the database takes"),
    (InvalidKey, 400, "the database takes no such id"),
    (InvalidQuery, 400, ""),
    (InvalidValue, 400, ""),
    (UnfitRecord, 400, ""),
    (CodecError, 400, ""),
    (Unsupported, 400, "the database cannot do this"),
)


class Told(Struct, frozen=True):
    """What a caller is told of an error.

    Attributes:
        status: The HTTP status.
        message: A line for people.
        retry_after: Seconds after which the same may go well; None where it will not.
    """

    status: int
    message: str
    retry_after: int | None = None


def told(error: HoldallError, address: str) -> Told:
    """What a caller is told; the log has what they are not.

    Args:
        error: What went wrong.
        address: Where the database is, which is nobody's business.
    """
    if not error.transient:
        if isinstance(error, Undone):
            return Told(409, str(error))
        for kind, status, text in _TOLD:
            if isinstance(error, kind):
                own = address in str(error) or not isinstance(error.reference, str | None)
                if not own:
                    return Told(status, whole(str(error)))
                if text:
                    return Told(status, text)
    number = request_id.get()
    LOG.error("the database failed", extra={"request": number}, exc_info=error)
    doubt = "; what was asked may be done all the same: read first" if error.uncertain else ""
    if error.transient or isinstance(error, Unavailable):
        wait = math.ceil(_RETRY_AFTER if error.retry_after is None else error.retry_after)
        message = f"the database cannot do this now{doubt}; the log has more under {number}"
        return Told(503, message, max(1, wait))
    if isinstance(error, (PermissionDenied, Unauthenticated)):
        return Told(502, f"the database refuses this server; the log has more under {number}")
    return Told(500, f"the database failed{doubt}; the log has more under {number}")


@contextmanager
def faults(address: str) -> Iterator[None]:
    """Raise what goes wrong as what is answered.

    Args:
        address: Where the database is.

    Raises:
        HttpFault: In the place of any error.
    """
    try:
        yield
    except HttpFault:
        raise
    except HoldallError as error:
        raise fault_of(told(error, address)) from error
    except Exception as error:
        number = request_id.get()
        LOG.error("failed", extra={"request": number}, exc_info=error)
        raise HttpFault(500, f"this failed; the log has more under {number}") from error


def fault_of(one: Told) -> HttpFault:
    """The answer that tells it."""
    wait = one.retry_after
    return HttpFault(one.status, one.message, {} if wait is None else {"Retry-After": str(wait)})


def whole(text: str) -> str:
    """A text without halves of characters, which cannot be sent."""
    return text.encode("utf-8", "backslashreplace").decode()
