"""From the operating system's errors to ours."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from holdall.core.errors import (
    HoldallError,
    InvalidKey,
    KeyConflict,
    NotFound,
    PermissionDenied,
    Unavailable,
)

if TYPE_CHECKING:
    from types import TracebackType

    from holdall.core.reference import Reference

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE, errno.EBUSY}


class translated:  # noqa: N801 - reads as a word where it is used: `with translated(ref):`
    """Turns the operating system's errors about an object into ours, for `with`."""

    __slots__ = ("_ref",)

    def __init__(self, ref: Reference) -> None:
        self._ref = ref

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Some of ours are operating system errors too, for those who catch these.
        if isinstance(error, OSError) and not isinstance(error, HoldallError):
            raise translate(error, self._ref) from error


def translate(error: OSError, ref: Reference) -> HoldallError:
    """The error to raise for an operating system's error about an object."""
    code = error.errno
    # ENXIO is what opening a socket says.
    if code in {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}:
        return not_found(ref)
    if code == errno.ELOOP:
        return PermissionDenied(
            f"{ref}: there is a symbolic link on the way, and a store follows none. "
            "Open the folder that it leads to as a store of its own",
            reference=ref,
        )
    if code in _DENIED:
        return PermissionDenied(f"{ref}: {error.strerror} ({ref.path})", reference=ref)
    if code == errno.ENAMETOOLONG:
        return InvalidKey(f"{ref}: a name is too long for this file system", reference=ref)
    if code in _FULL:
        return Unavailable(f"{ref}: {error.strerror}", reference=ref, transient=False)
    if code == errno.EXDEV:
        return PermissionDenied(
            f"{ref} is on another file system than the store, so that it cannot be written "
            "whole or not at all. Open that folder as a store of its own",
            reference=ref,
        )
    return Unavailable(f"{ref}: {error.strerror}", reference=ref, transient=code in _PASSING)


def not_found(ref: Reference) -> NotFound:
    """There is no object."""
    return NotFound(f"{ref}: there is no object", reference=ref)


def conflict(ref: Reference, other: Reference) -> KeyConflict:
    """A key would be a file where another one makes it a folder, or the other way round."""
    return KeyConflict(
        f"{ref} cannot stand beside {other}: keys are files in folders here, "
        "and one name cannot be both (capabilities.key_and_folder is false)",
        reference=ref,
    )
