"""From the server's answers, and from redis-py's exceptions, to our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdall.core.errors import (
    HoldallError,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from holdall.core.reference import Reference

_CODE = re.compile(
    r"\b(ASK|BUSY|CLUSTERDOWN|CROSSSLOT|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS"
    r"|OOM|READONLY|WRONGPASS|WRONGTYPE)\b"
)
# How servers say NOPERM of a command within a script, from 6.2 on.
_DENIED = re.compile(r"ACL failure|No permissions|executing the script can't")
# We do not trust the server, or it does not trust us.
_UNTRUSTED = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|_ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)"
)
# redis-py cuts the code off and says by the class which it was.
_CLASSES = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
}


def translate(
    error: Exception, ref: Reference, *, connecting: bool = False, once: bool = False
) -> HoldallError:
    """The error to raise for an exception of redis-py.

    Args:
        error: What it raised.
        ref: What the request was about.
        connecting: There was no connection yet, so that nothing was sent.
        once: The request cannot be repeated when its reply was lost.
    """
    from redis import exceptions

    if isinstance(error, exceptions.AuthenticationError):
        return Unauthenticated(
            f"{ref}: the server does not accept these credentials. Check the settings 'username' "
            "and 'password', or the environment variable HOLDALL_REDIS_PASSWORD",
            reference=ref,
        )
    code = _CLASSES.get(type(error).__name__)
    if code is None and isinstance(error, exceptions.ResponseError):
        code = _code_of(str(error))
    if code is not None:
        return refusal(code, str(error), ref)
    fault: HoldallError
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        # The greeting on a new connection waits as every request does.
        name = "connect_timeout" if "connecting" in str(error) else "timeout"
        fault = Timeout(
            f"{ref}: {ref.container} took longer than the setting {name!r} allows", reference=ref
        )
    elif connecting:
        fault = Unavailable(
            f"{ref}: {ref.container} cannot be reached: {error}",
            reference=ref,
            transient=_UNTRUSTED.search(str(error)) is None,
        )
    else:
        fault = Unavailable(f"{ref}: the connection to {ref.container} broke off", reference=ref)
    if once and not connecting:
        # Its own success would refuse a second one.
        unsure = type(fault)(
            f"{fault.message}; the change may have been applied: read what is there and decide",
            reference=ref,
            transient=False,
        )
        unsure.uncertain = True
        return unsure
    return fault


def refusal(code: str, text: str, ref: Reference) -> HoldallError:
    """The error for a code of the server; empty for one that has none of these."""
    if code == "WRONGTYPE":
        return Unsupported(
            f"{ref}: another program keeps something of another type there (a list, a hash or the "
            "like). It is left alone",
            reference=ref,
        )
    if code in {"NOAUTH", "WRONGPASS"}:
        return Unauthenticated(
            f"{ref}: the server wants credentials. Set 'password', or the environment variable "
            "HOLDALL_REDIS_PASSWORD",
            reference=ref,
        )
    if code == "NOPERM":
        return PermissionDenied(f"{ref}: the server does not permit this: {text}", reference=ref)
    if code == "OOM":
        return Unavailable(
            f"{ref}: the server has used all the memory it may (maxmemory). Give it more, or "
            "delete something",
            reference=ref,
            transient=False,
        )
    if code in {"ASK", "CROSSSLOT", "MOVED"}:
        return Unsupported(
            f"{ref}: this server is part of a cluster, and a store needs a server that has all "
            "the keys",
            reference=ref,
        )
    # What passes: it loads its data, follows another one, or is about to be replaced.
    return Unavailable(
        f"{ref}: the server answers: {text if code in text else f'{code} {text}'}",
        reference=ref,
        transient=bool(code),
    )


def refusal_of(text: str, ref: Reference) -> HoldallError:
    """The error for what the server says, code and all."""
    return refusal(_code_of(text), text, ref)


def _code_of(text: str) -> str:
    if _DENIED.search(text):
        return "NOPERM"
    found = _CODE.search(text)
    return found[1] if found else ""
