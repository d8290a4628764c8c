"""From a service's answers, and from obstore's exceptions, to our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    InvalidConfig,
    InvalidRange,
    KeyConflict,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.core.secrets import MASK

if TYPE_CHECKING:
    from holdall.objects.options import WriteOptions

# obstore has one exception for most answers; the status stands only in its text.
_STATUS = re.compile(r"status(?: code)?: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})")
# It says everything a second time behind this, with the key in other places.
_AGAIN = "\n\nDebug source:\n"

_NO_CONTAINER = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound"}
_UNKNOWN_CALLER = {
    "AuthenticationFailed",
    "AuthFailure",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidToken",
    "NoAuthenticationInformation",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "XAdminUserNotFound",  # versitygw's, with the status 404
}
_TOO_LARGE = {
    "EntityTooLarge",
    "KeyTooLongError",
    "MetadataTooLarge",
    "RequestBodyTooLarge",
    "RequestHeaderSectionTooLarge",
}
_CONFLICTS = {
    "ExistingObjectIsDirectory",
    "ObjectParentIsFile",
    "PathConflict",
    "ResourceTypeMismatch",
}
_ARCHIVED = {"InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"}
_EXISTS = {"BlobAlreadyExists", "UnspecifiedConditionsNotMet"}
# Of a connection that was never made, so that nothing was sent.
_UNREACHED = re.compile(r"legacy::Error\(\s+Connect,")
# What a service may repeat of a request, and what lends its holder the caller's rights; also in
# JSON, in a URL within a URL, and in the text of obstore, which escapes quotes.
_IS = r"[\\\"']*\s*(?:[:=]|%3d)\s*[\\\"']*"
_LENT = re.compile(
    rf"((?<![a-z])(?:sig|x-amz-(?:credential|security-token|signature)|x-goog-signature){_IS}"
    rf"|authorization{_IS}[a-z0-9-]+\s+)[^&\s\"'<>\\]+",
    re.IGNORECASE,
)
_TIMED_OUT = ("operation timed out", "deadline has elapsed", "TimedOut", "request timed out")


class Asked(Struct, frozen=True):
    """What a request asked for, to say in its error.

    Args:
        ref: About which object or prefix.
        creates: It asked that there be nothing there.
        conditional: It asked for a certain etag.
        writes: It changes something, so that a lost reply leaves the outcome unknown.
        deletes: It deletes what has a certain etag. That there is nothing does not refuse it.
        storage_class: It asked for this class.
    """

    ref: Reference
    creates: bool = False
    conditional: bool = False
    writes: bool = False
    deletes: bool = False
    storage_class: str | None = None


def asked_by(ref: Reference, options: WriteOptions) -> Asked:
    """What a write asks for."""
    return Asked(
        ref,
        options.if_none_match is not None,
        options.if_match is not None,
        writes=True,
        storage_class=options.storage_class,
    )


def answered(status: int, code: str, message: str, asked: Asked) -> HoldallError:
    """The error for an answer of a service.

    Args:
        status: The HTTP status.
        code: The service's own name of the error; empty where it gave none.
        message: What the service says of it; empty where it says nothing.
        asked: What the request was.
    """
    ref = asked.ref
    said = f" ({code}: {masked(message)})" if message else f" ({code})" if code else ""
    if code in _NO_CONTAINER and status == 404:
        kind = "bucket" if ref.scheme in {"s3", "gs"} else "container"
        return InvalidConfig(
            f"{ref.root}: there is no such {kind}{said}. Create it, or mend its name",
            reference=ref.root,
        )
    if code in _CONFLICTS:
        return KeyConflict(
            f"{ref}: this service keeps objects as files in folders, and a part of this key is "
            f"the other kind{said}",
            reference=ref,
        )
    # Before what 404 says by itself, which some servers answer here too.
    if status == 401 or code in _UNKNOWN_CALLER:
        return Unauthenticated(
            f"{ref}: the service does not accept these credentials{said}. "
            "Check the keys or the token, whether they have expired, and the clock",
            reference=ref,
        )
    if status == 412 or code in _EXISTS or (asked.conditional and asked.writes and status == 404):
        return _refused(asked)
    if status == 404:
        return NotFound(f"{ref}: there is no object", reference=ref)
    if code in _ARCHIVED:
        return PermissionDenied(
            f"{ref} is in an archive class, and cannot be read before it is restored{said}. "
            "Restore it with the service's tools, such as 'aws s3api restore-object' or "
            "'az storage blob set-tier', and read it when that is done",
            reference=ref,
        )
    if status == 403:
        return PermissionDenied(
            f"{ref}: the service does not permit this{said}. "
            "These credentials lack the right, or are wrong",
            reference=ref,
        )
    if status == 416:
        return InvalidRange(f"{ref}: the range does not lie within the object", reference=ref)
    if status in {301, 307, 308}:
        return InvalidConfig(
            f"{ref.root} is elsewhere{said}: set its region or endpoint", reference=ref.root
        )
    if status == 413 or code in _TOO_LARGE:
        return LimitExceeded(f"{ref}: the service refuses the size{said}", reference=ref)
    if status in {405, 501}:
        return Unsupported(f"{ref}: the service cannot do this{said}", reference=ref)
    if status in {408, 409, 423, 425, 429} or status >= 500 or code == "RequestTimeout":
        busy = Unavailable(f"{ref}: the service answers {status}{said}", reference=ref)
        # What stands between may say so of a request that went through.
        return lost(busy, asked) if status >= 500 else busy
    if status == 400 and asked.storage_class is not None:
        return Unsupported(
            f"{ref}: the service refuses this{said}, which asks for the storage class "
            f"{asked.storage_class!r}: has it a class of that name?",
            reference=ref,
        )
    return Unavailable(f"{ref}: the service answers {status}{said}", reference=ref, transient=False)


def masked(text: str) -> str:
    """What a service says, without signatures and tokens."""
    return _LENT.sub(rf"\1{MASK}", text)


def _refused(asked: Asked) -> HoldallError:
    if asked.creates:
        return AlreadyExists(f"{asked.ref} exists already", reference=asked.ref)
    return PreconditionFailed(
        f"{asked.ref} has changed since its etag was read, or is gone; read it and decide again",
        reference=asked.ref,
    )


def raised(error: Exception, asked: Asked, endpoint: str) -> HoldallError:
    """The error for an exception of obstore.

    Args:
        error: What it raised.
        asked: What the request was.
        endpoint: Where to, to name it when it does not answer.
    """
    text = str(error)
    shown = masked(text)
    if shown != text:
        error.args = (shown,)  # it becomes the cause, which a traceback prints
    said = _without_key(text.partition(_AGAIN)[0], asked.ref.key)
    status, code = _STATUS.search(said), _CODE.search(said)
    if status is not None:
        message = _MESSAGE.search(said)
        return answered(
            int(status[1]),
            code[1] if code else "",
            message[1].split("\n")[0] if message else "",
            asked,
        )
    if "Wanted range starting at" in text:
        return answered(416, "", "", asked)
    name = type(error).__name__
    if name in {"AlreadyExistsError", "PreconditionError"}:
        return _refused(asked)
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{asked.ref}: there is no object", reference=asked.ref)
    found: HoldallError
    if any(mark in text for mark in _TIMED_OUT):
        found = Timeout(
            f"{asked.ref}: {endpoint} took longer than the setting 'timeout' allows",
            reference=asked.ref,
        )
    else:
        found = Unavailable(
            f"{asked.ref}: the connection to {endpoint} failed, or broke off", reference=asked.ref
        )
    return found if _UNREACHED.search(text) else lost(found, asked)


def _without_key(text: str, key: str) -> str:
    """What obstore says of an object, without its key, which may read like an answer."""
    for before in ("location ", "path "):
        text = text.replace(before + key, before)
    return text


def lost(error: HoldallError, asked: Asked) -> HoldallError:
    """Say of an error without an answer whether the write may have been applied.

    A conditional one must not be repeated then: its own success would refuse it.
    """
    unknown = isinstance(error, (Timeout, Unavailable))
    once = asked.creates or asked.conditional or asked.deletes
    if not unknown or not asked.writes or not once:
        return error
    change = "deletion" if asked.deletes else "write"
    unsure = type(error)(
        f"{error.message}; the {change} may have been applied: read the object and decide",
        reference=error.reference,
        transient=False,
    )
    unsure.uncertain = True
    return unsure
